"""The safe state without a host: in order, past wires that hang or belong to others, each failure told."""

import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from instruments.bench.endpoints import at_plant
from instruments.bench.file import BenchFile, load_bench
from instruments.drivers.protocol import Call, ChannelSpec, CommandSpec, Driver, Finding, Identity, Limit, Outcome, Settings
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.supervisor.safe_state_without_host import SafeStateWithoutHost
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, LinkError, Sent

BENCH = Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml"


@dataclass
class Fake:
    """Notes its safe actions; fails, hangs or works."""

    name: str
    log: list[str]
    failures: int = 0
    hang: threading.Event | None = None
    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {}
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {}
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset()
    HAS_WATCHDOG: ClassVar[bool] = False
    HAS_STATE: ClassVar[bool] = True
    LONGEST_QUEUEING: ClassVar[float] = 0.0
    LINKS: ClassVar[Collection[str]] = ("serial",)
    OPTIONS: ClassVar[frozenset[str]] = frozenset()
    CALL_KEYS: ClassVar[frozenset[str]] = frozenset()
    OBJECT: ClassVar[bool] = False

    @property
    def settings(self) -> Settings:
        return Settings(self.name)

    @classmethod
    def declared(cls, settings: Settings) -> "type[Fake]":
        raise NotImplementedError

    @classmethod
    def files(cls, settings: Settings) -> Mapping[str, bytes]:
        raise NotImplementedError

    @classmethod
    def check_settings(cls, settings: Settings) -> None:
        raise NotImplementedError

    @classmethod
    def inspected(cls, settings: Settings) -> Mapping[str, tuple[str, str]]:
        raise NotImplementedError

    def make_safe(self, action: str) -> None:
        if self.hang is not None:
            self.hang.wait(30)
        if self.failures:
            self.failures -= 1
            raise DeviceError(f"{self.name} answered E02", sent=Sent.YES)
        self.log.append(f"{self.name}.{action}")

    def close(self) -> None:
        self.log.append(f"{self.name} closed")

    def identify(self) -> Identity:
        raise NotImplementedError

    def arm(self) -> None:
        raise NotImplementedError

    def refresh(self) -> None:
        raise NotImplementedError

    def limit(self, command: str, argument: str) -> Limit | None:
        raise NotImplementedError

    def check(self, call: Call) -> None:
        raise NotImplementedError

    def baseline(self, call: Call) -> Mapping[str, Any]:
        raise NotImplementedError

    def perform(self, call: Call) -> Mapping[str, float | str]:
        raise NotImplementedError

    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        raise NotImplementedError

    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        raise NotImplementedError

    def read(self, channels: object) -> tuple[Reading, ...]:
        raise NotImplementedError

    def cancel(self, call: Call) -> None:
        raise NotImplementedError


class Wiring:
    """Opens fakes, and refuses a link as often as it is told."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.refusals: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.hanging: dict[str, threading.Event] = {}

    def __call__(self, bench: BenchFile, link: str, clock: Clock) -> Mapping[str, Driver]:
        assert clock.lab() > 0
        if self.refusals.get(link, 0) > 0:
            self.refusals[link] -= 1
            raise LinkError(f"{link} is unplugged", sent=Sent.NO)
        names = [name for name, one in bench.spec.instruments.items() if one.link == link]
        return {name: Fake(name, self.log, self.failures.get(name, 0), self.hanging.get(name)) for name in names}

    @property
    def actions(self) -> list[str]:
        return [entry for entry in self.log if "closed" not in entry]


@pytest.fixture
def wiring() -> Wiring:
    return Wiring()


@pytest.fixture
def resort(wiring: Wiring, tmp_path: Path) -> SafeStateWithoutHost:
    made = SafeStateWithoutHost.prepare(load_bench(BENCH), wiring, lab=tmp_path, what="stop")
    return replace(made, lock_folder=tmp_path / "locks")


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def declared(bench: BenchFile) -> list[str]:
    return [f"{name}.{action}" for name, one in bench.spec.instruments.items() for action in one.safe_state]


def test_the_safe_actions_go_out_in_the_order_of_the_bench_file(resort: SafeStateWithoutHost, wiring: Wiring) -> None:
    results = resort.drive()
    assert wiring.actions == declared(resort.bench)
    assert [one.line for one in results] == [f"{action}: done" for action in declared(resort.bench)]
    assert {entry for entry in wiring.log if "closed" in entry} == {f"{name} closed" for name in resort.bench.spec.instruments}


def test_a_device_that_fails_once_is_tried_again_after_the_others(resort: SafeStateWithoutHost, wiring: Wiring) -> None:
    wiring.failures["oven"] = 1
    assert all(one.done for one in resort.drive())
    assert wiring.actions[-1] == "oven.off"


def test_a_link_that_opens_at_the_second_try_is_still_driven(resort: SafeStateWithoutHost, wiring: Wiring) -> None:
    wiring.refusals["pumps"] = 1
    assert all(one.done for one in resort.drive())


def test_what_could_not_be_driven_is_told_with_its_reason(resort: SafeStateWithoutHost, wiring: Wiring) -> None:
    wiring.refusals["pumps"] = 9
    lines = [one.line for one in resort.drive()]
    assert "pump_se.stop: NOT DONE: link pumps (/dev/serial/by-id/usb-pumps) cannot be opened: pumps is unplugged" in lines
    assert "oven.off: done" in lines
    assert "platform.abort: done" in lines


def test_a_wire_that_hangs_does_not_keep_the_others_from_their_safe_state(
    resort: SafeStateWithoutHost, wiring: Wiring, stuck: threading.Event
) -> None:
    wiring.hanging["oven"] = stuck
    began = time.monotonic()
    results = {f"{one.instrument}.{one.action}": one for one in resort.drive(seconds=0.5)}
    assert time.monotonic() - began < 10
    assert not results["oven.off"].done
    assert results["pump_cd.stop"].done
    assert results["platform.abort"].done


def test_a_wire_that_a_running_process_owns_is_left_to_it(resort: SafeStateWithoutHost, wiring: Wiring, tmp_path: Path) -> None:
    port = resort.bench.spec.links["oven"].endpoint
    with EndpointLocks([port], what="a probe", folder=tmp_path / "locks"):
        results = {one.instrument: one for one in resort.drive(seconds=10.0)}
    assert not results["oven"].done
    assert f"held by process {os.getpid()} (a probe" in str(results["oven"].reason)
    assert results["pump_l"].done
    assert "oven.off" not in wiring.actions


def test_a_dry_bench_is_driven_at_the_plants_endpoints_alone(resort: SafeStateWithoutHost) -> None:
    with pytest.raises(BadInput, match=r"link \w+ has no entry in the plant's endpoints"):
        at_plant(resort.bench, {"endpoints": {"pumps": {"port": "/tmp/x"}}})
    places = {"pumps": {"port": "/a"}, "oven": {"port": "/b"}, "platform": {"url": "opc.tcp://127.0.0.1:9"}}
    aimed = at_plant(resort.bench, {"endpoints": places})
    assert [link.endpoint for _, link in sorted(aimed.spec.links.items())] == ["/b", "opc.tcp://127.0.0.1:9", "/a"]
    assert aimed.sha256 == resort.bench.sha256
