"""The platform: one run per task, vials used once, results that survive a power cut, a watchdog."""

from dataclasses import replace
from pathlib import Path

import pytest

from simulators.clock import Moment
from simulators.synthesis_platform import Order, ProgramResult, ResultShelf, Sample, SynthesisPlatform
from simulators.truth import PhysicalEvent
from simulators.unit_states import Refusal, State

ORDER = Order("Characterise", (("integration_time", "0.1"),), "campaign", "task-1", (Sample("rack", "s1", "A1"),))
NOW = Moment(0.0, 0.0)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.events: list[PhysicalEvent] = []
        self.folder = folder
        self.platform = self.boot()

    def boot(self) -> SynthesisPlatform:
        return SynthesisPlatform("platform", ResultShelf(self.folder), self.events.append, NOW)

    def start(self, order: Order = ORDER) -> ProgramResult:
        result = self.platform.start(order, NOW)
        assert isinstance(result, ProgramResult)
        return result

    def named(self, event: str) -> list[PhysicalEvent]:
        return [each for each in self.events if each.event == event]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_task_that_is_started_twice_runs_once(rig: Rig) -> None:
    first = rig.start()
    again = rig.start()
    rig.platform.finish("completed", {}, NOW)
    after = rig.start()
    assert first.run_id == again.run_id == after.run_id
    assert [event.run_key for event in rig.named("start")] == ["task-1"]
    assert len(rig.named("start-repeated")) == 2


def test_another_content_under_a_known_task_is_refused(rig: Rig) -> None:
    rig.start()
    changed = replace(ORDER, properties=(("integration_time", "0.2"),))
    assert rig.platform.start(changed, NOW) is Refusal.EXISTS


def test_a_running_or_aborted_platform_starts_nothing(rig: Rig) -> None:
    rig.start()
    other = replace(ORDER, task_id="task-2", samples=(Sample("rack", "s2", "A2"),))
    assert rig.platform.start(other, NOW) is Refusal.STATE
    rig.platform.abort(NOW)
    assert rig.platform.state is State.ABORTED
    assert rig.platform.start(other, NOW) is Refusal.STATE
    assert rig.platform.clear(NOW) is None
    assert isinstance(rig.platform.start(other, NOW), ProgramResult)


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, template="Synthesise"),
        replace(ORDER, task_id=""),
        replace(ORDER, samples=()),
        replace(ORDER, samples=(Sample("rack", "s", "A13"),)),
        replace(ORDER, properties=()),
        replace(ORDER, properties=(("integration_time", "soon"),)),
        replace(ORDER, properties=(("integration_time", "nan"),)),
        replace(ORDER, properties=(("integration_time", "11.0"),)),
        replace(ORDER, properties=(("integration_time", "0.1"), ("colour", "red"))),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(rig: Rig, order: Order) -> None:
    assert rig.platform.start(order, NOW) is Refusal.ARGUMENT
    assert rig.named("start") == []


def test_a_used_vial_is_visible_in_the_truth_and_in_the_outcome(rig: Rig) -> None:
    rig.start()
    rig.platform.finish("completed", {}, NOW)
    rig.start(replace(ORDER, task_id="task-2"))
    assert rig.platform.fate == "position-used"
    assert [event.values["position_used"] for event in rig.named("start")] == [False, True]


def test_a_result_is_open_until_its_program_ends(rig: Rig) -> None:
    result = rig.start()
    assert (result.stopped, result.outcome, rig.platform.state) == (None, "", State.RUNNING)
    rig.platform.finish("completed", {"Conversion": 0.5}, NOW)
    closed = rig.platform.results[result.run_id]
    assert closed.stopped is not None
    assert (closed.outcome, closed.variables) == ("completed", {"Conversion": 0.5})
    assert [(event.values["outcome"], event.run_key) for event in rig.named("finish")] == [("completed", "task-1")]


def test_results_survive_a_restart_and_keep_their_tasks(rig: Rig) -> None:
    result = rig.start()
    rig.platform.finish("completed", {"Sample": [1.0, 2.0], "Conversion": 0.5}, NOW)
    kept = rig.platform.results[result.run_id]
    rig.platform = rig.boot()
    assert rig.platform.results == {result.run_id: kept}
    assert rig.start().run_id == result.run_id
    assert rig.platform.state is State.STOPPED


def test_a_program_that_a_restart_cut_off_is_aborted(rig: Rig) -> None:
    result = rig.start()
    boot = rig.platform.boot_id
    rig.platform = rig.boot()
    assert rig.platform.boot_id != boot
    assert rig.platform.results[result.run_id].outcome == "aborted"
    assert [event.run_key for event in rig.named("abort")] == ["task-1"]


@pytest.mark.parametrize("end", ["stop", "abort"])
def test_stop_and_abort_end_the_program_and_may_be_repeated(rig: Rig, end: str) -> None:
    result = rig.start()
    command = {"stop": rig.platform.stop, "abort": rig.platform.abort}[end]
    command(NOW)
    command(NOW)
    assert rig.platform.results[result.run_id].outcome == "aborted"
    assert len(rig.named("abort")) == 1
    assert len(rig.named("safe-state")) == 2


def test_the_watchdog_aborts_the_program_and_switches_the_lamp_off(rig: Rig) -> None:
    rig.platform.set_watchdog(NOW, 5.0)
    rig.start()
    rig.platform.kick(Moment(10.0, 3.0))
    rig.platform.advance(Moment(20.0, 7.9))
    assert rig.platform.state is State.RUNNING
    rig.platform.advance(Moment(30.0, 8.1))
    assert (rig.platform.state, rig.platform.lamp.is_on) == (State.ABORTED, False)
    assert rig.named("safe-state")[-1].values["cause"] == "watchdog"


def test_a_confused_device_runs_another_template(rig: Rig) -> None:
    result = rig.platform.start(ORDER, NOW, confused=True)
    assert isinstance(result, ProgramResult)
    assert result.ran_template != "Characterise"


def test_a_power_cut_ends_the_program_and_changes_the_boot_id(rig: Rig) -> None:
    result, boot = rig.start(), rig.platform.boot_id
    rig.platform.power_cycle(NOW)
    assert rig.platform.boot_id != boot
    assert rig.platform.results[result.run_id].outcome == "aborted"
