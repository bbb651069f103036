"""The host is killed with SIGKILL at every arrow of a run's life; the fake world counts what was carried out."""

from contextlib import suppress
from typing import Any

import pytest

from orchestrator.errors import HostError
from tests.host.harness import Bench, request, steps

pytestmark = pytest.mark.slow

COMMITS = 29
"""Transitions of a whole run: arrival, begin, 4 + 3 + 3 + 4 + 4 + 2 + 2 + 4 for its steps, end."""
AFTER = (1, 2, 3, 7, 10, 13, 16, 19, 21, 23, 29)
"""Where the device's state differs between just after this commit and just before the next one: mostly intents."""


def _run_through_deaths(bench: Bench, rule: Any, *, at: int, before: bool) -> dict[str, Any]:
    """Kill the first host at a commit, let the second one finish, and return run key and report."""
    wanted = request(bench, steps(rule))
    bench.start(at=at, before=before)
    with suppress(HostError):  # it may die before it answers
        bench.submit(wanted)
    bench.await_end(wanted["run_key"], survive=True)
    assert bench.end() == -9
    bench.start()
    bench.submit(wanted)
    return bench.await_end(wanted["run_key"])


@pytest.mark.parametrize("at", range(1, COMMITS + 1))
def test_a_host_killed_before_a_commit_completes_the_run_with_one_execution_each(bench: Bench, at: int) -> None:
    report = _run_through_deaths(bench, "continue", at=at, before=True)
    assert report["status"] == "completed", report
    assert bench.executions(report["run_key"]) == (1, 1, 1)


@pytest.mark.parametrize("at", AFTER)
def test_a_host_killed_after_a_commit_completes_the_run_with_one_execution_each(bench: Bench, at: int) -> None:
    report = _run_through_deaths(bench, "continue", at=at, before=False)
    assert report["status"] == "completed", report
    assert bench.executions(report["run_key"]) == (1, 1, 1)


@pytest.mark.parametrize("at", range(3, COMMITS + 1, 2))
def test_a_run_that_no_interruption_may_touch_is_executed_once_at_most_and_says_how_it_ended(bench: Bench, at: int) -> None:
    report = _run_through_deaths(bench, "abort", at=at, before=True)
    executed = bench.executions(report["run_key"])
    assert max(executed) <= 1
    if report["status"] == "completed":
        assert executed == (1, 1, 1)
    else:
        assert report["status"] == "failed"
        assert report["reason"].startswith("interrupted: ")
        assert report["evidence"].get("not_executed", False) is (executed == (0, 0, 0))
        assert bench.world.state()["oven"]["heat"]["to"] == 20.0


def test_a_host_that_dies_at_each_commit_in_turn_still_completes_the_run(bench: Bench) -> None:
    wanted = request(bench, steps("continue"))
    for _ in range(COMMITS):
        bench.start(at=2)
        with suppress(HostError):
            bench.submit(wanted)
        if bench.await_end(wanted["run_key"], survive=True).get("status") == "completed":
            break
        bench.end()
    else:
        bench.start()
    assert bench.await_end(wanted["run_key"])["status"] == "completed"
    assert bench.executions(wanted["run_key"]) == (1, 1, 1)
