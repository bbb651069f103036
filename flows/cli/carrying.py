"""Carrying a campaign: its loop in one thread, as a Prefect flow where there is a server, and its progress on the terminal."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Final, Protocol

from rich.live import Live
from rich.table import Table
from typing_extensions import override

from flows.campaign import Cycle, Ended, plain_cycle, run_loop
from flows.cli.output import console
from flows.cli.progress import progress_line, progress_table
from flows.server import ServerUse, prefect_environment
from flows.steps import Steps
from flows.telling import Teller
from flows.wiring import Plan
from orchestrator.errors import AthanorError
from orchestrator.loop import History, best

logger = logging.getLogger(__name__)

VIEW_GRACE: Final = 10.0
"""Wall seconds that the view may take to close after the ledger says finished."""
TASKS_UP_TO: Final = 400
"""Budget above which Prefect gets no task per cycle: its page cannot show more."""

Body = Callable[[Cycle], None]
"""Carries the campaign on, each cycle wrapped; puts its outcome aside and never raises."""


class Frame(Protocol):
    """What a campaign's body runs in."""

    def run(self, body: Body) -> None:
        """Run the body to its end."""
        ...

    def show(self, history: History) -> None:
        """Show the history; never waits."""
        ...


class Bare(Frame):
    """No view."""

    @override
    def run(self, body: Body) -> None:
        body(plain_cycle)

    @override
    def show(self, history: History) -> None:
        return


def carry(steps: Steps, plan: Plan, server: ServerUse, teller: Teller, *, quiet: bool) -> tuple[Ended | AthanorError, bool]:
    """Carry a campaign on until its loop ends.

    Args:
        steps: Carry actions out.
        plan: The campaign.
        server: Prefect's server, or none.
        teller: Tells people what they should know of.
        quiet: Whether nothing is shown on the terminal.

    Returns:
        How the loop ended, and whether the view of that was lost.
    """
    leave, finished = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    outcome: list[Ended | Exception] = []
    frame = _frame(steps, plan, server, leave)

    def observe(history: History) -> None:
        frame.show(history)
        teller.tell(history)

    def body(cycle: Cycle) -> None:
        if outcome:  # Prefect failed after the campaign had ended
            return
        wrapped = cycle if plan.file.spec.campaign.budget <= TASKS_UP_TO else plain_cycle
        try:
            outcome.append(run_loop(steps, cycle=wrapped, observe=observe, leave=leave))
        except Exception as error:  # handed to the command's own thread
            outcome.append(error)
        finished.set()

    closed = threading.Event()
    worker = threading.Thread(target=_run, args=(frame, body, closed), name="campaign", daemon=True)
    worker.start()
    _show(steps, plan, leave, finished, quiet=quiet)
    worker.join(timeout=VIEW_GRACE)
    result = outcome[0]
    if not isinstance(result, Ended | AthanorError):
        raise result
    return result, not closed.is_set()


def _run(frame: Frame, body: Body, closed: threading.Event) -> None:
    try:
        frame.run(body)
        closed.set()
    except Exception as error:  # whatever Prefect raises: the ledger decides, and the campaign goes on without it
        logger.warning("Prefect's view is lost: %s", error)
        body(plain_cycle)


def prepare_prefect(server: ServerUse) -> None:
    """Set the environment that Prefect reads when it is first imported, here and in child processes."""
    os.environ.update({"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING", **prefect_environment(server)})


def _frame(steps: Steps, plan: Plan, server: ServerUse, leave: threading.Event) -> Frame:
    if server.url is None:
        return Bare()
    prepare_prefect(server)
    from flows.view import View  # after the environment is set: importing Prefect reads it

    budget = plan.file.spec.campaign.budget
    return View(plan.file.name, plan.objective, budget, leave, lambda: progress_line(steps.history, plan.objective, budget))


def _show(steps: Steps, plan: Plan, leave: threading.Event, finished: threading.Event, *, quiet: bool) -> None:
    try:
        if quiet:
            finished.wait()
        elif console.is_terminal:
            _show_table(steps, plan, finished)
        else:
            _show_lines(steps, plan, finished)
    except KeyboardInterrupt:
        leave.set()
        finished.wait(timeout=VIEW_GRACE)


def _show_table(steps: Steps, plan: Plan, finished: threading.Event) -> None:
    def table() -> Table:
        return progress_table(steps.history, plan.objective, plan.file.spec.campaign.budget)

    with Live(get_renderable=table, console=console, refresh_per_second=4, transient=True):
        finished.wait()


def _show_lines(steps: Steps, plan: Plan, finished: threading.Event) -> None:
    """Print a line per ended experiment where there is no terminal."""
    shown: set[str] = set()
    over = False
    while not over:
        over = finished.wait(timeout=0.5)
        history = steps.history
        for run in history.attempts():
            if run.run_key not in shown and run.status.is_terminal and (run.ingested or run.status != "completed"):
                shown.add(run.run_key)
                found = best(history, plan.objective)
                score = "-" if found is None else f"{found[1]:.4f}"
                console.print(f"{len(shown):4d}/{plan.file.spec.campaign.budget} {run.status:<10} best {score}  {run.reason or ''}")
