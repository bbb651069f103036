"""A bench whose host is gone, as its journal tells of it: what has ended can be fetched without touching a wire."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from typing_extensions import override

from instruments.host.journal import Journal
from instruments.lab_processes.locks import FileLock
from orchestrator.domain.records import Reading, RunReport, RunRequest
from orchestrator.errors import HostError
from orchestrator.ports import Bench

_JOURNAL: Final = "journal.sqlite"


@contextmanager
def journal_without_host(lab: Path, *, what: str) -> Iterator[Journal | None]:
    """Open a lab's journal in the place of its host; None where there never was one.

    Args:
        lab: The lab folder.
        what: What opens it, for whoever finds the host's lock held meanwhile.

    Raises:
        LockHeld: A host owns the journal.
    """
    if not (lab / _JOURNAL).exists():
        yield None
        return
    with FileLock(lab / "host.lock", what=what, lab=lab), closing(Journal(lab / _JOURNAL)) as journal:
        yield journal


@contextmanager
def unattended(lab: Path) -> Iterator["UnattendedBench"]:
    """Read a lab's journal in the place of its host.

    Raises:
        LockHeld: A host owns the journal.
    """
    with journal_without_host(lab, what="a command that reads the journal") as journal:
        yield UnattendedBench(journal)


class UnattendedBench(Bench):
    """Answers from the journal; no run is begun or ended."""

    def __init__(self, journal: Journal | None) -> None:
        """Take over the journal; None where there never was a host."""
        self._journal = journal

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        run = None if self._journal is None else self._journal.run(run_key)
        return None if run is None else run.report()

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        return () if self._journal is None else self._journal.readings(run_key)

    @override
    def stored(self, run_key: str) -> None:
        if self._journal is not None:
            self._journal.stored(run_key)

    @override
    def abort(self, run_key: str, *, reason: str) -> None:
        """Leave word: the next host ends the run before it sends anything."""
        if self._journal is not None:
            self._journal.request_abort(run_key, reason=reason)

    @override
    def submit(self, request: RunRequest) -> RunReport:
        raise HostError(f"run {request.run_key} cannot be begun: there is no bench host")

    @override
    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        raise HostError(f"run {run_key} cannot be resolved: there is no bench host")

    @override
    def stop(self, *, reason: str) -> None:
        raise HostError(f"the bench cannot be stopped ({reason}): there is no bench host")
