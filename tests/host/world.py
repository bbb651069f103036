"""A small honest world of devices that outlives the host, and fake drivers over it, so that executions can be counted.

The world is one JSON file under a lock. Faults are scripted by the test, each used once: `lost-reply` (carried out, the
answer is lost), `lost-request` (not carried out, nobody knows), `not-sent`, `refused`, `mute` (evidence is unreadable).
"""

import fcntl
import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.bench.file import BenchFile
from instruments.drivers.protocol import (
    ArgumentSpec,
    Call,
    ChannelSpec,
    CommandSpec,
    Driver,
    Finding,
    Identity,
    Limit,
    Outcome,
    Progress,
    Settings,
    StepVerdict,
)
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import DeviceError, InstrumentError, LimitError, LinkError, Sent

HEATING: Final = 20.0
"""degC per lab second."""
PROGRAM_SECONDS: Final = 10.0
ROOM: Final = 20.0


class World:
    """All devices of a bench."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "world.json"
        self._lock = folder / "world.lock"

    @contextmanager
    def open(self) -> Iterator[dict[str, Any]]:
        """Hand out the state; what was changed is kept."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads(self._path.read_text()) if self._path.exists() else {"faults": [], "safe": [], "settings": []}
            yield state
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(state))
            draft.replace(self._path)

    def plan(self, instrument: str, method: str, kind: str, times: int = 1) -> None:
        """Script a fault."""
        with self.open() as state:
            state["faults"] += [[instrument, method, kind]] * times

    def power_cycle(self, instrument: str) -> None:
        """Switch a device off and on."""
        with self.open() as state:
            device = state.setdefault(instrument, {})
            device["boot"] = device.get("boot", 1) + 1
            device["dose"] = None

    def absent(self, instrument: str, *, gone: bool) -> None:
        """Unplug a device, or plug it in again."""
        with self.open() as state:
            state.setdefault(instrument, {})["absent"] = gone

    def state(self) -> dict[str, Any]:
        """Return a copy of everything."""
        with self.open() as state:
            return dict(state)

    def executions(self) -> dict[str, int]:
        """Return how often each dose and program was carried out, by `instrument.run_key`."""
        counts: dict[str, int] = {}
        for name, device in self.state().items():
            if isinstance(device, dict):
                counts |= {f"{name}.{key}": count for key, count in device.get("executions", {}).items()}
        return counts


class FakeDriver(Driver):
    """What all fake devices have in common."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {}
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset({"stop"})
    HAS_WATCHDOG: ClassVar[bool] = True
    LINKS: ClassVar[Collection[str]] = ("serial",)
    LONGEST_QUEUEING: ClassVar[float] = 0.0

    def __init__(self, world: World, settings: Settings, clock: Clock) -> None:
        self._world = world
        self._settings = settings
        self._clock = clock

    @property
    @override
    def settings(self) -> Settings:
        return self._settings

    @contextmanager
    def device(self, method: str) -> Iterator[dict[str, Any]]:
        """Hand out this device's state, after and before the scripted faults of a method."""
        name = self._settings.name
        with self._world.open() as state:
            device: dict[str, Any] = state.setdefault(name, {})
            fault = next((one for one in state["faults"] if one[:2] == [name, method]), None)
            if fault is not None:
                state["faults"].remove(fault)
            kind = fault[2] if fault else None
            error = _error(name, kind) if not device.get("absent") else LinkError(f"{name} is silent", sent=Sent.NO)
            if error is None or kind == "lost-reply":
                yield device
            else:
                yield {}
        if error is not None:
            raise error

    @override
    def identify(self) -> Identity:
        with self.device("identify") as device:
            boot = device.setdefault("boot", 1)
        return Identity("fake", "1", "1.0", str(boot))

    @override
    def arm(self) -> None:
        with self.device("arm") as device:
            device["armed"] = device.get("armed", 0) + 1

    @override
    def refresh(self) -> None:
        with self.device("refresh") as device:
            device["refreshed"] = device.get("refreshed", 0) + 1

    @override
    def limit(self, command: str, argument: str) -> Limit | None:
        return self._settings.limits.get(argument)

    @override
    def check(self, call: Call) -> None:
        for name, value in call.arguments.items():
            limit = self.limit(call.command, name)
            if limit is not None and not limit.low <= float(value) <= limit.high:
                raise LimitError(f"{self._settings.name}.{name} = {value}; allowed {limit.low} to {limit.high}")

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        with self.device("baseline") as device:
            return {"boot": device.get("boot", 1), "count": sum(device.get("executions", {}).values())}

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        self.check(call)
        with self.device("perform") as device:
            self._act(device, call)
        return dict(call.arguments)

    def _act(self, device: dict[str, Any], call: Call) -> None:
        device[call.command] = dict(call.arguments)
        device["settings"] = device.get("settings", 0) + 1

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        return Outcome(Progress.FINISHED)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        with self.device("reconcile") as device:
            evidence = {"boot": device.get("boot", 1), "count": sum(device.get("executions", {}).values())}
            done = device.get("executions", {}).get(call.run_key, 0) > 0
        if evidence["boot"] != baseline.get("boot"):
            return Finding(StepVerdict.UNDECIDABLE, evidence)
        if not done:
            return Finding(StepVerdict.NOT_EXECUTED, evidence)
        outcome = self.outcome(call, baseline)
        return Finding(StepVerdict.RUNNING if outcome.progress is Progress.RUNNING else StepVerdict.FINISHED, evidence, outcome)

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        with self.device("read") as device:
            return tuple(self.reading(name, self._value(device, name)) for name in channels)

    def _value(self, device: dict[str, Any], channel: str) -> float:
        return float(device.get(channel, 0.0))

    def reading(self, channel: str, value: float | None, array: tuple[float, ...] | None = None) -> Reading:
        """Make a reading of now."""
        now = self._clock.now()
        raw = json.dumps([channel, value, array]).encode()
        digest = hashlib.sha256(raw).hexdigest()
        unit = self.CHANNELS[channel].unit if channel in self.CHANNELS else ""
        return Reading(0, self._settings.name, channel, unit, "good", now.wall, now.lab, value, array, None, raw, digest)

    @override
    def cancel(self, call: Call) -> None:
        self.make_safe("stop")

    @override
    def make_safe(self, action: str) -> None:
        with self.device("make_safe") as device:
            device["safe"] = device.get("safe", 0) + 1
            self._stop(device)

    def _stop(self, device: dict[str, Any]) -> None:
        device["dose"] = None

    @override
    def close(self) -> None:
        """Nothing is held."""


class FakePump(FakeDriver):
    """Doses volumes; ends a dose by itself."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "set_flow": CommandSpec(StepKind.STATE_SETTING, {"flow": ArgumentSpec("mL/min", Limit(0.0, 20.0))}),
        "dose": CommandSpec(StepKind.DOSING, {"volume": ArgumentSpec("mL", Limit(0.0, 100.0))}),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"flow": ChannelSpec("mL/min"), "dispensed": ChannelSpec("mL")}

    @override
    def _act(self, device: dict[str, Any], call: Call) -> None:
        if call.command == "set_flow":
            super()._act(device, call)
            return
        if device.get("dose") and self._clock.lab() < device["dose"]["end"]:
            raise DeviceError(f"{self._settings.name} is busy", sent=Sent.YES)
        seconds = 60.0 * float(call.arguments["volume"]) / float(device.get("set_flow", {"flow": 1.0})["flow"])
        device["dose"] = {"end": self._clock.lab() + seconds, "volume": call.arguments["volume"]}
        _count(device, call)

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        with self.device("outcome") as device:
            dose = device.get("dose")
        if dose is None:
            return Outcome(Progress.FAILED, "stopped")
        if self._clock.lab() < dose["end"]:
            return Outcome(Progress.RUNNING)
        return Outcome(Progress.FINISHED, "completed", (self.reading("dispensed", dose["volume"]),))

    @override
    def _value(self, device: dict[str, Any], channel: str) -> float:
        return float(device.get("set_flow", {"flow": 0.0})["flow"])


class FakeOven(FakeDriver):
    """Heats at a constant rate."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "set_temperature": CommandSpec(StepKind.STATE_SETTING, {"temperature": ArgumentSpec("degC", Limit(20.0, 400.0))}),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"temperature": ChannelSpec("degC")}

    @override
    def _act(self, device: dict[str, Any], call: Call) -> None:
        start = self._value(device, "temperature")
        super()._act(device, call)
        device["heat"] = {"from": start, "to": call.arguments["temperature"], "since": self._clock.lab()}

    @override
    def _value(self, device: dict[str, Any], channel: str) -> float:
        heat = device.get("heat")
        if heat is None:
            return ROOM
        way = float(heat["to"]) - float(heat["from"])
        return float(heat["from"]) + math.copysign(min(abs(way), HEATING * (self._clock.lab() - heat["since"])), way)

    @override
    def _stop(self, device: dict[str, Any]) -> None:
        device["heat"] = {"from": self._value(device, "temperature"), "to": ROOM, "since": self._clock.lab()}


class FakePlatform(FakeDriver):
    """Runs a program that it knows by the run key; keeps its results."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "run_program": CommandSpec(StepKind.PROGRAM, {"template": ArgumentSpec(None)}, open_arguments=True),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"conversion": ChannelSpec("")}

    @override
    def _act(self, device: dict[str, Any], call: Call) -> None:
        code = device.get("next_code", "completed")
        device.setdefault("programs", {})[call.run_key] = {"end": self._clock.lab() + PROGRAM_SECONDS, "code": code}
        _count(device, call)

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        with self.device("outcome") as device:
            program = device.get("programs", {}).get(call.run_key, {"end": 0.0, "code": "never started"})
        if self._clock.lab() < program["end"]:
            return Outcome(Progress.RUNNING)
        readings = (self.reading("conversion", 0.9), self.reading("spectrum", None, (1.0, 2.5, 1.0)))
        return Outcome(Progress.FINISHED, program["code"], readings)

    @override
    def _stop(self, device: dict[str, Any]) -> None:
        for program in device.get("programs", {}).values():
            if self._clock.lab() < program["end"]:
                program |= {"end": self._clock.lab(), "code": "aborted"}


def _count(device: dict[str, Any], call: Call) -> None:
    executions = device.setdefault("executions", {})
    executions[call.run_key] = executions.get(call.run_key, 0) + 1


def _error(name: str, kind: str | None) -> InstrumentError | None:
    errors: dict[str, Callable[[], InstrumentError]] = {
        "lost-reply": lambda: LinkError(f"{name} gave no answer", sent=Sent.MAYBE),
        "lost-request": lambda: LinkError(f"{name} gave no answer", sent=Sent.MAYBE),
        "not-sent": lambda: LinkError(f"{name}: the port is closed", sent=Sent.NO),
        "refused": lambda: DeviceError(f"{name} answered ?OOR", sent=Sent.YES),
    }
    return errors[kind]() if kind else None


class FakeLogger(FakeDriver):
    """Reads the room: nothing is set on it."""

    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {"rh": ChannelSpec("%"), "light": ChannelSpec("lx")}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset()
    HAS_WATCHDOG: ClassVar[bool] = False


FAKES: Final[Mapping[str, type[FakeDriver]]] = {
    "fake-pump": FakePump,
    "fake-oven": FakeOven,
    "fake-platform": FakePlatform,
    "fake-logger": FakeLogger,
}


def connect_fakes(bench: BenchFile, link: str, clock: Clock) -> Mapping[str, Driver]:
    """Open a link of the fake world, which lies beside the bench file."""
    world = World(bench.path.parent)
    return {
        name: FAKES[spec.driver](world, bench.settings(name), clock) for name, spec in bench.spec.instruments.items() if spec.link == link
    }
