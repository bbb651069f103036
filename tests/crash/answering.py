"""A person's answer, through Python and the bench host's HTTP, in a process that dies at a moment of its way.

The words are LAB CODE VALUE MOMENT. The product has no hook: what records and what tells is wrapped here, in this process.
"""

import functools
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from flows.cli.console import fail
from flows.plans.lab import open_lab
from flows.running.work_operations import StepReply, answer_step, chosen, values_typed, waiting_work
from instruments.bench_client.client import HostClient
from orchestrator.errors import AthanorError, BadInput
from orchestrator.store.sql import SqlStore

_WAY: Final = {"ledger": (SqlStore, "answer_work"), "bench": (HostClient, "answer"), "taken": (SqlStore, "settle_work")}
"""From the person to the record that the bench took it."""


def die(moment: str) -> None:
    """Wrap a stage of the way so that the process is gone before or after it."""
    when, _, stage = moment.partition("-")
    owner, name = _WAY[stage]
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*given: Any, **named: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        original(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, wrapped)


def main() -> int:
    """Answer; return the exit code."""
    lab, code, value, moment = sys.argv[1:]
    if moment != "never":
        die(moment)
    try:
        work = waiting_work(open_lab(Path(lab)))
        kept = answer_step(work.lab, chosen(work, code), StepReply(by="Ada", values=values_typed([value])))
        if kept.status == "refused":
            raise BadInput(f"refused: {kept.refusal}")
    except AthanorError as error:
        fail(str(error))
        return error.exit_code
    return 0
