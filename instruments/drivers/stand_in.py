"""The driver of a stand-in: the commands, channels and safe actions of a driver whose device's wire nobody simulates.

In a dry run it takes the driver's place and asks the plant in JSON objects, a line each (`simulators/stand_in_calls.py` has
their form). What a crash left of a dose or a program is always known: the stand-in counts what it begins. The real driver may
know less; a dry run says nothing of that.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.checks import channel_spec, make_reading
from instruments.drivers.device import Act, Device
from instruments.drivers.protocol import Call, DeclaredCall, Driver, Finding, Identity, Outcome, Progress, Settings, StepVerdict
from instruments.transport.base import LineTransport
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import DeviceError, Sent

_END: Final = b"\n"
_DEADLINE: Final = 2.0
"""Wall seconds to wait for the plant's answer."""
_LATE: Final = 2.0
"""An answer may come until so many times the deadline."""


class StandInDriver(Device):
    """Asks a stand-in by its calls."""

    STANDS_FOR: ClassVar[type[Driver]]
    """The driver in whose place it is."""

    def __init__(self, transport: LineTransport, settings: Settings, clock: Clock) -> None:
        """Bind it; nothing is sent."""
        super().__init__(transport, settings, clock)
        self._number = 0

    def _ask(self, what: str, **more: Any) -> Any:
        """Ask once.

        Raises:
            LinkError: No answer.
            DeviceError: The stand-in refuses; it has done nothing.
        """
        self._number += 1
        asked = {"id": self._number, "to": self._settings.name, "do": what, **more}

        def reply_of(buffer: bytes) -> bytes | None:
            return next((line for line in buffer.split(_END)[:-1] if _answered(line) == self._number), None)

        request = json.dumps(asked).encode() + _END
        raw = self._wire.exchange(request, reply_of, deadline=_DEADLINE, worst_reply=_LATE * _DEADLINE)
        told = json.loads(raw)
        if "refused" in told:
            raise DeviceError(f"{self._settings.name} (stand-in) refused {what}: {told['refused']}", sent=Sent.NO)
        self._heard = raw
        return told["is"]

    @override
    def identify(self) -> Identity:
        told = self._ask("identify")
        return self.expected(Identity(told["model"], told.get("serial_number"), None, told["boot_id"]))

    @property
    @override
    def _commands(self) -> Mapping[str, Act]:
        return dict.fromkeys(self.COMMANDS, self._perform)

    def _perform(self, call: Call) -> Mapping[str, float | str]:
        specs = self.COMMANDS[call.command].arguments
        defaults = {name: one.default for name, one in specs.items() if one.default is not None}
        values = {**defaults, **call.arguments}
        counted = {name: self._counted(call, name, value) if name in specs else value for name, value in values.items()}
        self._ask("perform", command=call.command, arguments=counted, run_key=call.run_key)
        return counted

    @property
    @override
    def _safe_actions(self) -> Mapping[str, Callable[[], object]]:
        return {name: partial(self._ask, "safe", action=name) for name in self.SAFE_ACTIONS}

    # ----------------------------------------------------------------- doses and programs

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        state = self._ask("state")
        return {**super().baseline(call), "boot_id": state["boot_id"], "begun": state["begun"]}

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        if self.COMMANDS[call.command].kind is StepKind.STATE_SETTING:
            return super().outcome(call, baseline)
        return self._ended(call, self._ask("state"))

    def _ended(self, call: Call, state: Mapping[str, Any]) -> Outcome:
        if state["busy"]:
            return Outcome(Progress.RUNNING)
        if state.get("command") != call.command:
            return Outcome(Progress.FAILED, "forgotten")  # it was switched off meanwhile
        if state["reason"] is not None:
            return Outcome(Progress.FAILED, state["reason"])
        brings = self.COMMANDS[call.command].kind is not StepKind.DOSING
        return Outcome(Progress.FINISHED, "completed", self._told(self._brought_by(call.command)) if brings else ())

    def _brought_by(self, command: str) -> list[str]:
        """Return the channels that a program brings: what its call returns, or all of a device whose programs say nothing of it."""
        declared = self._settings.calls.get(command)
        return list(self.CHANNELS if declared is None else declared.returns)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        if self.COMMANDS[call.command].kind is StepKind.STATE_SETTING:
            return super().reconcile(call, baseline)
        state = self._ask("state")
        evidence = {"state": state, "baseline": dict(baseline)}
        begun = state["begun"] - baseline["begun"]
        if state["boot_id"] != baseline["boot_id"] or begun not in (0, 1):
            return Finding(StepVerdict.UNDECIDABLE, evidence)
        if not begun:
            return Finding(StepVerdict.NOT_EXECUTED, evidence)
        outcome = self._ended(call, state)
        if outcome.progress is Progress.RUNNING:
            return Finding(StepVerdict.RUNNING, evidence, outcome)
        return Finding(StepVerdict.FINISHED, evidence, outcome)

    @override
    def cancel(self, call: Call) -> None:
        if self.COMMANDS[call.command].kind is not StepKind.STATE_SETTING:
            self._ask("cancel")

    # ----------------------------------------------------------------- reading

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        return self._told(channels)

    def _told(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        specs = {name: channel_spec(self._settings, self.CHANNELS, name) for name in channels}
        told, raw = self._ask("read", channels=list(channels)), self._heard
        return tuple(
            make_reading(self._settings, self._clock, name, spec.unit, raw, told[name], "bad" if told[name] is None else "good")
            for name, spec in specs.items()
        )


def _answered(line: bytes) -> int | None:
    try:
        told = json.loads(line)
        return int(told["id"])
    except (ValueError, KeyError, TypeError):
        return None


class PartlyStandIn(StandInDriver):
    """Carries the harmless calls of an instrument out as they are, and asks a stand-in for the others."""

    def __init__(self, transport: LineTransport, settings: Settings, clock: Clock) -> None:
        """Bind it; nothing is sent, and only what is harmless will be imported."""
        super().__init__(transport, settings, clock)
        self._harmless = {name: call for name, call in settings.calls.items() if call.is_harmless}
        self._own = self.STANDS_FOR(None, replace(settings, calls=self._harmless), clock)
        self._brought = {channel for call in self._harmless.values() for channel in call.returns}

    @override
    def identify(self) -> Identity:
        self._own.identify()
        return super().identify()

    @override
    def check(self, call: Call) -> None:
        return self._own.check(call) if call.command in self._harmless else super().check(call)

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return self._own.baseline(call) if call.command in self._harmless else super().baseline(call)

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        return self._own.perform(call) if call.command in self._harmless else super().perform(call)

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        return self._own.outcome(call, baseline) if call.command in self._harmless else super().outcome(call, baseline)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        return self._own.reconcile(call, baseline) if call.command in self._harmless else super().reconcile(call, baseline)

    @override
    def cancel(self, call: Call) -> None:
        return self._own.cancel(call) if call.command in self._harmless else super().cancel(call)

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        own = [name for name in channels if name in self._brought]
        told = (*self._own.read(own), *super().read([name for name in channels if name not in own]))
        found = {one.channel: one for one in told}
        return tuple(found[name] for name in channels)

    @override
    def make_safe(self, action: str) -> None:
        try:
            self._own.make_safe(action)
        finally:
            super().make_safe(action)

    @override
    def close(self) -> None:
        self._own.close()
        super().close()


def stand_in_driver(driver: type[Driver], calls: Mapping[str, DeclaredCall]) -> type[StandInDriver]:
    """Make the driver of a stand-in from the driver in whose place it is, and from what the bench file declares of its calls."""
    base = PartlyStandIn if any(call.is_harmless for call in calls.values()) else StandInDriver
    attributes: dict[str, Any] = {
        "__doc__": f"A stand-in for {driver.__name__}.",
        "__module__": __name__,
        "STANDS_FOR": driver,
        "COMMANDS": driver.COMMANDS,
        "CHANNELS": driver.CHANNELS,
        "SAFE_ACTIONS": driver.SAFE_ACTIONS,
        "OPTIONS": driver.OPTIONS,
        "HAS_WATCHDOG": False,
        "LINKS": ("serial",),
        "declared": classmethod(lambda cls, settings: cls),  # noqa: ARG005 - it was made of what the bench file declares
    }
    return type(f"StandIn[{driver.__name__}]", (base,), attributes)
