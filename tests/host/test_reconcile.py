import math
from typing import Literal

import pytest

from instruments.drivers.protocol import StepVerdict
from instruments.host.journal_records import JournalRun, JournalStep
from instruments.host.reconcile import Next, decide_step, interruption, not_executed_evidence
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.records import RunRequest, Step

INTENT, SENT, ACKED = StepStatus.INTENT, StepStatus.SENT, StepStatus.ACKNOWLEDGED


@pytest.mark.parametrize("kind", [StepKind.DOSING, StepKind.PROGRAM])
@pytest.mark.parametrize(
    ("status", "verdict", "go_on", "give_up"),
    [
        (INTENT, StepVerdict.FINISHED, Next.ADOPT, Next.ADOPT),
        (SENT, StepVerdict.FINISHED, Next.ADOPT, Next.ADOPT),
        (ACKED, StepVerdict.FINISHED, Next.ADOPT, Next.ADOPT),
        (INTENT, StepVerdict.RUNNING, Next.ATTACH, Next.GIVE_UP),
        (ACKED, StepVerdict.RUNNING, Next.ATTACH, Next.GIVE_UP),
        (INTENT, StepVerdict.NOT_EXECUTED, Next.REPEAT, Next.GIVE_UP),
        (SENT, StepVerdict.NOT_EXECUTED, Next.REPEAT, Next.GIVE_UP),
        (ACKED, StepVerdict.NOT_EXECUTED, Next.ASK, Next.ASK),  # it was acknowledged: the device contradicts itself
        (INTENT, StepVerdict.UNDECIDABLE, Next.ASK, Next.ASK),
        (ACKED, StepVerdict.UNDECIDABLE, Next.ASK, Next.ASK),
        (INTENT, None, Next.ASK, Next.ASK),
    ],
)
def test_what_may_happen_only_once_is_decided_by_evidence(
    kind: StepKind, status: StepStatus, verdict: StepVerdict | None, go_on: Next, give_up: Next
) -> None:
    assert decide_step(kind, status, verdict, may_go_on=True) is go_on
    assert decide_step(kind, status, verdict, may_go_on=False) is give_up


@pytest.mark.parametrize(
    ("kind", "status", "go_on"),
    [
        (StepKind.STATE_SETTING, INTENT, Next.REPEAT),
        (StepKind.STATE_SETTING, SENT, Next.REPEAT),
        (StepKind.STATE_SETTING, ACKED, Next.ATTACH),
        (StepKind.READ, INTENT, Next.REPEAT),
        (StepKind.WAIT, INTENT, Next.ATTACH),
    ],
)
def test_what_may_be_repeated_is_repeated_unless_the_gap_was_too_long(kind: StepKind, status: StepStatus, go_on: Next) -> None:
    assert decide_step(kind, status, None, may_go_on=True) is go_on
    assert decide_step(kind, status, None, may_go_on=False) is Next.GIVE_UP


Rule = Literal["abort", "continue"] | float


def a_run(*steps: tuple[StepKind, StepStatus, Rule]) -> JournalRun:
    known = tuple(
        JournalStep(Step(index=n, do="a.b", kind=kind, interrupted=rule), status, None, {}, {}, None, None)
        for n, (kind, status, rule) in enumerate(steps)
    )
    request = RunRequest("k", "r", 1, "c", 1, "ab", tuple(one.step for one in known))
    return JournalRun(request, RunStatus.RUNNING, None, {}, 1, 0.0, None, None, known)


DONE, PLANNED = StepStatus.DONE, StepStatus.PLANNED
SET, DOSE, WAIT = StepKind.STATE_SETTING, StepKind.DOSING, StepKind.WAIT


@pytest.mark.parametrize(
    ("steps", "gap", "goes_on"),
    [
        ([(SET, PLANNED, "abort")], math.inf, True),
        ([(SET, INTENT, "abort")], 0.1, False),
        ([(SET, INTENT, "continue")], math.inf, True),
        ([(SET, INTENT, 60.0)], 59.0, True),
        ([(SET, INTENT, 60.0)], 61.0, False),
        ([(DOSE, ACKED, 30.0), (WAIT, INTENT, "continue")], 31.0, False),  # the strictest of those in hand
        ([(SET, DONE, 60.0), (DOSE, PLANNED, "abort")], 30.0, True),  # between two steps: the finished one
        ([(SET, DONE, "abort"), (DOSE, PLANNED, "continue")], 1.0, False),
        ([(SET, DONE, "abort")], math.inf, True),
    ],
)
def test_an_interruption_is_judged_by_the_steps_in_hand(
    steps: list[tuple[StepKind, StepStatus, Rule]], gap: float, *, goes_on: bool
) -> None:
    assert interruption(a_run(*steps), gap).may_go_on is goes_on


def test_the_reason_names_gap_step_and_rule() -> None:
    judged = interruption(a_run((SET, DONE, "continue"), (WAIT, INTENT, 60.0)), 75.2)
    assert judged.reason == "interrupted: 75 lab s without a host at step 1 a.b; at most 60 allowed"


@pytest.mark.parametrize(
    ("steps", "proven"),
    [
        ([(SET, DONE, "abort"), (DOSE, PLANNED, "abort")], True),
        ([(SET, DONE, "abort"), (DOSE, StepStatus.SKIPPED, "abort")], True),
        ([(DOSE, INTENT, "abort")], False),
        ([(DOSE, DONE, "abort"), (DOSE, PLANNED, "abort")], False),
        ([(DOSE, StepStatus.UNKNOWN, "abort")], False),
    ],
)
def test_not_executed_is_claimed_only_when_nothing_can_have_happened(
    steps: list[tuple[StepKind, StepStatus, Rule]], *, proven: bool
) -> None:
    assert bool(not_executed_evidence(a_run(*steps))) is proven
