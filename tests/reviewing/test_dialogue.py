"""The dialogue's logic: what is asked, what counts, and what never does. No terminal, no ledger's file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from rich.console import RenderableType
from typing_extensions import override

from flows.cli.dialogue import Edits, Matter, Talk, ask_decision, edited, hold
from flows.running.run_loop import Interrupted
from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter
from orchestrator.domain.records import Prediction, Proposal
from orchestrator.domain.review import Answer
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from tests.flow.test_steps import SPACE
from tests.reviewing.scripted import Desk

WIDE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=20, max=300),
        ContinuousParameter(name="tau", unit="s", min=10, max=600),
        CompositionParameter(name="mix", components=("a", "b")),
        CategoricalParameter(name="solvent", categories=("ODE", "water")),
    )
)
BEFORE: Mapping[str, float | str] = {"T": 240.123456789, "tau": 60.0, "mix.a": 0.25, "mix.b": 0.75, "solvent": "ODE"}


class Typist(Talk):
    """Types what a test says, line by line, then closes the input."""

    def __init__(self, *lines: str) -> None:
        self.left = list(lines)
        self.heard: list[str] = []
        self.questions: list[str] = []
        self.hidden: list[str] = []

    @override
    def say(self, shown: RenderableType) -> None:
        self.heard.append(str(shown))

    @override
    def ask(self, question: str, *, hidden: bool = False) -> str:
        self.questions.append(question)
        if hidden:
            self.hidden.append(question)
        if not self.left:
            raise EOFError
        return self.left.pop(0)

    @property
    def all(self) -> str:
        return "\n".join(self.heard)


@dataclass
class Bench(Edits):
    """Allows no T above 250 and no x above 0.8; expects less the more T."""

    space: SearchSpace = SPACE
    expects: bool = True
    checked: list[Configuration] = field(default_factory=list)

    @property
    @override
    def units(self) -> Mapping[str, str]:
        return {"y": "%"}

    @override
    def check_edit(self, proposal: Proposal, configuration: Configuration) -> None:
        self.checked.append(dict(configuration))
        self.space.check(configuration)
        if float(configuration.get("T", 0)) > 250 or float(configuration.get("x", 0)) > 0.8:
            raise BadInput("oven.temperature = 260 degC is above 250 degC")

    @override
    def predict(self, configuration: Configuration) -> Mapping[str, Prediction]:
        return {"y": Prediction(mean=0.61, sd=0.08)} if self.expects else {}


@dataclass
class Ledger:
    """A scripted campaign's ledger behind the dialogue."""

    desk: Desk
    code: str | None = None
    people: bool = False
    given: list[tuple[Answer, str | None]] = field(default_factory=list)
    answered: str | None = None

    def give(self, answer: Answer, code: str | None) -> Answer:
        self.given.append((answer, code))
        if self.people and code != self.code:
            return answer.evolve(status=AnswerStatus.REFUSED, reason="the code that came is not one of Ada's unused ones")
        return self.desk.store.answer(answer, code=None, now=self.desk.clock.now())


def asked_about(count: int = 2) -> Desk:
    """Return a campaign whose one request asks about so many proposals."""
    desk = Desk(lambda *_: None, {"batch": count, "budget": count})
    with pytest.raises(Interrupted):
        desk.run()
    return desk


def matter_of(ledger: Ledger, edits: Edits | None = None) -> Matter:
    (request,) = ledger.desk.history.open_requests
    proposals = {one.number: ledger.desk.history.proposals[(one.proposal_id, one.revision)] for one in request.asked}
    return Matter(
        request=request,
        proposals=proposals,
        space=SPACE,
        units={"y": "%"},
        needs_code=ledger.people,
        page=lambda: "THE DECISION PAGE",
        edits=lambda: edits or Bench(),
        over=lambda: ledger.answered,
        give=ledger.give,
    )


def proposal(predicted: Mapping[str, Prediction] | None = None) -> Proposal:
    (made, *_) = asked_about().history.newest()
    provenance = made.provenance.evolve(predicted=dict(predicted or {}))
    return made.evolve(configuration=dict(BEFORE), provenance=provenance)


def test_each_proposal_gets_its_verdict_and_the_answer_goes_to_the_ledger_once_it_is_said_so() -> None:
    ledger, typist = Ledger(asked_about()), Typist("a", "reject", "", "smells", "Ada", "for the record", "y")
    ended = hold(typist, matter_of(ledger))
    assert ended.startswith("request 1: 1 approved, 1 refused by Ada")
    ((answer, code),) = ledger.given
    assert [(one.verdict, one.reason) for one in answer.verdicts] == [("approve", None), ("reject", "smells")]
    assert (answer.reviewer, answer.comment, answer.via, code) == ("Ada", "for the record", "terminal", None)
    assert ledger.desk.history.requests[answer.request_id].answer_id == answer.answer_id
    assert "a rejection needs a reason" in typist.all
    assert typist.hidden == [], "without people nobody is asked for a code"


@pytest.mark.parametrize("lines", [("q",), ("a", "q"), ("a", "a", "Ada", "", "n"), ("s", "a", "q")])
def test_leaving_sends_nothing(lines: tuple[str, ...]) -> None:
    ledger = Ledger(asked_about())
    assert hold(Typist(*lines), matter_of(ledger)) == "left without an answer; request 1 stays open"
    assert not ledger.given


@pytest.mark.parametrize("lines", [(), ("",), ("a", "a"), ("a", "a", "Ada", ""), ("a", "a", "Ada", "", ""), ("a", "a", "Ada", "", "send")])
def test_nothing_is_said_by_enter_and_the_end_of_input_leaves(lines: tuple[str, ...]) -> None:
    ledger = Ledger(asked_about())
    with pytest.raises(EOFError):
        hold(Typist(*lines), matter_of(ledger))
    assert not ledger.given


def test_what_was_skipped_is_asked_again_after_the_others() -> None:
    ledger = Ledger(asked_about(3))
    verdicts = ask_decision(Typist("s", "s", "r", "third", "a", "r", "second"), matter_of(ledger))
    assert verdicts is not None
    assert [(one.verdict, one.reason) for one in verdicts] == [("approve", None), ("reject", "second"), ("reject", "third")]


def test_the_last_one_cannot_be_skipped_in_silence() -> None:
    typist = Typist("a", "s", "a")
    assert ask_decision(typist, matter_of(Ledger(asked_about()))) is not None
    assert "nothing else is left: a decision is on all that the request asks about" in typist.all


def test_the_page_is_shown_and_the_question_put_again() -> None:
    typist = Typist("p", "maybe", "a", "q")
    assert ask_decision(typist, matter_of(Ledger(asked_about()))) is None
    assert "THE DECISION PAGE" in typist.heard
    assert "type one of a, e, r, p, s, q" in typist.heard


def test_values_are_asked_for_with_unit_and_legal_range_and_enter_keeps_them_in_full() -> None:
    typist, bench = Typist("", "2 min", "", "", "", "y"), Bench(WIDE)
    assert edited(typist, bench, proposal()) == {"tau": 120.0}
    assert bench.checked == [{**BEFORE, "tau": 120.0}], "what was kept is as it was, to the last digit"
    assert typist.questions[:5] == [
        "  T (20 to 300 degC) [240.123]: ",
        "  tau (10 to 600 s) [60]: ",
        "  mix.a (fraction, 0 to 1; those of mix sum to 1) [0.25]: ",
        "  mix.b (fraction, 0 to 1; those of mix sum to 1) [0.75]: ",
        "  solvent (one of ODE, water) [ODE]: ",
    ]
    assert "changed: tau 120 (was 60)" in typist.heard


def test_a_value_typed_as_it_stands_in_brackets_is_kept_in_full() -> None:
    assert edited(Typist("240.123", "60", "0.25", "0.75", "ODE"), Bench(WIDE), proposal()) == {}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (("300.5", "241", "", "", "", ""), "T = 300.5 is outside 20 to 300 degC"),
        (("hot", "241", "", "", "", ""), "T: 'hot' is not a quantity"),
        (("2 bar", "241", "", "", "", ""), "T: '2 bar' has the wrong unit; expected one that converts to degC"),
        (("nan", "241", "", "", "", ""), "T: 'nan' is not finite"),
        (("241", "", "0.3", "", "0.3", "0.7", ""), "mix: fractions sum to 1.05; expected 1"),
        (("241", "", "", "", "toluene", ""), "solvent = 'toluene' is none of ODE, water"),
        (("260", "", "", "", "", "y", "241", "", "", "", ""), "oven.temperature = 260 degC is above 250 degC"),
    ],
)
def test_an_illegal_value_is_refused_with_its_reason_and_asked_again(lines: tuple[str, ...], complaint: str) -> None:
    typist = Typist(*lines, "y")
    found = edited(typist, Bench(WIDE), proposal())
    assert found["T"] == 241.0
    assert any(complaint in one and one.startswith("refused: ") for one in typist.heard)
    assert typist.left == []


def test_whoever_cannot_find_a_legal_value_may_leave_the_proposal_as_it_is() -> None:
    assert edited(Typist("260", "", "", "", "", "n"), Bench(WIDE), proposal()) == {}
    unchanged = Typist("", "", "", "", "")
    assert edited(unchanged, Bench(WIDE), proposal()) == {}
    assert "nothing was changed" in unchanged.heard


@pytest.mark.parametrize(
    ("before", "expects", "told"),
    [
        (
            {"y": Prediction(mean=0.66, sd=0.07)},
            True,
            "predicted with your values, with 90 % intervals: y 0.61 (0.4784 to 0.7416) %, was 0.66 (0.5449 to 0.7751)",
        ),
        ({}, True, "predicted with your values, with 90 % intervals: y 0.61 (0.4784 to 0.7416) %"),
        ({}, False, "nothing is predicted with your values: there is no model yet"),
    ],
)
def test_other_values_are_shown_with_what_is_expected_of_them(before: Mapping[str, Prediction], expects: bool, told: str) -> None:
    typist = Typist("241", "", "", "", "", "n")
    assert edited(typist, Bench(WIDE, expects), proposal(before)) == {}, "having seen it, a person may think better of it"
    assert told in typist.heard


def test_an_edit_goes_into_the_answer_and_its_summary() -> None:
    ledger, typist = Ledger(asked_about()), Typist("e", "0.9", "n", "e", "0.5", "y", "a", "Ada", "", "y")
    assert "2 approved (1 edited)" in hold(typist, matter_of(ledger))
    ((answer, _),) = ledger.given
    assert [one.edits for one in answer.verdicts] == [{"x": 0.5}, {}]
    assert "proposal 1: approve with x 0.5 (was " in typist.all


def test_a_code_is_asked_for_unseen_and_a_refused_answer_can_be_signed_again() -> None:
    ledger = Ledger(asked_about(), code="right", people=True)
    typist = Typist("a", "a", "Ada", "wrong", "", "y", "y", "Ada", "right", "", "y")
    assert "2 approved" in hold(typist, matter_of(ledger))
    assert [code for _, code in ledger.given] == ["wrong", "right"]
    assert len({answer.answer_id for answer, _ in ledger.given}) == 2
    assert "refused: the code that came is not one of Ada's unused ones" in typist.heard
    assert typist.hidden == ["one-time code (not shown): "] * 2
    assert not any("right" in one or "wrong" in one for one in typist.heard)


def test_a_name_that_is_none_is_asked_for_again() -> None:
    ledger, typist = Ledger(asked_about()), Typist("a", "a", "", "", "Ada", "", "y")
    assert "by Ada" in hold(typist, matter_of(ledger))
    assert any("reviewer" in one for one in typist.heard if one.startswith("refused: "))


def test_a_request_that_was_answered_elsewhere_meanwhile_ends_the_dialogue_before_a_code_is_spent() -> None:
    ledger = Ledger(asked_about(), people=True, answered="request 1 was answered by Bob (page)")
    assert hold(Typist("a", "a"), matter_of(ledger)) == "request 1 was answered by Bob (page); nothing of this dialogue counts"
    assert not ledger.given


def test_an_answer_that_comes_second_by_a_moment_is_refused_by_the_ledger_and_said_in_a_line() -> None:
    ledger = Ledger(asked_about())
    matter = matter_of(ledger)
    assert "2 approved" in hold(Typist("a", "a", "Bob", "", "y"), matter)
    late = replace(matter, over=iter([None, *["request 1 was answered by Bob (terminal)"] * 2]).__next__)
    typist = Typist("a", "a", "Ada", "", "y")
    assert hold(typist, late) == "request 1 was answered by Bob (terminal); nothing of this dialogue counts"
    assert "refused: request 1 was answered already; the first answer counts" in typist.heard
