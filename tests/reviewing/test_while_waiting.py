"""One proposal of a batch waits for people; the laboratory goes on with the others, and an abort ends it all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from orchestrator.domain.lifecycle import ProposalStatus, ReviewStatus, RunStatus
from tests.crash.campaigns import quick_campaign
from tests.crash.oracle import judge
from tests.faults.laboratory import CAMPAIGN, Laboratory, eventually
from tests.reviewing.prefects import Prefect, history, prefect_of, until_asked
from tests.serving.served import settled

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 50.0
BATCH: Final = 5
"""One is asked about; four siblings, so that an abort finds one of them in hand however long the command takes to start."""
FIRST_ASKED: Final = 'mode = "rules"\nfirst = 1'
ACTING: Final = ("oven", "pump_cd", "pump_se", "pump_l")
SAFE: Final = ("heater off", "stop command")


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    file = quick_campaign(tmp_path / "lab", budget=BATCH)
    text = file.read_text().replace(f"budget = {BATCH}", f"budget = {BATCH}\nbatch = {BATCH}")
    file.write_text(text.replace('mode = "never"', FIRST_ASKED))
    laboratory = Laboratory(file, file.parent / ".athanor-dry", RATE)
    yield laboratory
    laboratory.close()
    settled(laboratory.lab)


def runs(laboratory: Laboratory, number: int) -> list[RunStatus]:
    """Return how the runs of a proposal stand."""
    past = history(laboratory)
    return [run.status for run in past.attempts() if past.proposals[run.approval].number == number]


def test_while_a_request_waits_siblings_run_and_an_abort_ends_everything(laboratory: Laboratory) -> None:
    command = laboratory.dry_run(view="--view")
    until_asked(laboratory, command)
    with prefect_of(laboratory) as prefect:
        review = siblings_run(laboratory, prefect)
        said = laboratory.type("abort", "--by", "Ada", "--reason", "seen enough")
        assert (said.code, said.err) == (0, "")
        assert laboratory.ended(command).code == 0
        all_over(laboratory, prefect, review)
    assert settled(laboratory.lab) == []


def siblings_run(laboratory: Laboratory, prefect: Prefect) -> str:
    """See one sibling measured and the other one begun while the request is open; return the review run."""
    (request,) = history(laboratory).open_requests
    assert [one.number for one in request.asked] == [1]
    review = request.runs[-1].flow_run_id
    eventually(lambda: any(run.ingested for run in history(laboratory).attempts()), "a measurement")
    eventually(lambda: runs(laboratory, 3) == [RunStatus.RUNNING] and laboratory.is_heating(), "the second sibling")
    past = history(laboratory)
    assert [one.request_id for one in past.open_requests] == [request.request_id]
    assert runs(laboratory, 1) == []
    assert runs(laboratory, 2) == [RunStatus.COMPLETED]
    assert {one.decided_by for one in past.newest()} == {None, "rule review-rules"}
    assert min(past.campaign.adapted, len(past.accepted)) >= 1
    eventually(lambda: prefect.state(review) == "PAUSED", "a form")
    return review


def all_over(laboratory: Laboratory, prefect: Prefect, review: str) -> None:
    """Find the request, the review run and the experiment in hand ended, and the bench safe."""
    past = history(laboratory)
    (request,) = past.requests.values()
    assert request.status is ReviewStatus.CLOSED
    assert "seen enough" in (request.reason or "")
    assert (past.campaign.status, past.answers) == ("aborted", {})
    assert runs(laboratory, 1) == []
    siblings = [status for number in range(2, BATCH + 1) for status in runs(laboratory, number)]
    ended = siblings.index(RunStatus.ABORTED)
    assert siblings == [RunStatus.COMPLETED] * ended + [RunStatus.ABORTED] * (BATCH - 1 - ended)
    assert past.newest()[0].status is ProposalStatus.PROPOSED
    assert prefect.state(review) == "CANCELLED"
    assert not [state for _, state in prefect.states() if state in ("FAILED", "CRASHED", "RUNNING", "PAUSED")]
    heated = max(one["t"] for one in laboratory.truth("oven", "setpoint") if "target_degc" in one["values"])
    safe = [one["device"] for one in laboratory.truth(event="safe-state") if one["t"] > heated and one["values"]["cause"] in SAFE]
    assert set(safe) >= set(ACTING), safe
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()
