"""What is recorded of the laboratory beside a run: read in the host, kept through its death, and no reason for a run to fail."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from instruments.lab_processes.state_files import HOST_ERROR
from orchestrator.domain.environment import EnvironmentChannel, Sample
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput
from tests.host.harness import Bench, request, steps
from tests.host.test_journal import a_request

LOGGER = """
[links.room]
kind = "serial"
port = "/dev/null/room"

[instruments.logger]
driver = "fake-logger"
link = "room"

[environment.rh]
channel = "logger.rh"
reference = "40 %"
every = "4 s"
"""
RH = EnvironmentChannel(name="rh", channel="logger.rh", unit="%", reference=40.0, every=10.0)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path, rate=40.0, park_steps=LOGGER)
    with made.world.open() as state:
        state["logger"] = {"rh": 43.0}
    yield made
    made.close()


def rh(report: dict[str, Any]) -> dict[str, Any]:
    """Return the one quantity that is recorded."""
    (one,) = report["environment"]
    return dict(one)


def test_what_is_read_over_a_run_belongs_to_it(bench: Bench) -> None:
    bench.start()
    report = bench.carry_out(steps(wait=120.0))
    assert report["status"] == "completed", report
    found, lasted = rh(report), report["ended_lab"] - report["started_lab"]
    assert (found["name"], found["channel"], found["unit"], found["mean"], found["sd"]) == ("rh", "logger.rh", "%", 43.0, 0.0)
    assert lasted / 4.0 / 3.0 < found["samples"] <= lasted / 4.0 + 1.0
    assert 0.5 < found["coverage"] <= 1.0
    assert found["message"] is None


def test_a_channel_that_cannot_be_read_fails_no_run_and_what_is_missing_is_told(bench: Bench) -> None:
    bench.world.plan("logger", "read", "refused", times=1000)
    bench.start()
    report = bench.carry_out()
    found = rh(report)
    assert report["status"] == "completed", report
    assert (found["mean"], found["samples"], found["coverage"], found["lag"]) == (None, 0, 0.0, None)
    assert found["message"].endswith("times it could not be read, at last: logger answered ?OOR")


def test_a_logger_that_comes_back_within_a_run_is_read_again(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=240.0))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    bench.world.absent("logger", gone=True)
    bench.wait_lab(60.0)
    bench.world.absent("logger", gone=False)
    found = rh(bench.await_end(wanted["run_key"]))
    assert found["samples"] > 10
    assert 50.0 < found["lag"] < 180.0
    assert bench.world.state()["logger"]["armed"] > 1  # its link was opened anew
    assert bench.world.state()["oven"]["armed"] == 1
    assert "times it could not be read, at last: link room (" in found["message"]


def test_readings_from_before_a_kill_are_kept_and_the_time_without_a_host_is_not_covered(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps("continue", wait=400.0))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    bench.wait_lab(60.0)
    with bench.world.open() as state:
        state["logger"]["rh"] = 53.0
    assert bench.host is not None
    os.kill(bench.host.pid or 0, signal.SIGKILL)
    assert bench.end() == -9
    bench.wait_lab(100.0)
    bench.start()
    report = bench.await_end(wanted["run_key"])
    found = rh(report)
    assert report["status"] == "completed", report
    assert 43.0 < found["mean"] < 53.0  # of both lives of the host
    assert found["lag"] >= 100.0
    assert found["coverage"] < 1.0 - (100.0 - 8.0) / (report["ended_lab"] - report["started_lab"])


def test_a_bench_that_declares_nothing_tells_of_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    try:
        assert bench.carry_out()["environment"] == []
    finally:
        bench.close()


def test_a_host_does_not_start_with_an_environment_that_cannot_be_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path, park_steps=LOGGER.replace("logger.rh", "logger.pressure"))
    bench.start(wait=False)
    assert bench.end() == BadInput.exit_code
    assert "[environment] rh: the bench has no channel 'logger.pressure'" in (bench.lab / HOST_ERROR).read_text()
    assert bench.world.state().get("logger", {}) == {}  # before a wire was touched
    bench.close()


SOURCES = """
[stocks.se]
species = { Se = "0.2 mol/L" }
lot = "SE-09"
volume = "200 mL"

[environment.selenium]
lot = "stocks.se"

[environment.age]
since = "logger.serviced"
"""


def test_lots_and_days_since_a_service_belong_to_a_run_through_a_kill(tmp_path: Path) -> None:
    logger = LOGGER.partition("[environment")[0].replace('link = "room"', 'link = "room"\nserviced = 2026-01-01')
    bench = Bench(tmp_path, rate=40.0, park_steps=logger + SOURCES)
    try:
        bench.start()
        wanted = request(bench, steps("continue", wait=200.0))
        bench.submit(wanted)
        bench.await_step(wanted["run_key"], 5, "intent")
        assert bench.host is not None
        os.kill(bench.host.pid or 0, signal.SIGKILL)
        assert bench.end() == -9
        bench.start()
        report = bench.await_end(wanted["run_key"])
    finally:
        bench.close()
    selenium, age = report["environment"]
    assert (selenium["name"], selenium["channel"], selenium["lot"], selenium["mean"]) == ("selenium", "stocks.se", "SE-09", None)
    assert (age["channel"], age["unit"], age["coverage"], age["message"]) == ("logger.serviced", "day", 1.0, None)
    assert "lot" not in age
    assert age["mean"] == pytest.approx((datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() / 86400.0, abs=0.1)


# ---------------------------------------------------------------------- the journal


def begun(path: Path) -> Journal:
    """Return a journal with a run that began at lab second 100, beside which humidity is recorded."""
    journal = Journal(path)
    journal.declare([RH])
    journal.commit(Transition("k", RunStatus.DISPATCHED, request=a_request()))
    journal.commit(Transition("k", RunStatus.RUNNING, lab=100.0))
    return journal


def test_samples_outlive_the_journals_owner_and_are_forgotten_once_they_are_stored(tmp_path: Path) -> None:
    journal = begun(tmp_path / "j")
    journal.add_sample("rh", Sample(lab=100.0, value=40.0))
    journal.close()
    journal = Journal(tmp_path / "j")
    journal.declare([RH.evolve(reference=50.0)])  # what was declared when the run began stays
    journal.add_sample("rh", Sample(lab=110.0, value=42.0))
    journal.commit(Transition("k", RunStatus.COMPLETED, lab=120.0))
    journal.add_sample("rh", Sample(lab=115.0, value=99.0))  # too late: a run that has ended changes no more
    run = journal.run("k")
    assert run is not None
    (found,) = run.report().environment
    assert (found.mean, found.samples, found.coverage, found.reference) == (41.0, 2, 1.0, 40.0)
    journal.stored("k")
    run = journal.run("k")
    assert run is not None
    assert run.report().environment == ()
    journal.close()


def test_a_run_that_has_not_ended_has_no_environment_yet(tmp_path: Path) -> None:
    journal = begun(tmp_path / "j")
    journal.add_sample("rh", Sample(lab=100.0, value=40.0))
    run = journal.run("k")
    assert run is not None
    assert run.report().environment == ()
    assert journal.running() == {"k"}
    journal.close()
