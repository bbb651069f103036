"""The functions of a LADS unit that a bench file declares: what they offer as commands, channels and safe actions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from typing_extensions import override

from instruments.drivers.functions import Function
from instruments.drivers.lads_function_nodes import FunctionNodes
from instruments.drivers.lads_states import AT_REST, COVER, within
from instruments.drivers.protocol import ArgumentSpec, Call, ChannelSpec, CommandSpec, Limit
from instruments.transport.base import NodeValue
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput, DeviceError, LimitError, Sent
from orchestrator.units import unit

FOLLOWS: Final = 5.0
"""Wall seconds within which a device takes over a setting or leaves a state after a method."""
_SAME: Final = 1e-6
"""Relative difference at which a readback is what was set: some devices keep a Double as a Float."""
Content = float | str | tuple[float, ...] | None
"""What a channel says; None where it is the node's own value."""


class UnitFunction:
    """A sensor: one channel of the function's name."""

    TYPE: ClassVar[str] = ""
    """The standard's type, which a device's own may be derived from."""
    VALUE: ClassVar[str] = "SensorValue"
    """What is read."""

    def __init__(self, name: str, declared: Function) -> None:
        """Take what the bench file declares.

        Raises:
            BadInput: What does not belong to this kind, or is missing.
        """
        self.name = name
        self.declared = declared
        self.mode = ""
        """Of a function that has several: the one whose values these are."""
        for given in (declared.unit, declared.total_unit):
            _ = unit(given)

    @property
    def place(self) -> tuple[str, ...]:
        """BrowseNames of the function itself, without a mode."""
        return self.declared.path[:-1] if self.mode else self.declared.path

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        """Commands by name."""
        return {}

    @property
    def channels(self) -> Mapping[str, ChannelSpec]:
        """Channels by name."""
        return {self.name: ChannelSpec(self.declared.unit)}

    @property
    def safe_actions(self) -> frozenset[str]:
        """What `safe_state` may list."""
        return frozenset()

    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        """Read a channel: the value, and what it means where that is not the value itself."""
        del channel
        return nodes.read(self.VALUE), None

    def perform(self, nodes: FunctionNodes, call: Call) -> Mapping[str, float | str]:
        """Carry out a command; return what was sent."""
        raise NotImplementedError

    def make_safe(self, nodes: FunctionNodes, action: str) -> None:
        """Carry out a safe action."""
        raise NotImplementedError

    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        """Say whether the device is as a command leaves it."""
        raise NotImplementedError


class _Control(UnitFunction):
    """Something that is set: a target, and what is."""

    VALUE: ClassVar[str] = "CurrentValue"
    AT_ONCE: ClassVar[tuple[str, ...]] = ()
    """Variables that are to follow the target at once: a quantity takes its time, a state does not."""

    @property
    def _set(self) -> str:
        return f"set_{self.name}"

    @property
    def _stop(self) -> str:
        return f"stop_{self.name}"

    @property
    @override
    def safe_actions(self) -> frozenset[str]:
        return frozenset({f"{self.name}-stop"})

    @override
    def perform(self, nodes: FunctionNodes, call: Call) -> Mapping[str, float | str]:
        if call.command == self._stop:
            nodes.stop(FOLLOWS)
        else:
            nodes.run_at(self._target(call), within_s=FOLLOWS, same=self._same, also=self.AT_ONCE)
        return dict(call.arguments)

    @override
    def make_safe(self, nodes: FunctionNodes, action: str) -> None:
        nodes.stop(FOLLOWS)

    @override
    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        if call.command == self._stop:
            return nodes.machine.state() in AT_REST
        (target,) = nodes.look(["TargetValue"])
        return target is not None and self._same(target.value, self._target(call))

    def _target(self, call: Call) -> float | bool:
        """Return what the device is told, in its own terms."""
        raise NotImplementedError

    def _same(self, found: object, wanted: float | bool) -> bool:
        return found == wanted


class AnalogControl(_Control):
    """`set_NAME`, `stop_NAME`; channels NAME and NAME_target."""

    TYPE: ClassVar[str] = "AnalogControlFunctionType"

    @property
    @override
    def commands(self) -> Mapping[str, CommandSpec]:
        limit = Limit(*self.declared.span) if self.declared.span else None
        target = {self.name: ArgumentSpec(self.declared.unit, limit)}
        return {self._set: CommandSpec(StepKind.STATE_SETTING, target), self._stop: CommandSpec(StepKind.STATE_SETTING)}

    @property
    @override
    def channels(self) -> Mapping[str, ChannelSpec]:
        return {self.name: ChannelSpec(self.declared.unit), f"{self.name}_target": ChannelSpec(self.declared.unit)}

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        return nodes.read("TargetValue" if channel == f"{self.name}_target" else "CurrentValue"), None

    @override
    def _target(self, call: Call) -> float:
        return float(call.arguments[self.name])

    @override
    def _same(self, found: object, wanted: float | bool) -> bool:
        return isinstance(found, int | float) and abs(found - wanted) <= _SAME * max(abs(found), abs(wanted))


class TotalizingControl(AnalogControl):
    """The same, with `reset_NAME_total` and a channel NAME_total."""

    TYPE: ClassVar[str] = "AnalogControlFunctionWithTotalizerType"

    @property
    def _total(self) -> str:
        return f"{self.name}_total"

    @property
    @override
    def commands(self) -> Mapping[str, CommandSpec]:
        return {**super().commands, f"reset_{self._total}": CommandSpec(StepKind.STATE_SETTING)}

    @property
    @override
    def channels(self) -> Mapping[str, ChannelSpec]:
        return {**super().channels, self._total: ChannelSpec(self.declared.total_unit)}

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        return (nodes.read("TotalizedValue"), None) if channel == self._total else super().read(nodes, channel)

    @override
    def perform(self, nodes: FunctionNodes, call: Call) -> Mapping[str, float | str]:
        if call.command != f"reset_{self._total}":
            return super().perform(nodes, call)
        nodes.reset_total()
        return {}

    @override
    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        return call.command != f"reset_{self._total}" and super().is_done(nodes, call)


class MultiModeControl(AnalogControl):
    """One mode: `set_NAME` selects it and sets its target; `stop_NAME`; channels NAME, NAME_target and NAME_mode, the mode in force."""

    TYPE: ClassVar[str] = "MultiModeAnalogControlFunctionType"

    def __init__(self, name: str, declared: Function) -> None:
        super().__init__(name, declared)
        if len(declared.path) < 2:
            raise BadInput(f"function {name}: function = {declared.path[0]!r}; expected the function and its mode, as in 'Pump/Flow'")
        self.mode = declared.path[-1]

    @property
    @override
    def channels(self) -> Mapping[str, ChannelSpec]:
        return {**super().channels, f"{self.name}_mode": ChannelSpec("")}

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        return nodes.current_mode() if channel == f"{self.name}_mode" else super().read(nodes, channel)

    @override
    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        return super().is_done(nodes, call) and (call.command == self._stop or nodes.current_mode()[1] == self.mode)


class TimerControl(AnalogControl):
    """`set_NAME` starts the timer with its time in ms; `stop_NAME`; channels NAME and NAME_target."""

    TYPE: ClassVar[str] = "TimerControlFunctionType"

    def __init__(self, name: str, declared: Function) -> None:
        if declared.unit not in ("", "ms"):
            raise BadInput(f"function {name}: unit = {declared.unit!r}; a timer of LADS counts in ms, expressions convert to it")
        super().__init__(name, replace(declared, unit="ms"))


class TwoStateControl(_Control):
    """`NAME_on`, `NAME_off`; a channel NAME."""

    TYPE: ClassVar[str] = "TwoStateDiscreteControlFunctionType"
    AT_ONCE: ClassVar[tuple[str, ...]] = ("CurrentValue",)

    @property
    @override
    def commands(self) -> Mapping[str, CommandSpec]:
        return {f"{self.name}_{state}": CommandSpec(StepKind.STATE_SETTING) for state in ("on", "off")}

    @property
    @override
    def safe_actions(self) -> frozenset[str]:
        return frozenset({f"{self.name}-off"})

    @override
    def perform(self, nodes: FunctionNodes, call: Call) -> Mapping[str, float | str]:
        if self._target(call):
            return super().perform(nodes, call)
        self.make_safe(nodes, "")
        return {}

    @override
    def make_safe(self, nodes: FunctionNodes, action: str) -> None:
        nodes.write_target(False, within_s=FOLLOWS, same=self._same, also=self.AT_ONCE)

    @override
    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        (current,) = nodes.look(["CurrentValue"])
        return current is not None and current.value is self._target(call)

    @override
    def _target(self, call: Call) -> bool:
        return call.command == f"{self.name}_on"


class _States:
    """Names of numbered states."""

    def __init__(self, name: str, states: tuple[str, ...]) -> None:
        if len(states) < 2 or len(set(states)) < len(states):
            expected = "two or more different names, in the order of the device's numbers"
            raise BadInput(f"function {name}: states = {list(states)!r}; expected {expected}")
        self._name = name
        self._states = states

    def named(self, value: object) -> str | None:
        return self._states[value] if isinstance(value, int) and 0 <= value < len(self._states) else None

    def number(self, named: object) -> int:
        if named not in self._states:
            raise LimitError(f"{self._name} = {named!r}; allowed {', '.join(self._states)}")
        return self._states.index(str(named))


class MultiStateControl(_Control):
    """`set_NAME` to one of its states; `stop_NAME`; a channel NAME."""

    TYPE: ClassVar[str] = "MultiStateDiscreteControlFunctionType"
    AT_ONCE: ClassVar[tuple[str, ...]] = ("CurrentValue",)

    def __init__(self, name: str, declared: Function) -> None:
        super().__init__(name, declared)
        self._states = _States(name, declared.states)

    @property
    @override
    def commands(self) -> Mapping[str, CommandSpec]:
        stop = CommandSpec(StepKind.STATE_SETTING)
        return {self._set: CommandSpec(StepKind.STATE_SETTING, {self.name: ArgumentSpec(None)}), self._stop: stop}

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        value = nodes.read(self.VALUE)
        return value, self._states.named(value.value)

    @override
    def _target(self, call: Call) -> int:
        return self._states.number(call.arguments[self.name])


class MultiStateSensor(UnitFunction):
    """A channel NAME that says the state's name."""

    TYPE: ClassVar[str] = "MultiStateDiscreteSensorFunctionType"

    def __init__(self, name: str, declared: Function) -> None:
        super().__init__(name, declared)
        self._states = _States(name, declared.states)

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        value = nodes.read(self.VALUE)
        return value, self._states.named(value.value)


class Cover(UnitFunction):
    """`open_NAME`, `close_NAME`, `lock_NAME`, `unlock_NAME`; a channel NAME that says its state."""

    TYPE: ClassVar[str] = "CoverFunctionType"
    _ENDS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "open": ("Open", "Opened"),
        "close": ("Close", "Closed"),
        "lock": ("Lock", "Locked"),
        "unlock": ("Unlock", "Closed"),
    }
    """Method, and the state in which it ends [LADS 1.0.0, CoverStateMachineType]."""
    _MOVES: ClassVar[float] = 5.0
    """Wall seconds within which a cover has moved; a slower one is waited for with `until` of a later step."""

    @property
    @override
    def commands(self) -> Mapping[str, CommandSpec]:
        return {f"{verb}_{self.name}": CommandSpec(StepKind.STATE_SETTING) for verb in self._ENDS}

    @override
    def read(self, nodes: FunctionNodes, channel: str) -> tuple[NodeValue, Content]:
        return nodes.cover(COVER).reading(nodes.who)

    @override
    def perform(self, nodes: FunctionNodes, call: Call) -> Mapping[str, float | str]:
        method, end = self._ENDS[call.command.partition("_")[0]]
        cover = nodes.cover(COVER)
        if cover.state() != end:
            nodes.call("CoverState", method)
        if not within(self._MOVES, lambda: cover.state() == end):
            raise DeviceError(f"{nodes.who} acknowledged {method} of {self.name} but is {cover.state()}; expected {end}", sent=Sent.YES)
        return {}

    @override
    def is_done(self, nodes: FunctionNodes, call: Call) -> bool:
        return nodes.cover(COVER).state() == self._ENDS[call.command.partition("_")[0]][1]


class AnalogScalarSensor(UnitFunction):
    """A channel NAME."""

    TYPE: ClassVar[str] = "AnalogScalarSensorFunctionType"


class AnalogArraySensor(UnitFunction):
    """A channel NAME that holds many values."""

    TYPE: ClassVar[str] = "AnalogArraySensorFunctionType"


class TwoStateSensor(UnitFunction):
    """A channel NAME."""

    TYPE: ClassVar[str] = "TwoStateDiscreteSensorFunctionType"
