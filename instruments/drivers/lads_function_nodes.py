"""The nodes of one function of a LADS unit: how it is started, set, stopped and read on any server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from instruments.drivers.lads_paths import lads
from instruments.drivers.lads_states import AT_REST, RUNNING, StateMachine, within
from instruments.transport.base import BASE, Name, NodePath, NodeTransport, NodeValue, ServerRefusal, Value
from orchestrator.errors import DeviceError, Sent

_STATE: Final = "ControlFunctionState"
Same = Callable[[object, float | bool], bool]
"""Whether what was read is what was set."""


class FunctionNodes:
    """One function on the wire."""

    def __init__(self, transport: NodeTransport, path: NodePath, who: str, mode: str = "") -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            path: Of the function.
            who: Our name of the instrument and of the function, for messages.
            mode: Of a function that has several: the one whose values are meant.
        """
        self._transport = transport
        self._path = path
        self._mode = mode
        self._values = values_at(path, mode)
        self.who = who
        self.machine = StateMachine(transport, (*path, lads(_STATE)))
        self._cover: StateMachine | None = None

    def cover(self, numbers: Mapping[int, str]) -> StateMachine:
        """Return its CoverState."""
        if self._cover is None:
            self._cover = StateMachine(self._transport, (*self._path, lads("CoverState")), numbers)
        return self._cover

    def read(self, member: str) -> NodeValue:
        """Read one of its variables."""
        return self._transport.read([(*self._values, lads(member))])[0]

    def look(self, members: Sequence[str]) -> tuple[NodeValue | None, ...]:
        """Read variables of which some may be missing."""
        return self._transport.look([(*self._values, lads(member)) for member in members])

    def current_mode(self) -> tuple[NodeValue, str | None]:
        """Read the mode in force: its number, and its name where the device gives it one."""
        value, names = self._transport.read([(*self._path, lads("CurrentMode"))])[0], self._modes()
        return value, names[value.value] if isinstance(value.value, int) and 0 <= value.value < len(names) else None

    def _modes(self) -> tuple[str, ...]:
        return mode_names(self._transport, self._path)

    def call(self, place: str, method: str, arguments: Mapping[str, Value] | None = None) -> None:
        """Call a method of one of its objects."""
        self._transport.call((*self._path, lads(place)), lads(method), arguments or {})

    def _offers(self, method: str) -> bool:
        return self._transport.exists((*self._path, lads(_STATE), lads(method)))

    def run_at(self, target: float | bool, *, within_s: float, same: Same, also: Sequence[str] = ()) -> None:
        """Set the target and let the function run: by StartWithTargetValue, by Start, or by the target alone where it has neither.

        A mode gets its target before it is selected, so that no old one is followed meanwhile.

        Raises:
            DeviceError: The device refuses, or does not take it over in time.
        """
        rests = self.machine.state() in AT_REST
        if rests and not self._mode and self._offers("StartWithTargetValue"):
            self.call(_STATE, "StartWithTargetValue", {"TargetValue": target})
        else:
            number = self._number_of_mode()
            self._transport.write((*self._values, lads("TargetValue")), target)
            if number is not None:
                self._select(number, within_s)
            if rests and self._offers("Start"):
                self.call(_STATE, "Start")
        self._await_target(target, within_s, same, also)
        if rests and not within(within_s, lambda: self.machine.state() not in AT_REST):
            raise DeviceError(f"{self.who} took the target {target!r} but does not run", sent=Sent.YES)

    def write_target(self, target: float | bool, *, within_s: float, same: Same, also: Sequence[str] = ()) -> None:
        """Set the target and leave the function as it is, running or not."""
        self._transport.write((*self._values, lads("TargetValue")), target)
        self._await_target(target, within_s, same, also)

    def _number_of_mode(self) -> int | None:
        if not self._mode:
            return None
        if self._mode not in (names := self._modes()):
            raise DeviceError(f"{self.who} has no mode {self._mode!r}; it has {', '.join(names) or 'none'}", sent=Sent.NO)
        return names.index(self._mode)

    def _select(self, number: int, within_s: float) -> None:
        if self.current_mode()[0].value != number:
            self._transport.write((*self._path, lads("CurrentMode")), number)
        if not within(within_s, lambda: self.current_mode()[0].value == number):
            found = self.current_mode()[0]
            message = f"{self.who} was set to mode {self._mode} ({number}) and is in mode {found.value!r} ({found.status})"
            raise DeviceError(message, sent=Sent.YES)

    def _await_target(self, target: float | bool, within_s: float, same: Same, also: Sequence[str]) -> None:
        def follows() -> bool:
            return all(one is not None and one.quality != "bad" and same(one.value, target) for one in self.look(["TargetValue", *also]))

        if not within(within_s, follows):
            found = self.look(["TargetValue", *also])
            shown = " and ".join("nothing" if one is None else f"{one.value!r} ({one.status})" for one in found)
            raise DeviceError(f"{self.who} was set to {target!r} and does not follow: it reads back {shown}", sent=Sent.YES)

    def stop(self, within_s: float) -> None:
        """Call Stop; a refusal counts only while the function runs.

        Raises:
            DeviceError: It has no Stop, refuses, or does not come to rest in time.
        """
        try:
            self.call(_STATE, "Stop")
        except ServerRefusal:
            if self.machine.state() not in AT_REST:
                raise
        if not within(within_s, lambda: self.machine.state() in AT_REST):
            raise DeviceError(f"{self.who} acknowledged Stop but is {self.machine.state() or RUNNING}", sent=Sent.YES)

    def reset_total(self) -> None:
        """Set the sum over time to zero; some devices ask for the value to begin with."""
        takes = self._transport.arguments(self._path, lads("ResetTotalizer"))
        self._transport.call(self._path, lads("ResetTotalizer"), dict.fromkeys(takes, 0.0))


def values_at(path: NodePath, mode: str) -> NodePath:
    """Return where the values of a function stand: in itself, or in the one of its modes [LADS 1.0.0, ControllerModeSet]."""
    return (*path, lads("ControllerModeSet"), Name(mode)) if mode else path


def mode_names(transport: NodeTransport, path: NodePath) -> tuple[str, ...]:
    """Name the modes of a function in the order of their numbers: the texts of CurrentMode are the names in ControllerModeSet."""
    (texts,) = transport.look([(*path, lads("CurrentMode"), Name("EnumStrings", BASE))])
    return tuple(map(str, texts.value)) if texts is not None and isinstance(texts.value, tuple) else ()
