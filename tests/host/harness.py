"""Starts bench hosts over the fake world, kills them where a test says, and talks to them over their socket.

Hosts are children of a fork server that has everything imported: a start takes a moment, so that a host can be killed at
every transition of a run. They run the product's own `main`; only journal and connections are handed in.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, cast

import httpx
from typing_extensions import override

from instruments.bench.wires import Connect
from instruments.drivers.protocol import Driver
from instruments.drivers.registry import DRIVERS
from instruments.host.__main__ import Replaceable, main
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from instruments.lab_processes.http import ask_host
from instruments.lab_processes.state_files import HOST, read_state_file, write_state_file
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import Step, Until
from orchestrator.errors import HostError
from tests.host.world import FAKES, World, connect_fakes

cast("dict[str, type[Driver]]", DRIVERS).update(FAKES)  # the bench file looks drivers up by name

PATIENCE: Final = 60.0
"""Wall seconds for anything to happen on a busy machine."""
RATE: Final = 400.0
_SERVER: Final = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.host.harness"])

BENCH: Final = """
[bench]
name = "fakes"
reduction = "none/1"
grace = {grace}
idle_exit = {idle_exit}
{park_after}

[links.heat]
kind = "serial"
port = "/dev/null/heat"

[links.flow]
kind = "serial"
port = "/dev/null/flow"

[links.analysis]
kind = "serial"
port = "/dev/null/analysis"

[instruments.oven]
driver = "fake-oven"
link = "heat"
limits.temperature = {{ min = "20 degC", max = "300 degC" }}
watchdog = {{ seconds = 6 }}
safe_state = ["stop"]

[instruments.pump_a]
driver = "fake-pump"
link = "flow"
address = 1
watchdog = {{ seconds = 0.6 }}
safe_state = ["stop"]

[instruments.pump_b]
driver = "fake-pump"
link = "flow"
address = 2
safe_state = ["stop"]

[instruments.platform]
driver = "fake-platform"
link = "analysis"
safe_state = ["stop"]

[[procedure.steps]]
do = "oven.set_temperature"
with = {{ temperature = "100 degC" }}

[[interlocks]]
name = "warm before dosing"
before = "pump_a.dose"
expression = "oven.temperature"
unit = "degC"
min = "50 degC"

[infeasible]
rules = [{{ code = "clogged", reason = "the tube clogged" }}, {{ reading = "platform.conversion", below = "0.1", reason = "no reaction" }}]
{park_steps}
"""


class DeadlyJournal(Journal):
    """Kills its own process before or after the n-th commit, or the first note of a kind after a completed run."""

    def __init__(self, path: Path, *, at: int | str, before: bool) -> None:
        super().__init__(path)
        self._at = at
        self._before = before
        self._commits = 0

    @override
    def commit(self, transition: Transition) -> None:
        self._commits += 1
        if self._commits == self._at and self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit(transition)
        if self._commits == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    @override
    def note(self, kind: str, detail: Mapping[str, Any]) -> None:
        deadly = kind == self._at and self.latest(RunStatus.COMPLETED) is not None
        if deadly and self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        super().note(kind, detail)
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def run_host(arguments: Sequence[str], at: int | str | None, before: bool, locks: Path, opened: Connect) -> None:
    """Be a bench host; the entry point of the child."""
    journal = Journal if at is None else partial(DeadlyJournal, at=at, before=before)
    sys.exit(main(arguments, Replaceable(journal=journal, connect=opened, lock_folder=locks)))


@dataclass(slots=True)
class Bench:
    """One lab with a fake world and its hosts, one after another."""

    folder: Path
    rate: float = RATE
    grace: float = 60.0
    idle_exit: float = 600.0
    host: ForkServerProcess | None = None
    hosts: list[ForkServerProcess] = field(default_factory=list)
    connect: Connect = connect_fakes
    park_after: str = ""
    park_steps: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_files()

    def write_files(self) -> None:
        """Write bench file and endpoints."""
        self.bench_file.write_text(BENCH.format(**{key: getattr(self, key) for key in ("grace", "idle_exit", "park_after", "park_steps")}))
        links = {name: {"port": str(self.folder / name)} for name in ("heat", "flow", "analysis", "room")}
        document = {"bench_sha256": self.sha256, "t0_monotonic": time.monotonic(), "rate": self.rate, "endpoints": links}
        write_state_file(self.folder / "endpoints.json", document)

    @property
    def bench_file(self) -> Path:
        return self.folder / "bench.toml"

    @property
    def lab(self) -> Path:
        return self.folder / "lab"

    @property
    def world(self) -> World:
        return World(self.folder)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.bench_file.read_bytes()).hexdigest()

    # ----------------------------------------------------------------- the host's life

    def start(self, *, at: int | str | None = None, before: bool = False, wait: bool = True) -> ForkServerProcess:
        """Start a host, which dies at a commit, or at a note, when told to."""
        (self.lab / HOST).unlink(missing_ok=True)
        arguments = ["--lab", str(self.lab), "--bench", str(self.bench_file), "--endpoints", str(self.folder / "endpoints.json")]
        self.host = _SERVER.Process(target=run_host, args=(arguments, at, before, self.folder / "locks", self.connect))
        self.host.start()
        self.hosts.append(self.host)
        if wait:
            until(lambda: not self.alive or self.answers("/alive").get("ready"), "the host is ready")
        return self.host

    @property
    def alive(self) -> bool:
        return self.host is not None and self.host.is_alive()

    def end(self) -> int | None:
        """Await the host's death and return its exit code."""
        assert self.host is not None
        self.host.join(PATIENCE)
        return self.host.exitcode

    def close(self) -> None:
        """End every host that lives."""
        for host in self.hosts:
            if host.is_alive():
                host.terminate()
                host.join(PATIENCE)
            assert not host.is_alive()
            host.close()

    # ----------------------------------------------------------------- questions

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask the host; raises what `ask` raises."""
        return ask_host(str(read_state_file(self.lab / HOST).get("socket", "")), method, path, body, timeout=PATIENCE)

    def answers(self, path: str) -> dict[str, Any]:
        """Ask the host; empty when it gives no answer."""
        try:
            return self.ask("GET", path)
        except HostError:
            return {}

    def submit(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Hand over a run."""
        body = {key: value for key, value in document.items() if key != "run_key"}
        return self.ask("PUT", f"/runs/{document['run_key']}", body)

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Ask for something that the host refuses; return the status and its line."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=read_state_file(self.lab / HOST)["socket"]), timeout=PATIENCE) as client:
            answer = client.request(method, f"http://bench{path}", json=body)
        return answer.status_code, str(answer.json()["error"])

    def readings(self, run_key: str) -> list[dict[str, Any]]:
        """Return a run's readings as they travel."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=read_state_file(self.lab / HOST)["socket"]), timeout=PATIENCE) as client:
            text = client.get(f"http://bench/runs/{run_key}/readings").text
        return [json.loads(line) for line in text.splitlines()]

    def carry_out(self, procedure: Sequence[Step] | None = None, **changes: Any) -> dict[str, Any]:
        """Hand over a run and await its end."""
        wanted = request(self, procedure, **changes)
        self.submit(wanted)
        return self.await_end(wanted["run_key"])

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's notes of one kind, oldest first."""
        with closing(sqlite3.connect(f"file:{self.lab / 'journal.sqlite'}?mode=ro", uri=True)) as journal:
            rows = journal.execute("SELECT detail FROM notes WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def executions(self, run_key: str) -> tuple[int, int, int]:
        """Return how often the two doses and the program of a run were carried out."""
        counts = self.world.executions()
        return (counts.get(f"pump_a.{run_key}", 0), counts.get(f"pump_b.{run_key}", 0), counts.get(f"platform.{run_key}", 0))

    def wait_lab(self, lab_seconds: float) -> None:
        """Let lab time pass."""
        time.sleep(lab_seconds / self.rate)

    def await_step(self, run_key: str, index: int, *statuses: str) -> None:
        """Wait until a step has one of these states."""
        until(lambda: self.ask("GET", f"/runs/{run_key}")["steps"][index]["status"] in statuses, f"step {index} is {statuses}")

    def await_end(self, run_key: str, *, survive: bool = False) -> dict[str, Any]:
        """Poll until a run is no longer open, or until the host dies."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            nonlocal found
            found = self.answers(f"/runs/{run_key}?after={found.get('revision', -1)}&wait=2&fence=1") or found
            return _is_closed(found) or (survive and not self.alive)

        until(ended, f"run {run_key} ends")
        return found


def _is_closed(report: Mapping[str, Any]) -> bool:
    return bool(report) and not RunStatus(report["status"]).is_open


def until(condition: Any, what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def steps(rule: Any = "continue", *, temperature: float = 100.0, wait: float = 20.0) -> list[Step]:
    """Return a procedure with every kind of step."""
    reach = Until(channel="oven.temperature", target=temperature, within=1.0, hold=4.0, timeout=600.0)
    listed: list[dict[str, Any]] = [
        {"do": "oven.set_temperature", "kind": StepKind.STATE_SETTING, "arguments": {"temperature": temperature}, "until": reach},
        {"do": "pump_a.set_flow", "kind": StepKind.STATE_SETTING, "arguments": {"flow": 2.0}},
        {"do": "pump_b.set_flow", "kind": StepKind.STATE_SETTING, "arguments": {"flow": 3.0}},
        {"do": "pump_a.dose", "kind": StepKind.DOSING, "arguments": {"volume": 1.0}},
        {"do": "pump_b.dose", "kind": StepKind.DOSING, "arguments": {"volume": 1.0}},
        {"do": "wait", "kind": StepKind.WAIT, "arguments": {"time": wait}},
        {"do": "read", "kind": StepKind.READ, "channels": ("oven.temperature", "pump_a.flow")},
        {"do": "platform.run_program", "kind": StepKind.PROGRAM, "arguments": {"template": "Characterise"}},
    ]
    return [Step.model_validate({"index": n, "interrupted": rule, **one}) for n, one in enumerate(listed)]


def request(bench: Bench, procedure: Sequence[Step] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the JSON of a run request."""
    return {
        "run_key": uuid7(),
        "run_id": "r1",
        "attempt": 1,
        "campaign": "c",
        "fence": 1,
        "bench_sha256": bench.sha256,
        "position": "A1",
        "steps": [json.loads(step.model_dump_json()) for step in (procedure or steps())],
        **changes,
    }
