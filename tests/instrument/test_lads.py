"""The LADS driver against servers with the defects that were met in the field."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from instruments.drivers.lads import LadsUnit
from instruments.drivers.protocol import Driver, Progress, StepVerdict
from instruments.transport.base import Structure, Structures, Value
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.instrument.cases import CLOCK, RUN, call, platform_settings
from tests.instrument.fake_nodes import (
    ACTIVE,
    RESULTS,
    STARTED,
    STATE,
    TEMPLATES,
    TOP,
    FakeNodes,
    finish,
    put_result,
    refusal,
    run,
    starts,
    unit,
)

PROGRAM = call("run_program", position="A7", template="Characterise", integration_time=0.1, gas="Ar")


def _driver(nodes: FakeNodes, watchdog: float | None = None, **options: str) -> Driver:
    declared = platform_settings(watchdog=watchdog)
    declared = replace(declared, options={**declared.options, **options})
    return LadsUnit.declared(declared)(nodes, declared, CLOCK)


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


def _changed(nodes: FakeNodes, **values: Any) -> None:
    nodes.values |= {f"{STATE}/{name}" if name != "text" else STATE: value for name, value in values.items()}


def test_a_state_is_its_node_then_its_number_and_its_text_last() -> None:
    nodes = unit()
    driver = _driver(nodes)
    for told, state in (
        ({"text": "Läuft", "Id": "node LADS/Running", "Number": 4}, "Running"),
        ({"text": "Gestoppt", "Id": "node X/Sonstwas", "Number": 4}, "Stopped"),
        ({"text": "Abgebrochen", "Id": None, "Number": 1}, "Aborted"),
        ({"text": "Aborted", "Id": None, "Number": None}, "Aborted"),
    ):
        _changed(nodes, **told)
        (reading,) = driver.read(["state"])
        assert reading.text == state
        assert json.loads(reading.raw)["value"] == told["text"]
    _changed(nodes, text="Gestoppt")
    with pytest.raises(DeviceError, match="does not say its state: 'Gestoppt'"):
        driver.read(["state"])


@pytest.mark.parametrize("quality", ["bad", "uncertain"])
def test_an_acknowledged_start_is_never_said_not_to_have_been_sent(quality: Literal["bad", "uncertain"]) -> None:
    nodes = unit()

    def start(given: Mapping[str, Value]) -> None:
        starts(nodes)(given)
        nodes.statuses[STATE] = quality

    nodes.methods["StartProgram"] = start
    driver = _driver(nodes)
    driver.perform(PROGRAM)
    assert driver.outcome(PROGRAM, {}).progress is Progress.RUNNING
    nodes.statuses.clear()
    finish(nodes, RUN)
    assert driver.outcome(PROGRAM, {}).progress is Progress.FINISHED


def test_an_active_program_is_known_by_the_node_of_its_template() -> None:
    nodes = unit()
    nodes.methods["StartProgram"] = starts(nodes)
    named = Structure("NameNodeIdDataType", {"Name": "Spülen", "NodeId": f"node {TEMPLATES}/a"})

    def start(given: Mapping[str, Value]) -> None:
        starts(nodes)(given)
        nodes.values[f"{ACTIVE}/CurrentProgramTemplate"] = named

    nodes.methods["StartProgram"] = start
    with pytest.raises(DeviceError, match="acknowledged program 'Characterise' but runs 'Rinse'"):
        _driver(nodes).perform(PROGRAM)


def test_of_thousands_of_results_each_is_asked_for_its_task_once() -> None:
    nodes = unit()
    for index in range(3000):
        nodes.values[f"{RESULTS}/r{index:04}/SupervisoryTaskId"] = "" if index % 3 else f"task {index}"
    driver = _driver(nodes)
    baseline = _baseline(driver)
    assert driver.reconcile(PROGRAM, baseline).verdict is StepVerdict.NOT_EXECUTED
    nodes.reads.clear()
    assert driver.reconcile(PROGRAM, baseline).verdict is StepVerdict.NOT_EXECUTED
    again = [path for path in nodes.reads if path.endswith("SupervisoryTaskId")]
    assert len(again) < 25  # the newest ones without a task


def test_an_old_platforms_watchdog_needs_no_options_and_another_ones_is_named() -> None:
    nodes = unit(**{f"{TOP}/WatchdogTimeout": 0.0, f"{TOP}/Totmann": 0.0})
    nodes.methods |= {f"{TOP}/Kick": lambda _: None, f"{TOP}/Ping": lambda _: None}
    _driver(nodes, watchdog=15.0).arm()
    assert (nodes.values[f"{TOP}/WatchdogTimeout"], nodes.calls) == (15.0, ["Kick"])
    _driver(nodes, watchdog=20.0, watchdog_node="Totmann", watchdog_method="Ping").arm()
    assert (nodes.values[f"{TOP}/Totmann"], nodes.calls) == (20.0, ["Kick", "Ping"])
    with pytest.raises(DeviceError, match=r"no node 'Wau' for a watchdog of 20 s; expected its name in options.watchdog_node"):
        _driver(nodes, watchdog=20.0, watchdog_node="Wau").arm()


def test_a_lock_is_renewed_by_its_owner_and_taken_again_when_it_ran_out() -> None:
    lock = f"{TOP}/FunctionalUnitSet/Analyser/Lock"
    nodes = unit(**{f"{lock}/Locked": False, f"{lock}/LockingClient": "", f"{lock}/RemainingLockTime": 0.0})
    nodes.methods |= {f"{lock}/InitLock": lambda _: 0, f"{lock}/RenewLock": lambda _: 0, f"{lock}/BreakLock": lambda _: 0}
    driver = _driver(nodes)
    driver.arm()
    driver.refresh()
    nodes.methods[f"{lock}/RenewLock"] = lambda _: -1
    driver.refresh()
    assert nodes.calls == ["InitLock", "RenewLock", "RenewLock", "InitLock"]
    nodes.values |= {f"{lock}/Locked": True, f"{lock}/LockingClient": "urn:else"}
    with pytest.raises(DeviceError, match=r"unit Analyser is locked by urn:else.*; lamp_on was not sent") as caught:
        driver.perform(call("lamp_on"))
    assert caught.value.sent is Sent.NO


@pytest.mark.parametrize("status", ["BadInternalError", "BadNotImplemented", "BadMethodInvalid"])
def test_a_lock_that_does_nothing_is_done_without(status: str) -> None:
    nodes = unit()
    nodes.methods[f"{TOP}/FunctionalUnitSet/Analyser/Lock/InitLock"] = refusal(status)
    driver = _driver(nodes)
    driver.arm()
    driver.refresh()
    assert nodes.calls == ["InitLock"]
