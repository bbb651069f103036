"""What every Store does with reviews; each implementation runs all of it."""

from collections.abc import Iterator

import pytest

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, ProposalStatus, RestrictionStatus, ReviewStatus, RunStatus
from orchestrator.domain.review import Person, ReviewRun, draw_codes
from orchestrator.errors import BadInput, Fault, StoreError
from orchestrator.ports import Store
from orchestrator.review import asked_again, decided
from tests.store.cases import (
    BY,
    CAMPAIGN,
    answer_to,
    approved,
    at,
    begin,
    proposal,
    queued,
    request_for,
    restriction,
    tell_approval,
    tell_request,
)
from tests.store.conformance import Ledgers


class ReviewConformance:
    """Inherit and give the fixture `ledgers`."""

    @pytest.fixture
    def store(self, ledgers: Ledgers) -> Iterator[Store]:
        store = ledgers.open()
        begin(store)
        yield store
        assert store.verify() == (), "whatever a store was asked to do, it stays sound"
        store.close()

    def test_a_request_and_its_page_are_there_again(self, store: Store, ledgers: Ledgers) -> None:
        _, request, page = tell_request(store)
        other = ledgers.open()
        assert other.changes(CAMPAIGN).requests == (request,)
        assert other.page(page.sha256) == page
        assert other.changes_until(CAMPAIGN, other.head()[0]).requests == (request,)
        other.close()

    def test_a_request_about_decided_or_other_content_is_refused(self, store: Store) -> None:
        told = tell_approval(store)
        request, page = request_for(told.proposal)
        with pytest.raises(StoreError, match="status of proposal"):
            store.open_request(request, page, by=BY, now=at(4))
        store.add_proposals([proposal(2)], by=BY, now=at(4))
        request, page = request_for(proposal(2, temperature=99.0), 2)
        with pytest.raises(StoreError, match="content of proposal"):
            store.open_request(request, page, by=BY, now=at(5))

    def test_an_unknown_page_or_request_is_bad_input(self, store: Store) -> None:
        with pytest.raises(BadInput, match="no decision page"):
            store.page("0" * 64)
        request, _ = request_for(proposal())
        with pytest.raises(BadInput, match="no review request"):
            store.answer(answer_to(request), code=None, now=at(3))

    def test_of_two_processes_that_answer_one_is_received(self, store: Store, ledgers: Ledgers) -> None:
        _, request, _ = tell_request(store)
        other = ledgers.open()
        first = store.answer(answer_to(request, "a1"), code=None, now=at(4))
        second = other.answer(answer_to(request, "a2", by="Bob"), code=None, now=at(4))
        assert (first.status, second.status) == (AnswerStatus.RECEIVED, AnswerStatus.REFUSED)
        assert store.changes(CAMPAIGN).requests[0].answer_id == "a1"
        other.close()

    def test_an_answer_settles_request_proposal_and_runs_at_once(self, store: Store) -> None:
        asked, request, _ = tell_request(store)
        answer = store.answer(answer_to(request), code=None, now=at(4))
        closed, accepted = decided(store.changes(CAMPAIGN).requests[0], answer)
        store.settle(closed, accepted, [approved(asked)], [queued(asked)], by="person Ada", now=at(5))
        changes = store.changes(CAMPAIGN)
        assert (changes.requests, changes.answers) == ((closed,), (accepted,))
        assert (changes.proposals, changes.runs) == ((approved(asked),), (queued(asked),))
        with pytest.raises(StoreError, match="status of review_request"):
            store.settle(closed, None, (), (), by=BY, now=at(6))

    def test_a_settlement_that_is_not_legal_changes_nothing(self, store: Store) -> None:
        asked, request, _ = tell_request(store)
        answer = store.answer(answer_to(request), code=None, now=at(4))
        closed, accepted = decided(store.changes(CAMPAIGN).requests[0], answer)
        head = store.head()
        with pytest.raises(StoreError, match="belongs to no proposal"):
            store.settle(closed, accepted, [approved(asked)], [queued(proposal(7))], by=BY, now=at(5))
        with pytest.raises(StoreError, match="answered meanwhile"):
            store.settle(closed.evolve(status=ReviewStatus.EXPIRED), None, (), (), by=BY, now=at(5))
        assert store.head() == head

    def test_a_refused_answer_leaves_the_request_open(self, store: Store) -> None:
        _, request, _ = tell_request(store)
        answer = store.answer(answer_to(request), code=None, now=at(4))
        again = asked_again(store.changes(CAMPAIGN).requests[0], "too hot")
        store.settle(again, answer.evolve(status=AnswerStatus.REFUSED, reason="too hot"), (), (), by=BY, now=at(5))
        (kept,) = store.changes(CAMPAIGN).requests
        assert (kept.status, kept.attempt, kept.complaint, kept.answer_id) == (ReviewStatus.OPEN, 2, "too hot", None)
        assert store.answer(answer_to(request, "a2"), code=None, now=at(6)).status is AnswerStatus.RECEIVED

    def test_what_others_wrote_to_a_request_meanwhile_stays(self, store: Store) -> None:
        _, request, _ = tell_request(store)
        store.answer(answer_to(request), code=None, now=at(4))
        run = ReviewRun(flow_run_id="f1", key="k1")
        store.update_request(request.evolve(runs=[run.model_dump()]), kind=EventKind.REVIEW_RUN, by=BY, now=at(5))
        store.update_request(request, kind=EventKind.REVIEW_RUN, by=BY, now=at(6))
        (kept,) = store.changes(CAMPAIGN).requests
        assert (kept.answer_id, kept.runs) == ("a1", (run,))
        assert [event.kind for event in store.events()][-1] == "review-run", "what changes nothing is no event"

    def test_a_code_works_once_and_is_never_kept(self, store: Store) -> None:
        (code,) = draw_codes(1)
        store.keep(Person(name="Ada").with_codes((code,)), kind=EventKind.PERSON_ADDED, by=BY, now=at(2))
        _, request, _ = tell_request(store)
        assert store.answer(answer_to(request, "a1"), code=code, now=at(4)).status is AnswerStatus.RECEIVED
        _, second, _ = tell_request(store, 2)
        assert store.answer(answer_to(second, "a2"), code=code, now=at(5)).status is AnswerStatus.REFUSED
        assert store.people()[0].codes == ()
        assert not any(code in str(event.payload) or code.replace("-", "") in str(event.payload) for event in store.events())

    def test_only_runs_that_still_wait_are_taken_back(self, store: Store) -> None:
        told = tell_approval(store)
        ended = told.proposal.evolve(status=ProposalStatus.LAPSED, reason="changed")
        superseded = told.run.evolve(status=RunStatus.SUPERSEDED, evidence={"not_executed": "never dispatched"})
        successor = proposal(revision=2)
        store.take_back(ended, [superseded], successor, by=BY, now=at(5), reason="changed")
        changes = store.changes(CAMPAIGN)
        assert (changes.runs, changes.proposals) == ((superseded,), (ended, successor))
        with pytest.raises(Fault):
            store.update_run(told.run.evolve(status=RunStatus.DISPATCHED), kind=EventKind.DISPATCHED, by=BY, now=at(6))

    def test_a_dispatched_run_cannot_be_taken_back(self, store: Store) -> None:
        told = tell_approval(store)
        store.update_run(told.run.evolve(status=RunStatus.DISPATCHED), kind=EventKind.DISPATCHED, by=BY, now=at(4))
        ended = told.proposal.evolve(status=ProposalStatus.WITHDRAWN)
        for runs in ((), (told.run.evolve(status=RunStatus.SUPERSEDED),)):
            with pytest.raises(StoreError, match=r"waiting runs|no run that still waits"):
                store.take_back(ended, runs, None, by="person Ada", now=at(5), reason="no")

    def test_a_taken_number_becomes_the_next_free_one(self, store: Store) -> None:
        store.add_proposals([proposal(1)], by=BY, now=at(2))
        store.add_proposals([proposal(1).evolve(proposal_id="other", author="Ada")], by="person Ada", now=at(3))
        assert [one.number for one in store.changes(CAMPAIGN).proposals] == [1, 2]

    def test_restrictions_are_numbered_lifted_once_and_known_as_of_then(self, store: Store, ledgers: Ledgers) -> None:
        first, second = (store.restrict(restriction(name), by=BY, now=at(4)) for name in ("r1", "r2"))
        assert (first.number, second.number) == (1, 2)
        before, _ = store.head()
        lifted = store.restrict(first.evolve(status=RestrictionStatus.LIFTED, lifted="mended"), by=BY, now=at(5))
        other = ledgers.open()
        assert {one.restriction_id: one for one in other.changes(CAMPAIGN).restrictions} == {"r1": lifted, "r2": second}
        assert other.changes_until(CAMPAIGN, before).restrictions == (first, second)
        other.close()
        with pytest.raises(Fault, match=r"restriction 1 .* lifted cannot become"):
            store.restrict(lifted.evolve(status=RestrictionStatus.ACTIVE), by=BY, now=at(6))
        with pytest.raises(StoreError, match="content of restriction"):
            store.restrict(second.evolve(status=RestrictionStatus.LIFTED, author="Bob"), by=BY, now=at(6))

    def test_a_campaign_that_has_ended_is_not_restricted(self, store: Store) -> None:
        running = store.changes(CAMPAIGN).campaign
        for status in (CampaignStatus.RUNNING, CampaignStatus.FINISHED):
            if running.status is not status:
                store.update_campaign(running.evolve(status=status, reason="budget spent"), kind=EventKind(status), by=BY, now=at(4))
        with pytest.raises(BadInput, match=r"has ended: finished \(budget spent\)"):
            store.restrict(restriction("r1"), by=BY, now=at(5))
        assert store.changes(CAMPAIGN).restrictions == ()
