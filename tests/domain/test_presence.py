"""A parameter with a condition is there with some categories only: what is legal then, what an edit brings in or takes away."""

from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.candidates import read_candidates
from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.distance import alike, distance
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.presence import FILLS
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput

SOLVENT = CategoricalParameter(name="solvent", categories=("water", "DMF", "DMSO"))
T = ContinuousParameter(name="T", unit="degC", min=20, max=100)
RATIO = ContinuousParameter.model_validate(
    {"name": "ratio", "unit": "mL", "min": 0.5, "max": 2.5, "when": {"solvent": ["DMF", "DMSO"]}, "otherwise": "0 L"}
)
BASE = CategoricalParameter(name="base", categories=("amine", "salt"), when={"solvent": ("DMF",)}, otherwise="none")
SALTS = CompositionParameter(name="salts", components=("Na", "K", "Li"), when={"base": ("salt",)})
SPACE = SearchSpace(parameters=(SALTS, BASE, RATIO, SOLVENT, T))
NO_SALTS: dict[str, float | str] = {"salts.Na": 0.0, "salts.K": 0.0, "salts.Li": 0.0}
WATER: dict[str, float | str] = {**NO_SALTS, "base": "none", "ratio": 0.0, "solvent": "water", "T": 40.0}
DMSO: dict[str, float | str] = {**WATER, "solvent": "DMSO", "ratio": 1.0}
AMINE: dict[str, float | str] = {**DMSO, "solvent": "DMF", "base": "amine"}
SALT: dict[str, float | str] = {**AMINE, "base": "salt", "salts.Na": 0.25, "salts.K": 0.75}


def with_(**fields: Any) -> SearchSpace:
    """Return a space of solvent, T and another number with a condition."""
    other = {"kind": "continuous", "name": "dose", "min": 0, "max": 1, **fields}
    return SearchSpace.model_validate({"parameters": [SOLVENT.model_dump(), T.model_dump(), other]})


# --------------------------------------------------------------------- what is there


@pytest.mark.parametrize(
    ("row", "gone"), [(WATER, {"ratio", "base", "salts"}), (DMSO, {"base", "salts"}), (AMINE, {"salts"}), (SALT, set[str]())]
)
def test_presence_is_told_by_categories_and_one_that_is_absent_takes_what_rests_on_it_along(
    row: dict[str, float | str], gone: set[str]
) -> None:
    assert SPACE.absent(row) == gone
    assert SPACE.complaint(row) is None
    assert set(SPACE.present(row)) == {column for column in SPACE.columns if SPACE.owners[column].name not in gone}
    assert SPACE.settled({**row, **dict.fromkeys(SPACE.absent_columns(row), 7.0)}) == row


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**WATER, "ratio": 1.0}, "ratio = 1.0: ratio is there only where solvent is DMF or DMSO; expected 0 mL"),
        ({**DMSO, "ratio": 0.0}, "ratio = 0.0 is outside 0.5 to 2.5 mL"),
        ({**DMSO, "base": "salt"}, "base = salt: base is there only where solvent is DMF; expected none"),
        ({**AMINE, "base": "none"}, "base = 'none' is none of amine, salt"),
        ({**AMINE, "salts.Na": 1.0}, "salts.Na = 1.0: salts is there only where base is salt; expected 0"),
        ({**SALT, "salts.K": 0.0}, "salts: fractions sum to 0.25; expected 1 within 1e-06"),
    ],
)
def test_what_stands_in_the_place_of_another_is_refused_in_one_line(row: dict[str, float | str], said: str) -> None:
    assert SPACE.complaint(row) == said


def test_several_conditions_must_all_hold() -> None:
    gas = CategoricalParameter(name="gas", categories=("air", "argon"))
    dose = ContinuousParameter(name="dose", min=1, max=2, when={"solvent": ("DMF",), "gas": ("argon",)}, otherwise=0)
    space = SearchSpace(parameters=(SOLVENT, gas, dose))
    there = [
        (solvent, one) for solvent in SOLVENT.categories for one in gas.categories if not space.absent({"solvent": solvent, "gas": one})
    ]
    assert there == [("DMF", "argon")]
    assert dose.condition == "solvent is DMF and gas is argon"


def test_what_is_not_said_is_not_written_and_what_is_comes_back() -> None:
    assert not {"when", "otherwise"} & (T.model_dump().keys() | SOLVENT.model_dump().keys())
    assert RATIO.model_dump(mode="json") == {
        "name": "ratio",
        "kind": "continuous",
        "unit": "mL",
        "min": 0.5,
        "max": 2.5,
        "resolution": None,
        "when": {"solvent": ["DMF", "DMSO"]},
        "otherwise": 0.0,
    }
    assert SearchSpace.model_validate(SPACE.model_dump(mode="json")) == SPACE


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"when": {"solvent": ["DMF"]}}, "parameter dose: when needs otherwise"),
        ({"otherwise": 0}, "parameter dose: otherwise belongs to when"),
        (
            {"when": {"solvnt": ["DMF"]}, "otherwise": 0},
            "dose, when.solvnt: there is no such parameter; expected a categorical one: solvent",
        ),
        ({"when": {"T": ["40"]}, "otherwise": 0}, "parameter dose, when.T: it is continuous; expected a categorical one: solvent"),
        ({"when": {"solvent": ["DMF", "DMS"]}, "otherwise": 0}, "parameter dose, when.solvent: 'DMS' is none of water, DMF, DMSO"),
        ({"when": {"dose": ["DMF"]}, "otherwise": 0}, "parameter dose, when.dose: it is itself; expected a categorical one: solvent"),
        ({"when": {"solvent": ["DMF"]}, "otherwise": "1 mL"}, "parameter dose, otherwise: "),
        (
            {"when": {"solvent": ["DMF"]}, "otherwise": 0, "same_in_batch": True},
            "parameter dose is same_in_batch; so must be solvent, which says where it is there",
        ),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises((ValidationError, BadInput), match=said):
        with_(**fields)


def test_conditions_that_go_round_in_a_circle_are_refused() -> None:
    first, second = (
        CategoricalParameter(name=name, categories=("x", "y"), when={other: ("x",)}, otherwise="-") for name, other in ("ab", "ba")
    )
    with pytest.raises(ValidationError, match="parameter a, b: when goes round in a circle"):
        SearchSpace(parameters=(first, second))


# --------------------------------------------------------------------- constraints, restrictions, distances


def test_a_constraint_counts_what_is_absent_as_what_the_bench_is_sent() -> None:
    space = SPACE.evolve(constraints=(LinearConstraint(coefficients={"T": 0.01, "ratio": 1.0}, max=1.2).model_dump(),))
    assert space.complaint({**WATER, "T": 100.0}) is None
    assert space.complaint({**DMSO, "T": 40.0}) == "constraint '0.01 T + 1 ratio' = 1.4; expected at most 1.2"
    with pytest.raises(ValidationError, match="ratio is not always there, so that a sum cannot be held; expected a range"):
        SPACE.evolve(constraints=(LinearConstraint(coefficients={"T": 0.01, "ratio": 1.0}, min=1, max=1).model_dump(),))


@pytest.mark.parametrize(
    "constraint",
    [{"kind": "linear", "coefficients": {"ratio": 1}, "min": 1}, {"kind": "expression", "expression": "2 * ratio", "unit": "mL", "min": 2}],
)
def test_a_constraint_that_would_take_away_all_that_has_no_such_parameter_is_refused(constraint: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"= 0; expected at least ., where what it names is absent \(ratio = 0, otherwise\)"):
        SPACE.evolve(constraints=(constraint,))


def test_the_range_of_a_column_reaches_to_what_stands_for_its_absence() -> None:
    assert (SPACE.intervals["ratio"].low, SPACE.intervals["ratio"].high) == (0.0, 2.5)


def restricted(**columns: Allowed) -> Region:
    return Region(SPACE, (Restriction(restriction_id="r", campaign="c", number=1, author="Ada", columns=columns),))


def test_a_restriction_binds_where_its_parameter_is_there() -> None:
    region = restricted(ratio=Allowed(min=2, max=2))
    assert region.complaint(WATER) is None
    assert region.admits(WATER)
    assert region.complaint({**DMSO, "ratio": 2.0}) is None
    assert region.complaint(DMSO) == "ratio = 1.0 is none of 2 mL"
    assert not region.admits(DMSO)
    region.check_columns(WATER)
    with pytest.raises(BadInput, match=r"ratio = 1\.0 is outside restriction 1"):
        region.check_columns(DMSO)


def test_restricted_categories_take_what_rests_on_them_out_of_the_space() -> None:
    region = restricted(solvent=Allowed(names=("water", "DMSO")))
    assert {one.name for one in region.space.parameters if one.never} == {"base", "salts"}
    assert [region.complaint(row) is None for row in (WATER, DMSO, AMINE, SALT)] == [True, True, False, False]


def test_a_range_of_a_share_of_what_is_not_always_there_is_refused_and_a_whole_mixture_is_held() -> None:
    with pytest.raises(BadInput, match=r"salts is not always there; expected a value for each of salts\.Na"):
        _ = restricted(**{"salts.Na": Allowed(min=0.1, max=0.2)}).space
    whole = restricted(**{column: Allowed(min=value, max=value) for column, value in zip(SALTS.columns, (0.25, 0.75, 0.0), strict=True)})
    assert [whole.complaint(row) for row in (WATER, SALT)] == [None, None]
    assert whole.complaint({**SALT, "salts.Na": 0.75, "salts.K": 0.25}) is not None


def test_a_distance_is_the_mean_over_what_both_have() -> None:
    # by hand, as Gower (1971) leaves out what cannot be compared: T differs by 20 of 80 degC, ratio by 1 of 2 mL
    assert distance(SPACE, WATER, {**WATER, "T": 60.0}) == pytest.approx((0 + 20 / 80) / 2)
    assert distance(SPACE, WATER, {**DMSO, "T": 60.0}) == pytest.approx((1 + 20 / 80) / 2)
    assert distance(SPACE, DMSO, {**DMSO, "ratio": 2.0}) == pytest.approx((0 + 0 + 1 / 2) / 3)
    assert distance(SPACE, AMINE, {**SALT, "ratio": 2.0}) == pytest.approx((0 + 0 + 1 / 2 + 1) / 4)
    assert alike(SPACE, WATER, {**WATER, "ratio": 2.0})  # read back of what nobody dosed
    assert not alike(SPACE, DMSO, {**DMSO, "ratio": 2.0})
    assert not alike(SPACE, WATER, DMSO)


# --------------------------------------------------------------------- neighbours and edits


def test_a_category_that_brings_something_in_is_tried_with_values_all_along_its_range() -> None:
    near = list(SPACE.neighbours(WATER))
    assert all(SPACE.complaint(row) is None for row in near)
    for solvent, number in (("DMSO", FILLS), ("DMF", FILLS)):
        ratios = sorted(float(row["ratio"]) for row in near if row["solvent"] == solvent)
        assert ratios == pytest.approx([0.5 + 2.0 * (place + 0.5) / number for place in range(number)])
    assert {row["base"] for row in near if row["solvent"] == "DMF"} == {"amine", "salt"}
    assert not [row for row in near if row["solvent"] == "water"]


def test_a_category_that_takes_something_away_leaves_the_rest_as_it_is() -> None:
    near = list(SPACE.neighbours(SALT))
    assert WATER in near
    assert {**DMSO} in near
    assert AMINE in near
    assert all(SPACE.complaint(row) is None for row in near)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_what_comes_in_is_legal_whatever_it_is(part: float) -> None:
    kinds = (
        RATIO,
        RATIO.evolve(scale="log"),
        DiscreteParameter(name="n", values=(1, 2, 4)),
        BASE,
        CompositionParameter(name="mix", components=("a", "b", "c"), step=0.2, max_components=2, min_present=0.3),
    )
    assert [one.complaint(one.filled(part)) for one in kinds] == [None] * len(kinds)


def test_an_edit_takes_along_what_it_takes_away_and_asks_for_what_it_brings_in() -> None:
    assert SPACE.edited(SALT, {"solvent": "water"}) == WATER
    assert SPACE.edited(WATER, {"solvent": "DMSO", "ratio": 1.0}) == DMSO
    with pytest.raises(BadInput, match=r"ratio has no value, and is there where solvent is DMF or DMSO; expected 0\.5 to 2\.5 mL"):
        SPACE.edited(WATER, {"solvent": "DMSO"})
    with pytest.raises(BadInput, match="ratio is there only where"):
        SPACE.check(SPACE.edited(DMSO, {"solvent": "water", "ratio": 2.0}))


def test_a_candidate_table_may_leave_cells_of_what_is_absent_empty() -> None:
    head = "solvent,T,ratio,base,salts.Na,salts.K,salts.Li\n"
    text = f"{head}water,40,,-,,,\nDMSO,40,1,none,0,0,0\nDMF,40,1,salt,0.25,0.75,0\n"
    assert read_candidates(text, SPACE, what="pool.csv") == (WATER, DMSO, SALT)
    for row, said in (
        ("water,40,1,-,,,", "line 2: ratio = 1.0: ratio is there only where"),
        ("DMSO,40,,-,,,", "line 2, column 'ratio'"),
        ("DMF,40,1,-,,,", "line 2: base = '-' is none of amine, salt"),
    ):
        with pytest.raises(BadInput, match=said):
            read_candidates(f"{head}{row}\n", SPACE, what="pool.csv")
