"""A simulated device of other people's: what the author of one writes, and how its lines are served.

A body is pure: time is an argument, nothing runs while nobody asks, and what physically happens is told to the plant's
ground truth (`log`), the oracle of all tests of what was done once and what twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from typing_extensions import override

from simulators.clock import Moment
from simulators.faults import FaultKind
from simulators.flow_tube import Feed
from simulators.history import Trace
from simulators.modbus_rtu import Unit
from simulators.serial_line import LineProtocol, Request
from simulators.synthesis_platform import Nameplate, Order, Template, Variables
from simulators.truth import PhysicalEvent, Record, TruthValue

_SILENCE: Final = 1.0
"""s (wall); an unfinished line is dropped after it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The room that a plant stands in, as its file says."""

    ambient_degc: float = 22.0
    noise: bool = True
    """False: instruments are exact."""
    outliers: float = 0.02
    """Share of samples that come out wrong, where there is noise."""
    plant_seed: int = 0
    """What the plant was started with, for whatever of the room a body makes up."""


class Body:
    """One simulated device."""

    FAULTS: ClassVar[frozenset[str]] = frozenset({"power-cycle"})
    """What can happen to it beside faults of its link: `power-cycle`, `stall`, `sensor-break`."""
    TERMINATOR: ClassVar[bytes] = b"\r\n"
    """Ends every line, both ways."""
    ACKNOWLEDGEMENT: ClassVar[bytes] = b"OK"
    """What it answers to a command that it took."""
    PROGRAMS: ClassVar[Mapping[str, Template]] = {}
    """Programs of a device that follows LADS, by their ids: it is served with the published nodes, lock, results and watchdog,
    and `run` says what a program brings. Its serial number is `options.serial_number`."""
    PLATE: ClassVar[Nameplate] = Nameplate()
    """What such a device says of itself."""

    def __init__(self, name: str, options: Mapping[str, Any], record: Record, random: np.random.Generator) -> None:
        """Switch the device on.

        Args:
            name: Its name in the plant file.
            options: Its `options` there.
            record: Where the ground truth goes; `log` writes it.
            random: For whatever in it is random.
        """
        self.name = name
        self.options = options
        self.random = random
        self.lab_s = 0.0
        """Lab s up to which it has lived."""
        self.flow = Trace()
        """mL/min that leaves it, over lab time."""
        self.now: Callable[[], Moment] = lambda: Moment(self.lab_s, 0.0)
        """Gets the present moment; the plant says what that is."""
        self.feeds: Mapping[str, Feed] = {}
        """What flows into it, by the devices that its `fed_by` in the plant file names."""
        self.bring_feeds: Callable[[Moment], object] = lambda _: None
        """Brings those devices to a moment; the plant says how."""
        self.chemistry: Any = None
        """What the plant's `[chemistry]` makes of its seed: of a family of your own, whatever its `chemistry` returns."""
        self.surroundings = Surroundings()
        """The room; the plant says how it is."""
        self._record = record
        self.switch_on()

    def switch_on(self) -> None:
        """Take the state that it has after a power-up; called again after a power cut."""

    def advance(self, lab_s: float) -> None:
        """Live from `self.lab_s` to `lab_s`: move what moves, end what ends by itself."""

    def next_change(self) -> float | None:
        """Get the lab time (s) at which it next changes by itself; None where it does not."""
        return None

    def describe(self) -> Mapping[str, TruthValue]:
        """Give the true state, units in the names."""
        return {}

    def is_addressed(self, line: bytes) -> bool:  # noqa: ARG002 - a device alone on its line
        """Say whether a line is for this device; for several on one line."""
        return True

    # ------------------------------------------------------------- one of four: lines, registers, an OPC-UA server, LADS programs

    def reply(self, line: bytes) -> bytes | None:
        """Carry one line out and give the answer, both without their ends; None for silence."""
        raise NotImplementedError

    @property
    def registers(self) -> Mapping[int, int]:
        """Get the words of all registers (0 to 65535) by their numbers; served as Modbus RTU, functions 3, 4, 6 and 16."""
        raise NotImplementedError

    def write(self, register: int, word: int) -> bool:  # noqa: ARG002 - a device whose registers can only be read
        """Take a register's new word; False where that is illegal. Its unit on the line is `options.unit`, else 1."""
        return False

    def run(self, order: Order) -> Callable[[], tuple[str, Variables]]:
        """Take what a program is about, at its start; give what computes its result, in a thread of its own.

        The result is the word for how the program ended (`completed`, or a code) and the variables that its template names.
        """
        raise NotImplementedError

    async def build(self, server: Any) -> None:
        """Build the address space of an asyncua server; a method of a node calls `self.catch_up()` first."""
        raise NotImplementedError

    async def show(self) -> None:
        """Write what has changed into the nodes; called several times a second."""

    def catch_up(self) -> None:
        """Live up to now."""
        self.live(self.now())

    # ------------------------------------------------------------- what may happen to it

    def stall(self) -> None:
        """Break what moves or heats."""

    def break_sensor(self) -> None:
        """Break what measures."""

    def repair(self) -> None:
        """Mend it."""

    def pour(self, ml_per_min: float) -> None:
        """Say what leaves it from now on, where it feeds the plant's tube (it then has a `stock` in the plant file)."""
        self.flow.append(self.lab_s, ml_per_min)

    def log(self, event: str, *, run_key: str | None = None, **values: TruthValue) -> None:
        """Tell the ground truth what physically happened, and in which run where the wire said so; units in the names."""
        self._record(PhysicalEvent(self.lab_s, self.name, event, values, run_key))

    def live(self, now: Moment) -> None:
        """Live up to a moment; what the plant calls."""
        if now.lab > self.lab_s:
            self.bring_feeds(now)
            self.advance(now.lab)
            self.lab_s = now.lab


@dataclass(frozen=True, slots=True)
class Case:
    """What may happen to a body whatever its commands."""

    body: Body

    def power_cycle(self, now: Moment) -> None:
        """Cut the power for a moment."""
        self.body.live(now)
        self.body.switch_on()
        self.body.log("boot")

    def stall(self, now: Moment) -> None:
        """Break what moves or heats."""
        self.body.live(now)
        self.body.stall()

    def break_sensor(self, now: Moment) -> None:
        """Break what measures."""
        self.body.live(now)
        self.body.break_sensor()

    def repair(self, now: Moment) -> None:
        """Mend it."""
        self.body.live(now)
        self.body.repair()


@dataclass(frozen=True, slots=True)
class LineRequest(Request):
    """One line for one body."""

    body: Body
    line: bytes

    @override
    def execute(self, now: Moment) -> bytes:
        self.body.live(now)
        answer = self.body.reply(self.line)
        return b"" if answer is None else answer + self.body.TERMINATOR

    @override
    def acknowledge(self) -> bytes:
        return self.body.ACKNOWLEDGEMENT + self.body.TERMINATOR

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return reply != self.acknowledge()


class BodyLine(LineProtocol):
    """The bodies on one serial line, which all end their lines alike."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        super().__init__(_SILENCE)
        self._bodies = bodies
        self._end = bodies[0].TERMINATOR

    @override
    def _take(self) -> list[Request]:
        *lines, self._buffer = self._buffer.split(self._end)
        return [
            LineRequest(body.name, line.decode("ascii", "backslashreplace"), body, line)
            for line in lines
            for body in self._bodies
            if body.is_addressed(line)
        ]


class BodyUnit(Unit):
    """A body whose registers are a Modbus unit."""

    def __init__(self, body: Body) -> None:
        super().__init__(body.name, int(body.options.get("unit", 1)))
        self._body = body

    @override
    def live(self, now: Moment) -> None:
        self._body.live(now)

    @override
    def words(self, numbers: range) -> Sequence[int | None]:
        registers = self._body.registers
        return [registers.get(number) for number in numbers]

    @override
    def takes(self, register: int) -> bool:
        return register in self._body.registers

    @override
    def write(self, now: Moment, register: int, word: int) -> bool:
        return self._body.write(register, word)


Speech = Literal["lines", "registers", "opcua", "lads"]


def speech_of(kind: type[Body]) -> Speech | None:
    """Return how a class of bodies is served; None where it says nothing of it."""
    if kind.PROGRAMS:
        return "lads" if kind.run is not Body.run else None
    if kind.build is not Body.build:
        return "opcua"
    if kind.registers is not Body.registers:
        return "registers"
    return "lines" if kind.reply is not Body.reply else None


def faults_of(kind: type[Body]) -> frozenset[FaultKind]:
    """Return the bodily faults that a class of bodies can have."""
    return frozenset(map(FaultKind, kind.FAULTS))
