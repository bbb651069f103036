"""A dry campaign in a process that is killed before or after the n-th commit of the ledger.

The words are FILE LAB RATE N before|after; N = 0 kills nothing. The product has no hook: the store's transaction is wrapped
here, in this process.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flows.cli.console import fail
from flows.cli.run import run_in_terminal
from flows.running.session import RunOptions
from orchestrator.errors import AthanorError
from orchestrator.store.ledger import Writer
from orchestrator.store.sql import SqlStore


def die_at(number: int, when: str) -> None:
    """Wrap the ledger's transactions so that the process is gone around the n-th one."""
    original = SqlStore.writing
    seen = 0

    def writing(self: SqlStore) -> AbstractContextManager[Writer]:
        @contextmanager
        def wrapped() -> Iterator[Writer]:
            nonlocal seen
            seen += 1
            if seen == number and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            with original(self) as ledger:
                yield ledger
            if seen == number and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return wrapped()

    SqlStore.writing = writing  # type: ignore[method-assign, assignment]  # the very point of this entry


def main() -> int:
    """Run with a death sentence; return the exit code."""
    file, lab, rate, number, when = sys.argv[1:]
    if int(number):
        die_at(int(number), when)
    try:
        run_in_terminal(Path(file), RunOptions(kind="dry", lab=Path(lab), rate=float(rate), view=False), as_json=True)
    except AthanorError as error:
        fail(str(error))
        return error.exit_code
    return 0
