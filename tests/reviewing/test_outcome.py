"""What became of an answer is said where people look: in the review run's name and last state, and in the terminal."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli.dialogue import said
from flows.cli.review import list_requests
from flows.cli.review_commands import review_show
from flows.plans.lab import make_lab
from flows.review import rendering
from flows.review.outcome import NAME_LENGTH, Ending, asking, ending, notice
from flows.running.run_loop import Interrupted
from orchestrator.domain.lifecycle import ReviewStatus
from orchestrator.domain.review import Answer, ReviewRequest, ReviewRun
from orchestrator.store.sql import SqlStore
from tests.reviewing.scripted import CAMPAIGN_FILE, Desk, HandClock, answer, approve, in_turn, reject
from tests.reviewing.test_decisions import people, two_people

RUN = "run"


def in_page(request: ReviewRequest, given: Answer) -> Answer:
    """Return an answer as if it had come from the request's newest form."""
    return given.evolve(answer_id=f"{RUN}/{request.request_id}-a{request.attempt}")


def run_of(desk: Desk, request: ReviewRequest, attempt: int = 1) -> Ending:
    """Say how the form of an attempt at a request is shown now."""
    known = ReviewRun(flow_run_id=RUN, key=f"{request.request_id}-a{attempt}")
    now = desk.history.requests[request.request_id].evolve(runs=[known.model_dump()])
    return ending(desk.history, now, RUN, otherwise="released")


def test_an_answer_that_was_carried_out_is_told_proposal_by_proposal() -> None:
    def some_of_each(request: ReviewRequest) -> Answer:
        return in_page(request, answer(request, approve(request, 0), approve(request, 1, x=0.125), reject(request, 2, "smells")))

    desk = Desk(in_turn(some_of_each, answer), general={"batch": 3, "budget": 3})
    desk.run()
    was = desk.history.proposals[(desk.asked[0].asked[1].proposal_id, 1)].configuration["x"]
    told = f"Ada: approved 1; edited 2 (x 0.125, was {was:.6g}); refused 3 (smells)"
    assert run_of(desk, desk.asked[0]) == Ending(f"review c request 1: {told}", told, is_answered=True)


def test_an_edit_that_must_be_decided_anew_is_no_approval() -> None:
    def edit(request: ReviewRequest) -> Answer:
        return in_page(request, answer(request, approve(request, 0, x=0.9), approve(request, 1)))

    desk = Desk(
        in_turn(edit, lambda _: None),
        rules={"mode": "rules", "first": 2, "when": [{"name": "high", "quantity": "cost", "above": 0.8}]},
    )
    desk.recipe.found = lambda one: replace(two_people(one), values={"cost": float(one["x"])}, hazards=())
    with pytest.raises(Interrupted):
        desk.run()
    assert "Ada: edited, to be decided anew 1 (x 0.9, was " in run_of(desk, desk.asked[0]).said


def test_a_refused_edit_names_the_proposal_in_the_run_that_was_answered_and_in_the_one_that_asks_again() -> None:
    desk = Desk(in_turn(lambda request: in_page(request, answer(request, approve(request, 0), approve(request, 1, x=1.5))), answer))
    desk.run()
    first, again = desk.asked[:2]
    why = "proposal 2: x = 1.5 is outside 0 to 1"
    refused = run_of(desk, first)
    assert (refused.said.rstrip(), refused.is_answered) == (f"refused, Ada: {why}", False)
    assert refused.name.rstrip() == f"review c request 1: refused, Ada: {why}"
    assert asking(again, desk.history.proposals).rstrip() == f"review c request 1 (2 proposals): last answer refused: {why}"


def test_after_the_first_of_two_signatures_the_second_is_missing_and_the_first_is_named() -> None:
    heard: list[str] = []

    def script(desk: Desk, request: ReviewRequest) -> None:
        who = "Ada" if request.number == 1 else "Bob"
        desk.codes[who] = sheet[who].pop()
        heard.append(notice(request, desk.history.proposals))
        given = in_page(request, answer(request, by=who))
        heard.append(said(desk.give(given), request, desk.history.proposals))

    desk = Desk(script, general={"batch": 1, "budget": 1}, rules={"mode": "never"})
    desk.recipe.found = two_people
    sheet = people(desk, "Ada", "Bob")
    desk.run()
    assert heard == [
        "",
        "1 approved, 0 refused by Ada; another person must sign proposal 1 as well",
        "proposal 1 is signed by Ada; another person must sign as well",
        "1 approved, 0 refused by Bob",
    ]
    first, second = desk.asked
    assert run_of(desk, first).said == "Ada: approved 1", "as things stand now"
    (before,) = desk.history.proposals.values()
    alone = {(before.proposal_id, 1): before.evolve(status="proposed", decided_by=None, signatures=[before.signatures[0].model_dump()])}
    then = replace(desk.history, proposals=alone)
    known = first.evolve(runs=[{"flow_run_id": RUN, "key": f"{first.request_id}-a1"}])
    assert ending(then, known, RUN).said == "Ada: signed 1 (another person must sign as well)"
    assert asking(second, alone) == "review c request 2 (1 proposal): proposal 1 is signed by Ada; another person must sign as well"


def test_a_form_that_nobody_answered_says_who_decided_elsewhere_or_what_ended_the_request() -> None:
    desk = Desk(in_turn(lambda request: answer(request, by="Bob", via="terminal")))
    desk.run()
    assert run_of(desk, desk.asked[0]).said == "answered elsewhere (terminal): Bob: approved 1, 2"
    request = desk.history.requests[desk.asked[0].request_id]
    closed = request.evolve(answer_id=None, status=ReviewStatus.EXPIRED, reason="deadline: expired")
    assert ending(desk.history, closed, RUN).said == "deadline: expired"
    waits = request.evolve(answer_id=None, status=ReviewStatus.OPEN, reason=None)
    assert ending(desk.history, waits, RUN, otherwise="released").said == "released"


def test_an_answer_that_came_after_somebody_elses_is_shown_as_refused() -> None:
    def twice(desk: Desk, request: ReviewRequest) -> None:
        desk.give(answer(request, by="Bob", via="terminal"))
        desk.give(in_page(request, answer(request)))

    desk = Desk(twice)
    desk.run()
    shown = run_of(desk, desk.asked[0])
    assert (shown.said, shown.is_answered) == ("refused, Ada: request 1 was answered already; the first answer counts", False)


def test_a_runs_name_stays_a_name_however_much_was_wrong() -> None:
    desk = Desk(in_turn(answer))
    desk.run()
    long = desk.asked[0].evolve(complaint="proposal 1: " + "x" * 500)
    assert len(asking(long, desk.history.proposals)) == NAME_LENGTH
    assert notice(long, desk.history.proposals).endswith("x" * 500), "the form has it whole"


def test_the_terminal_says_why_the_last_answer_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    snapshot = {"files": {"campaign": CAMPAIGN_FILE}, "path": str(lab.path / "campaign.toml")}
    script = in_turn(lambda request: answer(request, approve(request, 0, x=1.5), approve(request, 1)), lambda _: None)
    with closing(SqlStore.open(lab.ledger)) as store, pytest.raises(Interrupted):
        Desk(script, store=store, snapshot=snapshot, clock=HandClock()).run()
    list_requests(lab, None, as_json=False)
    assert "last answer refused: proposal 1: x = 1.5 is outside 0 to 1" in capsys.readouterr().out
    monkeypatch.setattr(rendering, "markdown", lambda *_, **__: "the page")
    review_show(None, None, lab=lab.path)
    assert "last answer refused: proposal 1: x = 1.5 is outside 0 to 1" in capsys.readouterr().out
