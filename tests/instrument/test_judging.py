"""By what a run is judged: readbacks of what flows, and never by what a faulty instrument says."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import pytest

from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.procedure import Procedure, carried_by_doses, classify
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import Reading
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput

CDSE: Final = Path(__file__).parents[2] / "examples" / "cdse"
CONFIGURATION: Final = {"T": 240.0, "tau": 30.0, "c_se": 0.012, "ratio": 2.0}
FLOWS: Final = {"pump_cd.flow": 1.6, "pump_se.flow": 0.8, "pump_l.flow": 1.6}
RULE: Final = '    { reading = "oven.temperature", above = "300", reason = "too hot" },\n    { code = "clogged"'
PUMPS: Final = frozenset({"pump_cd", "pump_se", "pump_l"})
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_campaign(CDSE / "campaign.toml").space()


def bench(**replace: str) -> BenchFile:
    text = (CDSE / "bench.toml").read_text()
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    return parse_bench(text, CDSE / "bench.toml")


def reading(name: str, value: float, quality: Literal["good", "bad"] = "good") -> Reading:
    instrument, _, channel = name.partition(".")
    return Reading(0, instrument, channel, "", quality, NOW, 0.0, value, None, None, b"", "")


def test_the_flows_that_the_measured_configuration_rests_on_are_carried_by_doses(space: SearchSpace) -> None:
    declared = bench()
    steps = Procedure(declared, space).expand(CONFIGURATION)
    (read,) = (step for step in steps if step.do == "read")
    assert carried_by_doses(declared, read, steps[: read.index]) == PUMPS
    before_any_dose = [step for step in steps if "dose" not in step.do]
    assert carried_by_doses(declared, read, before_any_dose) == frozenset()


def test_what_nothing_is_judged_by_may_be_read_at_any_time(space: SearchSpace) -> None:
    declared = bench()
    steps = Procedure(declared, space).expand(CONFIGURATION)
    (read,) = (step for step in steps if step.do == "read")
    logged = read.evolve(channels=("pump_cd.dispensed", "pump_cd.flow_setpoint", "oven.temperature"))
    assert carried_by_doses(declared, logged, steps[: read.index]) == frozenset()


def test_a_rule_of_infeasibility_on_a_flow_needs_the_flow_too(space: SearchSpace) -> None:
    rule = '{ reading = "pump_cd.flow", below = "0.1", reason = "starved" },\n    { code = "clogged"'
    declared = bench(**{'{ code = "clogged"': rule})
    steps = Procedure(declared, space).expand(CONFIGURATION)
    (read,) = (step for step in steps if step.do == "read")
    alone = read.evolve(channels=("pump_cd.flow",))
    assert carried_by_doses(declared, alone, steps[: read.index]) == {"pump_cd"}


def test_a_reading_of_bad_quality_never_makes_a_recipe_infeasible() -> None:
    declared = bench(**{'    { code = "clogged"': RULE})
    hot = [reading("oven.temperature", 240.0), reading("oven.temperature", 1372.0)]
    broken = [reading("oven.temperature", 310.0), reading("oven.temperature", 1372.0, "bad")]
    assert classify(declared, "completed", hot) == (RunStatus.INFEASIBLE, "too hot")
    assert classify(declared, "completed", broken) == (RunStatus.COMPLETED, None)


def test_an_earlier_good_reading_does_not_stand_in_for_a_later_bad_one(space: SearchSpace) -> None:
    procedure = Procedure(bench(), space)
    flows = [reading(name, value) for name, value in FLOWS.items()]
    good = [*flows, reading("oven.temperature", 100.0), reading("oven.temperature", 240.0)]
    assert procedure.measured(good, CONFIGURATION)["T"] == 240.0
    with pytest.raises(BadInput, match=r"\[measured\] T: the last reading of oven\.temperature is of bad quality"):
        procedure.measured([*flows, reading("oven.temperature", 240.0), reading("oven.temperature", 1372.0, "bad")], CONFIGURATION)


def test_flows_of_nothing_give_no_configuration_rather_than_a_crash(space: SearchSpace) -> None:
    nothing = [reading(name, 0.0) for name in FLOWS]
    with pytest.raises(BadInput, match="has no value"):
        Procedure(bench(), space).measured([*nothing, reading("oven.temperature", 240.0)], CONFIGURATION)
