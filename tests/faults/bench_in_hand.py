"""A bench host in the test's own process, over a real wire with a relay in it: everything but HTTP, supervisor and campaign."""

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from instruments.bench.connect import connect
from instruments.bench.endpoints import at_plant, plant_clock
from instruments.bench.file import BenchFile, load_bench
from instruments.bench.wires import Wires
from instruments.host.executor import Executor
from instruments.host.heartbeats import Heartbeats, LastLifeTime
from instruments.host.idle_state import IdleState
from instruments.host.journal import Journal
from instruments.host.latch import Latch
from instruments.host.parts import HostParts
from instruments.host.requests import RequestHandler
from instruments.reductions.registry import reduce
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import EvidenceKey, RunStatus
from orchestrator.domain.records import RunReport, RunRequest
from orchestrator.errors import InstrumentError
from tests.faults.columns import POSITIONS, Column
from tests.instrument.running_plant import RunningPlant
from tests.relays.relay import PtyRelay, Relay, TcpRelay, opcua_messages

PATIENCE: Final = 90.0
"""Wall s for the end of a run on a busy machine."""


@dataclass(frozen=True)
class End:
    """How a run ended, and what the device did."""

    word: str
    """`completed`, `quarantined`, `failed`, `unknown`, `refused` (the bench does not come up)."""
    reason: str
    executed: int
    """How often the device began what may happen once."""
    said_not_executed: bool
    """Whether the host claims that nothing happened."""
    values: Mapping[str, float | None]
    """What was read, by channel."""


def relay_to(plant: RunningPlant, column: Column, folder: Path) -> Relay:
    """Make the relay that stands before a column's device."""
    endpoint = plant.announced["endpoints"][column.name]
    if column.is_opcua:
        there = urlsplit(endpoint["url"])
        return TcpRelay(str(there.hostname), int(there.port or 0), opcua_messages)
    return PtyRelay(endpoint["port"], folder / "wire.tty")


class BenchInHand:
    """The host of one device."""

    def __init__(self, plant: RunningPlant, column: Column, relay: Relay, folder: Path) -> None:
        read = load_bench(column.bench(folder))
        document = {**plant.announced, "endpoints": {column.name: _endpoint(plant, column, relay)}}
        self._plant, self._column = plant, column
        self.bench: BenchFile = at_plant(read, document)
        clock = plant_clock(document)
        self._journal = Journal(folder / "journal.sqlite")
        self._beats = Heartbeats()
        self.wires = Wires(self.bench, connect, clock, lambda: True)
        self.wires.start()
        self._last_life = LastLifeTime(folder / "host.life", clock)
        latch, idle = Latch(folder, self._journal), IdleState(self._journal, self.bench.sha256)
        self._host = HostParts(self.bench, self._journal, self.wires, clock, self._beats, latch, self._last_life, idle)
        self._executor = Executor(self._host)
        self._handler = RequestHandler(self._host, self._executor, boot=uuid7(), leave=_nobody)
        self._begun = False

    def come_up(self) -> None:
        """Open the wire, identify and arm the device. InstrumentError when that cannot be done."""
        self.wires.open()
        self._executor.start()
        self._begun = True

    def carry_out(self) -> End:
        """Carry the column's procedure out; return its end."""
        before = len(self._truth())
        steps = tuple(self._column.procedure())
        key = uuid7()
        self._handler.submit(RunRequest(key, key, 1, "faults", 1, self.bench.sha256, steps, next(POSITIONS)))
        until = time.monotonic() + PATIENCE
        while (report := self._handler.report(key)).status.is_open:
            self._beats.campaign_heard()
            self._beats.supervisor_asked()
            assert time.monotonic() < until, report
            time.sleep(0.02)
        return self._end(report, len(self._truth()) - before)

    def _truth(self) -> list[dict[str, Any]]:
        event = self._column.event
        found = self._plant.truth(self._column.name, event) if event else []
        return [one for one in found if one["values"].get("phase", "start") == "start"]

    def _end(self, report: RunReport, executed: int) -> End:
        readings = self._journal.readings(report.run_key)
        word, reason = str(report.status), report.reason or ""
        values = {one.channel: one.value for one in readings if one.array is None}
        if report.status is RunStatus.COMPLETED:
            reduced = reduce("identity/1", [one for one in readings if one.array is None])
            doubts = [one.reason for one in reduced if one.reason] + [f"{one.name} has no value" for one in readings if _is_empty(one)]
            word, reason = ("quarantined", "; ".join(doubts)) if doubts else (word, reason)
        return End(word, reason, executed, bool(report.evidence.get(EvidenceKey.NOT_EXECUTED)), values)

    def close(self) -> None:
        """End it: safe state, threads, files."""
        if self._begun:
            self._executor.leave()
            self._executor.join(30.0)
        self.wires.close()
        self._journal.close()
        self._last_life.close()


def _is_empty(reading: Any) -> bool:
    return reading.value is None and reading.array is None and reading.text is None


def _endpoint(plant: RunningPlant, column: Column, relay: Relay) -> dict[str, Any]:
    if isinstance(relay, PtyRelay):
        return {"port": str(relay.link)}
    assert isinstance(relay, TcpRelay)
    there = urlsplit(plant.announced["endpoints"][column.name]["url"])
    return {"url": there._replace(netloc=f"127.0.0.1:{relay.port}").geturl()}


def _nobody() -> None:
    """Nobody asks this host to leave."""


@contextmanager
def in_hand(plant: RunningPlant, column: Column, folder: Path) -> Iterator[tuple[BenchInHand, Relay]]:
    """Give a host that has not come up yet, and the relay before its device; both are ended, and the device is made whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with relay_to(plant, column, folder) as relay:
        bench = BenchInHand(plant, column, relay, folder)
        try:
            yield bench, relay
        finally:
            relay.disarm()
            plant.ask(op="clear", device=column.name)
            with suppress(InstrumentError, AssertionError):
                plant.ask(op="repair", device=column.name)
            bench.close()
            if column.is_opcua:
                gc.collect()
