"""The campaign: read the ledger, ask the loop, carry out what it says, repeat.

`run_loop` needs no Prefect. The flow wraps each cycle of it in one task; waits and polls are never tasks, and a server
that dies costs the view, never the campaign.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flows.running.actions import Steps
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.errors import BenchLatched, NeedsPerson
from orchestrator.history import History
from orchestrator.loop import (
    Action,
    Adapt,
    Deliver,
    Execute,
    Expire,
    GiveUp,
    Ingest,
    Propose,
    Reconcile,
    Review,
    Settle,
    Stop,
    Wait,
    Watch,
    next_actions,
)

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""Wall seconds of one long-poll: how soon a pause or an abort in the ledger is seen."""

_DOING: Final[Mapping[type[object], str]] = {
    Propose: "asking the policy for proposals",
    Review: "deciding proposals by rule, or putting them to people",
    Settle: "carrying out an answer",
    Execute: "handing an experiment to the bench",
    Deliver: "telling the bench what a person answered",
    Ingest: "recording results",
    Watch: "looking whether the bench drifts",
    Adapt: "learning from results",
}
"""What people are told while it lasts."""

Cycle = Callable[[int, Callable[[], None]], None]
"""Runs the work of a cycle, given its number: as a Prefect task, or plainly."""
Observer = Callable[[History], None]
"""Is shown the history after each cycle, and when a step begins or ceases to wait for a person."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the loop was left."""

    status: CampaignStatus
    reason: str


class Interrupted(NeedsPerson):
    """The campaign process was asked to leave; the ledger stays unfinished and the same command goes on."""


def plain_cycle(_number: int, work: Callable[[], None]) -> None:
    """Run a cycle's work without Prefect."""
    work()


def run_loop(steps: Steps, *, cycle: Cycle, observe: Observer, leave: threading.Event) -> Ended:
    """Carry a campaign on until it stops.

    Args:
        steps: Carries actions out.
        cycle: Wraps the work between two waits.
        observe: Is shown the history after each cycle.
        leave: Set by whoever wants the process to leave.

    Raises:
        Interrupted: `leave` was set.
    """
    try:
        return _turns(steps, cycle, observe, leave)
    except BenchLatched:  # the run in hand is fetched by its key when the bench works again
        steps.refresh()
        return _stop(steps, CampaignStatus.PAUSED, "stopped")
    finally:
        steps.setup.asker.close()


def _turns(steps: Steps, cycle: Cycle, observe: Observer, leave: threading.Event) -> Ended:
    number = 0
    while True:
        actions = _ask(steps)
        steps.put_to_people()
        if leave.is_set():
            raise Interrupted("interrupted: the bench finishes the run in hand; the same command goes on from there")
        if not isinstance(actions[0], Stop) and steps.stand_ins_answer():
            continue
        match actions[0]:
            case Stop(status, reason):
                ended = _stop(steps, status, reason)
                observe(steps.refresh())
                return ended
            case Reconcile():
                known = steps.waiting
                _watch(steps, actions)
                if steps.waiting != known:
                    observe(steps.history)
            case Wait():  # only people, a deadline, or a value that comes later can change anything now
                _rest(steps, leave)
            case _:
                number += 1
                cycle(number, lambda: _work(steps))
                observe(steps.history)


def _rest(steps: Steps, leave: threading.Event) -> None:
    started = time.perf_counter()
    leave.wait(POLL_SECONDS)
    steps.setup.timings.add("people", started)


def _ask(steps: Steps) -> tuple[Action, ...]:
    steps.refresh()
    steps.renew()
    setup = steps.setup
    now, left_alone = setup.clock.now(), [one.run.run_key for one in steps.waiting if one.may_be_left]
    given = (steps.history, now, setup.spec, setup.objective)
    return next_actions(*given, stop=setup.stop, watched=steps.watched, exhausted=steps.exhausted, left_alone=left_alone)


def _work(steps: Steps) -> None:
    """Carry out everything that is not waiting: one cycle."""
    while True:
        actions = _ask(steps)
        if isinstance(actions[0], Stop | Wait | Reconcile):
            return
        for action in actions:
            steps.doing = _DOING.get(type(action))
            try:
                _carry_out(steps, action)
            finally:
                steps.doing = None


def _carry_out(steps: Steps, action: Action) -> None:
    match action:
        case Propose():
            steps.propose(action)
        case Review():
            steps.review(action)
        case Settle():
            steps.carry_out_answer(action)
        case Expire():
            steps.expire(action)
        case Execute():
            steps.execute(action)
        case Deliver():
            steps.deliver(action)
        case Ingest():
            steps.ingest(action)
        case GiveUp():
            steps.give_up(action)
        case Watch():
            steps.watch(action)
        case Adapt():
            steps.adapt(action)
        case Reconcile():
            steps.reconcile(action, wait=0.0)
        case Wait() | Stop():
            return


def _watch(steps: Steps, actions: tuple[Action, ...]) -> None:
    """Wait for news of the runs in hand: the first is long-polled, the others are glanced at."""
    given = [action for action in actions if isinstance(action, Reconcile)]
    for index, action in enumerate(given):
        if steps.reconcile(action, wait=POLL_SECONDS if index == 0 else 0.0):
            return


def _stop(steps: Steps, status: CampaignStatus, reason: str) -> Ended:
    steps.close_campaign(status, reason)
    if status is CampaignStatus.ABORTED:
        steps.abort()
    return Ended(status, reason)
