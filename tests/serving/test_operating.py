"""A campaign is started, paused, resumed and cancelled as from Prefect's page; the plant's own log says what the bench did."""

import signal
import time
from collections.abc import Callable
from typing import Final

import pytest

from orchestrator.domain.lifecycle import RunStatus
from tests.crash.oracle import judge
from tests.faults.laboratory import CAMPAIGN, Event, eventually
from tests.serving.conftest import Serve
from tests.serving.served import LOGIN, Served, heats_anew, is_safe, settled, status

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 50.0
"""Heating takes four wall seconds at this rate."""


@pytest.fixture(scope="module")
def served(serve: Serve) -> Served:
    return serve(rate=RATE, deaf=True)


def test_nobody_gets_in_without_the_login(served: Served) -> None:
    codes = [served.ask("POST", "/flow_runs/filter", {}, login=login).status_code for login in (None, "ada:babbage", LOGIN)]
    assert codes == [401, 401, 200]


def test_a_wrong_parameter_ends_a_run_with_one_clear_line(served: Served) -> None:
    file = str(served.laboratory.file)
    begun = [served.begin(file="campaign.toml"), served.begin(file=file, rate="0,5")]
    messages = [served.reaches(run, "FAILED")["message"] for run in begun]
    assert messages[0].startswith("file = 'campaign.toml' is a relative path; expected an absolute one")
    assert messages[1].startswith("rate: '0,5' is not a quantity: a comma")
    assert not any("\n" in one for one in messages)


def test_a_cancel_makes_the_heating_bench_safe_and_leaves_nothing_running(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    run, seen = started(served)
    pressed = time.monotonic()
    served.cancel(run)
    eventually(lambda: is_safe(served, seen), "safe state")
    seconds = time.monotonic() - pressed
    record_property("figure", f"cancelled in the page: heater off and pumps stopped after {seconds:.1f} s")
    ended = served.reaches(run, "CANCELLED")
    assert "athanor resume" in ended["message"]
    said = served.log(run)
    assert [line for line in said if line.startswith("Finished in state Cancelled(")]
    assert not [line for line in said if "Traceback" in line or "unexpected" in line]
    campaign = served.laboratory.changes().campaign
    assert (campaign.status, campaign.reason) == ("paused", "cancelled")
    assert [one for one in served.laboratory.runs() if one.status is RunStatus.ABORTED]
    assert not [one for one in served.laboratory.runs() if one.status.is_open]
    live = [name for name, process in status(served.laboratory)["processes"].items() if process is not None]
    assert live == ["prefect"]


def test_a_cancelled_campaign_waits_for_a_person_and_then_goes_on(served: Served) -> None:
    refused = served.reaches(served.begin_campaign(), "FAILED")
    assert "is paused (cancelled)" in refused["message"]
    assert served.laboratory.type("resume", "--by", "Ada", "--reason", "looked at the bench").code == 0
    run, _ = started(served)
    done = completed(served)
    eventually(lambda: completed(served) > done, "an experiment")
    assert served.state(run)["type"] == "RUNNING"
    assert served.laboratory.changes().campaign.status == "running"


def test_a_suspended_run_finishes_its_experiment_and_goes_on_when_it_is_resumed(served: Served) -> None:
    run = the_run(served)
    eventually(served.laboratory.is_heating, "heating")
    served.suspend(run)
    eventually(lambda: status(served.laboratory)["processes"]["campaign"] is None, "the end of the campaign's process")
    campaign = served.laboratory.changes().campaign
    assert (campaign.status, campaign.reason) == ("paused", "paused in the page")
    assert not [one for one in served.laboratory.runs() if one.status.is_open]
    assert served.state(run)["name"] == "Suspended"
    done = completed(served)
    served.resume(run)
    eventually(lambda: completed(served) > done, "an experiment")
    assert served.reaches(run, "RUNNING")
    assert served.laboratory.changes().campaign.status == "running"


def test_the_overview_tells_of_the_campaign_and_leads_further(served: Served) -> None:
    page = served.artifact(f"{CAMPAIGN}-overview")
    assert page.startswith(f"# {CAMPAIGN}: ")
    assert "of 40" in page
    assert "Best so far: experiment" in page
    assert f"/runs/flow-run/{the_run(served)}" in page
    assert f"/artifacts/key/{CAMPAIGN}-proposals" in page
    assert str(served.laboratory.lab / "reports" / f"{CAMPAIGN}.html") in page
    assert len(page.encode()) < 100_000


def test_an_interrupt_of_the_command_cancels_what_runs_and_leaves_nothing(served: Served) -> None:
    eventually(served.laboratory.is_heating, "heating")
    seen = served.laboratory.truth()
    code, err = served.leave(signal.SIGINT)
    assert (code, err) == (0, "")
    assert is_safe(served, seen)
    campaign = served.laboratory.changes().campaign
    assert (campaign.status, campaign.reason) == ("paused", "cancelled")
    assert settled(served.laboratory.lab) == []
    assert judge(served.laboratory.lab, CAMPAIGN).complaints == ()


def started(served: Served) -> tuple[str, list[Event]]:
    """Start the campaign and let it heat; return the flow run and what had happened until then."""
    heats = heats_anew(served)
    run = served.begin_campaign()
    eventually(lambda: heats() or served.state(run)["type"] in ("FAILED", "CRASHED"), "heating", within=180.0)
    assert served.state(run)["type"] == "RUNNING", served.state(run)
    return run, served.laboratory.truth()


def the_run(served: Served) -> str:
    """Return the flow run that carries the campaign."""
    runs = served.ask("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [CAMPAIGN]}, "state": {"type": {"any_": ["RUNNING"]}}}})
    (found,) = runs.raise_for_status().json()
    return str(found["id"])


def completed(served: Served) -> int:
    return sum(run.status is RunStatus.COMPLETED for run in served.laboratory.runs())
