"""Dies at each statement of a transaction in turn: `python -m tests.store.crashing LEDGER` leaves one ledger per death beside it."""

import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from orchestrator.domain.lifecycle import RunStatus
from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore
from tests.store.cases import BY, at, begin, measurement, reading, tell_execution
from tests.store.places import numbered, read_place


def ingest(place: LedgerPlace, *, die_at: int) -> None:
    """Ingest one run and die by SIGKILL before the given statement; commit counts as one."""
    store = SqlStore.open(place)
    run = store.changes("dots").runs[0].evolve(status=RunStatus.COMPLETED)
    count = 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store._engine, "before_cursor_execute", step)
    event.listen(store._engine, "commit", step)
    store.ingest(run, [measurement(run), measurement(run, "yield")], [reading(0), reading(1, raw=b"x")], by=BY, now=at(9))
    os.kill(os.getpid(), signal.SIGKILL)  # right after the commit, with everything open


def main(first: LedgerPlace) -> None:
    """Leave ledgers until the transaction is through before its death."""
    for die_at in range(1, 100):
        place = numbered(first, die_at)
        store = SqlStore.open(place, create=True)
        begin(store)
        tell_execution(store)
        store.close()
        child = os.fork()
        if child == 0:
            ingest(place, die_at=die_at)
        os.waitpid(child, 0)
        store = SqlStore.open(place, read_only=True)
        through = store.changes("dots").runs[0].status is RunStatus.COMPLETED
        store.close()
        if through:
            return


if __name__ == "__main__":
    main(read_place(sys.argv[1]))
