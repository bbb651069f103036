"""Questions in a real Prefect server: what counts as an answer, and what survives which death."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.context import refresh_global_settings_context
from prefect.states import Cancelled, Cancelling, Running
from typing_extensions import override

from flows.plans.lab import Lab, make_lab
from flows.prefect_server.server import ServerUse, prefect_environment
from flows.prefect_view import stale_review_runs
from flows.prefect_view.review_run import ReviewQuestion, collect, tag_of
from flows.prefect_view.review_runs import PrefectAsker
from flows.running.actions import Steps
from flows.running.run_loop import Ended
from instruments.lab_processes.locks import read_holder
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.state_files import read_state_file
from orchestrator.clock import Instant, LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, ReviewStatus
from orchestrator.domain.review import ReviewRequest
from orchestrator.history import History
from orchestrator.loop import Settle
from orchestrator.store.sql import SqlStore
from tests.prefect_database import with_database
from tests.reviewing.prefects import answered
from tests.reviewing.scripted import CAMPAIGN_FILE, Desk, HandClock, answer

pytestmark = pytest.mark.slow

PATIENCE = 90.0
"""Wall seconds for anything to happen on a busy machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUse]:
    use = ServerUse(with_database(tmp_path_factory.mktemp("prefect")))
    use.acquire()
    assert use.reason is None
    before = dict(os.environ)
    os.environ.update(prefect_environment(use))
    refresh_global_settings_context()  # a command sets the environment before it imports Prefect; here Prefect is there already
    yield use
    os.environ.clear()
    os.environ.update(before)
    refresh_global_settings_context()
    keeper = read_holder(use.home / "keeper.lock")
    use.release()
    assert keeper is not None
    assert keeper.process.wait(PATIENCE), "it ends the server first"
    reap(keeper.process.pid)


class People:
    """A campaign in a thread, and what people do about its review runs through Prefect's API."""

    def __init__(self, lab: Lab, *, timeout: int | None = None) -> None:
        self.lab = lab
        self.store = SqlStore.open(lab.ledger)
        asker = PrefectAsker(lab, self.store, "c", timeout=timeout)
        snapshot = {"files": {"campaign": CAMPAIGN_FILE}, "path": str(lab.path / "campaign.toml")}
        self.desk = Desk(lambda *_: None, store=self.store, asker=asker, snapshot=snapshot, clock=_Real())
        self.desk.prepare()
        self.ended: list[Ended | Exception] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.ended.append(self.desk.run())
        except Exception as error:  # handed to the test's own thread
            self.ended.append(error)

    def __enter__(self) -> "People":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        assert self.store.verify() == ()
        self.store.close()

    def leave(self) -> None:
        """Have the campaign leave, as a polite stop does."""
        self.desk.leave.set()
        self.thread.join(PATIENCE)

    def finish(self) -> Ended:
        """Wait for the campaign's end."""
        self.thread.join(PATIENCE)
        assert self.ended
        assert isinstance(self.ended[0], Ended), self.ended
        return self.ended[0]

    @property
    def history(self) -> History:
        return History.of(self.store.changes("c"))

    def asked(self, *, attempt: int = 1) -> tuple[ReviewRequest, str]:
        """Wait until the request is put to people for the n-th time; return it and its flow run."""

        def found() -> tuple[ReviewRequest, str] | None:
            for request in self.history.open_requests:
                for run in request.runs:
                    if run.key.endswith(f"-a{attempt}") and state_of(run.flow_run_id) == "Paused" and has_form(run.flow_run_id):
                        return request, run.flow_run_id
            return None

        asked: tuple[ReviewRequest, str] = wait_for(found)
        return asked


class _Real(HandClock):
    """Real time, since deadlines are not what is tried here."""

    @override
    def lab(self) -> float:
        return LiveClock().lab()

    @override
    def now(self) -> Instant:
        return LiveClock().now()


def wait_for(found: Callable[[], Any]) -> Any:
    """Wait until something is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.2)
    pytest.fail("it did not happen in time")


def client() -> Any:
    from prefect.client.orchestration import get_client  # after the server's environment is set

    return get_client(sync_client=True)


def told(flow_run_id: str) -> Any:
    """Return a flow run with its name and state, as a page shows it."""
    with client() as api:
        return api.read_flow_run(UUID(flow_run_id))


def state_of(flow_run_id: str) -> str:
    try:
        state = told(flow_run_id).state
    except httpx.HTTPError:  # a test has killed the server
        return ""
    return "" if state is None else str(state.name)


def is_cancelled(flow_run_id: str) -> bool:
    return state_of(flow_run_id) == "Cancelled"


def has_form(flow_run_id: str) -> bool:
    """Whether a paused run can be answered: Prefect saves the form a moment after the pause."""
    keys = told(flow_run_id).state.state_details.run_input_keyset
    with client() as api:
        return keys is None or bool(api.filter_flow_run_input(UUID(flow_run_id), key_prefix=keys["schema"], limit=1, exclude_keys=set()))


def submit(flow_run_id: str, people: "People", **edits: str) -> None:
    """Submit the form of the newest request as the page does, all proposals approved with x = 0.5 where nothing else is given."""
    from prefect.flow_runs import resume_flow_run

    request = max(people.history.requests.values(), key=lambda one: one.number)
    resume_flow_run(UUID(flow_run_id), run_input=answered(people.history, request, **{"x": "0.5", **edits}))


def child_of(people: People) -> int:
    """Return the pid of the living review child."""
    (child,) = people.desk.asker._children.values()  # type: ignore[union-attr]  # the asker is ours
    return int(child.process.pid)


@pytest.fixture
def lab(tmp_path: Path, server: ServerUse) -> Lab:
    return make_lab(tmp_path / "lab", beside=tmp_path, kind="live")


def test_a_submitted_form_is_the_answer(lab: Lab) -> None:
    with People(lab) as people:
        _, run = people.asked()
        submit(run, people)
        assert people.finish().status is CampaignStatus.FINISHED
        (kept,) = people.history.answers.values()
        assert (kept.reviewer, kept.via, kept.status) == ("Ada", "page", AnswerStatus.ACCEPTED)
        assert {one.configuration["x"] for one in people.history.newest()} == {0.5}
        wait_for(lambda: state_of(run) == "Completed")
        assert "request 1: Ada: edited 1 (x 0.5, was " in told(run).name
        assert "2 (x 0.5, was " in told(run).state.message


@pytest.mark.long
def test_an_untouched_form_and_one_without_a_verdict_are_refused_by_the_page_itself_which_names_the_proposal(lab: Lab) -> None:
    from prefect.flow_runs import resume_flow_run

    with People(lab) as people:
        request, run = people.asked()
        form = answered(people.history, request)
        undecided = {**form, "proposal_2": {name: value for name, value in form["proposal_2"].items() if name != "verdict"}}
        number = {**form, "proposal_1": {**form["proposal_1"], "x": 0.5}}
        for came, said in (({}, "reviewer"), (undecided, r"proposal_2.*'verdict' is a required"), (number, r"proposal_1\.x.*0\.5")):
            with pytest.raises(Exception, match=said):
                resume_flow_run(UUID(run), run_input=came)
        assert state_of(run) == "Paused"
        assert not people.history.answers


@pytest.mark.long
def test_a_run_set_to_running_by_other_means_is_no_answer_and_is_asked_again(lab: Lab) -> None:
    with People(lab) as people:
        _, first = people.asked()
        with client() as api:
            api.set_flow_run_state(UUID(first), Running())
        _, second = people.asked(attempt=2)
        assert not people.history.answers
        assert not people.desk.box.requests
        submit(second, people)
        assert people.finish().status is CampaignStatus.FINISHED
        assert state_of(first) in ("Completed", "Cancelled")


def test_a_killed_child_asks_again_and_an_answer_given_to_the_dead_run_is_still_read(lab: Lab) -> None:
    with People(lab) as people:
        _, run = people.asked()
        os.kill(child_of(people), signal.SIGSTOP)  # so that nobody is there to take the answer
        submit(run, people)
        os.kill(child_of(people), signal.SIGKILL)
        assert people.finish().status is CampaignStatus.FINISHED
        assert len(people.history.requests) == 1
        assert all(one.attempt == 1 for one in people.history.requests.values()), "nobody was asked twice"


@pytest.mark.long
def test_a_killed_child_that_was_told_nothing_and_one_whose_run_was_deleted_ask_again(lab: Lab) -> None:
    with People(lab) as people:
        _, first = people.asked()
        os.kill(child_of(people), signal.SIGKILL)
        _, second = people.asked(attempt=2)
        assert state_of(first) == "Cancelled"
        with client() as api:
            api.delete_flow_run(UUID(second))  # both pages offer it
        _, third = people.asked(attempt=3)
        submit(third, people)
        assert people.finish().status is CampaignStatus.FINISHED


@pytest.mark.long
def test_an_answer_given_while_no_campaign_was_alive_is_read_before_anything_is_asked(lab: Lab) -> None:
    with People(lab) as people:
        _, run = people.asked()
        people.leave()
        assert state_of(run) == "Paused", "the form waits on, though nobody is there to take the answer"
        submit(run, people)
    with People(lab) as again:
        assert again.finish().status is CampaignStatus.FINISHED
        assert [one.attempt for one in again.history.requests.values()] == [1]
        assert len(again.history.answers) == 1


@pytest.mark.long
def test_an_answer_that_the_ledger_has_already_is_carried_out_and_its_run_shown_as_answered(lab: Lab) -> None:
    with People(lab) as people:
        request, run = people.asked()
        people.leave()
        submit(run, people)
        question = ReviewQuestion(lab, people.store, "c", request.request_id, request.attempt)
        collect(lab, people.store, question.load, run, question.key)  # the last thing that a child did before it was killed
        assert state_of(run) == "Running"
    with People(lab) as again:
        assert again.finish().status is CampaignStatus.FINISHED
        assert [len(one.runs) for one in again.history.requests.values()] == [1]
    assert state_of(run) == "Completed"


@pytest.mark.long
def test_a_decision_in_the_terminal_while_no_campaign_was_alive_closes_the_form(lab: Lab) -> None:
    with People(lab) as people:
        request, run = people.asked()
        people.leave()
        people.store.answer(answer(request, via="terminal", by="Bob"), code=None, now=LiveClock().now())
    with People(lab) as again:
        assert again.finish().status is CampaignStatus.FINISHED
    assert state_of(run) == "Cancelled"


@pytest.mark.long
def test_a_form_answered_after_a_decision_in_the_terminal_is_recorded_as_refused(lab: Lab) -> None:
    with People(lab) as people:
        request, run = people.asked()
        people.leave()
        people.store.answer(answer(request, via="terminal", by="Bob"), code=None, now=LiveClock().now())
        submit(run, people)
    with People(lab) as again:
        assert again.finish().status is CampaignStatus.FINISHED
        kept = {one.reviewer: one.status for one in again.history.answers.values()}
        assert kept == {"Bob": AnswerStatus.ACCEPTED, "Ada": AnswerStatus.REFUSED}
    assert state_of(run) == "Cancelled"


@pytest.mark.long
def test_a_run_whose_child_died_before_the_ledger_knew_of_it_is_closed_and_the_question_put_once(lab: Lab) -> None:
    with People(lab) as people:
        request, first = people.asked()
        people.leave()
        with client() as api:
            lost = str(api.create_flow_run(flow(name="review")(lambda: None), tags=[tag_of(request.request_id)]).id)
            api.set_flow_run_state(UUID(lost), Running(), force=True)
    with People(lab) as again:
        request, second = again.asked(attempt=2)
        assert {state_of(one) for one in (first, lost)} == {"Cancelled"}
        submit(second, people)
        assert again.finish().status is CampaignStatus.FINISHED


@pytest.mark.long
def test_an_answer_given_at_the_very_moment_in_which_the_form_is_closed_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, People]] = []

    def slowly(*given: Any) -> str:
        said = collect(*given)
        if asked and said.startswith("released"):  # nobody has answered yet; somebody does before the form is closed
            submit(*asked.pop())
        return said

    monkeypatch.setattr(stale_review_runs, "collect", slowly)
    with People(lab) as people:
        _, run = people.asked()
        asked.append((run, people))
        os.kill(child_of(people), signal.SIGKILL)
        assert people.finish().status is CampaignStatus.FINISHED
        assert [one.attempt for one in people.history.requests.values()] == [1], "nobody was asked twice"


@pytest.mark.long
def test_a_child_whose_campaign_died_while_it_was_loading_asks_nobody(lab: Lab) -> None:
    with People(lab) as people:
        request, _ = people.asked()
        people.leave()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    words = ["--lab", str(lab.path), "--campaign", "c", "--request", request.request_id, "--attempt", "2", "--parent", str(gone.pid)]
    child = subprocess.run([sys.executable, "-m", "flows.prefect_view.review_run", *words], timeout=PATIENCE, check=False)
    assert child.returncode == 0
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        assert [len(one.runs) for one in History.of(store.changes("c")).requests.values()] == [1]


def test_a_decision_in_the_terminal_closes_the_open_form_and_the_reverse(lab: Lab) -> None:
    with People(lab) as people:
        request, run = people.asked()
        with closing(SqlStore.open(lab.ledger)) as terminal:
            kept = terminal.answer(answer(request, via="terminal", by="Bob"), code=None, now=LiveClock().now())
        assert kept.status is AnswerStatus.RECEIVED
        assert people.finish().status is CampaignStatus.FINISHED
        wait_for(lambda: state_of(run) == "Cancelled")
        with pytest.raises(Exception, match=r"not paused|isn.t paused"):
            submit(run, people)
        with closing(SqlStore.open(lab.ledger)) as terminal:
            late = terminal.answer(answer(request, via="terminal", by="Eve"), code=None, now=LiveClock().now())
        assert late.status is AnswerStatus.REFUSED


def cancelled_first(flow_run_id: str, settle: Callable[[Steps, Settle], None]) -> Callable[[Steps, Settle], None]:
    """Have somebody cancel a run whose answer is in the ledger, before it is carried out."""

    def settled(steps: Steps, action: Settle) -> None:
        with client() as api:
            api.set_flow_run_state(UUID(flow_run_id), Cancelled(), force=True)
        settle(steps, action)

    return settled


@pytest.mark.long
def test_a_decimal_comma_and_an_illegal_edit_are_asked_again_where_people_look_and_a_cancel_after_the_submission_takes_nothing_back(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with People(lab) as people:
        people.desk.recipe.highest = 0.8
        _, first = people.asked()
        submit(first, people, x="0,9")
        again, second = people.asked(attempt=2)
        assert "proposal 1: x: '0,9' is not a quantity: a comma" in (again.complaint or "")
        submit(second, people, x="0.9")
        again, third = people.asked(attempt=3)
        assert "above 0.8" in (again.complaint or "")
        for run, said in ((first, "a comma does not say"), (second, "refused, Ada: proposal 1: box: x = 0.9 is above 0.8")):
            wait_for(partial(is_cancelled, run))
            assert said in told(run).state.message
            assert "request 1: " in told(run).name
        assert "(2 proposals): last answer refused: proposal 1: box: x = 0.9 is above 0.8" in told(third).name
        keys = told(third).state.state_details.run_input_keyset
        with client() as api:
            assert "above 0.8" in str(api.read_flow_run_input(UUID(third), keys["description"]))
            schema = json.loads(api.read_flow_run_input(UUID(third), keys["schema"]))
        assert next(iter(schema["properties"])) == "notice"
        assert "above 0.8" in schema["properties"]["notice"]["description"]
        monkeypatch.setattr(Steps, "carry_out_answer", cancelled_first(third, Steps.carry_out_answer))
        submit(third, people)
        assert people.finish().status is CampaignStatus.FINISHED
        wait_for(lambda: state_of(third) == "Completed")


@pytest.mark.long
def test_a_cancelled_form_is_asked_again_and_an_answer_just_before_the_end_of_its_request_is_refused_in_page_and_ledger(lab: Lab) -> None:
    with People(lab) as people:
        _, first = people.asked()
        with client() as api:
            api.set_flow_run_state(UUID(first), Cancelling())
        request, second = people.asked(attempt=2)
        assert "the request waits on and is asked again" in told(first).state.message
        os.kill(child_of(people), signal.SIGSTOP)  # the form is answered before it is looked at
        submit(second, people)
        closed = request.evolve(status=ReviewStatus.EXPIRED, reason="deadline: expired")
        people.store.update_request(closed, kind=EventKind.REVIEW_EXPIRED, by="deadline", now=LiveClock().now())
        os.kill(child_of(people), signal.SIGCONT)
        wait_for(lambda: state_of(second) == "Cancelled")
        (kept,) = people.history.answers.values()
        assert kept.status is AnswerStatus.REFUSED
        assert (
            told(second).state.message == f"refused, Ada: {kept.reason}" == "refused, Ada: request 1 is expired already (deadline: expired)"
        )
        assert told(second).name == f"review c request 1: {told(second).state.message}"


@pytest.mark.long
def test_prefects_own_time_out_ends_nothing(lab: Lab) -> None:
    with People(lab, timeout=3) as people:
        people.asked()
        _, second = people.asked(attempt=2)
        submit(second, people)
        assert people.finish().status is CampaignStatus.FINISHED
        runs = [run.flow_run_id for one in people.history.requests.values() for run in one.runs]
        assert all(state_of(run) in ("Completed", "Cancelled") for run in runs)
        assert [one.status for one in people.history.requests.values()] == [ReviewStatus.DECIDED]


@pytest.mark.long
def test_a_killed_server_is_begun_again_where_it_was_and_an_open_form_can_be_answered(lab: Lab, server: ServerUse) -> None:
    before = server.url
    with People(lab) as people:
        _, form = people.asked()
        killed = Process.parse(read_state_file(server.home / "server.json"))
        assert killed is not None
        killed.kill()
        wait_for(lambda: (now := Process.parse(read_state_file(server.home / "server.json"))) is not None and now != killed)
        assert server.url == before
        wait_for(lambda: state_of(form) == "Paused")
        submit(form, people)
        assert people.finish().status is CampaignStatus.FINISHED
