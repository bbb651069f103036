"""The host is killed with SIGKILL at every arrow of a run's life; the fake world counts what was carried out."""

from contextlib import suppress
from typing import Any

import pytest

from orchestrator.errors import HostError
from tests.host.harness import Bench, request, steps

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


def _executions(bench: Bench, run_key: str) -> dict[str, int]:
    counts = bench.world.executions()
    return {name: counts.get(f"{name}.{run_key}", 0) for name in ("pump_a", "pump_b", "platform")}


@pytest.mark.parametrize("at", range(1, COMMITS + 1))
def test_a_host_killed_before_a_commit_completes_the_run_with_one_execution_each(bench: Bench, at: int) -> None:
    report = _run_through_deaths(bench, "continue", at=at, before=True)
    assert report["status"] == "completed", report
    assert _executions(bench, report["run_key"]) == {"pump_a": 1, "pump_b": 1, "platform": 1}


@pytest.mark.parametrize("at", AFTER)
def test_a_host_killed_after_a_commit_completes_the_run_with_one_execution_each(bench: Bench, at: int) -> None:
    report = _run_through_deaths(bench, "continue", at=at, before=False)
    assert report["status"] == "completed", report
    assert _executions(bench, report["run_key"]) == {"pump_a": 1, "pump_b": 1, "platform": 1}
