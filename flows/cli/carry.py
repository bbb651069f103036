"""Carrying a campaign: its loop in one thread, as a Prefect flow where there is a server, and its progress on the terminal."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from typing_extensions import override

from flows.cli.progress import progress_line, progress_table
from flows.cli.signs import Journal, Places, Pulse, occupation, waiting, waiting_line
from flows.console import SPINNER, console, program
from flows.plans.plan import Plan
from flows.prefect_server.server import ServerUse, prefect_environment
from flows.report.overview import Shown
from flows.running.actions import Steps
from flows.running.malloc_trim import give_back
from flows.running.notices import Teller
from flows.running.run_loop import Cycle, Ended, plain_cycle, run_loop
from flows.running.steering import Steering
from orchestrator.errors import AthanorError
from orchestrator.history import History, best

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


Outcome = tuple[Ended | AthanorError, bool]
"""How the loop ended, and whether the view of that was lost."""


@dataclass(frozen=True)
class Carried:
    """A campaign that is ready to be carried on."""

    steps: Steps
    plan: Plan
    server: ServerUse
    """Prefect's server, or none."""
    steering: Steering
    teller: Teller
    """Tells people what they should know of."""
    report: Path
    """Where the campaign's report is written."""
    quiet: bool
    """Whether nothing is shown on the terminal."""

    def shown(self) -> Shown:
        """Return what a view needs to know."""
        file, objective = self.plan.file, self.plan.objective
        budget = file.spec.campaign.budget
        return Shown(file.name, objective, budget, self.report, lambda: progress_line(self.steps.history, objective, budget))

    def conduct(self, frame: Frame, cycle: Cycle, leave: threading.Event) -> Ended:
        """Run the campaign's loop to its end and show how it ended; cycles are wrapped where the page can show so many."""
        wrapped = cycle if self.plan.file.spec.campaign.budget <= TASKS_UP_TO else plain_cycle

        def observe(history: History) -> None:
            frame.show(history)
            self.teller.tell(history)
            give_back()

        ended = run_loop(self.steps, cycle=wrapped, observe=observe, leave=leave)
        frame.show(self.steps.refresh())
        return ended


Carrier = Callable[[Carried], Outcome]
"""Carries a campaign on: from a terminal, or within a flow run that somebody started in the page."""


def carry(carried: Carried) -> Outcome:
    """Carry a campaign on from a terminal until its loop ends."""
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
    _show(carried, leave, finished)
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


def _frame(carried: Carried, leave: threading.Event) -> Frame:
    if carried.server.url is None:
        return Bare()
    prepare_prefect(carried.server)
    from flows.ui.campaign_flow import View  # after the environment is set: importing Prefect reads it

    return View(carried.shown(), carried.steering, leave)


def _show(carried: Carried, leave: threading.Event, finished: threading.Event) -> None:
    places = Places(carried.steering.lab.path, lambda: carried.server.ui_url, program())
    try:
        if carried.quiet:
            finished.wait()
        elif console.is_terminal:
            _show_table(carried, places, finished)
        else:
            _show_lines(carried, places, finished)
    except KeyboardInterrupt:
        leave.set()
        finished.wait(timeout=VIEW_GRACE)


def _show_table(carried: Carried, places: Places, finished: threading.Event) -> None:
    """Keep the progress on the terminal up to date, with what goes on below it, and what waits for whom."""
    steps, plan = carried.steps, carried.plan
    spinner, pulse = Spinner(SPINNER), Pulse()

    def shown() -> Group:
        history = steps.history
        spinner.update(text=Text(pulse.beat(occupation(history, steps.doing))))
        lines = [Text(waiting_line(one, steps.setup.clock, places), overflow="fold", no_wrap=False) for one in waiting(history)]
        return Group(progress_table(history, plan.objective, plan.file.spec.campaign.budget), *lines, spinner)

    with Live(get_renderable=shown, console=console, refresh_per_second=4, transient=True, redirect_stderr=False):
        finished.wait()


def _show_lines(carried: Carried, places: Places, finished: threading.Event) -> None:
    """Print a line per ended experiment where there is no terminal, what waits for people, and signs of life."""
    steps, plan, journal = carried.steps, carried.plan, Journal(places)
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
        for line in () if over else journal.lines(history, steps.doing, steps.setup.clock):
            console.print(line)
