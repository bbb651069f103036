"""Steps that wait, as forms in a real Prefect server: what counts as an answer, and what survives the form's process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.context import refresh_global_settings_context

from flows.plans.lab import Lab
from flows.prefect_server.server import ServerUse, prefect_environment
from flows.prefect_view.work_form import value_fields
from flows.prefect_view.work_forms import WorkForms
from instruments.lab_processes.locks import read_holder
from instruments.lab_processes.process_identity import reap
from orchestrator.domain.work import WantedValue, WorkOrder
from tests.people.lab import answers_in, waiting_lab
from tests.prefect_database import with_database

pytestmark = pytest.mark.slow

PATIENCE = 240.0
"""Wall seconds for anything to happen on a busy machine."""
FORM = {"outcome": "done", "weight": "12.3 mg", "colour": "white", "reason": "", "person": "Ada", "code": "", "comment": ""}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUse]:
    use = ServerUse(with_database(tmp_path_factory.mktemp("prefect")))
    use.acquire()
    assert use.reason is None
    before = dict(os.environ)
    os.environ.update(prefect_environment(use))
    refresh_global_settings_context()
    yield use
    os.environ.clear()
    os.environ.update(before)
    refresh_global_settings_context()
    keeper = read_holder(use.home / "keeper.lock")
    use.release()
    assert keeper is not None
    assert keeper.process.wait(PATIENCE)
    reap(keeper.process.pid)


def runs_of(run_key: str) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[f"work-{run_key}-0"])))


def eventually(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < end, what
        time.sleep(0.3)
    return value


def asked(run_key: str, attempt: int = 0) -> FlowRun:
    """Wait until a form is put for the n-th time, and can be submitted; return its flow run."""

    def put() -> FlowRun | None:
        for run in runs_of(run_key):
            keys = (run.state.state_details.run_input_keyset or {}) if run.state is not None else {}
            if run.state is not None and run.state.is_paused() and f"-a{attempt}" in str(keys):
                return run
        return None

    found = eventually(put, f"form {attempt} of {run_key}")
    assert isinstance(found, FlowRun)
    return found


def submit(run: FlowRun, **changes: str) -> None:
    """Submit a form as the page does."""
    with get_client(sync_client=True) as client:
        answer = client._client.post(f"/flow_runs/{run.id}/resume", json={"run_input": {**FORM, **changes}})
        assert answer.json()["status"] == "ACCEPT", answer.text


def test_a_step_is_a_form_that_is_put_again_with_what_was_wrong_and_whose_answer_is_the_ledgers(server: ServerUse, tmp_path: Path) -> None:
    del server
    lab = waiting_lab(tmp_path, runs=2)
    forms = WorkForms(lab, "c")
    forms.look()
    first = asked("k1")
    assert (first.name, asked("k2").name) == ("1a-D chemist.weigh for anybody, campaign c", "2a-9 chemist.weigh for anybody, campaign c")
    submit(first, weight="501 mg")
    again = asked("k1", 1)
    assert again.id == first.id
    assert answers_in(lab) == ()
    submit(again, weight="0.0123 g")
    (kept,) = eventually(lambda: answers_in(lab), "an answer")
    assert (kept.run_key, kept.person, kept.values["weight"], kept.via) == ("k1", "Ada", "0.0123 g", "page")
    eventually(lambda: all(run.state and run.state.is_completed() for run in runs_of("k1")), "the form is closed")
    forms.look()
    assert len(runs_of("k1")) == 1
    submit(asked("k2"), outcome="went-wrong", reason="the vial broke", weight="")
    eventually(lambda: len(answers_in(lab)) == 2, "the other answer")


def test_what_was_submitted_to_a_form_whose_process_was_killed_is_read_before_the_step_is_asked_again(
    server: ServerUse, tmp_path: Path
) -> None:
    del server
    lab = waiting_lab(tmp_path, runs=1, keys="other")
    process = _process(lab)
    try:
        left = asked("other1")
    finally:
        process.kill()
        process.wait()
    submit(left, weight="12.4 mg")
    forms = WorkForms(lab, "c")
    forms.look()
    assert [one.values["weight"] for one in answers_in(lab)] == ["12.4 mg"]
    forms.look()
    states = [run.state for run in runs_of("other1")]
    assert [state is not None and state.is_completed() for state in states] == [True]


def _process(lab: Lab) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-P", "-m", "flows.prefect_view.work_forms", "--lab", str(lab.path), "--campaign", "c"]
    return subprocess.Popen([*words, "--parent", str(os.getpid())], env=dict(os.environ), stdin=subprocess.DEVNULL)


def test_a_value_that_is_called_like_a_field_of_the_form_has_a_field_of_its_own() -> None:
    values = tuple(WantedValue(name=name) for name in ("reason", "reason_", "pH", "mass left"))
    assert value_fields(WorkOrder(instructions="x", values=values)) == {
        "reason": "reason_",
        "reason_": "reason__",
        "pH": "pH",
        "mass left": "mass_left",
    }
