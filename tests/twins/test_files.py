"""Files that are twins: revisions of others, of which old ones are kept, and tables of recorded predictions."""

from functools import partial
from pathlib import Path

import pytest

from flows.plans.twins.files import Learned, LearnedConstant, revision_name, revisions, write_revision
from flows.plans.twins.finding import find_twin
from flows.plans.twins.recorded import OUTSIDE
from orchestrator.errors import BadInput
from orchestrator.textfile import read_toml
from simulators.twins.cdse import CDSE
from simulators.twins.declaration import Outcome, Situation
from simulators.twins.terms import Term

HEAD = '[twin]\nname = "film"\nversion = "3"\n\n[table]\nfile = "film.csv"\n'
KEYS = 'controls = { T = "degC", speed = "rpm" }\noutputs = { thickness = "nm" }\nreason = "why"\n'
ROWS = "T,speed,thickness,why\n20,1000,100,\n80,1000,160,\n20,3000,60,\n80,3000,,cracked\n60,2400,100,\n"


def test_a_revision_corrects_constants_of_its_base_and_says_from_what(tmp_path: Path) -> None:
    learned = Learned(campaign="dots", head="3f9a", runs=60, note='said "no"')
    rate, solubility = LearnedConstant("precursor_rate", 0.071, "1/s", 0.08), LearnedConstant("solubility", 2e-6, "mol/L", 0.1)
    first = write_revision(tmp_path, "cdse", base="cdse/1", constants=[rate], learned=learned)
    second = write_revision(tmp_path, "cdse", base=first, constants=[solubility], learned=learned)
    assert (first, second) == ("./twins/cdse-r1.toml", "./twins/cdse-r2.toml")
    found = find_twin(second, tmp_path)
    assert found.twin.label == "cdse/1-r2"
    assert find_twin(first, tmp_path).twin.label == "cdse/1-r1"
    assert found.twin.values == pytest.approx({**CDSE.values, "precursor_rate": 0.071, "solubility": 2e-3})
    assert {one.name: one.sd for one in found.twin.constants}["precursor_rate"] == 0.08
    assert found.files.keys() == {first, second}, "the ledger keeps both"
    assert read_toml(tmp_path / first, what="revision")["learned"] == {"campaign": "dots", "head": "3f9a", "runs": 60, "note": 'said "no"'}


def test_a_revision_is_never_written_over(tmp_path: Path) -> None:
    for number in range(1, 12):
        assert (
            write_revision(tmp_path, "a", base="cdse/1", constants=(), learned=Learned(campaign="c", runs=number))
            == f"./twins/a-r{number}.toml"
        )
    assert write_revision(tmp_path, "b", base="cdse/1", constants=(), learned=Learned(campaign="c")) == "./twins/b-r1.toml"


def test_what_was_learned_already_is_no_revision_more(tmp_path: Path) -> None:
    """A command that died after it had written is typed again."""
    known, more = (Learned(campaign="c", head=head, runs=3) for head in ("1a", "2b"))
    write = partial(write_revision, tmp_path, "a", base="cdse/1", constants=())
    assert [write(learned=one) for one in (known, known, more, more)] == [f"./twins/a-r{number}.toml" for number in (1, 1, 2, 2)]
    assert write(learned=known) == "./twins/a-r3.toml"  # it is not the newest any more


def test_a_draft_of_whoever_died_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "twins").mkdir()
    (tmp_path / "twins" / ".a-r1.toml.4711").write_text("[tw")
    write_revision(tmp_path, "a", base="cdse/1", constants=(), learned=Learned(campaign="c"))
    assert [one.name for one in (tmp_path / "twins").iterdir()] == ["a-r1.toml"]


def test_revisions_are_those_of_the_twin_alone_whose_name_begins_another_ones(tmp_path: Path) -> None:
    write_revision(tmp_path, "cdse-rough", base="cdse/1", constants=(), learned=Learned(campaign="c"))
    assert revisions(tmp_path, "cdse") == []
    assert [number for number, _ in revisions(tmp_path, "cdse-rough")] == [1]


def test_a_revision_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "twins").write_text("a file where the folder has to be")
    with pytest.raises(BadInput, match=r"revision .*cdse-r1.toml cannot be written: File exists; expected a folder"):
        write_revision(tmp_path, "cdse", base="cdse/1", constants=(), learned=Learned(campaign="c"))


def test_names_that_are_no_bare_keys_of_toml_are_quoted(tmp_path: Path) -> None:
    odd = 'size at 5.0 "mm"'
    constant = LearnedConstant(odd, 0.5, "", 0.1)
    term = Term(odd, "constant")
    strength = LearnedConstant(term.name, 0.2, "", 0.1)
    name = write_revision(tmp_path, "a", base="b", constants=[constant, strength], terms=[term], learned=Learned(campaign="c"))
    document = read_toml(tmp_path / name, what="revision")
    assert list(document["constants"]) == [odd, term.name]
    assert list(document["terms"]) == [term.name]


def test_a_revision_has_one_name_however_it_is_typed() -> None:
    assert revision_name("twins/a-r1.toml") == revision_name("./twins/a-r1.toml") == "./twins/a-r1.toml"
    with pytest.raises(BadInput, match=r"twin 'cdse/1' is no revision; expected its file, like ./twins/NAME-r1.toml"):
        revision_name("cdse/1")


def test_a_revision_that_rests_on_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[twin]\nrevision = 1\nbase = "b.toml"\n')
    (tmp_path / "b.toml").write_text('[twin]\nrevision = 2\nbase = "a.toml"\n')
    with pytest.raises(BadInput, match=r"twin 'a.toml' is its own base: a.toml of b.toml of a.toml"):
        find_twin("a.toml", tmp_path)


def outcomes(folder: Path, *points: tuple[float, float], rows: str = ROWS) -> tuple[Outcome, ...]:
    (folder / "film.toml").write_text(HEAD + KEYS)
    (folder / "film.csv").write_text(rows)
    twin = find_twin("film.toml", folder).twin
    assert twin.label == "film/3"
    return twin.predict([Situation({"T": T, "speed": speed}, {}, {}) for T, speed in points])


def test_a_table_gives_its_rows_and_is_linear_between_them(tmp_path: Path) -> None:
    found = outcomes(tmp_path, (20.0, 1000.0), (50.0, 1000.0), (20.0, 2000.0))
    assert [one["thickness"] for one in found if not isinstance(one, str)] == pytest.approx([100.0, 130.0, 80.0])


def test_a_table_gives_a_reason_near_rows_that_have_one_and_beyond_all(tmp_path: Path) -> None:
    assert outcomes(tmp_path, (79.0, 2900.0), (90.0, 900.0)) == ("cracked", OUTSIDE)


def test_a_table_of_one_control_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "film.toml").write_text(HEAD + 'controls = { T = "degC" }\noutputs = { thickness = "nm" }\n')
    (tmp_path / "film.csv").write_text("T,thickness\n80,160\n20,100\n")
    twin = find_twin("film.toml", tmp_path).twin
    found = twin.predict([Situation({"T": T}, {}, {}) for T in (20.0, 50.0, 81.0)])
    assert found == ({"thickness": 100.0}, {"thickness": 130.0}, OUTSIDE)


@pytest.mark.parametrize(
    ("name", "text", "rows", "told"),
    [
        ("film.toml", HEAD + KEYS, ROWS.replace("160", "many"), "line 3, column 'thickness': 'many' is not a number"),
        ("film.toml", HEAD + KEYS, "T,speed,thickness,why\n20,1,1,\n20,2,2,\n20,4,4,\n", "T has one value in all rows"),
        ("film.toml", HEAD + KEYS, "T,speed,thickness,why\n20,1,1,\n30,2,2,\n40,3,4,\n", "expected 3 or more that do not lie in one plane"),
        ("film.toml", HEAD + KEYS.replace("why", "cause"), ROWS, "has no column 'cause'"),
        ("film.toml", HEAD.replace("film.csv", "../film.csv") + KEYS, ROWS, "'../film.csv': expected a file beside the bench file"),
        ("film.toml", HEAD.replace("film.csv", "none.csv") + KEYS, ROWS, "none.csv does not exist"),
        ("film.toml", '[twin]\nrevision = 1\nbase = "cdse/1"\n[constants.k]\nvalue = 1\n', ROWS, "twin cdse/1 has no constant 'k'"),
        ("film.toml", '[twin]\nrevision = 0\nbase = "cdse/1"\n', ROWS, "twin.revision = 0"),
        ("film.toml", '[twin]\nbase = "cdse/1"\n', ROWS, "twin.revision is missing"),
        ("film.toml", '[twin]\nrevision = 1\nbase = "gold/1"\n', ROWS, "twin 'gold/1' is unknown"),
        ("none.toml", "", ROWS, "none.toml does not exist"),
        ("/etc/film.toml", "", ROWS, "expected a file beside the bench file"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_twin_is_one_line(tmp_path: Path, name: str, text: str, rows: str, told: str) -> None:
    (tmp_path / "film.toml").write_text(text)
    (tmp_path / "film.csv").write_text(rows)
    with pytest.raises(BadInput) as refused:
        find_twin(name, tmp_path)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
