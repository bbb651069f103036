"""Carrying a campaign on from a terminal: its loop in one thread, as a Prefect flow where there is a server, its progress shown."""

import logging
import signal
import threading
from typing import Final

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from flows.cli.console import SPINNER, console, program
from flows.cli.progress import progress_table
from flows.cli.signs import GoingOn, Places, SignsOfLife, occupation, waiting, waiting_line
from flows.running.actions import Steps
from flows.running.carry import Bare, Body, Carried, Frame
from flows.running.run_loop import Cycle, Ended, plain_cycle
from orchestrator.attained import attained_line
from orchestrator.commandline import typed
from orchestrator.errors import AthanorError

logger = logging.getLogger(__name__)

VIEW_GRACE: Final = 10.0
"""Wall seconds that the view may take to close after the ledger says finished."""


class TerminalCarrier:
    """Carries a campaign on from a terminal until its loop ends."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.view_lost = False
        """Whether Prefect did not take the campaign's end: it would then hold the process for minutes."""

    def __call__(self, carried: Carried) -> Ended:
        """Carry the campaign on, and show it meanwhile."""
        leave, finished = threading.Event(), threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: leave.set())
        outcome: list[Ended | Exception] = []
        frame = _frame(carried, leave)

        def body(cycle: Cycle) -> None:
            if outcome:  # Prefect failed after the campaign had ended
                return
            try:
                outcome.append(carried.conduct(frame, cycle, leave))
            except Exception as error:  # handed to the command's own thread
                outcome.append(error)
            finished.set()

        closed = threading.Event()
        worker = threading.Thread(target=_run, args=(frame, body, closed), name="campaign", daemon=True)
        worker.start()
        self._show(carried, leave, finished)
        worker.join(timeout=VIEW_GRACE)
        result = outcome[0]
        self.view_lost = not closed.is_set() and isinstance(result, Ended | AthanorError)
        if isinstance(result, Exception):
            raise result
        return result

    def _show(self, carried: Carried, leave: threading.Event, finished: threading.Event) -> None:
        places = Places(carried.steering.lab.path, lambda: carried.server.ui_url, program())
        try:
            if self._quiet:
                finished.wait()
            elif console.is_terminal:
                _show_table(carried, places, finished)
            else:
                _show_lines(carried, places, finished)
        except KeyboardInterrupt:
            leave.set()
            finished.wait(timeout=VIEW_GRACE)


def _frame(carried: Carried, leave: threading.Event) -> Frame:
    if carried.server.url is None:
        return Bare()
    from flows.prefect_view.campaign_flow import View  # only now is the environment set, which Prefect reads when it is imported

    return View(carried.shown(), carried.steering, leave)


def _run(frame: Frame, body: Body, closed: threading.Event) -> None:
    try:
        frame.run(body)
        closed.set()
    except Exception as error:  # whatever Prefect raises: the ledger decides, and the campaign goes on without it
        logger.warning("Prefect's view is lost: %s", error)
        body(plain_cycle)


def busy_with(steps: Steps, places: Places) -> str | None:
    """Say what goes on where the history does not: what the loop does itself, or that people are waited for on the bench."""
    if steps.doing is not None or not steps.waiting:
        return steps.doing
    number = len(steps.waiting)
    who = "1 experiment waits" if number == 1 else f"{number} experiments wait"
    return f"{who} for people (type: {typed('work', '--lab', places.lab, program=places.program)})"


def _show_table(carried: Carried, places: Places, finished: threading.Event) -> None:
    """Keep the progress on the terminal up to date, with what goes on below it, and what waits for whom."""
    steps, plan = carried.steps, carried.plan
    spinner, pulse = Spinner(SPINNER), GoingOn()

    def shown() -> Group:
        history = steps.history
        spinner.update(text=Text(pulse.beat(occupation(history, busy_with(steps, places)))))
        lines = [Text(waiting_line(one, steps.setup.clock, places), overflow="fold", no_wrap=False) for one in waiting(history)]
        return Group(progress_table(history, plan.objective, plan.file.spec.campaign.budget.experiments), *lines, spinner)

    with Live(get_renderable=shown, console=console, refresh_per_second=4, transient=True, redirect_stderr=False):
        finished.wait()


def _show_lines(carried: Carried, places: Places, finished: threading.Event) -> None:
    """Print a line per ended experiment where there is no terminal, what waits for people, and signs of life."""
    steps, plan, journal = carried.steps, carried.plan, SignsOfLife(places)
    shown: set[str] = set()
    over = False
    while not over:
        over = finished.wait(timeout=0.5)
        history = steps.history
        for run in history.attempts():
            if run.run_key not in shown and run.status.is_terminal and (run.ingested or run.status != "completed"):
                shown.add(run.run_key)
                said = attained_line(history, plan.objective, among=shown)  # of those above, however many have ended since
                console.print(f"{len(shown):4d}/{plan.file.spec.campaign.budget.experiments} {run.status:<10} {said}  {run.reason or ''}")
        for line in () if over else journal.lines(history, busy_with(steps, places), steps.setup.clock):
            console.print(line)
