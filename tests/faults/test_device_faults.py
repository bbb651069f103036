"""Pumps and oven misbehave in the middle of campaigns; the ledger ends right, nothing happens twice, nothing is passed over."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from typing import ClassVar, Final

import pytest

from instruments.drivers.eurotherm_link import RegisterLink
from instruments.drivers.new_era import NewEraPump
from instruments.drivers.protocol import ArgumentSpec, Call, CommandSpec, Limit, Settings
from instruments.transport.serial import SerialTransport
from orchestrator.clock import LiveClock
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import ExperimentRun
from orchestrator.errors import DeviceError
from tests.crash.oracle import judge
from tests.faults.agreement import PUMPS, disagreements
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import CAMPAIGN, Laboratory, inside

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 400.0
UNHARMED: Final = {RunStatus.COMPLETED, RunStatus.INFEASIBLE}
"""At this rate a lost reply costs hundreds of lab seconds, more than the reserve of flow: what the plant made may be bad."""
LATE_FOR_ITS_FLOW: Final = "read only after the dose of"
OVEN_KEEPS: Final = r"oven acknowledged 9000 for register 2 but reads back \d+"
Fault = tuple[str, str, int]
"""Device, pattern of the command, and which one of them is hit."""

# Each hits another experiment: what came before it in the same experiment was carried out, what comes after it never is.
IGNORED: Final[tuple[Fault, ...]] = (
    ("pump_cd", "RAT?*", 1),
    ("pump_se", "VOL[0-9]*", 1),
    ("pump_l", "RUN", 2),
    ("oven", "write 199 0", 3),  # standby, in which the failed run before it left the oven, is left: of the fourth run
    ("oven", "write 199 0", 3),  # of those that the fault before has left: of the fifth run
)
REPLY_LOST: Final[tuple[Fault, ...]] = (
    ("pump_cd", "RUN", 1),
    ("pump_se", "RAT?*", 2),
    ("pump_l", "VOL[0-9]*", 2),
    ("oven", "write 26 *", 3),
    ("oven", "write 276 1", 1),
    ("pump_cd", "RUN", 3),  # of those that the first fault has left: the fourth
    ("pump_se", "RUN", 4),
    ("pump_l", "RUN", 4),
)
LATE: Final[tuple[tuple[str, str, int, float], ...]] = (
    ("pump_cd", "RAT?*", 1, 0.8),
    ("pump_se", "RAT", 3, 1.5),
    ("pump_l", "RUN", 2, 1.5),
    ("oven", "write 26 *", 3, 1.5),
    ("oven", "read 1 1", 12, 0.8),
    ("pump_l", "RUN", 3, 1.5),  # of those that the first fault has left: the fourth
    ("pump_cd", "RUN", 4, 1.5),
    ("pump_se", "RUN", 4, 1.5),
)
"""With the delay in wall s: within the time that a driver waits out after a silence, and into what it asks then."""


def test_a_setting_that_a_device_acknowledges_and_ignores_fails_the_run_and_is_named(
    make_laboratory: MakeLaboratory, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory = make_laboratory(budget=6, rate=RATE)
    struck = campaign(laboratory, "acknowledge-and-ignore", IGNORED)
    runs = laboratory.runs()
    with capsys.disabled():
        print(f"\nacknowledged and ignored: {struck} times; {dict(Counter(str(run.status) for run in runs))}")
    assert struck == len(IGNORED)
    for event in laboratory.triggered("acknowledge-and-ignore"):
        (hit,) = [run for run in runs if event in inside([event], run)]
        assert hit.status is RunStatus.FAILED, hit
        assert f"{event['device']} acknowledged" in str(hit.reason)
    assert Counter(run.status for run in runs) == {RunStatus.FAILED: len(IGNORED), RunStatus.COMPLETED: 1}


def test_a_reply_that_is_lost_after_the_act_never_makes_it_happen_twice(
    make_laboratory: MakeLaboratory, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory = make_laboratory(budget=4, rate=RATE)
    struck = campaign(laboratory, "reply-lost-after-execution", REPLY_LOST)
    given = doses(laboratory)
    with capsys.disabled():
        print(f"\nreplies lost after execution: {struck}; doses {given} in 4 runs")
    assert struck == len(REPLY_LOST)
    assert given == dict.fromkeys(PUMPS, 4)
    assert [run for run in laboratory.runs() if not unharmed(run)] == []


def test_a_reply_that_arrives_during_the_next_query_is_not_taken_for_its_answer(
    make_laboratory: MakeLaboratory, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory = make_laboratory(budget=4, rate=RATE)
    struck = campaign(laboratory, "late-reply", LATE)
    given = doses(laboratory)
    with capsys.disabled():
        print(f"\nlate replies: {struck}; doses {given} in 4 runs")
    assert struck == len(LATE), laboratory.triggered("late-reply")
    assert given == dict.fromkeys(PUMPS, 4)
    assert [run for run in laboratory.runs() if not unharmed(run)] == []


def test_a_setpoint_beyond_the_devices_range_that_is_acknowledged_and_ignored_is_noticed(make_laboratory: MakeLaboratory) -> None:
    laboratory = make_laboratory(budget=1, rate=RATE)
    laboratory.start_plant()
    for device in ("pump_cd", "oven"):
        laboratory.inject(device, "acknowledge-and-ignore", only="out-of-range", count=0)
    with closing(SerialTransport(laboratory.port("oven"))) as line, pytest.raises(DeviceError, match=OVEN_KEEPS):
        RegisterLink(line, "oven", 1).write(2, 9000)
    with closing(SerialTransport(laboratory.port("pumps"))) as line:
        pump = BoundlessPump(line, Settings(name="pump_cd", address=1), LiveClock())
        with pytest.raises(DeviceError, match=r"pump_cd acknowledged flow 50\.00 mL/min but reads back"):
            pump.perform(Call("set_flow", {"flow": 50.0}, "key", "campaign", None))
    assert laboratory.truth("pump_cd", "setpoint") == laboratory.truth("oven", "setpoint") == []


class BoundlessPump(NewEraPump):
    """A driver whose own limits somebody got wrong."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "set_flow": CommandSpec(StepKind.STATE_SETTING, {"flow": ArgumentSpec("mL/min", Limit(0.001, 99.0))})
    }


def campaign(laboratory: Laboratory, fault: str, schedule: tuple[tuple[object, ...], ...]) -> int:
    """Run a campaign through a schedule of faults; whatever they were, ledger and plant agree. Return how many struck."""
    laboratory.start_plant()
    for device, pattern, nth, *delay in schedule:
        laboratory.inject(str(device), fault, pattern=pattern, nth=nth, **({"delay_s": delay[0]} if delay else {}))
    ended = laboratory.complete()
    assert ended.code == 0, ended.err
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()
    assert disagreements(laboratory) == []
    return len(laboratory.triggered(fault))


def unharmed(run: ExperimentRun) -> bool:
    """Whether a run went well, or was only too late for its own flow, which is the instruments' fault and said so."""
    late = run.status is RunStatus.FAILED and LATE_FOR_ITS_FLOW in str(run.reason)
    return late or run.status in UNHARMED


def doses(laboratory: Laboratory) -> dict[str, int]:
    return {pump: sum(one["values"]["phase"] == "start" for one in laboratory.truth(pump, "dose")) for pump in PUMPS}
