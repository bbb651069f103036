"""`athanor run` and `athanor dry-run`: a session shown on the terminal."""

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from flows.cli.carry import TerminalCarrier
from flows.cli.console import SPINNER, console, emit, fail, program
from flows.cli.progress import progress_table, split_table
from flows.plans.lab import Lab
from flows.review.desk import Asker
from flows.running.session import RunOptions, SessionEnd, Surroundings, run_campaign
from flows.studies.missing_prior import make_missing_prior
from flows.studies.twins.watching import drift_watch
from orchestrator.commandline import typed
from orchestrator.errors import AthanorError
from orchestrator.ports import ReviewStore
from orchestrator.summary import values_by_status


def run_in_terminal(file: Path, options: RunOptions, *, as_json: bool) -> None:
    """Run or resume a campaign and show it.

    Raises:
        AthanorError: One clear line.
    """
    carrier = TerminalCarrier(quiet=as_json)
    complaint: AthanorError | None
    try:
        surroundings = Surroundings(console.print, _busy, prefect_asker, carrier, make_missing_prior, drift_watch)
        ended = run_campaign(file, options, surroundings)
    except AthanorError as error:
        complaint = error
    else:
        (_emit if as_json else _summarise)(ended)
        complaint = ended.complaint
    if carrier.view_lost:
        _leave_behind(complaint)
    if complaint is not None:
        raise complaint


def _busy(what: str) -> AbstractContextManager[object]:
    return console.status(what, spinner=SPINNER)


def prefect_asker(lab: Lab, store: ReviewStore, campaign: str) -> Asker:
    """Return what puts requests to people in Prefect's page."""
    from flows.prefect_view.review_runs import PrefectAsker  # only now is the environment set, which Prefect reads when it is imported

    return PrefectAsker(lab, store, campaign)


def _emit(ended: SessionEnd) -> None:
    document = {"campaign": ended.campaign, "status": ended.status, "reason": ended.reason, "report": str(ended.report)}
    emit(document if ended.account is None else {**document, "values": values_by_status(ended.account.history)})


def _summarise(ended: SessionEnd) -> None:
    if (account := ended.account) is not None:
        console.print(progress_table(account.history, account.objective, account.budget))
        console.print(split_table(account.phases, account.parts))
    for line in ended.lines():
        console.print(line)
    if account is not None:
        console.print(f"open the UI again: {typed('serve', '--lab', ended.lab, program=program())}")


def _leave_behind(complaint: AthanorError | None) -> None:
    """Leave at once: Prefect, whose server is gone, would hold the process for minutes."""
    console.print("view lost: Prefect did not take the end of the campaign; the ledger has it all")
    if complaint is not None:
        fail(str(complaint))
    sys.stdout.flush()
    os._exit(0 if complaint is None else complaint.exit_code)
