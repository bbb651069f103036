import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from rich.console import RenderableType
from typer.testing import CliRunner
from typing_extensions import override

from flows.cli.dialogue import Talk
from flows.cli.main import app
from flows.cli.work_dialogue import LEFT, ask
from flows.plans.lab import Lab, open_lab
from flows.running.operations import add_person
from flows.running.work_operations import StepReply, chosen, waiting_work
from orchestrator.errors import BadInput
from tests.people.lab import answers_in, waiting_lab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return waiting_lab(tmp_path_factory.mktemp("made"))


@pytest.fixture
def lab(made: Lab, tmp_path: Path) -> Lab:
    shutil.copytree(made.path, tmp_path / "lab")
    return open_lab(tmp_path / "lab")


def work(lab: Lab, *words: str) -> str:
    """Type `athanor work`; return what is shown, or raise what it fails with."""
    done = CliRunner().invoke(app, ["work", *words, "--lab", str(lab.path)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_what_waits_is_listed_with_code_and_whom_and_shown_with_instructions_and_values(lab: Lab) -> None:
    listed = work(lab).splitlines()
    assert listed[0].startswith("1a-D: chemist.weigh waits for anybody (weight, colour), campaign c, asked 0 min")
    assert [line[:4] for line in listed[:2]] == ["1a-D", "2a-9"]
    shown = work(lab, "2a-9")
    assert "Weigh in 12 mg of sand, and write down what the balance says." in shown
    assert "  weight: a number in mg, 0 to 500 mg\n  colour: a text" in shown
    document = json.loads(work(lab, "--json"))
    assert [(one["code"], one["values"][0]["unit"], one["answered"]) for one in document["waiting"]] == [
        ("1a-D", "mg", None),
        ("2a-9", "mg", None),
    ]


def test_the_folder_of_a_campaign_file_is_not_its_lab_and_the_line_names_the_lab(made: Lab, tmp_path: Path) -> None:
    shutil.copytree(made.path, tmp_path / ".athanor")
    with pytest.raises(BadInput, match=r"is no lab folder .*; in it there is \S+/\.athanor$"):
        open_lab(tmp_path)


def test_an_answer_without_a_bench_host_is_kept_until_the_campaign_goes_on(lab: Lab) -> None:
    told = work(lab, "1A-d", "weight=12.3 mg", "colour=white", "--by", "Ada")  # capitals or not is the same on paper
    assert told.startswith("run 1a-D, chemist.weigh: done, weight = 12.3 mg, colour = white, by Ada; kept; the campaign tells the bench")
    (kept,) = answers_in(lab)
    assert (kept.run_key, kept.person, kept.values, kept.status) == ("k1", "Ada", {"weight": "12.3 mg", "colour": "white"}, "received")
    assert "answered by Ada, and not told to the bench yet" in work(lab)
    with pytest.raises(BadInput, match="was answered by Ada; the first answer counts"):
        work(lab, "1a-D", "weight=13 mg", "colour=white", "--by", "Ben")


REFUSED: Final[list[tuple[list[str], str]]] = [
    (["1a-D", "weight=501 mg", "colour=x", "--by", "Ada"], "run 1a-D, chemist.weigh: weight = 501 mg is out of range"),
    (["1a-D", "weight=12,3 mg", "colour=x", "--by", "Ada"], "a comma does not say"),
    (["1a-D", "weight=1 mg", "--by", "Ada"], "colour is missing; expected a text"),
    (["1a-D", "weight=1 mg", "colour=x"], "who has done it? an answer needs --by NAME"),
    (["1a-E", "weight=1 mg", "--by", "Ada"], "misread or mistyped"),
    (["3a-5", "weight=1 mg", "--by", "Ada"], "no step of run 3a-5 waits for a person; waiting: 1a-D, 2a-9"),
    (["weight=1 mg", "--by", "Ada"], "2 runs wait for people (1a-D, 2a-9); name one by its code"),
    (["1a-D", "weight", "1 mg", "--by", "Ada"], "expected NAME=VALUE after the run's code"),
    (["1a-D", "weight=1 mg", "--not-done", "no sand", "--by", "Ada"], "give values, or --not-done, or --went-wrong"),
    (["1a-D", "--not-done", " ", "--by", "Ada"], "an answer that says not-done needs a reason"),
]


def test_what_cannot_be_taken_is_refused_in_a_line_and_nothing_is_recorded(lab: Lab) -> None:
    for words, said in REFUSED:
        with pytest.raises(BadInput) as refused:
            work(lab, *words)
        assert said in str(refused.value), words
    assert answers_in(lab) == ()


def test_where_the_lab_keeps_people_a_wrong_code_is_recorded_as_refused_and_the_step_waits_on(lab: Lab) -> None:
    codes = add_person(lab, "Ada", by="test")
    for code in ([], ["--code", "nonsense"]):
        with pytest.raises(BadInput, match="the answer to run 1a-D was refused: "):
            work(lab, "1a-D", "weight=1 mg", "colour=x", "--by", "Ada", *code)
    work(lab, "1a-D", "weight=1 mg", "colour=x", "--by", "Ada", "--code", codes[0])
    assert [one.status for one in answers_in(lab)] == ["refused", "refused", "received"]
    with pytest.raises(BadInput, match="not one of Ada's unused ones"):
        work(lab, "2a-9", "weight=1 mg", "colour=x", "--by", "Ada", "--code", codes[0])


def test_what_went_wrong_is_told_with_its_reason(lab: Lab) -> None:
    assert "went wrong: the vial broke, by Ada" in work(lab, "2a-9", "--went-wrong", "the vial broke", "--by", "Ada")
    assert answers_in(lab)[0].reason == "the vial broke"


def test_work_orders_are_printed_with_code_picture_instructions_and_lines_for_the_values(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "orders.html"
    assert work(lab, "--print", str(out)) == f"{out}: 2 work orders\n"
    page = out.read_text()
    assert page.count("<article>") == page.count("<svg") == 2
    for text in (
        "<h1>1a-D</h1>",
        "<h1>2a-9</h1>",
        "Weigh in 12 mg of sand",
        "0 to 500 mg",
        "athanor work 1a-D weight=... colour=... --by NAME",
    ):
        assert text in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is fetched when it is opened
    work(lab, "2a-9", "--print", str(out))
    assert out.read_text().count("<article>") == 1


# ---------------------------------------------------------------------- the dialogue


class Scripted(Talk):
    """Types what a test says; the end of input after it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines: Iterator[str] = iter(lines)
        self.shown = ""

    @override
    def say(self, shown: RenderableType) -> None:
        self.shown += f"{shown}\n"

    @override
    def ask(self, question: str, *, hidden: bool = False) -> str:
        self.shown += question
        try:
            return next(self._lines)
        except StopIteration as error:
            raise EOFError from error


def dialogue(lab: Lab, *lines: str) -> tuple[str, str]:
    """Hold the dialogue about run 1a-D; return how it ended and what was shown."""
    found = waiting_work(lab)
    talk = Scripted(lines)
    return ask(talk, found, chosen(found, "1a-D"), StepReply("")), talk.shown


def test_the_dialogue_asks_for_each_value_until_it_is_legal_and_sends_nothing_before_the_last_word(lab: Lab) -> None:
    ended, shown = dialogue(lab, "x", "d", "501 mg", "12,3", "12.3 mg", "", "white", "A", "Ada", "maybe", "y")
    assert ended.startswith("run 1a-D, chemist.weigh: done, weight = 12.3 mg, colour = white, by Ada")
    for text in ("Weigh in 12 mg of sand", "type one of d, n, w, q", "refused: weight = 501 mg is out of range", "a comma does not say"):
        assert text in shown
    assert [one.values["weight"] for one in answers_in(lab)] == ["12.3 mg"]


@pytest.mark.parametrize("lines", [["q"], ["d", "12 mg"], ["d", "12 mg", "white", "Ada", "n"], ["n", "no sand", "Ada"]])
def test_who_leaves_the_dialogue_has_said_nothing(lab: Lab, lines: list[str]) -> None:
    assert dialogue(lab, *lines)[0] == LEFT
    assert answers_in(lab) == ()


def test_the_dialogue_asks_for_a_code_where_the_lab_keeps_people_and_again_after_a_wrong_one(lab: Lab) -> None:
    codes = add_person(lab, "Ada", by="test")
    ended, shown = dialogue(lab, "n", "no sand", "Ada", "wrong", "y", "y", "n", "no sand", "Ada", codes[0], "y")
    assert "refused: the code that came is not one of Ada's unused ones" in shown
    assert ended.startswith("run 1a-D, chemist.weigh: not done: no sand, by Ada")
