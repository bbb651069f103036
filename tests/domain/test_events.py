from pathlib import Path

from orchestrator.domain.events import BY_DEADLINE, Actor, EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, MeasurementStatus, ProposalStatus, ReviewStatus, RunStatus

PACKAGES = ("orchestrator", "flows")
OF_STATUSES = {
    *(status for status in ProposalStatus if status is not ProposalStatus.PROPOSED),
    *MeasurementStatus,
    *(status for status in CampaignStatus if status is not CampaignStatus.DRAFT),
    *(status for status in RunStatus if status not in (RunStatus.FAILED, RunStatus.INFEASIBLE)),
    *(f"review-{status}" for status in ReviewStatus),
    *(f"answer-{status}" for status in AnswerStatus if status is not AnswerStatus.ACCEPTED),
    *(f"work-{status}" for status in AnswerStatus),
    "restriction-lifted",
}
"""Kinds that are named after the status that the event brings; failed and infeasible runs are ingested."""


def test_every_status_that_an_event_is_named_after_is_a_kind_of_event() -> None:
    assert set(EventKind) >= OF_STATUSES


def test_every_kind_of_event_is_written_somewhere() -> None:
    root = Path(__file__).parents[2]
    sources = "\n".join(path.read_text() for package in PACKAGES for path in (root / package).rglob("*.py"))
    assert [kind.name for kind in EventKind if kind not in OF_STATUSES and f"EventKind.{kind.name}" not in sources] == []


def test_an_actor_is_written_as_ever_and_gives_back_the_name() -> None:
    assert Actor.person("Ada") == "person Ada"
    assert Actor.person("Ada", "Bo Li", "Ada") == "person Ada and Bo Li"
    assert Actor("person Bo Li").name == "Bo Li"
    assert Actor.rule("review-never").name == "review-never"
    assert BY_DEADLINE.name == str(BY_DEADLINE) == "deadline"
