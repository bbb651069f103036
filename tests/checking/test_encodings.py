"""Files from other people's editors: each kind of TOML file and of table is read by one reader, and refused by it alike."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.studies.benchmark.loading import load_suite
from flows.studies.benchmark.spec import load_benchmark
from flows.studies.metatraining.matching import match
from flows.studies.metatraining.spec import load_meta_file
from flows.studies.metatraining.tasks import read_tasks
from instruments.bench.file import load_bench
from orchestrator.domain.campaign import load_campaign
from orchestrator.errors import BadInput
from simulators.plantfile import load_plant_file
from tests.benchmarking.family import TEXT

SCAFFOLD = Path(__file__).parents[2] / "flows" / "cli" / "scaffold"
BENCHMARK = TEXT.format(group="", goal="maximise", leave="task", identical="keep", descriptors="")
LOADERS: dict[str, Callable[[Path], Any]] = {
    "campaign.toml": load_campaign, "bench.toml": load_bench, "plant.toml": load_plant_file, "prior.toml": load_meta_file,
    "benchmark.toml": load_benchmark,
}  # fmt: skip


def copied(name: str, folder: Path) -> Path:
    if name == "benchmark.toml":
        (folder / name).write_text(BENCHMARK)
    else:
        shutil.copy(SCAFFOLD / name, folder / name)
    return folder / name


@pytest.mark.parametrize("name", LOADERS)
def test_a_byte_order_mark_means_nothing_in_any_toml_file(name: str, tmp_path: Path) -> None:
    path = copied(name, tmp_path)
    plain, content = LOADERS[name](path), path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert getattr(LOADERS[name](path), "spec", LOADERS[name](path)) == getattr(plain, "spec", plain)


BROKEN: dict[str, tuple[Callable[[str], bytes], str]] = {
    "latin-1": (lambda text: ("# gemäß\n" + text).encode("latin-1"), ", line 1, column 6: byte 0xe4 is not utf-8"),
    "utf-16": (lambda text: text.encode("utf-16"), ", line 1, column 1: byte 0xff is not utf-8: invalid start byte (the file begins like"),
    "comma": (lambda text: f"a = 0,5\n{text}".encode(), "(at line 1, column 6): a comma does not say"),
    "open list": (lambda text: f"{text}\na = [1,2".encode(), "is not TOML: Unclosed array (at end of document)"),
    "digits": (lambda text: f"a = {'9' * 5000}\n{text}".encode(), "is not TOML: Exceeds the limit"),
    "depth": (lambda text: f"a = {'[' * 5000}{']' * 5000}\n{text}".encode(), "is not TOML: maximum recursion depth"),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("how", BROKEN)
def test_every_toml_file_that_cannot_be_read_is_one_line_with_its_place(name: str, how: str, tmp_path: Path) -> None:
    broken, said = BROKEN[how]
    path = copied(name, tmp_path)
    path.write_bytes(broken(path.read_text()))
    with pytest.raises(BadInput) as caught:
        LOADERS[name](path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


CAMPAIGN = """
[campaign]
name = "c"
bench = "bench.toml"
budget = 3
[candidates]
file = "t.csv"
{keys}
[[parameters]]
name = "T"
kind = "continuous"
min = 0
max = 9
[[parameters]]
name = "s"
kind = "categorical"
categories = ["a", "b"]
[[targets]]
name = "y"
goal = "maximise"
"""
PRIOR = '[prior]\nname = "p"\n[[sources]]\nfiles = ["t.csv"]\n{keys}\n' + CAMPAIGN[CAMPAIGN.index("[[parameters]]") :]
RUN = '[split]\njudge = ["t"]\nidentical = "keep"\n[run]\nbudget = 2\ninitial = 0\nsurrogates = ["random"]\n'
JUDGED = '[data]\nfiles = ["t.csv"]\n{keys}\n' + RUN + CAMPAIGN[CAMPAIGN.index("[[parameters]]") :]


def candidates(path: Path) -> list[object]:
    return [(row["T"], row["s"]) for row in load_campaign(path).space().candidates or ()]


def sources(path: Path) -> list[object]:
    file = load_meta_file(path)
    return [(row.configuration["T"], row.configuration["s"]) for row in match(file, read_tasks(file, {})).rows["t"]]


def judged(path: Path) -> list[object]:
    (pool,) = load_suite(load_benchmark(path), path.parent).pools.values()
    return [(row["T"], row["s"]) for row in pool.candidates]


READERS: dict[str, tuple[str, Callable[[Path], list[object]]]] = {
    "candidates": (CAMPAIGN, candidates), "sources": (PRIOR, sources), "benchmark": (JUDGED, judged),
}  # fmt: skip
GOOD = "T,s,y\n1.5,a,1\n2,b,2\n"


def table_read(kind: str, folder: Path, content: bytes, keys: str = "") -> list[object]:
    text, reader = READERS[kind]
    (folder / "t.csv").write_bytes(content)
    (folder / "file.toml").write_text(text.format(keys=keys))
    return reader(folder / "file.toml")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (GOOD.encode(), ""),
        (b"\xef\xbb\xbf" + GOOD.encode(), ""),
        (GOOD.replace(",", ";").replace(".", ",").encode(), 'delimiter = ";"\ndecimal = ","'),
        (GOOD.replace("s,y", "s,y,é").replace("\n1.5,a,1\n2,b,2", "\n1.5,a,1,0\n2,b,2,0").encode("latin-1"), 'encoding = "latin-1"'),
        (GOOD.encode("utf-16"), 'encoding = "utf-16"'),
    ],
    ids=["plain", "mark", "german", "latin-1", "utf-16"],
)
def test_every_table_is_read_in_the_dialect_that_its_keys_name(kind: str, content: bytes, keys: str, tmp_path: Path) -> None:
    assert table_read(kind, tmp_path, content, keys) == [(1.5, "a"), (2.0, "b")]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.replace("1.5", "1,5"), "line 2: 4 cells; expected 3"),
        (GOOD.replace("2,b,2", "2"), "line 3: 1 cell; expected 3"),
        (GOOD.replace("1.5", "2_20"), "line 2, column 'T': '2_20' is not a number"),
        (GOOD.replace("1.5", '"1,5"'), "line 2, column 'T': '1,5' is not a number: a comma"),
        (GOOD.replace("1.5", ""), "line 2, column 'T': the cell is empty"),
        (GOOD.replace("s,y", "s,y,T").replace("a,1", "a,1,9").replace("b,2", "b,2,9"), "line 1: columns 1 and 4 are both called 'T'"),
        (GOOD.replace(",", ";"), "has no column 'T'; it has T;s;y|measured none of y; it has T;s;y; .*delimiter"),
        (GOOD.replace("b", '"b'), "line 3, cell 2 has no end"),
        (GOOD.replace("b", "b" * 200_000), "line 3, cell 2 is longer than"),
        (GOOD.replace("1.5", "1.5\0"), "line 2, column 4: there is a NUL"),
        (GOOD[:6], "there is a header only"),
        ("", "is empty"),
    ],
)
def test_every_broken_table_is_refused_with_its_place_by_every_command(kind: str, content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        table_read(kind, tmp_path, content.encode())
    assert re.search(said, str(caught.value)), caught.value
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_illegal_candidate_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"t\.csv, line 4: T = 10.0 is outside 0 to 9"):
        table_read("candidates", tmp_path, b"T,s\n\n1,a\n10,b\n")
    with pytest.raises(BadInput, match=r"t\.csv, line 2: s = 'a ' is none of a, b"):
        table_read("candidates", tmp_path, b"T,s\n1,a \n")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("keys", "said"), [('encoding = "klingon"', "encoding"), ('decimal = ","', "cannot part both"), ('separator = ";"', "separator")]
)
def test_an_illegal_dialect_is_refused_by_its_key(kind: str, keys: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        table_read(kind, tmp_path, GOOD.encode(), keys)


def test_a_dialect_belongs_to_files(tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(
        PRIOR.format(keys='delimiter = ";"').replace('files = ["t.csv"]', 'family = "x"\ntasks = 2\nrows = 2')
    )
    with pytest.raises(BadInput, match="delimiter belongs to files"):
        load_meta_file(tmp_path / "file.toml")


@pytest.mark.parametrize("value", ["12", "", "1.5"])
def test_a_category_keeps_its_text(value: str, tmp_path: Path) -> None:
    text = CAMPAIGN.format(keys="").replace('"a"', f'"{value}"')
    (tmp_path / "file.toml").write_text(text)
    (tmp_path / "t.csv").write_text(f"T,s\n1,{value}\n")
    assert candidates(tmp_path / "file.toml") == [(1.0, value)]
