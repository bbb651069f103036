"""What a test asks of the Prefect server of a lab, through the same interface as the page."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from flows.plans.snapshots import files_of
from flows.prefect_server.server import ServerUse
from flows.prefect_view.review_form import row_field, row_of
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError
from orchestrator.history import History
from tests.faults.laboratory import PATIENCE, Laboratory, Typed, eventually

UNHAPPY: Final = ("FAILED", "CRASHED")


@dataclass(frozen=True)
class Prefect:
    """The server of a lab."""

    page: str
    """Address of the page."""

    def ask(self, path: str, document: Any = None) -> Any:
        """Send what the page sends and return what comes back; a busy database is asked again."""
        end = time.monotonic() + PATIENCE
        while True:
            method = "GET" if document is None else "POST"
            answer = httpx.request(method, f"{self.page}/api{path}", json=document, timeout=PATIENCE)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:
                return answer.raise_for_status().json()
            time.sleep(1.0)

    def flow_runs(self) -> list[dict[str, Any]]:
        """Return all flow runs, oldest first."""
        found: list[dict[str, Any]] = []
        while more := self.ask("/flow_runs/filter", {"sort": "START_TIME_ASC", "offset": len(found), "limit": 100}):
            found += more
        return found

    def states(self) -> Counter[tuple[str, str]]:
        """Count flow runs by flow (a campaign's or a review's) and type of state."""
        names = {one["id"]: one["name"] for one in self.ask("/flows/filter", {})}
        return Counter((names[run["flow_id"]], run["state_type"]) for run in self.flow_runs())

    def state(self, flow_run: str) -> str:
        """Return the type of a flow run's state."""
        return str(self.ask(f"/flow_runs/{flow_run}")["state_type"])

    def task_runs(self, *kinds: str) -> int:
        """Count the task runs whose state is of one of these types; all of them where none is named."""
        return int(self.ask("/task_runs/count", {"task_runs": {"state": {"type": {"any_": kinds}}}} if kinds else {}))

    def submit(self, history: History, request: ReviewRequest, *, reviewer: str) -> bool:
        """Submit the newest form of a request with all rows approved as they stand; return whether the server took it."""
        form = {**answered(history, request), "reviewer": reviewer}
        answer = self.ask(f"/flow_runs/{request.runs[-1].flow_run_id}/resume", {"run_input": form})
        return bool(answer["status"] == "ACCEPT")


def answered(history: History, request: ReviewRequest, **edits: str) -> dict[str, Any]:
    """Return a form's fields as they were put to people, each proposal approved, with other values in all of them where they are given."""
    space = files_of(history.campaign)[0]
    asked = [(one, history.proposals[(one.proposal_id, one.revision)]) for one in request.asked]
    rows = {row_field(one): {**row_of(one, proposal, space), "verdict": "approve", **edits} for one, proposal in asked}
    return {**rows, "reviewer": "Ada", "code": "", "comment": "", "content_hash": request.content_hash}


@contextmanager
def prefect_of(laboratory: Laboratory) -> Iterator[Prefect]:
    """Use a lab's server together with the campaign, so that it can be asked after the campaign's end too."""
    with ServerUse(laboratory.lab / "prefect") as server:
        assert server.ui_url is not None, server.reason
        yield Prefect(server.ui_url)


def history(laboratory: Laboratory) -> History:
    """Return all that the lab's ledger holds."""
    return History.of(laboratory.changes())


def until_asked(laboratory: Laboratory, command: Typed) -> None:
    """Wait until a request is put to people."""

    def is_asked() -> bool:
        assert command.poll() is None, laboratory.ended(command)
        try:
            return any(one.runs for one in history(laboratory).open_requests)
        except AthanorError:  # there is no ledger yet, or no campaign in it
            return False

    eventually(is_asked, "a review run")
