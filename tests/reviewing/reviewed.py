"""`athanor dry-run` of a campaign whose proposals are all put to people, and what people do about it through Prefect's API."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import read_state_file
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError
from orchestrator.history import History
from tests.faults.laboratory import PATIENCE, Laboratory, Typed, eventually
from tests.reviewing.prefects import answered

CHILD: Final = "flows.prefect_view.review_run"


@dataclass(frozen=True)
class Form:
    """A request as it lies before people in the page."""

    request: ReviewRequest
    flow_run_id: str


@dataclass(frozen=True)
class Reviewed:
    """A lab and its people."""

    laboratory: Laboratory
    login: str | None = None

    @classmethod
    def new(cls, folder: Path, *, budget: int, rate: float, login: str | None = None) -> "Reviewed":
        """Scaffold a quick campaign whose proposals are all put to people, one at a time."""
        laboratory = Laboratory.new(folder, budget=budget, rate=rate)
        laboratory.file.write_text(laboratory.file.read_text().replace('mode = "never"', 'mode = "always"'))
        return cls(laboratory, login)

    @property
    def lab(self) -> Path:
        """The lab's folder."""
        return self.laboratory.lab

    @property
    def history(self) -> History:
        """All that the ledger holds."""
        return History.of(self.laboratory.changes())

    def start(self) -> Typed:
        """Type the command."""
        return self.laboratory.dry_run(view="--view")

    # ----------------------------------------------------------------- what people see and do

    def asked(self, number: int = 1, *, attempt: int = 1) -> Form:
        """Wait until the n-th request lies before people for the given time."""
        found: list[Form] = []

        def look() -> bool:
            found[:] = [one for one in self._forms() if one.request.number == number and self._key(one).endswith(f"-a{attempt}")]
            return bool(found)

        eventually(look, f"request {number} asked for the {attempt}. time", within=2 * PATIENCE)
        return found[0]

    def _forms(self) -> list[Form]:
        try:
            requests = self.history.requests.values()
            paused = set(self.open_forms())
        except (AthanorError, httpx.HTTPError):  # there is no campaign yet, or no server
            return []
        return [Form(one, run.flow_run_id) for one in requests for run in one.runs if run.flow_run_id in paused]

    @staticmethod
    def _key(form: Form) -> str:
        return next(run.key for run in form.request.runs if run.flow_run_id == form.flow_run_id)

    def open_forms(self) -> list[str]:
        """Return the flow runs that the page lists as awaiting an answer."""
        asked = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
        return [str(one["id"]) for one in self.ask("POST", "/flow_runs/filter", asked).raise_for_status().json()]

    def submit(self, form: Form, *, login: bool = True) -> httpx.Response:
        """Press Submit with every row approved, as the page does."""
        answer = answered(self.history, form.request)
        return self.ask("POST", f"/flow_runs/{form.flow_run_id}/resume", {"run_input": answer}, login=login)

    def ask(self, method: str, path: str, document: Any = None, *, login: bool = True) -> httpx.Response:
        """Send a request as the page does; a busy database is asked again, as a person would."""
        auth = httpx.BasicAuth(*self.login.split(":", 1)) if login and self.login else None
        url = read_state_file(self.lab / "prefect" / "server.json").get("url", "http://127.0.0.1:9")  # no server: nobody listens there
        end = time.monotonic() + PATIENCE
        while True:
            answer = httpx.request(method, f"{url}{path}", json=document, auth=auth, timeout=PATIENCE)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:
                return answer
            time.sleep(1.0)

    # ----------------------------------------------------------------- processes

    def child(self) -> Process:
        """Return the living process that asks people."""
        (found,) = self.children()
        return found

    def children(self) -> list[Process]:
        """Return the living processes of this lab that ask people."""
        return [process for process in map(Process.of, self._pids(CHILD)) if process is not None]

    def _pids(self, words: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if words in command and str(self.lab) in command:
                    found.append(int(entry.name))
        return found

    def server(self) -> Process:
        """Return Prefect's server."""
        found = Process.of(int(read_state_file(self.lab / "prefect" / "server.json")["pid"]))
        assert found is not None
        return found

    # ----------------------------------------------------------------- afterwards

    def views(self, flow: str = "review") -> dict[str, str]:
        """Return the states of a flow's runs by their id, read from Prefect's own database: no server needed."""
        with closing(sqlite3.connect(f"file:{self.lab / 'prefect' / 'prefect.db'}?mode=ro", uri=True)) as base:
            rows = base.execute("select r.id, r.state_type from flow_run r join flow f on f.id = r.flow_id where f.name = ?", (flow,))
            return dict(rows.fetchall())


def kill(command: Typed) -> None:
    """Kill a command and wait until it is gone."""
    os.kill(command.pid, signal.SIGKILL)
    command.wait(timeout=PATIENCE)
