"""The dialogue on a real terminal, over a real ledger: a person types, the ledger keeps, nobody else is needed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flows.cli.review_commands import people_add
from flows.plans.lab import Lab, make_lab
from flows.plans.plan import Plan, load_plan
from flows.plans.policy import policy_of
from flows.running.actions import Setup, Steps
from flows.running.run_loop import Interrupted
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.history import History
from orchestrator.loop import Propose, Review
from orchestrator.store.sql import SqlStore
from tests.flow.test_priors_at_work import Bright, lab_folder, train
from tests.flow.test_steps import NOW
from tests.reviewing.scripted import CAMPAIGN_FILE, Desk, HandClock, answer
from tests.reviewing.terminal import CTRL_C, CTRL_D, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.long]

MENU = "[a]pprove, [e]dit, [r]eject, [p]age, [s]kip, [q]uit: "
LEFT = "left without an answer; request 1 stays open"


@contextmanager
def desk_of(lab: Lab) -> Iterator[Desk]:
    """Open a scripted campaign over a lab's ledger."""
    with closing(SqlStore.open(lab.ledger)) as store:
        snapshot = {"files": {"campaign": CAMPAIGN_FILE}, "path": str(lab.path / "campaign.toml")}
        yield Desk(lambda *_: None, store=store, snapshot=snapshot, clock=HandClock())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose campaign has asked about two proposals and was left waiting."""
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    with desk_of(lab) as desk, pytest.raises(Interrupted):
        desk.run()
    return lab


def history(lab: Lab) -> History:
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        assert store.verify() == ()
        return History.of(store.changes(store.campaigns()[0].name))


def answers(lab: Lab) -> list[Answer]:
    return list(history(lab).answers.values())


def test_two_proposals_are_decided_in_a_dialogue_and_the_campaign_carries_it_out(lab: Lab) -> None:
    with Terminal("review", lab=lab.path) as terminal:
        seen = terminal.answer("or Enter to leave: ", "1")
        assert "every proposal is reviewed" in seen, "the requests are listed as ever"
        terminal.answer(MENU, "a")
        terminal.answer(MENU, "r")
        terminal.answer("why is it rejected? ", "[b]smells[/b]")
        terminal.answer("your name: ", "Ada")
        terminal.answer("comment (Enter for none): ", "looked at twice")
        assert "proposal 2: reject: [b]smells[/b]" in terminal.answer("send? y/n: ", "y"), "what people write is no markup"
        assert terminal.ended() == 0
        assert "1 approved, 1 refused by Ada" in terminal.last
    (kept,) = answers(lab)
    assert (kept.status, kept.reviewer, kept.via, kept.comment) == (AnswerStatus.RECEIVED, "Ada", "terminal", "looked at twice")
    with desk_of(lab) as desk, pytest.raises(Interrupted):
        desk.run()  # carries the answer out, and asks about a proposal in place of the refused one
    first, second, *_ = history(lab).newest()
    assert (first.status, second.status, second.reason) == ("approved", "rejected", "[b]smells[/b]")


@pytest.mark.parametrize(
    ("keys", "where"), [(CTRL_D, "or Enter to leave: "), (CTRL_C, MENU), (CTRL_D, "your name: "), (CTRL_C, "send? y/n: ")]
)
def test_ctrl_c_and_the_end_of_input_leave_without_an_answer(lab: Lab, keys: str, where: str) -> None:
    with Terminal("review", lab=lab.path) as terminal:
        steps = (("or Enter to leave: ", "1"), (MENU, "a"), (MENU, "a"), ("your name: ", "Ada"), ("comment (Enter for none): ", ""))
        for question, line in steps:
            if question == where:
                break
            terminal.answer(question, line)
        terminal.until(where)
        assert terminal.leave(keys) == 130
        assert terminal.last.startswith("left without an answer")
        assert "Traceback" not in terminal.shown
    assert answers(lab) == []
    assert len(history(lab).open_requests) == 1


def test_enter_alone_sends_nothing(lab: Lab) -> None:
    with Terminal("review", lab=lab.path) as terminal:
        terminal.answer("or Enter to leave: ", "")
        assert terminal.ended() == 0
    with Terminal("review", "ask", lab=lab.path) as terminal:
        terminal.answer(MENU, "")
        assert "type one of a, e, r, p, s, q" in terminal.answer(MENU, "a")
        terminal.answer(MENU, "a")
        terminal.answer("your name: ", "Ada")
        terminal.answer("comment (Enter for none): ", "")
        terminal.answer("send? y/n: ", "")
        terminal.answer("send? y/n: ", "n")
        assert terminal.ended() == 0
        assert terminal.last == LEFT
    assert answers(lab) == []


def test_a_request_that_was_answered_elsewhere_meanwhile_is_said_in_one_line(lab: Lab) -> None:
    with Terminal("review", "ask", "1", lab=lab.path) as terminal:
        terminal.answer(MENU, "a")
        terminal.until(MENU)
        with closing(SqlStore.open(lab.ledger)) as store:
            (request,) = History.of(store.changes("c")).open_requests
            store.answer(answer(request, by="Bob"), code=None, now=NOW)
        terminal.press("a\n")
        assert terminal.ended() == 0
        assert terminal.last == "request 1 was answered by Bob (page); nothing of this dialogue counts"
    assert [one.reviewer for one in answers(lab)] == ["Bob"]
    with Terminal("review", "ask", "1", lab=lab.path) as terminal:
        assert terminal.ended() == 1
        assert terminal.last == "athanor: request 1 was answered by Bob (page)"


def test_a_lab_that_keeps_people_asks_for_a_code_which_is_never_shown(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    people_add("Ada", lab=lab.path, by="test", as_json=False)
    code = capsys.readouterr().out.splitlines()[1].split()[0]
    with Terminal("review", "ask", lab=lab.path) as terminal:
        terminal.answer(MENU, "a")
        terminal.answer(MENU, "a")
        for typed, outcome in (("nonsense", "sign again? y/n: "), (code, "; the campaign carries it out")):
            terminal.answer("your name: ", "Ada")
            terminal.answer("one-time code (not shown): ", typed)
            terminal.answer("comment (Enter for none): ", "")
            terminal.answer("send? y/n: ", "y")
            terminal.until(outcome)
            terminal.press("y\n")
        assert terminal.ended() == 0
        assert "refused: the code that came is not one of Ada's unused ones" in terminal.shown
        assert code not in terminal.shown
        assert "nonsense" not in terminal.shown
    assert sorted(one.status for one in answers(lab)) == sorted([AnswerStatus.REFUSED, AnswerStatus.RECEIVED])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The example bench with a prior: something is expected before anything is measured."""
    file = lab_folder(tmp_path_factory.mktemp("wired") / "lab")
    train(file, seed=0)
    return load_plan(file)


def asked_on_a_bench(plan: Plan, lab: Lab) -> ReviewRequest:
    """Have one proposal of the wired campaign put to people."""
    name = plan.file.name
    with closing(SqlStore.open(lab.ledger)) as store:
        record = CampaignRecord(name=name, snapshot=plan.snapshot)
        store.create_campaign(record, by="test", now=NOW)
        fence = store.take_up(name, by="test", now=NOW)
        store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
        rules = plan.file.spec.review.evolve(mode="always")
        spec = plan.file.spec.campaign
        setup = Setup(spec, plan.space, plan.objective, policy_of(plan), plan.recipe, Bright(), store, LiveClock(), fence, "", rules)
        steps = Steps(setup)
        steps.propose(Propose(1))
        steps.review(Review(steps.refresh().newest()))
        return steps.refresh().open_requests[0]


def test_an_edit_is_checked_against_the_bench_and_predicted_before_anything_is_sent(plan: Plan, tmp_path: Path) -> None:
    lab = make_lab(tmp_path / "lab", beside=plan.file.path, kind="live")
    request = asked_on_a_bench(plan, lab)
    (proposed,) = history(lab).newest()
    with Terminal("review", "ask", lab=lab.path) as terminal:
        terminal.answer(MENU, "e")
        for typed in ("400", "250"):
            terminal.answer("  T (", typed)
        for column in ("tau", "c_se", "ratio"):
            terminal.answer(f"  {column} (", "0.5 s" if column == "tau" else "")
            if column == "tau":
                terminal.answer(f"  {column} (", "")
        seen = terminal.answer("approve with these values? y/n: ", "y")
        before = proposed.provenance.predicted["quantum_yield"]
        assert f", was {before.shown()}" in seen.partition("predicted with your values, with 90 % intervals: ")[2]
        assert "T = 400.0 is outside" in terminal.shown
        assert "refused: tau = 0.5 is outside" in terminal.shown
        terminal.answer("your name: ", "Ada")
        terminal.answer("comment (Enter for none): ", "")
        terminal.answer("send? y/n: ", "y")
        assert terminal.ended() == 0
    (kept,) = answers(lab)
    assert kept.request_id == request.request_id
    assert [one.edits for one in kept.verdicts] == [{"T": 250.0}]
