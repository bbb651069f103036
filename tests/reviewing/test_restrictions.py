"""What people take out of the search stays out, for as long as they said, and is no outcome of anything."""

from typing import Any

import pytest

from flows.running.run_loop import Interrupted, plain_cycle, run_loop
from orchestrator.domain.distance import distance
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, RestrictionStatus
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import NeedsPerson
from orchestrator.history import History, knowledge
from policies.random_search import RandomPolicy
from tests.flow.test_steps import SPACE
from tests.reviewing.scripted import Desk, answer, approve, in_turn, reject


def refused_first(**rules: Any) -> Desk:
    """Refuse the first proposal, approve all others, one at a time."""
    desk = Desk(in_turn(lambda request: answer(request, reject(request, 0, "smells")), answer), {"budget": 40, "batch": 1}, rules=rules)
    desk.run()
    return desk


def near(desk: Desk, radius: float) -> list[int]:
    """Return the batches of later proposals within a radius of the first, which was refused."""
    first, *later = desk.history.newest()
    return [one.provenance.batch for one in later if distance(SPACE, one.configuration, first.configuration) < radius]


def test_a_refusal_keeps_the_search_away_for_so_many_batches_and_is_no_result() -> None:
    without = near(refused_first(refusal_batches=0), 0.1)
    assert [batch for batch in without if batch <= 21], "this draw would come back soon"
    desk = refused_first(refusal_radius=0.1, refusal_batches=20)
    (kept,) = desk.history.restrictions.values()
    assert (kept.number, kept.author, kept.radius, kept.last_batch) == (1, "Ada", 0.1, 21)
    assert "smells" in (kept.reason or "")
    back = near(desk, 0.1)
    assert back, "it may be proposed again later"
    assert min(back) > 21
    assert knowledge(desk.history).infeasible == ()
    assert desk.store.verify() == ()


def test_what_is_edited_is_not_avoided() -> None:
    desk = Desk(in_turn(lambda request: answer(request, approve(request, 0, x=0.125), approve(request, 1))))
    desk.run()
    assert not desk.history.restrictions


def test_what_a_deadline_skips_is_not_avoided() -> None:
    def ignore(desk: Desk, _request: ReviewRequest) -> None:
        desk.clock.seconds += 100.0

    desk = Desk(ignore, {"budget": 4}, {"deadline": 60, "on_deadline": "skip"})
    with pytest.raises(Interrupted):
        desk.run()
    assert "expired" in {one.status for one in desk.history.newest()}
    assert not desk.history.restrictions


def constrained(desk: Desk, low: float, high: float, **more: Any) -> Restriction:
    """Have a person narrow x."""
    made = Restriction(restriction_id=uuid7(), campaign="c", author="Bob", columns={"x": Allowed(min=low, max=high)}, **more)
    return desk.store.restrict(made, by="person Bob", now=desk.clock.now())


def test_a_restriction_in_mid_campaign_binds_from_the_next_batch_until_it_is_lifted() -> None:
    desk = Desk(in_turn(answer), {"budget": 30, "batch": 1})
    seen: dict[str, Restriction] = {}

    def observe(history: History) -> None:
        if history.last_batch == 10 and not seen:
            seen["kept"] = constrained(desk, 0.5, 0.5)
        if history.last_batch == 20 and seen["kept"].status is RestrictionStatus.ACTIVE:
            seen["kept"] = desk.store.restrict(seen["kept"].evolve(status="lifted"), by="person Bob", now=desk.clock.now())

    desk.prepare()
    run_loop(desk.steps, cycle=plain_cycle, observe=observe, leave=desk.leave)
    values = [float(one.configuration["x"]) for one in desk.history.newest()]
    assert values[10:20] == [0.5] * 10
    assert 0.5 not in values[:10] + values[20:]


def test_a_proposal_under_restrictions_is_computed_again_from_what_was_known_then() -> None:
    desk = Desk(in_turn(answer), {"budget": 6, "batch": 1})
    desk.prepare()
    kept = constrained(desk, 0.25, 0.5)

    def observe(history: History) -> None:
        if history.last_batch == 3 and history.restrictions[kept.restriction_id].status is RestrictionStatus.ACTIVE:
            desk.store.restrict(kept.evolve(status="lifted"), by="person Bob", now=desk.clock.now())

    run_loop(desk.steps, cycle=plain_cycle, observe=observe, leave=desk.leave)
    for one in desk.history.newest():
        then = History.of(desk.store.changes_until("c", one.provenance.as_of))
        assert [each.number for each in knowledge(then).restrictions] == ([1] if one.provenance.batch <= 3 else [])
        (again,) = RandomPolicy(SPACE).propose(knowledge(then), count=1, seed=one.provenance.seed)
        assert again.configuration == one.configuration


def test_an_edit_outside_a_restricted_column_is_refused_and_asked_again() -> None:
    desk = Desk(in_turn(lambda request: answer(request, approve(request, 0, x=0.75), approve(request, 1)), answer))
    desk.prepare()
    constrained(desk, 0.25, 0.5)
    assert desk.run().status is CampaignStatus.FINISHED
    refused = desk.history.answers[desk.answers[0].answer_id]
    assert refused.status is AnswerStatus.REFUSED
    assert "x = 0.75 is outside restriction 1 (x = 0.25..0.5, by Bob)" in (refused.reason or "")


def test_restrictions_that_leave_nothing_stop_the_campaign_with_their_numbers_and_lifting_one_goes_on() -> None:
    desk = Desk(in_turn(answer))
    desk.prepare()
    low, _ = constrained(desk, 0.0, 0.25), constrained(desk, 0.5, 1.0)
    with pytest.raises(NeedsPerson, match=r"restrictions 1, 2.*athanor constrain --lift"):
        desk.run()
    desk.store.restrict(low.evolve(status="lifted"), by="person Bob", now=desk.clock.now())
    assert desk.run().status is CampaignStatus.FINISHED
    assert all(0.5 <= float(one.configuration["x"]) <= 1.0 for one in desk.history.newest())
