"""What functions and commands have in common as instruments: a child process that carries calls out, and evidence on the disk."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.calls.kept import CALLS, STOP_SECONDS, KeptCall, end_session, holder_of, in_hand_of, is_held
from instruments.drivers.calls.process import ChildProcess
from instruments.drivers.calls.returned import WRONG, values_of
from instruments.drivers.checks import channel_spec
from instruments.drivers.device import Device
from instruments.drivers.marks import safe
from instruments.drivers.protocol import (
    Call,
    ChannelSpec,
    CommandSpec,
    DeclaredCall,
    Driver,
    Finding,
    Identity,
    Outcome,
    Progress,
    Settings,
    StepVerdict,
)
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, LinkError, Sent

OPEN_SECONDS: Final = 5.0
"""Wall seconds for which a start waits for the imports of a child: a host must be ready within ten. Longer ones go on beside it."""
_OVERRUN: Final = 5.0
"""Wall seconds past its time limit after which a child is ended that did not do so itself."""


class CalledDevice(Device):
    """One instrument whose commands are declared calls; each is a program, known by run key and step."""

    CALLS: ClassVar[Mapping[str, DeclaredCall]] = {}
    LINKS = ()

    _child: ChildProcess | None = None
    _asked: int | None = None
    _kept: KeptCall | None = None
    """Of the call that the child was last asked for."""
    _last: Mapping[str, Reading] = {}

    # ----------------------------------------------------------------- what the bench file says

    @classmethod
    @override
    def declared(cls, settings: Settings) -> type[Driver]:
        """Return the driver with one command for each declared call, and a channel for each of their returns."""
        if not settings.calls:
            raise BadInput(f"instrument {settings.name}: it has nothing to do; expected a table [instruments.{settings.name}.calls.NAME]")
        channels: dict[str, ChannelSpec] = {}
        for name, call in settings.calls.items():
            cls.check_call(settings, name, call)
            for returned, spec in call.returns.items():
                channel = ChannelSpec(spec.unit or "")
                if channels.setdefault(returned, channel) != channel:
                    units = f"{channels[returned].unit!r} and {channel.unit!r}"
                    raise BadInput(f"instrument {settings.name}: two of its calls return {returned!r}, in {units}; expected one unit")
        commands = {name: CommandSpec(StepKind.PROGRAM, call.arguments, by_step=True) for name, call in settings.calls.items()}
        named = {"CALLS": settings.calls, "COMMANDS": commands, "CHANNELS": channels}
        state = {"HAS_STATE": not all(call.pure for call in settings.calls.values())}
        return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, **named, **state})

    @classmethod
    def check_call(cls, settings: Settings, name: str, call: DeclaredCall) -> None:
        """Refuse a call that lacks what it needs; nothing is imported.

        Raises:
            BadInput: One line that names the call and the key.
        """
        raise NotImplementedError(f"{cls.__name__} has no check_call")

    @classmethod
    @override
    def inspected(cls, settings: Settings) -> Mapping[str, tuple[str, str]]:
        child = cls.started(settings, lock=None, log=None)
        try:
            if not child.await_opened(cls.INSPECTION_SECONDS):
                raise BadInput(f"instrument {settings.name}: its imports did not end within {cls.INSPECTION_SECONDS:g} s")
        finally:
            child.end() if child.opened is None else child.leave()
        if child.opened is None:
            raise BadInput(f"instrument {settings.name}: {child.refused}")
        return {name: (str(path), str(sha256)) for name, (path, sha256) in child.opened["sources"].items()}

    # ----------------------------------------------------------------- the child

    @classmethod
    def started(cls, settings: Settings, **more: Any) -> ChildProcess:
        """Start a child, which opens by itself.

        Raises:
            DeviceError: Its interpreter cannot be started.
        """
        return ChildProcess.start(settings, **more)

    def _folder(self) -> Path:
        """Return where the lab keeps what came of calls."""
        if self._settings.lab is None:
            raise DeviceError(f"{self._settings.name}: a call needs a lab, where what came of it is kept", sent=Sent.NO)
        return self._settings.lab / CALLS

    @property
    def _lock(self) -> Path | None:
        lab = self._settings.lab
        return None if lab is None or not lab.is_dir() else lab / CALLS / f"{self._settings.name}.lock"

    @property
    def _is_orphaned(self) -> bool:
        """Whether a child that was started before, by whatever host, still lives: it finishes what it has in hand and leaves."""
        return (self._child is None or not self._child.alive) and self._lock is not None and is_held(self._lock)

    def _living_child(self) -> ChildProcess:
        """Return the child, started anew where it has ended.

        Raises:
            LinkError: One that was started before has not left yet.
        """
        if self._child is not None and self._child.alive and self._child.refused is None:
            return self._child
        if self._is_orphaned:
            raise LinkError(f"{self._settings.name}: a process of it from before has not left yet", sent=Sent.NO)
        self._let_go()
        if self._lock is not None:
            self._lock.parent.mkdir(exist_ok=True)
        log = None if self._lock is None else self._lock.with_suffix(".log")
        self._child = self.started(self._settings, lock=self._lock, log=log)
        return self._child

    def _let_go(self) -> None:
        if self._child is not None:
            is_answered = {"refused", "done"} & self._child.answers.get(self._asked or 0, {}).keys()
            self._child.leave(is_busy=self._kept is not None and not self._kept.result.exists() and not is_answered)
        self._child = self._asked = self._kept = None

    # ----------------------------------------------------------------- who it is

    @override
    def identify(self) -> Identity:
        """Start the child and let it import what is declared; nothing of it is carried out.

        Raises:
            DeviceError: Something cannot be imported, or not be called as declared.
        """
        if self._is_orphaned:
            return self.expected(Identity(self.WHAT, None, None, None))
        child = self._living_child()
        child.await_opened(OPEN_SECONDS)
        if child.refused is not None:
            self._let_go()
            raise DeviceError(f"{self._settings.name}: {child.refused}", sent=Sent.NO)
        python = None if child.opened is None else f"Python {child.opened['python']}"
        return self.expected(Identity(self.WHAT, None, python, None))

    WHAT: ClassVar[str] = "calls"
    """What it says that it is."""
    INSPECTION_SECONDS: ClassVar[float] = 60.0
    """Wall seconds that its imports may take when they are tried."""

    # ----------------------------------------------------------------- calls

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        """Ask the child to carry a call out; whether it does, `outcome` says."""
        self.check(call)
        declared, folder, child = self.CALLS[call.command], self._folder(), self._living_child()
        defaults = {name: spec.default for name, spec in declared.arguments.items() if spec.default is not None}
        arguments = {**defaults, **call.arguments}
        request = {"run_key": call.run_key, "step": call.step, "call": call.command, "arguments": arguments}
        try:
            self._asked = child.ask({**request, "again": declared.repeatable, "calls": str(folder.absolute())})
        except OSError as error:
            raise LinkError(f"{self._settings.name}: its process takes no call: {error.strerror}", sent=Sent.MAYBE) from error
        self._kept = KeptCall.of(folder, call)
        return arguments

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Say how a call stands: by what is on the disk, then by who executes it."""
        finding = self.reconcile(call, baseline)
        if finding.verdict is StepVerdict.RUNNING:
            return Outcome(Progress.RUNNING)
        if finding.outcome is not None:
            return finding.outcome
        raise LinkError(f"{self._settings.name}: its process ended without a word of {call.command}", sent=Sent.MAYBE)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        kept = KeptCall.of(self._folder(), call)
        if (outcome := self._brought(call, kept)) is not None:
            return Finding(StepVerdict.FINISHED, {"result": kept.result.name}, outcome)
        self._refuse_refused(call, kept)
        if self._in_hand(kept) or self._is_orphaned:
            self._end_overrun(call, kept)
            return Finding(StepVerdict.RUNNING, {"lock": kept.lock.name})
        if (outcome := self._brought(call, kept)) is not None:  # it ended between the two looks
            return Finding(StepVerdict.FINISHED, {"result": kept.result.name}, outcome)
        evidence = {"begun": kept.is_begun, "repeatable": self.CALLS[call.command].repeatable}
        if not evidence["begun"] or evidence["repeatable"]:
            return Finding(StepVerdict.MAY_REPEAT, evidence)
        return Finding(StepVerdict.UNDECIDABLE, {**evidence, "reason": "its process ended in the middle, and it is not repeatable"})

    def _in_hand(self, kept: KeptCall) -> bool:
        own = self._child is not None and self._kept == kept and self._child.alive
        return own or kept.in_hand

    def _refuse_refused(self, call: Call, kept: KeptCall) -> None:
        """Pass on what the child has said against a call, or against all of them."""
        if self._child is None or self._kept != kept:
            return
        self._child.listen()
        if self._child.refused is not None:
            raise DeviceError(f"{self._settings.name}: {self._child.refused}", sent=Sent.NO)
        if refused := self._child.answers.get(self._asked or 0, {}).get("refused"):
            raise DeviceError(f"{self._settings.name}.{call.command}: {refused}", sent=Sent.NO)

    def _end_overrun(self, call: Call, kept: KeptCall) -> None:
        """End a call that is past its time limit and could not end itself: code outside Python held it up."""
        limit, began = self.CALLS[call.command].time_limit, kept.began
        if limit is not None and began is not None and kept.in_hand and time.time() - began > limit + _OVERRUN:
            self._end(call, kept, {"code": "time limit", "line": f"it was ended after {limit:g} s, its time limit"}, patience=0.0)

    @override
    def cancel(self, call: Call) -> None:
        """End a running call now, with all that it has started."""
        kept = KeptCall.of(self._folder(), call)
        if self._in_hand(kept):
            self._end(call, kept, {"code": "stopped", "line": "it was stopped"}, patience=STOP_SECONDS)

    def _end(self, call: Call, kept: KeptCall, error: Mapping[str, str], *, patience: float) -> None:
        process = holder_of(kept.lock) if kept.in_hand else None
        if process is None and self._child is not None:
            process = self._child.process  # it has not begun yet
        if process is not None:
            end_session(process, patience=patience)
        if kept.is_begun:
            asked = {"run_key": call.run_key, "step": call.step, "call": call.command, "arguments": dict(call.arguments)}
            kept.settle({**asked, "error": dict(error)})
        self._let_go()

    @safe
    def end(self) -> None:
        """End whatever it carries out, with all that was started for it; also what an earlier host has begun."""
        if self._lock is not None:
            for process in in_hand_of(self._lock.parent, self._settings.name):
                end_session(process, patience=STOP_SECONDS)
        self._let_go()

    # ----------------------------------------------------------------- what it brought

    def _brought(self, call: Call, kept: KeptCall) -> Outcome | None:
        found = kept.read()
        if found is None:
            return None
        document, content = found
        if "error" in document:
            return Outcome(Progress.FAILED, str(document["error"]["code"]), reason=str(document["error"]["line"]))
        try:
            values = values_of(self.CALLS[call.command], document["returns"])
        except BadInput as error:
            return Outcome(Progress.FAILED, WRONG, reason=str(error))
        readings = {name: self._reading(name, content, value) for name, value in values.items()}
        self._last = {**self._last, **readings}
        return Outcome(Progress.FINISHED, "completed", tuple(readings.values()))

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Give what the last call brought, at the time when it was brought.

        Raises:
            DeviceError: No call has brought it since the host began.
        """
        for name in channels:
            channel_spec(self._settings, self.CHANNELS, name)
            if name not in self._last:
                calls = " or ".join(call for call, one in self.CALLS.items() if name in one.returns)
                raise DeviceError(f"{self._settings.name}.{name} is known once {calls} was carried out", sent=Sent.NO)
        return tuple(self._last[name] for name in channels)

    @override
    def close(self) -> None:
        self._let_go()
