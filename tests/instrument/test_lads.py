"""The LADS driver against servers with the defects that were met in the field."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.drivers.lads import LadsUnit
from instruments.drivers.protocol import Driver, Progress, StepVerdict
from instruments.transport.base import Structure, Structures, Value
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.instrument.cases import CLOCK, RUN, call, platform_settings
from tests.instrument.fake_nodes import ACTIVE, RESULTS, STARTED, STATE, FakeNodes, finish, put_result, run, starts, unit

PROGRAM = call("run_program", position="A7", template="Characterise", integration_time=0.1, gas="Ar")


def _driver(nodes: FakeNodes) -> Driver:
    return LadsUnit.declared(platform_settings())(nodes, platform_settings(), CLOCK)


def _baseline(driver: Driver, age: float = 60.0, **changes: Any) -> dict[str, Any]:
    return {**driver.baseline(PROGRAM), "wall": (datetime.now(UTC) - timedelta(seconds=age)).isoformat(), **changes}


def test_a_start_carries_our_keys_and_canonical_numbers() -> None:
    nodes = unit()
    given: list[Any] = []

    def start(arguments: Mapping[str, Value]) -> None:
        given.append(arguments)
        starts(nodes)(arguments)

    nodes.methods["StartProgram"] = start
    assert _driver(nodes).perform(PROGRAM) == {"template": "Characterise", "integration_time": 0.1, "gas": "Ar"}
    sample = {"ContainerId": "", "SampleId": RUN, "Position": "A7", "CustomData": ""}
    pairs = [{"Key": "integration_time", "Value": "0.1"}, {"Key": "gas", "Value": "Ar"}]
    assert given == [
        {
            "ProgramTemplateId": "Characterise",
            "Properties": Structures([Structure("KeyValueType", pair) for pair in pairs]),
            "SupervisoryJobId": "campaign",
            "SupervisoryTaskId": RUN,
            "Samples": Structures([Structure("SampleInfoType", sample)]),
        }
    ]


def test_a_template_that_the_server_silently_replaces_is_noticed() -> None:
    nodes = unit()
    nodes.methods["StartProgram"] = starts(nodes, template="Rinse")
    driver = _driver(nodes)
    with pytest.raises(DeviceError, match="acknowledged program 'Characterise' but runs 'Rinse'") as caught:
        driver.perform(PROGRAM)
    assert caught.value.sent is Sent.YES
    assert driver.outcome(PROGRAM, {}).code == "wrong-template"


def test_a_start_that_is_acknowledged_and_ignored_is_noticed() -> None:
    nodes = unit()
    nodes.methods["StartProgram"] = lambda _: None
    with pytest.raises(DeviceError, match="is Stopped and has no result"):
        _driver(nodes).perform(PROGRAM)


def test_a_link_lost_after_the_start_leaves_no_doubt_that_it_was_sent() -> None:
    nodes = unit()

    def start(_: object) -> None:
        nodes.lost = True

    nodes.methods["StartProgram"] = start
    with pytest.raises(LinkError, match="acknowledged before") as caught:
        _driver(nodes).perform(PROGRAM)
    assert caught.value.sent is Sent.YES
    assert nodes.calls == ["StartProgram"]


def test_a_link_lost_before_the_start_leaves_no_doubt_that_nothing_was_sent() -> None:
    nodes = unit()
    nodes.lost = True
    with pytest.raises(LinkError) as caught:
        _driver(nodes).perform(PROGRAM)
    assert caught.value.sent is Sent.NO


def test_a_program_without_an_outcome_of_the_vendors_is_done_when_it_has_stopped() -> None:
    nodes = unit()
    put_result(nodes, RUN)
    run(nodes, "Characterise")
    driver = _driver(nodes)
    assert driver.outcome(PROGRAM, {}).progress is Progress.RUNNING
    nodes.values[f"{RESULTS}/{RUN}/Stopped"] = datetime(2026, 1, 1, tzinfo=UTC)
    assert driver.outcome(PROGRAM, {}).progress is Progress.RUNNING  # the state has not changed yet
    finish(nodes, RUN)
    outcome = driver.outcome(PROGRAM, {})
    assert (outcome.progress, outcome.code) == (Progress.FINISHED, None)
    readings = {reading.channel: reading for reading in outcome.readings}
    assert (readings["Sample"].array, readings["Sample"].unit) == ((1.0, 2.0), "degC")
    assert (readings["Gain"].value, readings["Gain"].quality) == (None, "bad")
    assert json.loads(readings["Gain"].raw)["value"] == "nan"


def test_a_program_whose_result_never_stopped_was_interrupted() -> None:
    nodes = unit()
    put_result(nodes, RUN)
    assert _driver(nodes).outcome(PROGRAM, {}).code == "interrupted"


def test_a_run_without_a_result_goes_on_while_the_unit_runs_and_is_lost_after() -> None:
    nodes = unit()
    run(nodes, "Characterise")
    assert _driver(nodes).outcome(PROGRAM, {}).progress is Progress.RUNNING
    nodes.values[STATE] = "Stopped"
    assert _driver(nodes).outcome(PROGRAM, {}).code == "result-lost"


def test_not_executed_needs_the_same_power_up_unmoved_counts_and_a_unit_at_rest() -> None:
    nodes = unit()
    driver = _driver(nodes)
    assert driver.reconcile(PROGRAM, _baseline(driver)).verdict is StepVerdict.NOT_EXECUTED
    for change in ({"boot_id": "another"}, {"results": 5}, {"active_run": "run-0"}, {"state": "Running"}, {"boot_id": None}):
        assert driver.reconcile(PROGRAM, _baseline(driver, **change)).verdict is StepVerdict.UNDECIDABLE
    baseline = _baseline(driver)
    run(nodes, "Rinse")
    assert driver.reconcile(PROGRAM, baseline).verdict is StepVerdict.UNDECIDABLE


def test_a_server_that_does_not_say_when_it_was_started_never_proves_that_nothing_happened() -> None:
    nodes = unit()
    del nodes.values[STARTED]
    driver = _driver(nodes)
    assert driver.reconcile(PROGRAM, _baseline(driver)).verdict is StepVerdict.UNDECIDABLE


def test_a_server_that_keeps_sessions_for_long_is_believed_only_when_they_are_over() -> None:
    nodes = unit()
    nodes.granted = 600.0
    driver = _driver(nodes)
    assert driver.reconcile(PROGRAM, _baseline(driver, age=60.0)).verdict is StepVerdict.UNDECIDABLE
    assert driver.reconcile(PROGRAM, _baseline(driver, age=620.0)).verdict is StepVerdict.NOT_EXECUTED
    assert driver.reconcile(PROGRAM, _baseline(driver, age=-5.0)).verdict is StepVerdict.UNDECIDABLE


def test_a_finished_program_of_ours_is_adopted_however_long_the_gap() -> None:
    nodes = unit()
    driver = _driver(nodes)
    baseline = _baseline(driver, age=1e6, boot_id="another")
    put_result(nodes, RUN)
    finish(nodes, RUN, {"VariableSet/Outcome": "completed"})
    finding = driver.reconcile(PROGRAM, baseline)
    assert finding.verdict is StepVerdict.FINISHED
    assert finding.outcome is not None
    assert finding.outcome.code == "completed"
    assert json.dumps(finding.evidence)


def test_the_lamp_is_compared_with_what_is() -> None:
    nodes = unit()
    with pytest.raises(DeviceError, match="does not follow"):
        _driver(nodes).perform(call("lamp_on"))


def test_abort_leaves_a_unit_at_rest_alone_and_acts_where_the_state_is_unknown() -> None:
    nodes = unit()
    _driver(nodes).make_safe("abort")
    assert nodes.calls == []

    def abort(_: object) -> None:
        nodes.values[STATE] = "Aborted"

    nodes.values[STATE] = None
    nodes.methods["Abort"] = abort
    _driver(nodes).make_safe("abort")
    assert nodes.calls == ["Abort"]


def test_only_our_own_program_is_cancelled() -> None:
    nodes = unit()
    put_result(nodes, "another task", run_id="run-2")
    run(nodes, "Characterise", "run-2")
    _driver(nodes).cancel(PROGRAM)
    assert nodes.calls == []
    assert nodes.values[f"{ACTIVE}/DeviceProgramRunId"] == "run-2"
