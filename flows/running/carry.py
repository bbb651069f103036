"""A campaign that is ready to be carried on, and the ports by which whoever shows it takes part."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from typing_extensions import override

from flows.plans.plan import Plan
from flows.prefect_server.server import ServerUse
from flows.report.overview import Shown
from flows.running.actions import Steps
from flows.running.malloc_trim import give_back
from flows.running.notices import Teller
from flows.running.run_loop import Cycle, Ended, plain_cycle, run_loop
from flows.running.steering import Steering
from orchestrator.attained import attained, attained_line
from orchestrator.domain.objective import Objective
from orchestrator.history import History
from orchestrator.summary import NONE_KEPT

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

    def shown(self) -> Shown:
        """Return what a view needs to know."""
        file, objective, space = self.plan.file, self.plan.objective, self.plan.space
        budget = file.spec.campaign.budget.experiments
        return Shown(
            file.name,
            objective,
            budget,
            self.report,
            lambda: progress_line(self.steps.history, objective, budget),
            space.present,
            space.units,
        )

    def conduct(self, frame: Frame, cycle: Cycle, leave: threading.Event) -> Ended:
        """Run the campaign's loop to its end and show how it ended; cycles are wrapped where the page can show so many."""
        wrapped = cycle if self.plan.file.spec.campaign.budget.experiments <= TASKS_UP_TO else plain_cycle

        def observe(history: History) -> None:
            frame.show(history)
            self.teller.tell(history, self.steps.waiting)
            give_back()

        ended = run_loop(self.steps, cycle=wrapped, observe=observe, leave=leave)
        frame.show(self.steps.refresh())
        return ended


Carrier = Callable[[Carried], Ended]
"""Carries a campaign on, and returns how its loop was left: from a terminal, or within a flow run that was started in the page."""


def progress_line(history: History, objective: Objective, budget: int) -> str:
    """Say in a line how far a campaign is."""
    runs = history.attempts()
    ended = sum(run.status.is_terminal for run in runs)
    said = attained_line(history, objective).replace("best ", "best objective ")
    none = f", {NONE_KEPT}" if objective.outcomes and history.accepted and attained(history, objective) is None else ""
    return f"{ended} of {budget} experiments ended, {said}{none}"
