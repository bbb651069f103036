"""What a Eurotherm controller keeps in its EEPROM is written when it changes and never twice: driver and device count alike."""

from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import numpy as np
import pytest
from typing_extensions import override

from instruments.drivers.eurotherm import EurothermOven
from instruments.drivers.protocol import Settings
from instruments.transport.base import LineTransport, ReplyOf
from orchestrator.errors import LinkError, Sent
from simulators.clock import Moment
from simulators.eurotherm import OvenUnit
from simulators.modbus_rtu import RegisterLine
from simulators.oven import Oven, OvenBody
from simulators.truth import PhysicalEvent
from tests.instrument.cases import CLOCK, call, oven_settings

REMOTE: Final = replace(oven_settings(watchdog=5.0), options={"safe_temperature": "30 degC"})
LOCAL: Final = replace(oven_settings(), options={"setpoint": "local"})
PROGRAMS: Final = ((60.0, 80.0, 100.0, 120.0, 120.0), (120.0, 60.0), (80.0, 100.0, 120.0), (60.0, 60.0, 60.0))


class Wire(LineTransport):
    """The simulated controller without a wire; every `lost`-th write is carried out and its reply lost."""

    def __init__(self, oven: Oven, lost: int | None) -> None:
        self._line, self._walls, self._lost, self._writes = RegisterLine([OvenUnit(1, oven)]), count(1), lost, 0

    @property
    @override
    def kind(self) -> str:
        return "serial"

    @override
    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        now = Moment(0.0, 0.1 * next(self._walls))
        reply = reply_of(b"".join(one.execute(now) for one in self._line.feed(request, now)))
        if request[1] == 6:
            self._writes += 1
            if self._lost and self._writes % self._lost == 0:
                raise LinkError("the reply is lost", sent=Sent.MAYBE)
        assert reply is not None
        return reply

    @override
    def tell(self, request: bytes) -> None:
        raise NotImplementedError

    @override
    def close(self) -> None:
        pass


@dataclass
class Rig:
    oven: Oven
    driver: EurothermOven
    events: list[PhysicalEvent]

    @property
    def written(self) -> list[float]:
        """Every retained setpoint that the device was given, in order."""
        values = (event.values.get("sp1_degc", event.values.get("sp2_degc")) for event in self.events if "retained_writes" in event.values)
        return [value for value in values if isinstance(value, float)]

    def run(self) -> None:
        """Carry the programs out, each of them begun by a host that has just started and ended by the safe state."""
        for program in PROGRAMS:
            self.driver.identify()
            self.driver.arm()
            for temperature in program:
                self.driver.perform(call("set_temperature", temperature=temperature))
                self.driver.refresh()
            self.driver.make_safe("off")


LOST: Final = pytest.mark.parametrize("lost", [None, 2, 3, 5])


def rig(settings: Settings, lost: int | None) -> Rig:
    events: list[PhysicalEvent] = []
    oven = Oven("oven", OvenBody(noise=0.0), events.append, np.random.default_rng(0))
    return Rig(oven, EurothermOven(Wire(oven, lost), settings, CLOCK), events)


@LOST
def test_several_programs_write_one_retained_setpoint_once(lost: int | None) -> None:
    one = rig(REMOTE, lost)
    one.run()
    assert one.written == [30.0]
    assert one.oven.describe()["sp1_writes"] == one.driver.read(["retained_writes"])[0].value == 1
    assert (one.oven.remote, one.oven.is_standby) == (60.0, True)


@LOST
def test_without_a_remote_setpoint_the_retained_one_is_written_as_often_as_it_changes(lost: int | None) -> None:
    one = rig(LOCAL, lost)
    one.run()
    assert one.written == [60.0, 80.0, 100.0, 120.0, 60.0, 80.0, 100.0, 120.0, 60.0]
    assert one.oven.describe()["retained_writes"] == one.driver.read(["retained_writes"])[0].value == 9


def test_another_safe_temperature_is_one_more_write() -> None:
    one = rig(REMOTE, None)
    one.run()
    for temperature in ("40 degC", "40 degC"):
        changed = replace(REMOTE, options={"safe_temperature": temperature})
        EurothermOven(Wire(one.oven, None), changed, CLOCK).arm()
    assert one.written == [30.0, 40.0]
