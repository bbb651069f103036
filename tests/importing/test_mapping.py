"""A mapping is strict: every name and unit of file, mapping and campaign has its place, and what a model could not hold is refused."""

from pathlib import Path

import pytest

from models.inputs.encoding import Encoding
from orchestrator.domain.campaign import parse_campaign
from orchestrator.errors import BadInput
from orchestrator.importing.fitting import unlearnable
from orchestrator.importing.mapping import MappingSpec, load_mapping, parse_mapping
from orchestrator.importing.preview import Preview, preview
from simulators.twins.terms import ELAPSED
from tests.importing.table import CAMPAIGN, PLAIN, columns

WIDE = (
    CAMPAIGN.replace('name = "t"', 'name = "t"\nscale = "log"')
    + """
[[parameters]]
name = "mix"
kind = "composition"
components = ["a", "b"]
[[parameters]]
name = "n"
kind = "discrete"
values = [1, 2]
"""
)
POINT: dict[str, float | str] = {"T": 50.0, "t": 60.0, "solvent": "DMF", "mix.a": 0.5, "mix.b": 0.5, "n": 1.0}


def previewed(folder: Path, mapping: str, content: str = PLAIN, campaign: str = CAMPAIGN) -> Preview:
    (folder / "t.csv").write_text(content)
    (folder / "m.toml").write_text(mapping)
    return preview(folder / "t.csv", parse_campaign(campaign, Path("campaign.toml"), free=True), folder / "m.toml")


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("", "columns is missing"),
        ("[columns]\n", "columns = {}"),
        (columns() + "[tables]\n", "unknown key tables; legal here: table, columns, constants, censored"),
        ("[table]\nseparator = ';'\n" + columns(), "unknown key table.separator; legal here: sheet, header, units_row"),
        (columns(T='parameter = "T", format = "x"'), "unknown key columns.T.format; legal here: parameter, target"),
        (columns(T='parameter = "T", target = "yield"'), "date, ignored; this one has parameter and target"),
        (columns(T="unit = 'K'"), "this one has none"),
        (columns(T="ignored = false"), "columns.T.ignored = False"),
        (columns(T="ignored = true, unit = 'K'"), "unit belongs to parameter, target, uncertainty, recorded, not to ignored"),
        (columns(T='recorded = "humidity"'), "recorded needs a unit and a reference"),
        (columns(T='recorded = "humidity", unit = "percent"'), "recorded needs a unit and a reference"),
        (columns(T='recorded = "humidity", reference = 40'), "recorded needs a unit and a reference"),
        (columns(T='parameter = "T", reference = 40'), "nothing else has a reference"),
        (columns(T='recorded = "", unit = "", reference = 1'), "columns.T.recorded = ''"),
        (columns(T='recorded = "elapsed", unit = "day", reference = 0'), f"recorded = {ELAPSED!r} is the name of the lab time"),
        (columns(T='recorded = "a", unit = "", reference = 1', t='recorded = "a", unit = "", reference = 1'), "two columns are recorded a"),
        (columns(T="date = '%d.%m'"), "does not say year, month and day"),
        (columns(T="date = '%A %Y'"), "%A is no part of a date"),
        (columns(T="date = '?'"), "does not say year, month and day"),
        (columns(T='parameter = "T", unit = "Celsius degrees"'), "columns.T: unknown unit 'Celsius degrees'"),
        (columns(t='parameter = "T"'), "two columns are parameter T"),
        (columns(T="run = true"), "a column is run"),
        (columns(**{"yield": "ignored = true"}), "no column is a target"),
        (columns(T='uncertainty = "Cd"'), "there is no column of target Cd; columns are of target yield"),
        ("[table]\nzone = 'Mars'\n" + columns(), "time zone 'Mars' is unknown"),
        ("[table]\nheader = 0\n" + columns(), "table.header = 0"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_meant_is_refused_by_its_key(mapping: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_mapping(mapping, "mapping m.toml")
    assert str(caught.value).startswith("mapping m.toml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (columns(T='parameter = "temp"'), "columns.T: the campaign has no parameter 'temp'; it has T, t, solvent"),
        (columns(**{"yield": 'target = "purity"'}), "columns.yield: the campaign has no target 'purity'; it has yield, Cd"),
        (columns(T="ignored = true"), "nothing says T; name its column, or give it a value under [constants]"),
        (columns(T='parameter = "T", unit = "mL"'), "columns.T: unit 'mL' does not convert to 'degC'"),
        (columns(T='parameter = "T", names = { a = "b" }'), "columns.T: T is a number and has no names"),
        (columns(solvent='parameter = "solvent", unit = "K"'), "columns.solvent: solvent is a name and has no unit"),
        (columns(T='recorded = "t", unit = "s", reference = 1'), "recorded 't' is a parameter of the campaign; what is set"),
        (columns() + '[constants]\npH = 7\n', "constants.pH: the campaign has no parameter 'pH'"),
        (columns() + '[constants]\nT = 7\n', "constants.T: column 'T' holds it already"),
        (columns(solvent="ignored = true") + '[constants]\nsolvent = "oil"\n', "constants.solvent: solvent = 'oil' is none of DMF, water"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_the_campaign_is_refused(mapping: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        previewed(tmp_path, mapping)
    assert said in str(caught.value)


def test_a_saved_mapping_is_used_again_and_told_by_its_hash(tmp_path: Path) -> None:
    first, again = previewed(tmp_path, columns()), previewed(tmp_path, columns())
    assert first == again
    assert first.mapping_sha256 == load_mapping(tmp_path / "m.toml").sha256
    assert previewed(tmp_path, columns() + "\n").mapping_sha256 != first.mapping_sha256


def test_all_problems_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    found = previewed(tmp_path, columns(), PLAIN + "x,60,DMF,#NAME?\n25,60,oil,5\n")
    assert [one.partition(":")[0] for one in found.problems] == [
        "t.csv, line 4, column 'T'",
        "t.csv, line 4, column 'yield'",
        "t.csv, line 5, column 'solvent'",
    ]
    assert [entry.place for entry in found.entries] == ["t.csv, line 2", "t.csv, line 3"]
    assert not found.may_be_brought


@pytest.mark.parametrize(
    "changed", [{"T": -400.0}, {"T": 900.0}, {"t": 1.0}, {"t": 9e9}, {"n": 1.5}, {"mix.a": 0.53, "mix.b": 0.5}, {}], ids=str
)
def test_what_lies_outside_the_space_and_is_kept_is_extrapolated_by_the_models_inputs(changed: dict[str, float]) -> None:
    space = parse_campaign(WIDE, Path("c"), free=True).space()
    point = {**POINT, **changed}
    assert [one for parameter in space.parameters if (one := unlearnable(parameter, point))] == []
    encoding = Encoding(space)
    (inputs,) = encoding.encode([point]).unsqueeze(0)
    numbers = encoding.numbers(inputs)
    assert {name: float(value) for name, value in numbers.items()} == pytest.approx({name: point[name] for name in numbers})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"solvent": "toluene"}, "solvent = 'toluene' is none of DMF, water"),
        ({"t": 0.0}, "t = 0.0 lies too far below log scale: 30 to 6000 s; expected 0.15 at least"),
        ({"t": 0.1}, "t = 0.1 lies too far below log scale: 30 to 6000 s; expected 0.15 at least"),
        ({"mix.a": 0.4}, "mix: fractions sum to 0.9; expected 1 within 0.05"),
        ({"mix.a": 50.0, "mix.b": 50.0}, "mix: fractions [50.0, 50.0] must be numbers from 0 to 1"),
        ({"T": "hot"}, "T = 'hot' is not a number"),
    ],
)
def test_what_the_models_inputs_could_not_hold_is_refused(changed: dict[str, float | str], said: str) -> None:
    space = parse_campaign(WIDE, Path("c"), free=True).space()
    point = {**POINT, **changed}
    assert [one for parameter in space.parameters if (one := unlearnable(parameter, point))] == [said]
    encoding = Encoding(space)
    try:
        (inputs,) = encoding.encode([point]).unsqueeze(0)
    except BadInput:
        return
    numbers = {name: float(value) for name, value in encoding.numbers(inputs).items()}
    held = numbers == pytest.approx({name: float(point[name]) for name in numbers})
    assert not held or sum(float(point[f"mix.{one}"]) for one in "ab") != 1


def test_a_mapping_has_a_role_for_people() -> None:
    spec = MappingSpec.model_validate({"columns": {"a": {"target": "y"}, "b": {"run": True}, "c": {"date": "iso"}, "d": {"ignored": True}}})
    assert [one.role for one in spec.columns.values()] == ["target y", "run", "date, iso", "ignored"]


CONDITIONAL = CAMPAIGN.replace(
    '[[targets]]\nname = "yield"',
    '[[parameters]]\nname = "base"\nkind = "continuous"\nunit = "mg"\nmin = 1\nmax = 9\nwhen = { solvent = ["DMF"] }\notherwise = 0\n'
    '[[targets]]\nname = "yield"',
)


def test_a_cell_of_what_is_absent_may_be_empty_and_one_of_what_is_there_may_not(tmp_path: Path) -> None:
    mapping = columns(base='parameter = "base"')
    rows = ["40,60,water,,50", "40,60,water,-,51", "40,60,DMF,2,52", "40,60,water,0,53"]
    found = previewed(tmp_path, mapping, "T,t,solvent,base,yield\n" + "\n".join(rows) + "\n", CONDITIONAL)
    assert found.problems == ()
    assert [one.configuration["base"] for one in found.entries if one.configuration] == [0.0, 0.0, 2.0, 0.0]
    broken = previewed(tmp_path, mapping, "T,t,solvent,base,yield\n40,60,DMF,,50\n40,60,water,2,51\n", CONDITIONAL)
    assert broken.problems == (
        "t.csv, line 2: base has no value, and is there where solvent is DMF",
        "t.csv, line 3: base = 2.0: base is there only where solvent is DMF; expected 0 mg",
    )
