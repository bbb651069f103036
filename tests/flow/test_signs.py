"""What a person sees while a campaign lives: what waits for whom, what goes on, and commands that can be typed as they stand."""

import itertools
import shlex
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from flows.cli.console import console
from flows.cli.file_commands import init
from flows.cli.signs import FIRST_SECONDS, LONGEST_SECONDS, GoingOn, Places, SignsOfLife, occupation, waiting_line
from orchestrator.clock import Clock, Instant
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.review import ReviewRequest
from orchestrator.history import History
from orchestrator.ports import Changes
from tests.store.cases import proposal, queued, request_for

LAB = Path("/labs/o'clock $HOME [1]")


class Noon(Clock):
    """Stands still; a lab hour lasts a wall minute."""

    @override
    def lab(self) -> float:
        return 3600.0

    @override
    def now(self) -> Instant:
        return Instant(datetime(2026, 1, 1, 12, tzinfo=UTC), 3600.0)

    @override
    def wall_seconds(self, lab_seconds: float) -> float:
        return lab_seconds / 60

    @override
    def wait(self, lab_seconds: float, cancelled: threading.Event | None = None) -> bool:
        raise AssertionError("nothing waits here")


class Hand:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def history(*requests: ReviewRequest, seq: int = 2) -> History:
    return History.of(Changes(seq, CampaignRecord(name="dots", status=CampaignStatus.RUNNING), (proposal(),), requests=requests))


def places(ui: str | None = "http://127.0.0.1:20001") -> Places:
    return Places(LAB, lambda: ui)


@given(st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_a_printed_command_is_the_typed_one_whatever_its_words_hold(words: list[str]) -> None:
    assert shlex.split(typed(*words, program="/bin with blanks/athanor")) == ["/bin with blanks/athanor", *words]


def test_a_waiting_request_says_which_it_is_how_to_answer_and_till_when() -> None:
    request, _ = request_for(proposal(), number=3, deadline_lab=3 * 3600.0, on_deadline="skip")
    line = waiting_line(request, Noon(), places())
    assert line.startswith("request 3 waits for a person (1 proposal), till 2")
    assert "(2.0 h of lab time), then it is skipped; open http://127.0.0.1:20001/runs?state=Paused or type: " in line
    command = shlex.split(line.partition("or type: ")[2])
    assert command == ["athanor", "review", "ask", "3", "--campaign", "dots", "--lab", str(LAB)]
    assert "type: athanor" in waiting_line(request, Noon(), places(None))
    assert "open" not in waiting_line(request, Noon(), places(None))


def test_a_request_without_a_deadline_one_overdue_and_one_answered_wrongly_say_so() -> None:
    request, _ = request_for(proposal())
    assert "for as long as it takes" in waiting_line(request, Noon(), places())
    assert "its deadline has passed" in waiting_line(request.evolve(deadline_lab=1.0, overdue=True), Noon(), places())
    assert "the last answer was refused: no name" in waiting_line(request.evolve(complaint="no name"), Noon(), places())


def test_a_log_has_each_question_once_and_then_signs_of_life_ever_more_rarely() -> None:
    hand, (request, _) = Hand(), request_for(proposal())
    journal, said = SignsOfLife(places(), GoingOn(hand)), []
    for second in range(7200):
        hand.seconds = float(second)
        said += [(second, line) for line in journal.lines(history(request), None, Noon())]
    questions = [second for second, line in said if line.startswith("request 1 waits")]
    signs = [second for second, line in said if line.startswith("waiting for a person, for ")]
    assert questions == [0, *signs]
    assert signs[:3] == [FIRST_SECONDS, 3 * FIRST_SECONDS, 7 * FIRST_SECONDS]
    assert max(later - earlier for earlier, later in itertools.pairwise(signs)) == LONGEST_SECONDS


def test_a_question_that_is_asked_again_is_said_again_and_an_answered_one_no_more() -> None:
    journal, (request, _) = SignsOfLife(places(), GoingOn(Hand())), request_for(proposal())
    assert len(list(journal.lines(history(request), None, Noon()))) == 1
    assert list(journal.lines(history(request), None, Noon())) == []
    assert len(list(journal.lines(history(request.evolve(attempt=2, complaint="stale")), None, Noon()))) == 1
    assert list(journal.lines(history(request.evolve(attempt=3, answer_id="a")), None, Noon())) == []


def test_a_proposal_that_takes_a_minute_shows_its_seconds() -> None:
    hand = Hand()
    pulse = GoingOn(hand)
    doing = occupation(history(), "asking the policy for proposals")
    assert pulse.beat(doing) == "asking the policy for proposals, for 0 s"
    hand.seconds = 61.0
    assert pulse.due(doing) == "asking the policy for proposals, for 61 s"
    assert pulse.beat(occupation(history(), None)) == "deciding what comes next, for 0 s"


def test_an_experiment_on_the_bench_is_what_goes_on() -> None:
    run = queued(proposal()).evolve(status=RunStatus.RUNNING)
    changes = Changes(3, CampaignRecord(name="dots", status=CampaignStatus.RUNNING), (proposal(),), (run,))
    assert occupation(History.of(changes), None) == "1 experiment on the bench"


def test_what_people_wrote_is_never_taken_for_markup(tmp_path: Path) -> None:
    folder = tmp_path / "it's [/b] :smile: $x"
    with console.capture() as shown:
        init(folder)
    lines = shown.get().splitlines()
    assert lines[0].startswith(f"{folder}: ")
    assert shlex.split(lines[-1]) == ["athanor", "dry-run", str(folder / "campaign.toml")]


@pytest.mark.parametrize("word", ["-v", "--lab", "NAME", "N=REASON"])
def test_placeholders_and_options_stay_readable(word: str) -> None:
    assert typed("review", word) == f"athanor review {word}"
