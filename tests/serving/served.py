"""A lab that is served with a login, and what a person does in its page, through the same interface as the page."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from flows.prefect_server.login import LOGIN_VARIABLE
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import read_state_file
from tests.faults.laboratory import PATIENCE, Event, Laboratory, eventually

LOGIN: Final = "ada:countess-of-lovelace"
HEATER_AND_PUMPS: Final = {"oven", "pump_cd", "pump_se", "pump_l"}
ENDED_WITHIN: Final = 120.0
"""Wall seconds for a served lab to leave: cancelled runs are waited for."""


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass
class Served:
    """`athanor serve` on a dry lab."""

    laboratory: Laboratory
    command: subprocess.Popen[str]
    page: str
    """Address of the page."""

    @classmethod
    def start(cls, laboratory: Laboratory, *, deaf: bool = False) -> "Served":
        """Type the command and wait until it says what can be started.

        Args:
            laboratory: The lab.
            deaf: Start it with interrupts ignored, as a script does with `&`.
        """
        laboratory.make()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", "serve", "--lab", str(laboratory.lab)],
            env={**environment, LOGIN_VARIABLE: LOGIN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_ignore_interrupts if deaf else None,
        )
        assert command.stdout is not None
        page = command.stdout.readline().removeprefix("Prefect UI: ").strip()
        offered = command.stdout.readline()
        assert "dry-run/dry-run" in offered, command.communicate()
        return cls(laboratory, command, page)

    # ----------------------------------------------------------------- what the page asks of the server

    def ask(self, method: str, path: str, document: Any = None, *, login: str | None = LOGIN) -> httpx.Response:
        """Send a request as the page does."""
        auth = None if login is None else httpx.BasicAuth(*login.split(":", 1))
        end = time.monotonic() + PATIENCE
        while True:
            answer = httpx.request(method, f"{self.page}/api{path}", json=document, auth=auth, timeout=PATIENCE)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:  # SQLite on a busy disk
                return answer
            time.sleep(1.0)

    def begin(self, deployment: str = "dry-run", **parameters: object) -> str:
        """Press Run on a deployment; return the flow run's id."""
        known = self.ask("GET", f"/deployments/name/{deployment}/{deployment}").raise_for_status().json()
        answer = self.ask("POST", f"/deployments/{known['id']}/create_flow_run", {"parameters": parameters})
        return str(answer.raise_for_status().json()["id"])

    def begin_campaign(self) -> str:
        """Press Run on the dry run of this lab's campaign."""
        return self.begin(file=str(self.laboratory.file), rate=self.laboratory.rate)

    def state(self, run: str) -> dict[str, Any]:
        """Return a flow run's state."""
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{run}").raise_for_status().json()["state"]
        return found

    def cancel(self, run: str) -> None:
        """Press Cancel."""
        self._set_state(run, {"type": "CANCELLING", "name": "Cancelling"})

    def suspend(self, run: str) -> None:
        """Press Suspend."""
        until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        details = {"pause_reschedule": True, "pause_timeout": until}
        self._set_state(run, {"type": "PAUSED", "name": "Suspended", "state_details": details})

    def resume(self, run: str) -> None:
        """Press Resume."""
        answer = self.ask("POST", f"/flow_runs/{run}/resume", {}).raise_for_status().json()
        assert answer["status"] == "ACCEPT", answer

    def _set_state(self, run: str, state: dict[str, Any]) -> None:
        self.ask("POST", f"/flow_runs/{run}/set_state", {"state": state}).raise_for_status()

    def artifact(self, key: str) -> str:
        """Return the newest version of an artifact."""
        return str(self.ask("GET", f"/artifacts/{key}/latest").raise_for_status().json()["data"])

    def log(self, run: str) -> list[str]:
        """Return what stands in a flow run's log once its process has ended and left its last words."""
        pid = str(self.ask("GET", f"/flow_runs/{run}").raise_for_status().json()["infrastructure_pid"])
        eventually(lambda: Process.of(int(pid)) is None, f"the end of process {pid}")
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}}
        return [str(one["message"]) for one in self.ask("POST", "/logs/filter", wanted).raise_for_status().json()]

    def reaches(self, run: str, kind: str) -> dict[str, Any]:
        """Wait until a flow run has a state of this type; return it."""
        eventually(lambda: self.state(run)["type"] == kind, f"run {kind}")
        return self.state(run)

    # ----------------------------------------------------------------- the processes

    @property
    def home(self) -> Path:
        """The server's folder."""
        return self.laboratory.lab / "prefect"

    def process(self, note: str) -> Process:
        """Return the process of a note in the server's folder."""
        found = Process.of(int(read_state_file(self.home / note)["pid"]))
        assert found is not None
        return found

    def leave(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Tell the command to leave; return its exit code and what it said on standard error."""
        self.command.send_signal(number)
        _, err = self.command.communicate(timeout=ENDED_WITHIN)
        return self.command.returncode, err

    def close(self) -> None:
        """End what still runs, also after a failed test."""
        if self.command.poll() is None:
            self.leave()
        for pipe in (self.command.stdout, self.command.stderr):
            assert pipe is not None
            pipe.close()
        self.laboratory.close()


def heats_anew(served: Served) -> Callable[[], bool]:
    """Return a question: has the oven been switched on since now, and is it on."""
    seen = len(served.laboratory.truth("oven", "setpoint"))

    def heats() -> bool:
        new = served.laboratory.truth("oven", "setpoint")[seen:]
        return any(one["values"].get("mode") == "automatic" for one in new) and served.laboratory.is_heating()

    return heats


def is_safe(served: Served, seen: Sequence[Event]) -> bool:
    """Say whether the heater was switched off and all pumps were stopped after what has been seen."""
    new = [one for one in served.laboratory.truth()[len(seen) :] if one["event"] == "safe-state"]
    return {one["device"] for one in new if one["values"]["cause"] in ("heater off", "stop command")} >= HEATER_AND_PUMPS


def left_behind(lab: Path) -> list[str]:
    """Return the command lines of live processes that name a lab."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(lab) in command:
            found.append(command)
    return found


def settled(lab: Path, within: float = 20.0) -> list[str]:
    """Wait for the last processes of a lab to leave; return those that do not."""
    end = time.monotonic() + within
    while (left := left_behind(lab)) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def status(laboratory: Laboratory) -> dict[str, Any]:
    """Return what `athanor status` says."""
    said = laboratory.type("status", "--json")
    assert said.code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document
