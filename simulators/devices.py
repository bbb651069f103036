"""The devices of a plant, all of one shape: whatever a device is, a plant lives, breaks, mends and describes it alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from typing_extensions import override

from simulators.body import Body, BodyLine, BodyUnit, Case, speech_of
from simulators.body_server import BodyServer
from simulators.clock import LabClock, Moment
from simulators.eurotherm import OvenUnit
from simulators.faults import FaultKind
from simulators.history import Trace
from simulators.modbus_rtu import RegisterLine
from simulators.new_era import NewEraLine
from simulators.opcua_server import PlatformServer
from simulators.oven import Oven
from simulators.serial_line import LineProtocol
from simulators.serial_server import SerialBody, strike
from simulators.stand_in_calls import CallStandIn
from simulators.stand_in_lines import StandInLine, TextStandIn
from simulators.synthesis_platform import SynthesisPlatform
from simulators.syringe_pump import SyringePump
from simulators.truth import TruthValue


class Device(ABC):
    """One device of a plant."""

    server: BodyServer | PlatformServer | None = None
    """What serves it, where that is not a serial line."""
    body: Body | None = None
    """Of other people's devices, and of stand-ins."""

    def __init__(self, name: str, link: str) -> None:
        self.name = name
        self.link = link

    @property
    @abstractmethod
    def case(self) -> SerialBody:
        """What may happen to it whatever its commands."""

    @property
    def flow(self) -> Trace:
        """What leaves it, mL/min over lab time."""
        return Trace()

    @abstractmethod
    def live(self, now: Moment) -> None:
        """Live up to a moment."""

    def attend(self, now: Moment) -> None:  # noqa: B027 - most devices are no more than what lives
        """Bring to that moment what rests on devices that have lived up to it."""

    @abstractmethod
    def changes(self, clock: LabClock) -> Iterator[float | None]:
        """Yield the wall times (monotonic s) at which it next changes by itself; None for never."""

    @abstractmethod
    def describe(self) -> Mapping[str, TruthValue]:
        """Give the true state, units in the names."""

    @abstractmethod
    def line(self, devices: Sequence["Device"]) -> LineProtocol:
        """Return how the devices of one serial line, which are all of this kind, are spoken to."""

    def strike(self, kind: FaultKind, now: Moment) -> None:
        """Let a fault happen that needs no command."""
        strike(self.case, kind, now)

    def repair(self, now: Moment) -> None:
        """Mend what can be mended."""
        self.case.repair(now)


class PumpDevice(Device):
    """A syringe pump on a line of its kind."""

    def __init__(self, link: str, address: int, pump: SyringePump) -> None:
        super().__init__(pump.name, link)
        self.address = address
        self.pump = pump

    @property
    @override
    def case(self) -> SerialBody:
        return self.pump

    @property
    @override
    def flow(self) -> Trace:
        return self.pump.flow

    @override
    def live(self, now: Moment) -> None:
        self.pump.advance(now)

    @override
    def changes(self, clock: LabClock) -> Iterator[float | None]:
        yield None if self.pump.ends_at is None else clock.wall_at(self.pump.ends_at)
        yield self.pump.times_out_at

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        return self.pump.describe()

    @override
    def line(self, devices: Sequence[Device]) -> LineProtocol:
        return NewEraLine({one.address: one.pump for one in devices if isinstance(one, PumpDevice)})


class OvenDevice(Device):
    """An oven behind its controller."""

    def __init__(self, link: str, unit: int, oven: Oven) -> None:
        super().__init__(oven.name, link)
        self.unit = unit
        self.oven = oven

    @property
    @override
    def case(self) -> SerialBody:
        return self.oven

    @override
    def live(self, now: Moment) -> None:
        self.oven.advance(now)

    @override
    def changes(self, clock: LabClock) -> Iterator[float | None]:
        yield self.oven.fails_at

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        return self.oven.describe()

    @override
    def line(self, devices: Sequence[Device]) -> LineProtocol:
        return RegisterLine([OvenUnit(one.unit, one.oven) for one in devices if isinstance(one, OvenDevice)])


class BodyDevice(Device):
    """A body of other people's, or a stand-in."""

    def __init__(self, link: str, body: Body) -> None:
        super().__init__(body.name, link)
        self.body: Body = body

    @property
    def is_asked_by_calls(self) -> bool:
        """Whether the driver gives its place to one that asks by its calls."""
        return isinstance(self.body, CallStandIn)

    @property
    @override
    def case(self) -> SerialBody:
        return Case(self.body)

    @property
    @override
    def flow(self) -> Trace:
        return self.body.flow

    @override
    def live(self, now: Moment) -> None:
        self.body.live(now)

    @override
    def changes(self, clock: LabClock) -> Iterator[float | None]:
        due = self.body.next_change()
        yield None if due is None else clock.wall_at(due)

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        return self.body.describe()

    @override
    def line(self, devices: Sequence[Device]) -> LineProtocol:
        bodies = [one.body for one in devices if isinstance(one, BodyDevice)]
        if speech_of(type(self.body)) != "lines":
            return RegisterLine([BodyUnit(body) for body in bodies])
        declared = [body for body in bodies if isinstance(body, TextStandIn)]
        return StandInLine(declared) if declared else BodyLine(bodies)


class UnitDevice(Device):
    """A functional unit of LADS with its server: the platform, or that of a body."""

    server: PlatformServer

    def __init__(self, link: str, unit: SynthesisPlatform, server: PlatformServer, within: BodyDevice | None = None) -> None:
        super().__init__(unit.name, link)
        self.unit = unit
        self.server = server
        self.within = within
        """The body that it is the unit of."""
        self.body = None if within is None else within.body

    @property
    @override
    def case(self) -> SerialBody:
        raise ValueError(f"device {self.name} is on no serial line")

    @property
    @override
    def flow(self) -> Trace:
        return super().flow if self.within is None else self.within.flow

    @override
    def live(self, now: Moment) -> None:
        if self.within is not None:
            self.within.live(now)

    @override
    def attend(self, now: Moment) -> None:
        before = self.unit.state, self.unit.lamp.is_on
        self.unit.advance(now)
        if (self.unit.state, self.unit.lamp.is_on) != before:
            self.server.device_changed()

    @override
    def changes(self, clock: LabClock) -> Iterator[float | None]:
        yield self.unit.lapses_at
        if self.within is not None:
            yield from self.within.changes(clock)

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        return {**({} if self.within is None else self.within.describe()), **self.unit.describe()}

    @override
    def line(self, devices: Sequence[Device]) -> LineProtocol:
        raise ValueError(f"device {self.name} is on no serial line")

    @override
    def strike(self, kind: FaultKind, now: Moment) -> None:
        self.server.strike(kind)

    @override
    def repair(self, now: Moment) -> None:
        self.server.repair()
