"""One decision per request, the first one wins; nothing is carried out that nobody agreed to."""

import pytest

from flows.review.approvals import withdraw_approval
from flows.review.by_hand import check_beside_batch
from flows.running.run_loop import Interrupted
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, ProposalStatus, ReviewStatus, RunStatus
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.review import Person, Reason, ReviewRequest, Verdict, draw_codes
from orchestrator.errors import BadInput
from orchestrator.review import Quantities
from tests.flow.test_steps import SPACE
from tests.reviewing.scripted import Desk, answer, approve, in_turn, reject


def statuses(desk: Desk) -> list[str]:
    return [one.status for one in desk.history.newest()]


def test_approved_proposals_are_carried_out_under_the_persons_name() -> None:
    desk = Desk(in_turn(answer))
    assert desk.run().status is CampaignStatus.FINISHED
    assert [one.decided_by for one in desk.history.newest()] == ["person Ada"] * 2
    assert len(desk.box.requests) == 2
    assert [one.status for one in desk.history.requests.values()] == [ReviewStatus.DECIDED]
    assert desk.store.verify() == ()


def test_nothing_runs_while_nobody_answers() -> None:
    desk = Desk(lambda _desk, _request: None)
    with pytest.raises(Interrupted):
        desk.run()
    assert statuses(desk) == ["proposed"] * 2
    assert not desk.box.requests
    assert len(desk.history.open_requests) == 1


def test_the_request_is_in_the_ledger_with_its_page_before_anybody_is_asked() -> None:
    def look(desk: Desk, request: ReviewRequest) -> None:
        kept = desk.history.requests[request.request_id]
        assert kept.page_sha256 is not None
        assert '"proposals"' in desk.store.page(kept.page_sha256).text

    desk = Desk(look)
    with pytest.raises(Interrupted):
        desk.run()
    assert desk.asked


def test_a_restarted_campaign_asks_the_same_request_again_and_keeps_the_decision() -> None:
    desk = Desk(lambda _desk, _request: None)
    with pytest.raises(Interrupted):
        desk.run()
    (request,) = desk.history.open_requests
    desk.give(answer(request))  # with no campaign process alive
    again = Desk(lambda _desk, _request: pytest.fail("nobody is asked twice"), store=desk.store)
    assert again.run().status is CampaignStatus.FINISHED
    assert len(again.history.requests) == 1
    assert len(again.box.requests) == 2


def test_an_edit_is_a_new_revision_that_is_carried_out_instead() -> None:
    desk = Desk(in_turn(lambda request: answer(request, approve(request, 0, x=0.125), approve(request, 1))))
    desk.run()
    edited, other = desk.history.newest()
    assert (edited.revision, edited.configuration, edited.author, edited.decided_by) == (2, {"x": 0.125}, "Ada", "person Ada")
    assert edited.provenance.predicted == {}
    assert desk.history.proposals[(edited.proposal_id, 1)].status is ProposalStatus.PROPOSED, "an edit leaves revision 1 as it was"
    sent = [request.steps[0].arguments["x"] for request in desk.box.requests.values()]
    assert sent == [0.125, other.configuration["x"]]


def test_a_rejection_keeps_its_reason_and_gives_no_run() -> None:
    desk = Desk(in_turn(lambda request: answer(request, reject(request, 0, "smells"), approve(request, 1)), answer), general={"budget": 3})
    desk.run()
    first = desk.history.newest()[0]
    assert (first.status, first.reason, first.decided_by) == (ProposalStatus.REJECTED, "smells", "person Ada")
    assert first.proposal_id not in {run.proposal_id for run in desk.history.runs.values()}


@pytest.mark.parametrize(("x", "said"), [(1.5, "outside 0 to 1"), (0.9, "above 0.8")])
def test_an_illegal_edit_is_refused_with_the_reason_and_asked_again(x: float, said: str) -> None:
    desk = Desk(in_turn(lambda request: answer(request, approve(request, 0, x=x), approve(request, 1)), answer))
    desk.recipe.highest = 0.8
    desk.run()
    refused, taken = desk.answers[0], desk.answers[-1]
    assert desk.history.answers[refused.answer_id].status is AnswerStatus.REFUSED
    assert said in (desk.history.answers[refused.answer_id].reason or "")
    assert desk.history.answers[taken.answer_id].status is AnswerStatus.ACCEPTED
    first, second = desk.asked[:2]
    assert (second.request_id, second.attempt) == (first.request_id, first.attempt + 1)
    assert said in (second.complaint or "")
    assert all(float(one.configuration["x"]) <= 0.8 for one in desk.history.newest()), "nothing was coerced or carried out"


def test_an_edit_keeps_what_the_others_of_its_batch_have() -> None:
    space = SPACE.evolve(parameters=tuple(one.evolve(same_in_batch=True) for one in SPACE.parameters))
    desk = Desk(in_turn(lambda request: answer(request, reject(request, 0, "smells"), approve(request, 1)), answer), general={"budget": 3})
    desk.run()
    _, other, *_ = desk.history.newest()
    kept = float(other.configuration["x"])
    with pytest.raises(BadInput, match=r"x = 0\.5: expected .*, which all proposals of batch 1 have \(same_in_batch\)"):
        check_beside_batch(space, desk.history, other, {"x": 0.5})
    check_beside_batch(space, desk.history, other, {"x": kept})
    check_beside_batch(SPACE, desk.history, other, {"x": 0.5})
    alone = other.evolve(provenance=other.provenance.model_dump() | {"batch": 77})
    check_beside_batch(space, desk.history, alone, {"x": 0.5})


def test_the_first_answer_wins_and_the_second_is_kept_as_refused() -> None:
    def twice(desk: Desk, request: ReviewRequest) -> None:
        desk.give(answer(request, by="Ada"))
        desk.give(answer(request, reject(request, 0), reject(request, 1), by="Bob"))

    desk = Desk(twice)
    desk.run()
    assert [one.status for one in desk.answers] == [AnswerStatus.RECEIVED, AnswerStatus.REFUSED]
    assert "the first answer counts" in (desk.answers[1].reason or "")
    assert statuses(desk) == ["approved"] * 2


def test_a_late_answer_is_refused_and_changes_nothing() -> None:
    desk = Desk(in_turn(answer))
    desk.run()
    late = desk.give(answer(desk.asked[0], by="Bob"))
    assert late.status is AnswerStatus.REFUSED
    assert "decided already" in (late.reason or "")


def test_the_same_answer_read_twice_is_one_answer() -> None:
    def twice(desk: Desk, request: ReviewRequest) -> None:
        given = answer(request)
        assert desk.give(given) == desk.give(given)

    desk = Desk(twice)
    desk.run()
    assert desk.kinds().count("answer-received") == 1


def test_an_answer_to_other_content_is_stale() -> None:
    desk = Desk(in_turn(lambda request: answer(request, content_hash="0" * 64), answer))
    desk.run()
    assert "asks about" in (desk.answers[0].reason or "")
    assert desk.answers[0].status is AnswerStatus.REFUSED


def test_rows_that_were_removed_added_moved_or_renamed_are_noticed() -> None:
    def odd(request: ReviewRequest) -> list[tuple[Verdict, ...]]:
        one, two = approve(request, 0), approve(request, 1)
        return [(one,), (one, two, two), (two, one), (one.evolve(proposal_id="other"), two), (one.evolve(revision=7), two)]

    desk = Desk(in_turn(*[lambda request, index=index: answer(request, *odd(request)[index]) for index in range(5)], answer))
    desk.run()
    assert [one.status for one in desk.answers] == [AnswerStatus.REFUSED] * 5 + [AnswerStatus.RECEIVED]
    assert all("each once and in this order" in (one.reason or "") for one in desk.answers[:5])


def people(desk: Desk, *names: str) -> dict[str, list[str]]:
    sheets = {}
    for name in names:
        sheets[name] = list(draw_codes(8))
        desk.store.keep(Person(name=name).with_codes(tuple(sheets[name])), kind=EventKind.PERSON_ADDED, by="test", now=desk.clock.now())
    return sheets


def test_a_registered_person_needs_an_unused_code() -> None:
    def script(desk: Desk, request: ReviewRequest) -> None:
        for code in ("", "aaaaa-aaaaa", sheet["Ada"][request.number]):
            desk.codes["Ada"] = code
            desk.give(answer(request))

    desk = Desk(script, general={"budget": 4})
    sheet = people(desk, "Ada")
    assert desk.run().status is CampaignStatus.FINISHED
    assert [one.status for one in desk.answers] == ["refused", "refused", "received"] * 2
    assert len(desk.store.people()[0].codes) == 6, "two of eight codes are used and gone"


def test_a_used_code_a_revoked_person_and_a_stranger_are_refused() -> None:
    desk = Desk(lambda _desk, _request: None)
    sheet = people(desk, "Ada", "Bob")

    def script(desk: Desk, request: ReviewRequest) -> None:
        if request.number == 2:
            desk.codes["Ada"] = sheet["Ada"][0].upper()
            assert "not one of Ada's unused" in (desk.give(answer(request)).reason or "")
            bob = next(one for one in desk.store.people() if one.name == "Bob")
            desk.store.keep(bob.evolve(revoked=True), kind=EventKind.PERSON_REVOKED, by="test", now=desk.clock.now())
            desk.codes["Bob"] = sheet["Bob"][0]
            assert "was revoked" in (desk.give(answer(request, by="Bob")).reason or "")
            assert "unknown here" in (desk.give(answer(request, by="Eve")).reason or "")
            desk.codes["Ada"] = sheet["Ada"][1]
        else:
            desk.codes["Ada"] = f" {sheet['Ada'][0].upper()} "
        assert desk.give(answer(request)).status is AnswerStatus.RECEIVED

    desk.script = script
    desk.general = {"budget": 4}
    assert desk.run().status is CampaignStatus.FINISHED


def two_people(configuration: object) -> Quantities:
    return Quantities({}, (Reason(name="boiling", text="T near the boiling point", people=2, hazard=True),))


def test_a_hazard_needs_two_persons_who_sign_the_same_content() -> None:
    def script(desk: Desk, request: ReviewRequest) -> None:
        for name in ("Ada", "Bob"):
            desk.codes[name] = sheet[name].pop()
        judged = desk.give(answer(request, by="Ada"))
        if judged.status is AnswerStatus.REFUSED:
            assert "has signed" in (judged.reason or "")
            (again,) = desk.history.open_requests
            assert desk.give(answer(again, by="Bob")).status is AnswerStatus.RECEIVED

    desk = Desk(script, rules={"mode": "never"})
    desk.recipe.found = two_people
    sheet = people(desk, "Ada", "Bob")
    assert desk.run().status is CampaignStatus.FINISHED
    assert {one.decided_by for one in desk.history.newest()} == {"person Ada and Bob"}
    assert [one.status for one in desk.history.requests.values()] == [ReviewStatus.DECIDED] * 2, "one decision per request"


def test_an_edit_voids_earlier_signatures_and_its_author_cannot_be_the_only_signer() -> None:
    said: list[str | None] = []

    def script(desk: Desk, request: ReviewRequest) -> None:
        for name in ("Ada", "Bob"):
            desk.codes[name] = sheet[name].pop()
        if request.number == 1:
            desk.give(answer(request, by="Ada"))
        elif request.number == 2:
            desk.give(answer(request, approve(request, 0, x=0.25), by="Bob"))
        elif request.attempt == 1:
            said.append(desk.give(answer(request, by="Bob")).reason)
        else:
            desk.give(answer(request, by="Ada"))

    desk = Desk(script, general={"batch": 1, "budget": 1}, rules={"mode": "never"})
    desk.recipe.found = two_people
    sheet = people(desk, "Ada", "Bob")
    assert desk.run().status is CampaignStatus.FINISHED
    (edited,) = desk.history.newest()
    assert "has signed" in (said[0] or "")
    assert (edited.configuration, edited.decided_by) == ({"x": 0.25}, "person Bob and Ada")
    assert desk.history.proposals[(edited.proposal_id, 1)].signatures[0].content_hash != edited.content_hash


def test_two_signatures_are_impossible_where_nobody_is_registered() -> None:
    desk = Desk(in_turn(answer), rules={"mode": "never"})
    desk.recipe.found = two_people
    with pytest.raises(Interrupted):
        Desk.run(_bounded(desk))
    assert all("athanor people add" in (one.reason or "") for one in desk.answers)
    assert not desk.box.requests


def _bounded(desk: Desk) -> Desk:
    """Let people give up after a few refused answers."""
    script, left = desk.script, [3]

    def counted(own: Desk, request: ReviewRequest) -> object:
        left[0] -= 1
        return script(own, request) if left[0] >= 0 else None

    desk.script = counted  # type: ignore[assignment]  # the same shape
    return desk


@pytest.mark.parametrize(("on_deadline", "status"), [("skip", "expired"), ("approve", "approved")])
def test_a_deadline_decides_as_the_file_says(on_deadline: str, status: str) -> None:
    def sleep(desk: Desk, _request: ReviewRequest) -> None:
        desk.clock.seconds += 400

    desk = Desk(sleep, rules={"deadline": "10 min", "on_deadline": on_deadline}, patience=4)
    if on_deadline == "approve":
        desk.run()
    else:
        with pytest.raises(Interrupted):
            desk.run()
    first = desk.history.newest()[0]
    assert (first.status, first.decided_by) == (status, "deadline")
    assert desk.history.requests[desk.asked[0].request_id].status is ReviewStatus.EXPIRED
    late = desk.give(answer(desk.asked[0]))
    assert late.status is AnswerStatus.REFUSED


@pytest.mark.parametrize("on_deadline", ["hold", "approve"])
def test_a_deadline_that_holds_waits_for_a_person_and_a_hazard_always_holds(on_deadline: str) -> None:
    def late(desk: Desk, request: ReviewRequest) -> None:
        desk.clock.seconds += 400
        if request.overdue:
            for name in ("Ada", "Bob"):
                desk.codes[name] = sheet[name].pop()
            desk.give(answer(request, by="Ada" if request.number % 2 else "Bob"))

    desk = Desk(late, rules={"mode": "always", "deadline": 600, "on_deadline": on_deadline})
    sheet = people(desk, "Ada", "Bob")
    if on_deadline == "approve":
        desk.recipe.found = two_people
    assert desk.run().status is CampaignStatus.FINISHED
    assert "review-overdue" in desk.kinds()
    assert all((one.decided_by or "").startswith("person") for one in desk.history.newest())


def test_rules_approve_what_they_do_not_ask_about() -> None:
    rules = {"mode": "rules", "first": 1, "when": [{"name": "dear", "quantity": "cost", "above": 5}]}
    desk = Desk(in_turn(answer), general={"budget": 4, "batch": 4}, rules=rules)
    desk.recipe.found = lambda configuration: Quantities({"cost": 10.0 * float(configuration["x"])})
    desk.run()
    decided = {one.number: (one.decided_by, float(one.configuration["x"])) for one in desk.history.newest()}
    assert decided[1][0] == "person Ada"
    for number in (2, 3, 4):
        assert decided[number][0] == ("person Ada" if decided[number][1] > 0.5 else "rule review-rules")
    assert {by for by, _ in decided.values()} == {"person Ada", "rule review-rules"}


def test_a_quantity_that_nobody_knows_is_not_waved_through() -> None:
    desk = Desk(in_turn(answer), rules={"mode": "rules", "when": [{"name": "unsure", "quantity": "sd.y", "above": 1e9}]})
    desk.run()
    assert {one.decided_by for one in desk.history.newest()} == {"person Ada"}
    assert "sd.y is unknown" in desk.asked[0].asked[0].reasons[0].text


def test_approved_siblings_run_while_the_others_wait() -> None:
    rules = {"mode": "rules", "when": [{"name": "dear", "quantity": "cost", "above": 5}]}

    def wait_for_the_sibling(desk: Desk, request: ReviewRequest) -> object:
        done = [run for run in desk.history.runs.values() if run.ingested]
        return answer(request) if done else None

    desk = Desk(wait_for_the_sibling, general={"budget": 4, "batch": 4}, rules=rules)  # type: ignore[arg-type]
    desk.recipe.found = lambda configuration: Quantities({"cost": 10.0 * float(configuration["x"])})
    assert desk.run().status is CampaignStatus.FINISHED
    kinds = desk.kinds()
    assert kinds.index("ingested") < kinds.index("answer-received")


def test_a_withdrawn_approval_is_not_carried_out_and_the_one_who_writes_first_wins() -> None:
    desk = Desk(in_turn(answer))
    taken: list[int] = []
    refused: list[str] = []
    submit = desk.box.submit

    def meanwhile(request: object) -> object:
        if not taken:  # the first run is being handed over: its approval is out of reach, the second's is not
            history = desk.history
            for number in (1, 2):
                try:
                    taken.append(withdraw_approval(desk.store, history, number, by="Ada", reason="no", now=desk.clock.now()).number)
                except BadInput as error:
                    refused.append(str(error))
        return submit(request)  # type: ignore[arg-type]

    desk.box.submit = meanwhile  # type: ignore[assignment, method-assign]
    desk.run()
    assert taken == [2]
    assert "cannot be withdrawn any more" in refused[0]
    withdrawn = next(one for one in desk.history.newest() if one.number == 2)
    assert withdrawn.status is ProposalStatus.WITHDRAWN
    assert [run.status for run in desk.history.runs.values() if run.proposal_id == withdrawn.proposal_id] == [RunStatus.SUPERSEDED]
    carried = {request.run_key for request in desk.box.requests.values()}
    assert not carried & {run.run_key for run in desk.history.runs.values() if run.proposal_id == withdrawn.proposal_id}


def test_an_approval_lapses_when_what_it_bound_has_changed_and_is_asked_for_again() -> None:
    def change(desk: Desk, request: ReviewRequest) -> object:
        given = answer(request)
        if request.number == 1:
            desk.give(given)
            desk.recipe.binding = {"bench": "two"}
            return None
        return given

    desk = Desk(change)  # type: ignore[arg-type]
    assert desk.run().status is CampaignStatus.FINISHED
    assert {one.revision for one in desk.history.newest()} == {2}
    lapsed = [one for one in desk.history.proposals.values() if one.status is ProposalStatus.LAPSED]
    assert len(lapsed) == 2
    assert all("bench one -> two" in (one.reason or "") for one in lapsed)
    assert len(desk.box.requests) == 2


def test_an_approval_is_valid_for_a_while_only() -> None:
    desk = Desk(in_turn(answer), general={"batch": 1, "budget": 1}, rules={"valid_for": "1 h"})
    settle = desk.store.settle

    def slow(*given: object, **named: object) -> None:
        settle(*given, **named)  # type: ignore[arg-type]
        if desk.clock.seconds == 0:
            desk.clock.seconds = 4000

    desk.store.settle = slow  # type: ignore[method-assign]
    assert desk.run().status is CampaignStatus.FINISHED
    statuses = {one.revision: one.status for one in desk.history.proposals.values()}
    assert statuses == {1: ProposalStatus.LAPSED, 2: ProposalStatus.APPROVED}
    assert "valid for 3600 s" in next(one.reason or "" for one in desk.history.proposals.values() if one.revision == 1)


def test_open_requests_end_with_their_campaign() -> None:
    rules = {"mode": "rules", "when": [{"name": "dear", "quantity": "cost", "above": 5}]}
    desk = Desk(lambda _desk, _request: None, general={"budget": 8, "batch": 8, "goal": -1e9}, rules=rules)
    desk.recipe.found = lambda configuration: Quantities({"cost": 10.0 * float(configuration["x"])})
    assert desk.run().status is CampaignStatus.FINISHED
    assert {one.status for one in desk.history.requests.values()} == {ReviewStatus.CLOSED}


def test_who_suggested_a_proposal_cannot_be_its_only_signer() -> None:
    said: list[str | None] = []

    def script(desk: Desk, request: ReviewRequest) -> None:
        said.append(desk.give(answer(request, by="Ada", via="terminal")).reason)
        desk.give(answer(request, by="Bob", via="terminal"))

    desk = Desk(script, general={"batch": 1, "budget": 1})
    desk.prepare()
    mine = by_hand(desk, author="Ada", x=0.5)
    assert desk.run().status is CampaignStatus.FINISHED
    assert "wrote proposal 1" in (said[0] or "")
    kept = desk.history.proposals[(mine.proposal_id, 1)]
    assert (kept.decided_by, kept.author, kept.provenance.policy) == ("person Bob", "Ada", "person/1")
    assert [request.steps[0].arguments["x"] for request in desk.box.requests.values()] == [0.5], "it counts towards the budget"


def test_a_proposal_by_hand_is_approved_by_rule_where_nobody_is_asked() -> None:
    desk = Desk(lambda *_: None, general={"batch": 1, "budget": 2}, rules={"mode": "never"})
    desk.prepare()
    by_hand(desk, author="Ada", x=0.25)
    desk.run()
    assert [(one.number, one.author, one.decided_by) for one in desk.history.newest()] == [
        (1, "Ada", "rule review-never"),
        (2, None, "rule review-never"),
    ]


def by_hand(desk: Desk, *, author: str, x: float) -> Proposal:
    """Record a hand-made proposal, as `athanor suggest` does."""
    configuration = {"x": x}
    made = Proposal(
        proposal_id=uuid7(),
        campaign="c",
        number=1,
        configuration=configuration,
        steps=desk.recipe.expand(configuration),
        binding=dict(desk.recipe.binding),
        author=author,
        provenance=Provenance(policy="person/1", as_of=desk.history.seq, seed=0, batch=0),
    )
    desk.store.add_proposals([made], by=f"person {author}", now=desk.clock.now())
    return made
