"""What people change is predicted anew: in the record, before the rules, and never at the cost of what a policy proposed."""

import pytest

from flows.running.run_loop import Ended
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.history import History, knowledge
from policies.bayesian import BayesianPolicy
from policies.random_search import RandomPolicy
from policies.settings import BayesianSettings
from tests.flow.test_steps import OBJECTIVE, SPACE
from tests.reviewing.scripted import Desk, answer, approve

DESIGN = 4
EDITED = 0.625
POLICY = BayesianPolicy(SPACE, OBJECTIVE, BayesianSettings(initial=DESIGN, restarts=2, raw_samples=64, mc_samples=32))
UNSURE = {"name": "unsure", "quantity": "sd.y", "above": 0.5}
SURE = {"name": "sure", "quantity": "sd.y", "below": 1e6}


def edits_the_first_informed_one(desk: Desk, request: ReviewRequest) -> Answer:
    """Approve the design, then give the first proposal with a prediction another value."""
    informed = request.asked[0].number == DESIGN + 1 and request.asked[0].revision == 1
    return answer(request, approve(request, 0, x=EDITED), approve(request, 1)) if informed else answer(request, by="Bob")


def desk_of(policy: BayesianPolicy | RandomPolicy = POLICY, **rules: object) -> Desk:
    return Desk(edits_the_first_informed_one, {"budget": 6}, rules, policy=policy)


def run(desk: Desk) -> Ended:
    ended = desk.run()
    assert desk.store.verify() == ()
    return ended


def edited(desk: Desk) -> tuple[Proposal, Proposal]:
    """Return what the policy proposed and what a person made of it."""
    newest = next(one for one in desk.history.newest() if one.number == DESIGN + 1)
    return desk.history.proposals[(newest.proposal_id, 1)], newest


def test_an_edited_revision_is_predicted_with_what_was_known_when_it_was_made() -> None:
    desk = desk_of()
    run(desk)
    before, after = edited(desk)
    assert after.configuration == {"x": EDITED}
    assert after.provenance.predicted["y"].mean == pytest.approx(EDITED, abs=0.2), "y is x on this bench"
    assert after.provenance.predicted != before.provenance.predicted
    known = after.provenance.predicted_as_of
    assert known is not None
    assert known > before.provenance.as_of
    then = knowledge(History.of(desk.store.changes_until("c", known)))
    assert POLICY.predict(then, [after.configuration]) == (after.provenance.predicted,)
    assert str(known) in after.provenance.details["why"]
    assert after.provenance.acquisition is None


def test_an_edit_leaves_what_the_policy_proposed_to_be_computed_again() -> None:
    desk = desk_of()
    run(desk)
    before, after = edited(desk)
    assert before.provenance.predicted_as_of is None
    assert (after.provenance.as_of, after.provenance.seed) == (before.provenance.as_of, before.provenance.seed)
    then = knowledge(History.of(desk.store.changes_until("c", before.provenance.as_of)))
    again = POLICY.propose(then, count=before.provenance.count, seed=before.provenance.seed)[before.provenance.position]
    assert again.configuration == before.configuration
    assert again.predicted == before.provenance.predicted


@pytest.mark.parametrize(("rule", "asked"), [(UNSURE, False), (SURE, True)])
def test_a_rule_on_the_predictions_spread_judges_what_a_person_changed(rule: dict[str, object], asked: bool) -> None:
    desk = desk_of(mode="rules", first=6, when=[rule])
    run(desk)
    _, after = edited(desk)
    of_edited = [one for request in desk.history.requests.values() for one in request.asked if one.revision == 2]
    assert bool(of_edited) is asked
    assert all("sd.y = " in reason.text for one in of_edited for reason in one.reasons if reason.name == rule["name"])
    assert (after.status, after.decided_by) == (ProposalStatus.APPROVED, "person Ada and Bob" if asked else "person Ada")


def test_where_there_is_no_model_an_edit_has_no_prediction_and_a_rule_says_that_it_is_unknown() -> None:
    desk = desk_of(RandomPolicy(SPACE), mode="rules", first=6, when=[UNSURE])
    run(desk)
    _, after = edited(desk)
    assert after.provenance.predicted == {}
    assert after.provenance.predicted_as_of is None
    (again,) = [one for request in desk.history.requests.values() for one in request.asked if one.revision == 2]
    assert "sd.y is unknown; the rule asks when it is above 0.5" in [reason.text for reason in again.reasons]
