"""Runs dry campaigns in processes that are killed before or after the n-th commit of the ledger.

`python -m tests.crash.entry` reads a JSON line `[FILE, LAB, RATE, N, "before" | "after", OUT, ERR, VIEW]` for each campaign
process and answers with its exit code; N = 0 kills nothing. What a process loads is loaded once, before it is forked: here
nothing of ours has a thread or a lock yet. The product has no hook: the store's transaction is wrapped here, in this process.
"""

import json
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


def carry(file: str, lab: str, rate: float, number: int, when: str, *, view: bool) -> int:
    """Run with a death sentence; return the exit code."""
    if number:
        die_at(number, when)
    try:
        run_in_terminal(Path(file), RunOptions(kind="dry", lab=Path(lab), rate=rate, view=view), as_json=True)
    except AthanorError as error:
        fail(str(error))
        return error.exit_code
    return 0


def main() -> int:
    """Fork a process for each line; return its exit code in it, and 0 at the end of the lines."""
    for line in sys.stdin:
        file, lab, rate, number, when, *outputs, view = json.loads(line)
        pid = os.fork()
        if pid == 0:
            for stream, output in zip((1, 2), outputs, strict=True):
                os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            return carry(file, lab, rate, number, when, view=view)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
