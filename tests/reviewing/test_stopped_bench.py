"""Approvals of before do not hold for a bench that was stopped since."""

from pathlib import Path

import pytest

from flows.cli.steering_commands import resume
from flows.plans.lab import make_lab
from flows.running import operations
from flows.running.run_loop import Ended
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.reviewing.scripted import Desk, answer, in_turn


def stopped(tmp_path: Path) -> tuple[Path, Desk]:
    """Approve two proposals on a bench that is stopped before either is begun."""
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    desk = Desk(in_turn(answer), store=SqlStore.open(lab.ledger))
    desk.box.latched = True
    assert desk.run() == Ended(CampaignStatus.PAUSED, "stopped")
    return lab.path, desk


@pytest.mark.parametrize("was_latched", [True, False])
def test_what_was_approved_before_a_stop_is_asked_again_with_that_reason(
    tmp_path: Path, was_latched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, desk = stopped(tmp_path)
    before = [one for one in desk.history.runs.values() if one.status == "queued"]
    monkeypatch.setattr(operations, "unlatch", lambda *_, **__: was_latched)
    resume(None, lab=lab, by="Bob", reason="hood is fixed")
    desk.box.latched = False
    again = Desk(in_turn(lambda request: answer(request, by="Cleo")), store=desk.store)
    assert again.run().status is CampaignStatus.FINISHED
    lapsed = [one for one in again.history.proposals.values() if one.status is ProposalStatus.LAPSED]
    assert len(lapsed) == (len(before) if was_latched else 0)
    assert before, "something waited"
    for one in lapsed:
        assert one.reason == "the bench was stopped since, and released by Bob: hood is fixed"
        successor = again.history.proposals[(one.proposal_id, 2)]
        assert (successor.content_hash, successor.decided_by) == (one.content_hash, "person Cleo")
    reasons = [reason.text for request in again.asked for asked in request.asked for reason in asked.reasons]
    assert sum("asked again: the bench was stopped since" in text for text in reasons) == len(lapsed)
    assert desk.store.verify() == ()
    desk.store.close()


def test_a_running_campaign_on_a_working_bench_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, desk = stopped(tmp_path)
    monkeypatch.setattr(operations, "unlatch", lambda *_, **__: True)
    resume(None, lab=lab, by="Bob", reason="fixed")
    monkeypatch.setattr(operations, "unlatch", lambda *_, **__: False)
    with pytest.raises(BadInput, match="not paused"):
        resume(None, lab=lab, by="Bob", reason="fixed")
    desk.store.close()


def test_a_bench_is_released_after_a_campaigns_end_which_stays_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    desk = Desk(in_turn(answer), store=SqlStore.open(lab.ledger))
    assert desk.run().status is CampaignStatus.FINISHED
    monkeypatch.setattr(operations, "unlatch", lambda *_, **__: True)
    resume(None, lab=lab.path, by="Bob", reason="hood is fixed")
    assert capsys.readouterr().out == f"the bench is unlatched; campaign {desk.history.campaign.name} stays finished\n"
    desk.store.close()
