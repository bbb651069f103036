"""Runs a dry campaign and kills its own process before or after the n-th commit of the ledger.

`python -m tests.crash.entry FILE LAB RATE N before|after`; N = 0 kills nothing. The product has no hook: the store's
transaction is wrapped here, in this process.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flows.cli.output import fail
from flows.cli.running import RunOptions, run_campaign
from orchestrator.errors import AthanorError
from orchestrator.store.sql import SqlLedger, SqlStore


def die_at(number: int, when: str) -> None:
    """Wrap the ledger's transactions so that the process is gone around the n-th one."""
    original = SqlStore.writing
    seen = 0

    def writing(self: SqlStore) -> AbstractContextManager[SqlLedger]:
        @contextmanager
        def wrapped() -> Iterator[SqlLedger]:
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


def main() -> None:
    """Run with a death sentence."""
    file, lab, rate, number, when = sys.argv[1:]
    if int(number):
        die_at(int(number), when)
    try:
        run_campaign(Path(file), RunOptions(kind="dry", lab=Path(lab), rate=float(rate), view=False, as_json=True))
    except AthanorError as error:
        fail(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
