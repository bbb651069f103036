"""The processes of a reviewed campaign are killed while a form is open and right after it was submitted; nobody is asked twice."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from flows.prefect_server.login import LOGIN_VARIABLE
from instruments.lab_processes.process_identity import Process
from orchestrator.domain.lifecycle import AnswerStatus, RunStatus
from tests.crash.oracle import judge
from tests.faults.laboratory import CAMPAIGN, PATIENCE, Typed, eventually, suspend
from tests.reviewing.reviewed import Reviewed, kill
from tests.serving.served import LOGIN, Served, settled

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 100.0
"""Slow enough that a busy machine does not end a run as interrupted."""
Begin = Callable[[int], Reviewed]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Make a lab whose Prefect API asks for a login, for a budget; whatever still runs at the end is killed."""
    monkeypatch.setenv(LOGIN_VARIABLE, LOGIN)
    made: list[Reviewed] = []

    def make(budget: int) -> Reviewed:
        made.append(Reviewed.new(tmp_path / "bench", budget=budget, rate=RATE, login=LOGIN))
        return made[-1]

    yield make
    for one in made:
        one.laboratory.close()
        settled(one.lab)


@pytest.mark.timeout(600)
def test_a_campaign_killed_while_a_form_is_open_and_right_after_its_submission_asks_nobody_twice(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    before = reviewed.asked()
    kill(command)
    eventually(lambda: not reviewed.children(), "the end of the child")
    command = reviewed.start()
    form = reviewed.asked(attempt=2)
    assert reviewed.open_forms() == [form.flow_run_id], "the open question is put in exactly one form"
    assert reviewed.views()[before.flow_run_id] == "CANCELLED"
    child = reviewed.child()
    suspend(child)  # so that nobody reads the answer
    assert reviewed.submit(form, login=False).status_code == 401
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    kill(command)
    child.kill()
    assert not reviewed.history.answers
    assert reviewed.laboratory.ended(reviewed.start()).code == 0
    assert answered(reviewed) == [(1, 2, "page")]
    assert reviewed.views() == {before.flow_run_id: "CANCELLED", form.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_campaign_and_child_killed_once_the_ledger_has_the_answer_carry_it_out_and_ask_no_more(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    form = reviewed.asked()
    child = reviewed.child()
    suspend(campaign(command))  # so that the answer is not carried out
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    eventually(lambda: bool(reviewed.history.answers), "the answer in the ledger")
    child.kill()
    kill(command)
    assert [one.status for one in reviewed.history.answers.values()] == [AnswerStatus.RECEIVED]
    assert reviewed.laboratory.ended(reviewed.start()).code == 0
    assert answered(reviewed) == [(1, 1, "page")]
    assert reviewed.views() == {form.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_campaign_killed_at_the_birth_of_its_child_asks_in_one_form(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    eventually(lambda: bool(reviewed.children()), "a child", within=2 * PATIENCE)
    kill(command)
    command = reviewed.start()
    form = reviewed.asked()
    assert reviewed.open_forms() == [form.flow_run_id]
    assert len(reviewed.children()) == 1
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    assert reviewed.laboratory.ended(command).code == 0
    assert answered(reviewed) == [(1, 1, "page")]
    assert reviewed.views() == {form.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_form_whose_server_was_killed_is_decided_in_the_terminal_and_the_next_one_comes_with_a_fresh_server(begin: Begin) -> None:
    reviewed = begin(2)
    command = reviewed.start()
    form = reviewed.asked()
    assert reviewed.server().kill()
    decided(reviewed)
    eventually(lambda: len(reviewed.history.requests) == 2, "the next request of a campaign without a server")
    assert command.poll() is None
    kill(command)
    command = reviewed.start()
    following = reviewed.asked(2)
    assert reviewed.open_forms() == [following.flow_run_id], "the form that was decided in the terminal is not offered any more"
    assert reviewed.submit(following).json()["status"] == "ACCEPT"
    assert reviewed.laboratory.ended(command).code == 0
    assert answered(reviewed) == [(1, 1, "terminal"), (2, 1, "page")]
    assert reviewed.views() == {form.flow_run_id: "CANCELLED", following.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 2)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_campaign_ends_well_without_its_killed_server_and_the_next_one_does_not_offer_the_old_form(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    form = reviewed.asked()
    assert reviewed.server().kill()
    decided(reviewed)
    assert reviewed.laboratory.ended(command).code == 0
    assert settled(reviewed.lab) == []
    assert reviewed.views() == {form.flow_run_id: "PAUSED"}
    served = Served.start(reviewed.laboratory)
    try:
        assert reviewed.open_forms() == [], "the page does not offer a form that was decided elsewhere"
        assert served.leave() == (0, "")
    finally:
        served.close()
    assert answered(reviewed) == [(1, 1, "terminal")]
    carried_out_once(reviewed, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_an_answer_whose_server_was_killed_at_once_is_read_with_the_next_server(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    form = reviewed.asked()
    child = reviewed.child()
    suspend(child)
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    assert reviewed.server().kill()
    child.signal(signal.SIGCONT)
    command.terminate()
    assert reviewed.laboratory.ended(command).code == 3
    assert not reviewed.history.answers
    assert reviewed.laboratory.ended(reviewed.start()).code == 0
    assert answered(reviewed) == [(1, 1, "page")]
    assert reviewed.views() == {form.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_killed_worker_leaves_form_and_campaign_which_another_worker_takes_to_the_end(begin: Begin) -> None:
    reviewed = begin(2)
    served = Served.start(reviewed.laboratory)
    run = served.begin_campaign()
    form = reviewed.asked()
    assert served.process("worker.json").kill()
    served.command.communicate(timeout=PATIENCE)
    assert served.command.returncode == 4
    assert reviewed.open_forms() == [form.flow_run_id]
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    following = reviewed.asked(2)
    orphan = reviewed.laboratory.process("campaign")
    again = Served.start(reviewed.laboratory)
    try:
        assert reviewed.open_forms() == [following.flow_run_id]
        taken = reviewed.submit(following)
        assert taken.json().get("status") == "ACCEPT", taken.text
        again.reaches(run, "COMPLETED")
        assert again.leave() == (0, "")
    finally:
        again.close()
    assert answered(reviewed) == [(1, 1, "page"), (2, 1, "page")]
    carried_out_once(reviewed, 2)
    assert orphan.wait(PATIENCE), "the campaign's process, whose worker was killed, leaves by itself"
    assert settled(reviewed.lab) == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_deployed_campaign_killed_with_its_worker_right_after_the_submission_goes_on_when_it_is_started_again(begin: Begin) -> None:
    reviewed = begin(1)
    served = Served.start(reviewed.laboratory)
    served.begin_campaign()
    form = reviewed.asked()
    child = reviewed.child()
    suspend(child)
    assert reviewed.submit(form).json()["status"] == "ACCEPT"
    assert served.process("worker.json").kill()
    reviewed.laboratory.kill("campaign")
    child.kill()
    served.command.communicate(timeout=PATIENCE)
    again = Served.start(reviewed.laboratory)
    try:
        again.reaches(again.begin_campaign(), "COMPLETED")
        assert again.leave() == (0, "")
    finally:
        again.close()
    assert answered(reviewed) == [(1, 1, "page")]
    assert reviewed.views() == {form.flow_run_id: "COMPLETED"}
    carried_out_once(reviewed, 1)
    assert settled(reviewed.lab) == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_with_a_login_the_terminal_decides_and_the_form_is_closed(begin: Begin) -> None:
    reviewed = begin(1)
    command = reviewed.start()
    form = reviewed.asked()
    assert reviewed.ask("POST", "/flow_runs/filter", {}, login=False).status_code == 401
    decided(reviewed)
    assert reviewed.laboratory.ended(command).code == 0
    assert answered(reviewed) == [(1, 1, "terminal")]
    assert reviewed.views() == {form.flow_run_id: "CANCELLED"}
    carried_out_once(reviewed, 1)


def campaign(command: Typed) -> Process:
    found = Process.of(command.pid)
    assert found is not None
    return found


def decided(reviewed: Reviewed) -> None:
    """Approve what is asked in the terminal."""
    said = reviewed.laboratory.type("review", "decide", "--approve-rest", "--by", "Bob")
    assert said.code == 0, said.err


def answered(reviewed: Reviewed) -> list[tuple[int, int, str]]:
    """Return of each request its number, how often it was put to people, and where the one answer that counts came from."""
    past = reviewed.history
    requests = sorted(past.requests.values(), key=lambda one: one.number)
    assert [one.status for one in past.answers.values()] == [AnswerStatus.ACCEPTED] * len(requests)
    assert [len(one.runs) for one in requests] == [one.attempt for one in requests]
    return [(one.number, one.attempt, past.answers[one.answer_id or ""].via) for one in requests]


def carried_out_once(reviewed: Reviewed, count: int) -> None:
    """Hold the plant's own log against the ledger: as many executions as there were approvals."""
    runs = reviewed.laboratory.runs()
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * count
    assert Counter(event["run_key"] for event in reviewed.laboratory.truth(event="start")) == Counter(run.run_key for run in runs)
    assert judge(reviewed.lab, CAMPAIGN).complaints == ()
