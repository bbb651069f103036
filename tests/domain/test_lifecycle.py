"""Only the steps that the tables list are legal."""

from collections.abc import Mapping
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.lifecycle import (
    CAMPAIGN_STEPS,
    MEASUREMENT_STEPS,
    PROPOSAL_STEPS,
    RUN_STEPS,
    STEP_STEPS,
    CampaignStatus,
    MeasurementStatus,
    ProposalStatus,
    RunStatus,
    StepStatus,
    advance,
)
from orchestrator.errors import Fault

TABLES: list[Mapping[StrEnum, frozenset[StrEnum]]] = [
    {old: frozenset(new) for old, new in table.items()}
    for table in (PROPOSAL_STEPS, RUN_STEPS, STEP_STEPS, MEASUREMENT_STEPS, CAMPAIGN_STEPS)
]
STATUSES: list[type[StrEnum]] = [ProposalStatus, RunStatus, StepStatus, MeasurementStatus, CampaignStatus]


@pytest.mark.parametrize(("table", "statuses"), list(zip(TABLES, STATUSES, strict=True)))
def test_advance_allows_what_the_table_lists_and_nothing_else(table: Mapping[StrEnum, frozenset[StrEnum]], statuses: type[StrEnum]) -> None:
    for old in statuses:
        for new in statuses:
            if new in table.get(old, frozenset()):
                assert advance(table, old, new, what="x") is new
            else:
                with pytest.raises(Fault, match=f"x: {old} cannot become {new}; legal: "):
                    advance(table, old, new, what="x")


@pytest.mark.parametrize(("table", "statuses"), list(zip(TABLES, STATUSES, strict=True)))
def test_every_status_can_be_reached_from_the_first(table: Mapping[StrEnum, frozenset[StrEnum]], statuses: type[StrEnum]) -> None:
    first = next(iter(statuses))
    reached, frontier = {first}, [first]
    while frontier:
        news = table.get(frontier.pop(), frozenset()) - reached
        reached |= news
        frontier += news
    assert reached == set(statuses)


def test_an_ended_run_never_changes_and_says_so() -> None:
    with pytest.raises(Fault, match="it has ended"):
        advance(RUN_STEPS, RunStatus.COMPLETED, RunStatus.RUNNING, what="run r1")


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_run_is_open_or_ended_or_unknown(status: RunStatus) -> None:
    assert [status.is_open, status.is_terminal, status is RunStatus.UNKNOWN].count(True) == 1
    assert status.is_terminal == (status not in RUN_STEPS)


def test_a_running_run_is_never_queued_again() -> None:
    assert RunStatus.QUEUED not in {new for news in RUN_STEPS.values() for new in news}
    assert RunStatus.SUPERSEDED not in RUN_STEPS[RunStatus.RUNNING]


@given(steps=st.lists(st.sampled_from(list(MeasurementStatus)), max_size=6))
def test_a_retracted_measurement_stays_retracted(steps: list[MeasurementStatus]) -> None:
    status = MeasurementStatus.RETRACTED
    for new in steps:
        with pytest.raises(Fault):
            status = advance(MEASUREMENT_STEPS, status, new, what="m")
    assert status is MeasurementStatus.RETRACTED
