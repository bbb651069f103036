"""Editors and Athanor judge a file alike: what only the meaning of names, units and other files tells is Athanor's alone."""

import re
import tomllib
from pathlib import Path
from shutil import copy

import pytest
from jsonschema import Draft202012Validator

from flows.schemas.files import SCHEMAS
from tests.checking.test_broken_files import CASES, EXAMPLE, Case
from tests.schemas.files import PARSERS, all_files, document_of, kind_of, mistakes, refusal, write

JUDGES = {kind: Draft202012Validator(make()) for kind, make in SCHEMAS.items()}
FILES = all_files()
MEANING = (
    # units, and numbers in texts
    r"unknown unit",
    r"has the wrong unit",
    r"is not (a quantity|finite)",
    r"gives \[\w+\]; expected a quantity in",
    r"price = '.*(a comma does not say|is no volume)",
    r"prices in .*; expected one currency",
    r"bench\.positions = .*; expected a range",
    # numbers against each other
    r"(min|low) \S+ (must be below|is above) (max|high)",
    r"budget -?\d+ leaves nothing after",
    # names that must be there, or there once
    r"names no target",
    r"unknown (driver|link|safe action|name)",
    r"is no (numeric column|instrument|parameter)",
    r"has no entry for task",
    r"is declared twice|have the same address",
    r"time zone .* is unknown",
    r"expected the name of a text encoding",
    r"cannot part (both|thousands)",
    r"no column is a target|there is no column of target",
    r"when\.\w+: (there is no such parameter|it is|'.*' is none of)",
    # what several tables say together
    r"several targets are combined",
    r"low and high go together|low belongs to",
    r"park_after and \[\[park\.steps\]\] go together",
    r"either a bench",
    # other files
    r"does not exist",
)
"""What the parser says where the schema has nothing to say; `reference/editors` tells people."""
MISTAKEN = ("desk/bench.toml", "desk/rules.toml", "cdse/prior.toml", "benchmarks/cn_coupling.toml", "spreadsheet/mapping.toml")
"""Between them they have all kinds of tables."""


def disagreement(kind: str, text: str, folder: Path) -> str | None:
    """Say where the parser and the schema part, if they do."""
    path = folder / f"{kind}.toml"
    path.write_text(text)
    refused, complaints = refusal(kind, path), list(JUDGES[kind].iter_errors(tomllib.loads(text)))
    if refused is None:
        return f"only the schema refuses: {complaints[0].message}" if complaints else None
    said, is_shape = refused
    if complaints or (not is_shape and any(re.search(one, said) for one in MEANING)):
        return None
    return f"only the parser refuses{' the shape' if is_shape else ''}: {said.replace(str(folder), '')}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: "-".join(path.parts[-3:]))
def test_what_the_parser_accepts_the_schema_accepts(path: Path, tmp_path: Path) -> None:
    kind = kind_of(path.read_text())
    assert kind is not None
    for driver in path.parent.glob("*.py"):
        copy(driver, tmp_path)
    assert disagreement(kind, path.read_text(), tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKEN)
def test_each_key_misspelt_left_out_or_given_something_else_is_judged_alike(name: str, tmp_path: Path) -> None:
    path = next(path for path in FILES if path.as_posix().endswith(name))
    kind = kind_of(path.read_text())
    assert kind is not None
    found = [(what, disagreement(kind, write(broken), tmp_path)) for what, broken in mistakes(document_of(path))]
    assert len(found) > 50
    assert [(what, one) for what, one in found if one is not None] == []


CONDITIONAL = """
campaign = { name = "c", bench = "bench.toml", budget = 3 }
targets = [{ name = "y", goal = "maximise" }]
parameters = [
  { kind = "categorical", name = "solvent", categories = ["water", "DMF"] },
  { kind = "continuous", name = "ratio", unit = "mL", min = 1, max = 2, when = { solvent = ["DMF"] }, otherwise = "0 mL" },
  { kind = "categorical", name = "base", categories = ["a", "b"], when = { solvent = ["DMF"] }, otherwise = "none" },
  { kind = "composition", name = "salts", components = ["Na", "K"], when = { base = ["a"] } },
]
"""


def test_each_mistake_of_a_condition_is_judged_alike(tmp_path: Path) -> None:
    assert disagreement("campaign", CONDITIONAL, tmp_path) is None
    document = tomllib.loads(CONDITIONAL)
    marked = [(what, broken) for what, broken in mistakes(document) if "when" in what or "otherwise" in what]
    document["parameters"][1]["when"]["solvent"] = []
    document["parameters"][2]["when"] = {}
    marked += [("nothing", {**document, "parameters": document["parameters"][:count]}) for count in (2, 3)]
    assert len(marked) > 20
    found = [(what, disagreement("campaign", write(broken), tmp_path), write(broken)) for what, broken in marked]
    assert [one for one in found if one[1] is not None] == []


@pytest.mark.parametrize("policy", ["bayesian", "sobol"])
def test_beliefs_belong_to_a_policy_that_asks_a_model(policy: str, tmp_path: Path) -> None:
    more = f'surrogate = {{ kind = "gp", beliefs = "learned" }}\npolicy = {{ kind = "{policy}" }}\n'
    assert disagreement("campaign", CONDITIONAL + more, tmp_path) is None
    assert JUDGES["campaign"].is_valid(tomllib.loads(CONDITIONAL + more)) == (policy == "bayesian")


def _broken(case: Case) -> str:
    return (EXAMPLE / case.file).read_text().replace(case.old, case.new, 1)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@pytest.mark.parametrize("case", [case for case in CASES if _is_toml(_broken(case))], ids=lambda case: case.name)
def test_a_broken_file_is_judged_alike(case: Case, tmp_path: Path) -> None:
    text = _broken(case)
    assert disagreement(case.file.removesuffix(".toml"), text, tmp_path) is None


def test_every_file_has_a_schema_and_every_key_in_it_a_description() -> None:
    assert set(SCHEMAS) == set(PARSERS) == {kind_of(path.read_text()) for path in FILES}
    for kind, judge in JUDGES.items():
        Draft202012Validator.check_schema(judge.schema)
        tables = {kind: judge.schema, **judge.schema["$defs"]}
        keys = {f"{table}.{key}": one for table, described in tables.items() for key, one in described.get("properties", {}).items()}
        assert [key for key, one in keys.items() if not one.get("description")] == []
