"""Terms of the library: nothing at a strength of zero, the published laws to first order, and a twin like any other with them."""

import math
from dataclasses import replace

import pytest

from orchestrator.errors import BadInput
from simulators.twins.declaration import Constant, Outcome, Situation, Surrounding, Twin, each
from simulators.twins.terms import DAY, ELAPSED, KELVIN, Recorded, Shape, Term, candidates, with_terms

RH = Recorded("rh", "percent", 40.0, 10.0)
ROOM = Recorded("room", "degC", 22.0, 2.0)
RH_TERM = Term("yield", "linear", "rh", "percent", 40.0, 10.0)
asked: list[Situation] = []


def grown(situation: Situation) -> Outcome:
    asked.append(situation)
    if situation.controls["T"] > 90.0:
        return "boiled"
    return {"yield": situation.constants["k"] * situation.controls["c"], "width": situation.controls["T"]}


TWIN = Twin("toy", "1", {"T": "degC", "c": "mol/L"}, {"yield": "", "width": "nm"}, each(grown), (Constant("k", "", 2.0, sd=0.1),))


def told(twin: Twin, changed: dict[str, float], environment: dict[str, float] | None = None, T: float = 60.0) -> Outcome:
    around = {**twin.reference, **(environment or {})}
    (found,) = twin.predict([Situation({"T": T, "c": 0.5}, {**twin.values, **changed}, around)])
    return found


def strength(term: Term, value: float, environment: float) -> float:
    """Return the yield with a term of some strength, over the one without."""
    found = told(with_terms(TWIN, [term]), {term.name: value}, {term.channel: environment} if term.channel else {})
    assert isinstance(found, dict)
    return float(found["yield"])


def test_a_library_of_no_strength_changes_nothing() -> None:
    library = candidates(TWIN, ["yield"], [RH, ROOM], span=3.0)
    assert len({one.name for one in library}) == len(library)
    whole = with_terms(TWIN, library)
    assert told(whole, {}, {"rh": 80.0, "room": 30.0, ELAPSED: 2.0}) == told(TWIN, {})


@pytest.mark.parametrize(
    ("shape", "at", "law"),
    [
        ("linear", 60.0, math.exp(-0.1 * (60.0 - 40.0) / 10.0)),
        ("threshold", 60.0, math.exp(-0.1 * (60.0 - 50.0) / 10.0)),
        ("threshold", 45.0, 1.0),
        ("power", 60.0, (60.0 / 40.0) ** -0.1),  # Peck's power of the humidity
        ("saturating", 60.0, math.exp(-0.1 * (60.0 / 100.0 - 0.5))),  # Langmuir's isotherm, half of the sites at 40
    ],
)
def test_a_channel_acts_by_its_law(shape: Shape, at: float, law: float) -> None:
    term = Term("yield", shape, "rh", "percent", 40.0, 10.0, onset=50.0)
    assert strength(term, 0.1, at) == pytest.approx(law)
    assert strength(replace(term, onset=40.0), 0.1, 40.0) == pytest.approx(1.0)


def test_a_rate_follows_arrhenius() -> None:
    term = Term("yield", "arrhenius", "room", "degC", 22.0, 2.0)
    low, high = (strength(term, 0.1, degc) for degc in (22.0, 42.0))
    # ln of the ratio goes with 1/T: twice the difference of 1/T is twice the logarithm
    slope = 0.1 / (1 / 295.15 - 1 / 297.15)
    assert math.log(high / low) == pytest.approx(-slope * (1 / 295.15 - 1 / 315.15))


def test_a_control_differs_from_its_setting() -> None:
    oven, stock = Term("T", "constant"), Term("c", "linear", ELAPSED, DAY, scale=4.0)
    extended = with_terms(TWIN, [oven, stock])
    assert told(extended, {oven.name: 3.0}) == {"yield": 1.0, "width": 63.0}
    found = told(extended, {stock.name: 0.2}, {ELAPSED: 2.0})
    assert isinstance(found, dict)
    assert found["yield"] == pytest.approx(math.exp(0.1))
    assert [one.unit for one in extended.constants] == ["", "delta_degC", ""]


def test_what_the_twin_cannot_make_stays_so() -> None:
    extended = with_terms(TWIN, [Term("yield", "linear", "rh", "percent", 40.0, 10.0)])
    assert told(extended, {}, T=95.0) == "boiled"


def test_one_situation_is_asked_once_whatever_acts_on_its_outputs() -> None:
    library = [one for one in candidates(TWIN, ["yield"], [RH], span=0.0) if one.on == "yield"]
    whole = with_terms(TWIN, library)
    asked.clear()
    rows = [Situation({"T": 60.0, "c": 0.5}, {**whole.values, one.name: 0.1}, {"rh": 50.0}) for one in library]
    assert len(set(map(str, whole.predict(rows)))) > 1
    assert len(asked) == 1


def test_a_surrounding_that_the_twin_knows_is_not_declared_twice() -> None:
    twin = replace(TWIN, environment=(Surrounding("rh", "percent", 35.0),))
    assert with_terms(twin, [Term("yield", "linear", "rh", "percent", 40.0, 10.0)]).reference == {"rh": 35.0}


def test_a_term_that_was_taken_up_is_offered_no_more() -> None:
    term = Term("yield", "linear", "rh", "percent", 40.0, 10.0)
    again = candidates(with_terms(TWIN, [term]), ["yield"], [RH], span=0.0)
    assert term.name not in {one.name for one in again}


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Term("yield", "bent", "rh"), "shape 'bent' is unknown; expected constant, linear"),  # type: ignore[arg-type]
        (lambda: replace(RH_TERM, shape="arrhenius"), "an arrhenius shape of rh in percent; expected a temperature"),
        (lambda: Term("yield", "linear"), "a linear shape of channel ''; only a constant has no channel"),
        (lambda: Term("yield", "power", "t", KELVIN, 0.0, 1.0), "a power shape about the reference 0; expected one above 0"),
        (lambda: Term("yield", "linear", "rh", "percent", 40.0, 0.0), "scale 0; expected numbers, the scale above 0"),
        (lambda: with_terms(TWIN, [RH_TERM, replace(RH_TERM, on="width", unit="")]), "width-linear-rh takes rh in 1; expected percent"),
        (lambda: with_terms(replace(TWIN, environment=(Surrounding("rh", "", 0.4),)), [RH_TERM]), "takes rh in percent; expected 1"),
        (lambda: with_terms(TWIN, [Term("colour", "constant")]), "acts on 'colour'; expected one of T, c, yield, width"),
    ],
)
def test_what_is_no_term_is_refused(make: object, line: str) -> None:
    assert callable(make)
    with pytest.raises(BadInput, match=line):
        make()
