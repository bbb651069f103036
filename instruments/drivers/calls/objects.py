"""What instruments that are objects of other packages have in common: a child that holds the object, asked and called.

Calls are carried out and kept as those of functions are. Settings, channels and safe actions are asked at once and kept nowhere.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.calls.device import OPEN_SECONDS, CalledDevice
from instruments.drivers.calls.process import ChildProcess, interpreter_of
from instruments.drivers.calls.python import beside
from instruments.drivers.calls.returned import value_of
from instruments.drivers.checks import channel_spec
from instruments.drivers.marks import safe
from instruments.drivers.protocol import (
    Call,
    ChannelSpec,
    CommandSpec,
    DeclaredCall,
    DeclaredChannel,
    Driver,
    Finding,
    Identity,
    Outcome,
    ReturnSpec,
    Settings,
)
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, InstrumentError, LinkError, Sent
from orchestrator.numerals import brief

ANSWER_SECONDS: Final = 5.0
"""Wall seconds that a setting, a reading or a safe action may take: a bench host whose threads are silent for eight is replaced."""
_PATIENCE: Final = 2.5
"""Wall seconds that a setting or a reading waits for an object that is being set up."""
SAFE_SECONDS: Final = 4.5
"""Wall seconds that a safe action waits for an object that is being set up: the next instrument's turn comes after five."""
_LEAST: Final = 0.5
"""Wall seconds for which an object that is made already is waited for when it is armed again."""
_ROUNDING: Final = 1e-9
"""Relative difference of a number that has gone through a text with all its digits."""
_MADE: Final = "made"
_ARMED: Final = "armed"


class ObjectDevice(CalledDevice):
    """One instrument that is an object of another package."""

    OBJECT: ClassVar[bool] = True
    OPTIONS: ClassVar[frozenset[str]] = frozenset({"interpreter"})
    PACKAGE: ClassVar[str] = ""
    """The package whose error log is heard, and whose version is told."""
    SET_UP: ClassVar[str | None] = None
    """The object's method that sets it up."""
    LET_GO: ClassVar[str] = ""
    """The object's method that is called at the end."""
    CHECK_ERRORS: ClassVar[str | None] = None
    """The object's method that asks the device for its errors."""
    READ: ClassVar[Mapping[str, DeclaredChannel]] = {}

    _stage: str | None = None
    """How far the object has been brought in this driver's life: a child that is started anew is brought there again."""
    _staging: int | None = None
    """Number of the request that brings it there, as long as it is unanswered."""
    _is_made = False
    _on_its_way: Mapping[str, int] = {}
    """Safe action -> number of its request: the child carries it out as soon as the object is set up, whoever waits for it."""

    # ----------------------------------------------------------------- what the bench file says

    @classmethod
    @override
    def declared(cls, settings: Settings) -> type[Driver]:
        """Return the driver with one command for each declared call, and a channel for each declared one and each return."""
        if settings.made is None:
            return cls
        if settings.made.check_errors and cls.CHECK_ERRORS is None:
            raise BadInput(f"instrument {settings.name}, object.check_errors: objects of {cls.PACKAGE} have nothing to ask for errors")
        if not settings.calls and not settings.channels:
            raise BadInput(f"instrument {settings.name}: it has nothing to do; expected tables `calls` or `channels`")
        read = {name: ChannelSpec(one.unit or "", one.limit) for name, one in settings.channels.items()}
        if not settings.calls:
            return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "CHANNELS": read, "READ": settings.channels})
        driver = super().declared(settings)
        if twice := sorted(read.keys() & driver.CHANNELS.keys()):
            raise BadInput(f"instrument {settings.name}: {twice[0]!r} is a channel and is returned by a call; expected two names")
        set_ = {name: CommandSpec(StepKind.STATE_SETTING, one.arguments) for name, one in settings.calls.items() if one.set}
        named = {
            "COMMANDS": {**driver.COMMANDS, **set_},
            "CHANNELS": {**driver.CHANNELS, **read},
            "READ": settings.channels,
            "SAFE_ACTIONS": driver.SAFE_ACTIONS | {name for name, one in settings.calls.items() if one.safe},
        }
        return type(cls.__name__, (driver,), {"__doc__": cls.__doc__, **named})

    @classmethod
    @override
    def check_call(cls, settings: Settings, name: str, call: DeclaredCall) -> None:
        what = f"instrument {settings.name}, calls.{name}"
        if sum(one is not None for one in (call.set, call.method, call.function)) != 1:
            raise BadInput(f'{what}: expected one of set = "PROPERTY", method = "NAME" and function = "module:name"')
        if call.set is None and call.value is not None:
            raise BadInput(f"{what}: value = {call.value!r} belongs to a property that is set")
        if call.set is not None and (len(call.arguments) == 1) == (call.value is not None):
            raise BadInput(f"{what}: it sets {call.set}; expected one argument, or value = what it is always set to")
        if call.set is not None and (call.returns or call.time_limit is not None or len(call.arguments) > 1):
            raise BadInput(f"{what}: what is set has one argument, no returns and {ANSWER_SECONDS:g} s; more has a method, or a function")
        if call.safe and (needed := [one for one, spec in call.arguments.items() if spec.default is None]):
            raise BadInput(f"{what}: safe = true and argument {needed[0]!r}; a safe action is called with nothing")

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        interpreter_of(settings)

    @classmethod
    @override
    def files(cls, settings: Settings) -> Mapping[str, bytes]:
        return beside(settings)

    # ----------------------------------------------------------------- the child

    @classmethod
    @override
    def started(cls, settings: Settings, **more: Any) -> ChildProcess:
        made = settings.made
        if made is None:
            raise AssertionError(f"{settings.name} has no object")
        document = {
            "make": made.make,
            "with": made.arguments,
            "identity": made.identity,
            "channels": {name: one.read for name, one in settings.channels.items()},
            "check_errors": cls.CHECK_ERRORS if made.check_errors else None,
            "package": cls.PACKAGE,
            "set_up": cls.SET_UP,
            "let_go": cls.LET_GO,
            "expected": {"model": settings.model, "serial_number": settings.serial_number},
        }
        return ChildProcess.start(settings, made=document, **more)

    @override
    def _living_child(self) -> ChildProcess:
        before = self._child
        child = super()._living_child()
        if child is not before:
            self._staging, self._is_made, self._on_its_way = None, False, {}
            if self._stage is not None:
                self._staging = self._request(child, {"stage": self._stage})
        return child

    def _bring(self, stage: str) -> Mapping[str, Any] | None:
        """Bring the object to a stage; None where that takes longer than a start may, and goes on beside it.

        Raises:
            DeviceError: It cannot be made, or not be set up.
        """
        child, self._stage = self._living_child(), stage
        self._staging = child.ask({"stage": stage})
        return self._staged(max(_LEAST, child.started + OPEN_SECONDS - time.monotonic()))

    def _staged(self, seconds: float) -> Mapping[str, Any] | None:
        """Hear how far the object has come; None while it is under way.

        Raises:
            DeviceError: It cannot be made, or not be set up.
        """
        if self._staging is None or self._child is None:
            return {}
        answer = self._child.await_answer(self._staging, seconds)
        if answer is None and self._child.alive:
            return None
        self._staging = None
        if answer is None or "error" in answer:
            self._on_its_way = {}
            why = self._child.refused or (answer or {}).get("error", "its process ended while it was made")
            raise DeviceError(f"{self._settings.name}: {why}", sent=Sent.MAYBE)
        self._is_made = True
        told: Mapping[str, Any] = answer["told"]
        return told

    def _ask_now(self, what: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the object, and wait for its answer.

        Args:
            what: For messages.
            request: For its process.

        Raises:
            DeviceError: It is busy, or refuses.
            LinkError: It does not answer.
        """
        name, child = self._settings.name, self._living_child()
        if self._is_busy:
            raise DeviceError(f"{name} carries out a call; {what} has to wait for its end", sent=Sent.NO)
        if self._staged(_PATIENCE) is None:
            raise LinkError(f"{name} is still being set up; {what} has to wait", sent=Sent.NO)
        return self._answered(child, self._request(child, request), what)

    def _request(self, child: ChildProcess, request: Mapping[str, Any]) -> int:
        try:
            return child.ask(request)
        except OSError as error:
            raise LinkError(f"{self._settings.name}: its process takes no request: {error.strerror}", sent=Sent.MAYBE) from error

    def _answered(self, child: ChildProcess, number: int, what: str) -> Mapping[str, Any]:
        """Wait for an answer; a process that takes too long for it is ended, so that it cannot act later.

        Raises:
            DeviceError: It refuses.
            LinkError: It does not answer.
        """
        name, answer = self._settings.name, child.await_answer(number, ANSWER_SECONDS)
        if answer is None:
            why = f"did not end within {ANSWER_SECONDS:g} s and was ended" if child.alive else "was cut short: its process ended"
            child.end()
            self._let_go()
            raise LinkError(f"{name}: {what} {why}", sent=Sent.MAYBE)
        if "error" in answer:
            raise DeviceError(f"{name}: {what}: {answer['error']}", sent=Sent.YES)
        told: Mapping[str, Any] = answer["told"]
        return told

    @property
    def _is_busy(self) -> bool:
        """Whether the child has a call in hand."""
        if self._kept is None or self._child is None or not self._child.alive or self._kept.result.exists():
            return False
        self._child.listen()
        return not {"refused", "done"} & self._child.answers.get(self._asked or 0, {}).keys()

    # ----------------------------------------------------------------- who it is, its set-up

    @override
    def identify(self) -> Identity:
        """Start the child and let it import what is declared; the object is made only where that sends nothing."""
        identity = super().identify()
        made = self._settings.made
        if made is None or not made.silent or self._is_orphaned:
            return identity
        return self._identity(self._bring(self._stage or _MADE))

    @override
    def arm(self) -> None:
        """Make the object and set it up; what takes longer goes on beside, and whatever is asked meanwhile waits for it."""
        self._stage = _ARMED
        if self._is_orphaned:
            return  # it is armed once that one has left
        self._bring(_ARMED)

    @override
    def expected(self, identity: Identity) -> Identity:
        return super().expected(identity) if self._is_made else identity

    def _identity(self, told: Mapping[str, Any] | None) -> Identity:
        return Identity(told["model"], told["serial_number"], told["firmware"], None) if told else Identity(self.WHAT, None, None, None)

    # ----------------------------------------------------------------- settings

    def _is_set(self, call: Call) -> bool:
        return self.CALLS[call.command].set is not None

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        """Set a property and compare what is read back; of a call only ask that it be carried out."""
        self.check(call)
        if not self._is_set(call):
            return super().perform(call)
        declared = self.CALLS[call.command]
        defaults = {name: spec.default for name, spec in declared.arguments.items() if spec.default is not None}
        arguments = {**defaults, **call.arguments}
        told = self._ask_now(call.command, {"do": call.command, "arguments": arguments, "heed": True})
        self._compare(call.command, declared, next(iter(arguments.values()), declared.value), told)
        return arguments

    def _compare(self, command: str, declared: DeclaredCall, sent: Any, told: Mapping[str, Any]) -> None:
        """Compare what was read back with what was set.

        Raises:
            DeviceError: They differ by more than is declared.
        """
        if declared.set is None or not told:
            return
        ((given, unit),) = told.values()
        spec = next(iter(declared.arguments.values()), None)
        if spec is None or spec.unit is None:
            is_same, shown = given == sent, brief(sent)
        else:
            number = self._number(command, ReturnSpec(spec.unit), given, unit)
            is_same = abs(number - sent) <= declared.within or math.isclose(number, sent, rel_tol=_ROUNDING)
            shown = f"{sent:g} {spec.unit}".rstrip()
        if not is_same:
            hint = "" if spec is None or spec.unit is None else f" (within = {declared.within:g} {spec.unit}".rstrip() + ")"
            raise DeviceError(
                f"{self._settings.name}.{command}: {declared.set} is {brief(given)} after it was set to {shown}{hint}", sent=Sent.YES
            )

    def _number(self, command: str, spec: ReturnSpec, given: Any, unit: str | None) -> Any:
        try:
            return value_of(command, spec, given, unit)
        except BadInput as error:
            raise DeviceError(f"{self._settings.name}.{command}: {error}", sent=Sent.YES) from error

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        return super(CalledDevice, self).outcome(call, baseline) if self._is_set(call) else super().outcome(call, baseline)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        return super(CalledDevice, self).reconcile(call, baseline) if self._is_set(call) else super().reconcile(call, baseline)

    @override
    def cancel(self, call: Call) -> None:
        if not self._is_set(call):
            super().cancel(call)

    # ----------------------------------------------------------------- reading

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Read declared channels now, and give what the last call brought of the others."""
        for name in channels:
            channel_spec(self._settings, self.CHANNELS, name)
        asked = [name for name in channels if name in self.READ]
        now = self._read_now(asked) if asked else {}
        return tuple(now[name] if name in now else super(ObjectDevice, self).read([name])[0] for name in channels)

    def _read_now(self, names: Sequence[str]) -> Mapping[str, Reading]:
        told = self._ask_now(f"reading {', '.join(names)}", {"read": names})
        values = {name: self._number(name, ReturnSpec(self.READ[name].unit), *told[name]) for name in names}
        return {name: self._reading(name, json.dumps(told[name]).encode(), value) for name, value in values.items()}

    # ----------------------------------------------------------------- the safe state

    @property
    @override
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        return {**super()._safe_actions, **{name: partial(self._make_safe_by, name) for name, one in self.CALLS.items() if one.safe}}

    @safe
    @override
    def end(self) -> None:
        """End what it carries out, also what an earlier host has begun, but for a safe action on its way.

        An idle object is let go as its package wants it.
        """
        if self._child is None or not self._child.alive or self._is_busy:
            super().end()
        elif not self._is_being_set_up:
            self._let_go()
        elif not self._on_its_way:
            super().end()

    def _make_safe_by(self, name: str) -> None:
        """Carry out a safe action by the child that is at hand, or, where that is busy, gone, silent or refuses, by a new one."""
        until = time.monotonic() + SAFE_SECONDS
        if self._child is not None and self._child.alive and self._stage == _ARMED and not self._is_busy:
            try:
                self._do(name, until)
            except InstrumentError:
                if self._is_being_set_up:
                    raise
            else:
                return
        super().end()  # at once: an object that refuses may have no device left to take leave of
        self._stage = _ARMED
        self._do(name, until)

    def _do(self, name: str, until: float) -> None:
        declared, child = self.CALLS[name], self._living_child()
        arguments = {argument: spec.default for argument, spec in declared.arguments.items()}
        if name not in self._on_its_way:
            number = self._request(child, {"do": name, "arguments": arguments, "heed": False})
            self._on_its_way = {**self._on_its_way, name: number}
        if self._staged(max(0.0, until - time.monotonic())) is None:
            raise LinkError(f"{self._settings.name} is still being set up; {name} goes out as soon as it is", sent=Sent.MAYBE)
        asked = self._on_its_way[name]
        self._on_its_way = {one: number for one, number in self._on_its_way.items() if one != name}
        told = self._answered(child, asked, name)
        self._compare(name, declared, next(iter(arguments.values()), declared.value), told)

    @property
    def _is_being_set_up(self) -> bool:
        if self._staging is None or self._child is None or not self._child.alive:
            return False
        self._child.listen()
        return self._staging not in self._child.answers
