"""What a bench file says beside limits and steps: hazards, prices, margins and how the bench is parked."""

from pathlib import Path

import pytest

from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.hazards import Hazard, possible_hazards
from instruments.bench.parking import park_steps
from instruments.bench.procedure import Procedure
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.records import Step
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.safety import Envelope, Interlock, SetpointLimit

CDSE = Path(__file__).parents[2] / "examples" / "cdse"
CONFIGURATION = {"T": 240.0, "tau": 30.0, "c_se": 0.012, "ratio": 2.0}
HAZARDS = """
[[hazards]]
name = "hot ligand"
value = "T"
above = "238 degC"

[[hazards]]
name = "cadmium"
value = "ratio * c_se * V"
above = "40 umol"
people = 1

[[hazards]]
name = "short"
value = "tau"
below = "0.5 min"

[[hazards]]
name = "never"
value = "tau / tau"
above = 3
"""
PARK = """
[[park.steps]]
do = "oven.set_temperature"
with = { temperature = "idle_at" }

[[park.steps]]
do = "platform.lamp_off"
"""


@pytest.fixture
def space() -> SearchSpace:
    return load_campaign(CDSE / "campaign.toml").space()


def bench(more: str = "", **replaced: str) -> BenchFile:
    """Return the example bench with further tables and some of its text replaced."""
    text = (CDSE / "bench.toml").read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return parse_bench(text + more, CDSE / "bench.toml")


def test_the_hazards_that_fire_name_value_limit_and_how_many_must_sign(space: SearchSpace) -> None:
    hot, cadmium = Procedure(bench(HAZARDS), space).hazards(CONFIGURATION)
    assert hot == Hazard("hot ligand", pytest.approx(240.0), "degC", 238.0, "above", 2)  # type: ignore[arg-type]  # a matcher
    assert cadmium == Hazard("cadmium", pytest.approx(48.0), "umol", 40.0, "above", 1)  # type: ignore[arg-type]  # a matcher
    assert hot.line == "hot ligand: 240 degC is above 238 degC; 2 persons must sign"
    assert cadmium.line == "cadmium: 48 umol is above 40 umol; one person must sign"


def test_a_value_at_its_limit_is_harmless_and_one_beyond_it_is_not(space: SearchSpace) -> None:
    procedure = Procedure(bench(HAZARDS), space)
    fired = [tuple(one.name for one in procedure.hazards({**CONFIGURATION, "T": 200.0, "c_se": 0.004, "tau": tau})) for tau in (30.0, 29.9)]
    assert fired == [(), ("short",)]


def test_a_hazard_without_a_value_refuses_the_configuration_instead_of_passing_it(space: SearchSpace) -> None:
    text = HAZARDS.replace('"tau / tau"', '"T / (T - T)"')
    with pytest.raises(BadInput, match=r"hazard .never.: .* has no value"):
        Procedure(bench(text), space).hazards(CONFIGURATION)


def test_only_hazards_that_may_fire_somewhere_in_the_space_count_as_possible(space: SearchSpace) -> None:
    text = HAZARDS.replace("238 degC", "281 degC").replace('"tau / tau"', '"tau"').replace("above = 3", 'above = "3 min"')
    assert possible_hazards(bench(text), space) == ("cadmium", "short")  # tau runs from 20 s to 3 min
    assert possible_hazards(bench(HAZARDS), space) == ("hot ligand", "cadmium", "short", "never")


def test_the_reagents_of_a_run_are_what_its_doses_take_and_what_that_costs(space: SearchSpace) -> None:
    procedure = Procedure(bench(**{'price = "0.35 EUR/mL"': 'price = "350 EUR / L"', 'price = "0.60 EUR/mL"\n': "\n"}), space)
    steps = procedure.expand(CONFIGURATION)
    used = procedure.reagents(steps)
    flow = 2.0 / 0.5  # mL/min through the tube, for 4 residence times and the analysis
    assert sum(used.volumes.values()) == pytest.approx(flow * (4 * 0.5 + 2.0))
    assert used.volumes["cd"] == pytest.approx(flow * 2.0 * 0.012 / 0.12 * 4.0)
    assert used.cost == pytest.approx(0.35 * used.volumes["cd"] + 0.08 * used.volumes["ligand"])
    assert (used.currency, used.unpriced) == ("EUR", ("se",))


def test_a_rule_that_measures_wrongly_is_noticed_however_small_the_values_are(space: SearchSpace) -> None:
    # the same concentrations in a unit that makes them about 1e-14
    parameters = tuple(
        ContinuousParameter(name="c_se", unit="Tmol/L", min=4e-15, max=2.4e-14) if one.name == "c_se" else one for one in space.parameters
    )
    small, values = SearchSpace(parameters=parameters), {**CONFIGURATION, "c_se": 1.2e-14}
    assert Procedure(bench(), small).round_trip_complaint(values) is None
    wrong = bench(**{'c_se = "stocks.se.Se * pump_se.flow': 'c_se = "1.00001 * stocks.se.Se * pump_se.flow'})
    assert "[measured] c_se" in (Procedure(wrong, small).round_trip_complaint(values) or "")


def test_without_prices_there_is_no_cost_rather_than_none_to_pay(space: SearchSpace) -> None:
    cheap = bench(**{f'price = "{price} EUR/mL"\n': "\n" for price in ("0.35", "0.60", "0.08")})
    procedure = Procedure(cheap, space)
    used = procedure.reagents(procedure.expand(CONFIGURATION))
    assert (used.cost, used.currency, used.unpriced) == (None, None, ("ligand", "cd", "se"))


def test_margins_tell_how_near_a_procedure_comes_to_each_limit_that_it_touches(space: SearchSpace) -> None:
    declared = bench()
    margins = {one.name: one for one in declared.envelope.margins(Procedure(declared, space).expand(CONFIGURATION))}
    assert set(margins) == {"oven.temperature", *(f"pump_{name}.{what}" for name in ("cd", "se", "l") for what in ("flow", "volume"))}
    oven = margins["oven.temperature"]
    assert (oven.value, oven.limit, oven.unit) == (240.0, 290.0, "degC")
    assert oven.relative == pytest.approx(50.0 / 270.0)
    flow = margins["pump_cd.flow"]
    assert flow.limit == 0.02
    assert flow.relative == pytest.approx((flow.value - 0.02) / 5.98)


def step(index: int, **arguments: float) -> Step:
    return Step(index=index, do="oven.set", kind=StepKind.STATE_SETTING, arguments=dict(arguments))


def test_of_several_settings_the_one_nearest_to_a_limit_counts() -> None:
    envelope = Envelope({"oven.t": SetpointLimit(0.0, 100.0, "degC")})
    (margin,) = envelope.margins([step(0, t=50.0), step(1, t=97.0), step(2, t=60.0)])
    assert (margin.value, margin.limit) == (97.0, 100.0)
    assert margin.relative == pytest.approx(0.03)


def test_an_interlock_that_a_procedure_passes_has_a_margin_too() -> None:
    lock = Interlock(name="warm", before="oven.set", expression="oven.t - room", unit="s", min=5.0)
    envelope = Envelope({}, (lock,), {"room": (20.0, "s")}, {"oven.t": "s"})
    (margin,) = envelope.margins([step(0, t=30.0), step(1, t=50.0), step(2, t=50.0)])
    assert (margin.name, margin.value, margin.limit, margin.relative) == ("warm", 10.0, 5.0, None)


def test_park_steps_are_computed_from_the_bench_file_alone() -> None:
    parked = bench(
        PARK, **{'positions = "A1:H12"': 'positions = "A1:H12"\npark_after = "30 min"', 'V = "2 mL"': 'V = "2 mL"\nidle_at = "60 degC"'}
    )
    oven, lamp = park_steps(parked)
    assert (oven.do, oven.arguments, oven.units) == ("oven.set_temperature", {"temperature": 60.0}, {"temperature": "degC"})
    assert (lamp.do, lamp.arguments, lamp.kind) == ("platform.lamp_off", {}, StepKind.STATE_SETTING)
    assert parked.spec.bench.park_after == 1800.0
    assert park_steps(bench()) == ()
