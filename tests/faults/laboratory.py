"""A dry lab whose plant a test can watch and disturb, and the commands that a person types in it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flows.plans.lab import make_lab
from instruments.bench.endpoints import secured_links
from instruments.bench.file import load_bench
from instruments.lab_processes.bench_process import ensure_bench
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.processes import process_table
from orchestrator.domain.records import ExperimentRun
from orchestrator.ports import Changes
from orchestrator.store.sql import SqlStore
from tests.commands import Command, type_command
from tests.crash.campaigns import athanor, quick_campaign
from tests.crash.oracle import truth
from tests.prefect_database import with_database

CAMPAIGN: Final = "cdse-600"
PATIENCE: Final = 90.0
"""Wall seconds to wait for what has to come on a busy machine."""
COMMAND: Final = "flows.cli.main"
Event = dict[str, Any]
Typed = Command | subprocess.Popen[str]


def eventually(condition: Callable[[], bool], what: str, *, within: float = PATIENCE) -> float:
    """Wait until something holds; return the wall seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"{what}: not within {within:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass
class Laboratory:
    """One dry lab and everything that was started in it."""

    file: Path
    lab: Path
    rate: float
    commands: list[Typed] = field(default_factory=list)
    campaign: str = CAMPAIGN
    live: bool = False
    """Whether it is the real bench: functions, commands and people have no plant."""

    @classmethod
    def new(cls, folder: Path, *, rate: float, **campaign: Any) -> "Laboratory":
        """Scaffold a quick campaign; nothing runs yet."""
        file = quick_campaign(folder, **campaign)
        return cls(file, file.parent / ".athanor-dry", rate)

    # ----------------------------------------------------------------- the plant and its host

    @property
    def bench(self) -> Path:
        """The bench file."""
        return self.file.parent / "bench.toml"

    @property
    def endpoints(self) -> Path:
        """Where the plant's ports stand."""
        return self.lab / "plant" / "endpoints.json"

    def make(self) -> None:
        """Make the lab as the command would, with a Prefect database that is migrated already; may be repeated."""
        make_lab(self.lab, beside=self.file, kind="live" if self.live else "dry")
        with_database(self.lab / "prefect")

    def start_plant(self) -> None:
        """Start the plant as the command would, so that it can be disturbed before a campaign begins."""
        self.make()
        bench = load_bench(self.bench)
        plant, secured = self.file.parent / "plant.toml", secured_links(bench)
        ensure_plant(self.lab, plant, bench_sha256=bench.sha256, seed=0, rate=self.rate, secured=secured)

    def start_host(self) -> None:
        """Start supervisor and host as the command would."""
        ensure_bench(self.lab, self.bench, self.endpoints)

    def port(self, link: str) -> str:
        """Return the port or url on which the plant serves a link."""
        entry = json.loads(self.endpoints.read_text())["endpoints"][link]
        return str(entry.get("port", entry.get("url")))

    def ask_plant(self, **operation: object) -> Event:
        """Use the plant's back door."""
        with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as answers:
            door.settimeout(PATIENCE)
            door.connect(json.loads(self.endpoints.read_text())["control"])
            door.sendall(json.dumps(operation).encode() + b"\n")
            answer: Event = json.loads(answers.readline())
        assert answer["ok"], answer
        return answer

    def inject(self, device: str, fault: str, **more: object) -> None:
        """Arm a fault, or let it happen now."""
        self.ask_plant(op="inject", fault={"device": device, "fault": fault, **more})

    def truth(self, device: str | None = None, event: str | None = None) -> list[Event]:
        """Return what physically happened."""
        if not (self.lab / "plant" / "ground-truth.jsonl").exists():
            return []
        return [one for one in truth(self.lab) if device in (None, one["device"]) and event in (None, one["event"])]

    def triggered(self, fault: str) -> list[Event]:
        """Return the moments at which an armed fault struck."""
        return [one for one in self.truth(event="fault") if one["values"]["fault"] == fault and one["values"]["phase"] == "triggered"]

    def is_heating(self) -> bool:
        """Say whether the oven's heater is switched on; False while no plant lives."""
        if not self.endpoints.exists():
            return False
        try:
            oven = self.ask_plant(op="state")["oven"]
            return not (oven["manual"] or oven["standby"])
        except (FileNotFoundError, ConnectionError):
            return False

    # ----------------------------------------------------------------- what a person types

    def dry_run(
        self,
        *more: str,
        limit: Callable[[], None] | None = None,
        view: str = "--no-view",
        entry: Sequence[str] = (COMMAND,),
    ) -> Typed:
        """Type the command; its words go to a file of its own. In a fresh interpreter where it has a limit or another entry."""
        if view == "--view":
            self.make()
        how = ["run"] if self.live else ["dry-run", "--rate", f"{self.rate:g}"]
        words = [*how, str(self.file), "--lab", str(self.lab), view, *more]
        output = self.file.parent / f"command{len(self.commands)}"
        with output.with_suffix(".out").open("w") as out, output.with_suffix(".err").open("w") as err:
            command: Typed
            if limit is None and tuple(entry) == (COMMAND,):
                command = type_command(words, out=out, err=err)
            else:
                fresh = [sys.executable, "-m", *entry, *words]
                command = subprocess.Popen(fresh, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True, preexec_fn=limit)
        self.commands.append(command)
        return command

    def ended(self, command: Typed) -> "Ended":
        """Wait for a command's end."""
        code = command.wait(timeout=2 * PATIENCE)
        output = self.file.parent / f"command{self.commands.index(command)}"
        return Ended(code, output.with_suffix(".out").read_text(), output.with_suffix(".err").read_text())

    def complete(self, *more: str) -> "Ended":
        """Type the command and wait for its end."""
        return self.ended(self.dry_run(*more))

    def type(self, *words: str) -> "Ended":
        """Type another command of this lab."""
        done = athanor(*words, "--lab", str(self.lab))
        return Ended(done.returncode, done.stdout, done.stderr)

    # ----------------------------------------------------------------- processes and records

    def process(self, name: str) -> Process:
        """Return a live process of the lab, waiting until there is one."""
        eventually(lambda: process_table(self.lab)[name] is not None, f"a {name}")
        row = process_table(self.lab)[name]
        assert row is not None
        found = Process.of(int(row["pid"]))
        assert found is not None
        return found

    def kill(self, *names: str) -> None:
        """Kill processes of the lab, in this order."""
        for name in names:
            assert self.process(name).kill()

    def changes(self) -> Changes:
        """Read the campaign from the ledger."""
        with closing(SqlStore.open(self.lab / "ledger.db", read_only=True)) as store:
            return store.changes(self.campaign)

    def runs(self) -> tuple[ExperimentRun, ...]:
        """Return all attempts in order."""
        return tuple(sorted(self.changes().runs, key=lambda run: run.run_key))

    def head(self) -> tuple[int, str]:
        """Return the ledger's last event."""
        with closing(SqlStore.open(self.lab / "ledger.db", read_only=True)) as store:
            return store.head()

    def close(self) -> None:
        """End whatever still runs, also after a failed test."""
        for command in self.commands:
            command.kill()
            command.wait()
        for name in ("campaign", "supervisor", "host") if self.lab.exists() else ():
            row = process_table(self.lab)[name]
            if row is not None and (process := Process.of(int(row["pid"]))) is not None:
                process.kill()
                reap(process.pid)
        if self.lab.exists():
            shutdown_plant(self.lab)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that it said on standard error."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        return lines[0]


def suspend(process: Process) -> None:
    """Stop a process as SIGSTOP does, and wait until it is stopped."""
    os.kill(process.pid, signal.SIGSTOP)
    eventually(lambda: process.suspended, f"process {process.pid} suspended")


def inside(events: Sequence[Event], run: ExperimentRun) -> list[Event]:
    """Return the events between a run's start and end."""
    begin, end = run.started_lab, run.ended_lab
    return [one for one in events if begin is not None and end is not None and begin <= one["t"] <= end]


def lose_the_next_dose(laboratory: Laboratory, fault: str, *victims: str) -> None:
    """Lose the exchange of a pump's next RUN, cut its power and kill the host: nothing is left that could tell.

    Args:
        laboratory: Its plant is alive, and a campaign runs or begins.
        fault: What becomes of the exchange: `reply-lost-after-execution` or `request-lost`.
        victims: Processes of the lab that die with the host.
    """
    struck = len(laboratory.triggered(fault))
    laboratory.inject("pump_l", fault, pattern="RUN")
    eventually(lambda: len(laboratory.triggered(fault)) > struck, "the fault")
    host = laboratory.process("host")
    suspend(host)
    laboratory.kill(*victims)
    laboratory.inject("pump_l", "power-cycle", now=True)
    assert host.kill()
