"""The nodes of one function of a LADS unit: how it is started, set, stopped and read on any server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from instruments.drivers.lads_paths import lads
from instruments.drivers.lads_states import AT_REST, RUNNING, StateMachine, within
from instruments.transport.base import NodePath, NodeTransport, NodeValue, ServerRefusal, Value
from orchestrator.errors import DeviceError, Sent

_STATE: Final = "ControlFunctionState"
Same = Callable[[object, float | bool], bool]
"""Whether what was read is what was set."""


class FunctionNodes:
    """One function on the wire."""

    def __init__(self, transport: NodeTransport, path: NodePath, who: str) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            path: Of the function.
            who: Our name of the instrument and of the function, for messages.
        """
        self._transport = transport
        self._path = path
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
        return self._transport.read([(*self._path, lads(member))])[0]

    def look(self, members: Sequence[str]) -> tuple[NodeValue | None, ...]:
        """Read variables of which some may be missing."""
        return self._transport.look([(*self._path, lads(member)) for member in members])

    def call(self, place: str, method: str, arguments: Mapping[str, Value] | None = None) -> None:
        """Call a method of one of its objects."""
        self._transport.call((*self._path, lads(place)), lads(method), arguments or {})

    def _offers(self, method: str) -> bool:
        return self._transport.exists((*self._path, lads(_STATE), lads(method)))

    def run_at(self, target: float | bool, *, within_s: float, same: Same, also: Sequence[str] = ()) -> None:
        """Set the target and let the function run: by StartWithTargetValue, by Start, or by the target alone where it has neither.

        Raises:
            DeviceError: The device refuses, or does not take it over in time.
        """
        rests = self.machine.state() in AT_REST
        if rests and self._offers("StartWithTargetValue"):
            self.call(_STATE, "StartWithTargetValue", {"TargetValue": target})
        else:
            self._transport.write((*self._path, lads("TargetValue")), target)
            if rests and self._offers("Start"):
                self.call(_STATE, "Start")
        self._await_target(target, within_s, same, also)
        if rests and not within(within_s, lambda: self.machine.state() not in AT_REST):
            raise DeviceError(f"{self.who} took the target {target!r} but does not run", sent=Sent.YES)

    def write_target(self, target: float | bool, *, within_s: float, same: Same, also: Sequence[str] = ()) -> None:
        """Set the target and leave the function as it is, running or not."""
        self._transport.write((*self._path, lads("TargetValue")), target)
        self._await_target(target, within_s, same, also)

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
