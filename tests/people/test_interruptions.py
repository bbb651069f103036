"""Host, campaign and person come and go while runs wait: nothing is asked twice, lost or counted twice."""

from contextlib import suppress
from typing import Any

import pytest

from orchestrator.errors import AthanorError, HostError
from tests.host.harness import request, until
from tests.people.bench import DOSE, FLOW, HEAT, READ, WEIGH, PeopleBench, answer_path, hand_over, procedure, said

pytestmark = pytest.mark.slow

STEPS = procedure(WEIGH, FLOW, DOSE, WEIGH, rule="continue")
DEADLY = (3, 4, 8, 12, 13)
"""Of 14 commits (arrival, begin, 2 for each person, 3 for a setting, 4 for the dose, end): asked, answered, the dose's intent."""


def _answer_all(bench: PeopleBench, wanted: dict[str, Any], bodies: dict[int, dict[str, Any]]) -> str:
    """Hand a run over and answer whatever waits, until it has ended or the host is dead; return how it stands."""
    with suppress(HostError):
        bench.submit(wanted)
    while bench.alive:
        found = bench.answers(f"/runs/{wanted['run_key']}?after=-1&wait=0&fence=1")
        if found.get("status") in ("completed", "failed", "unknown"):
            return str(found["status"])
        for step in found.get("steps", ()):
            if step["do"] == "chemist.weigh" and step["status"] == "intent":
                with suppress(AthanorError):  # it may die before it answers
                    bench.ask("POST", answer_path(wanted["run_key"], step["index"]), bodies[step["index"]])
    return "dead"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", DEADLY)
def test_a_host_that_is_killed_asks_nobody_twice_and_loses_no_answer(bench: PeopleBench, at: int, before: bool) -> None:
    wanted, bodies = request(bench, STEPS), {0: said(), 3: said()}
    bench.start(at=at, before=before)
    if _answer_all(bench, wanted, bodies) == "dead":
        assert bench.end() == -9
        bench.start()
        assert _answer_all(bench, wanted, bodies) == "completed"
    assert bench.executions(wanted["run_key"]) == (0, 1, 0)
    assert [one["value"] for one in bench.readings(wanted["run_key"]) if one["channel"] == "weight"] == [12.3, 12.3]
    report = bench.answers(f"/runs/{wanted['run_key']}")
    assert {step["status"] for step in report["steps"]} == {"done"}


def test_the_bench_goes_safe_without_a_campaign_and_a_run_that_no_interruption_may_touch_has_failed(bench: PeopleBench) -> None:
    bench.grace = 1.0
    bench.write_files()
    bench.start()
    strict = hand_over(bench, procedure(HEAT, WEIGH, READ))
    people = hand_over(bench, procedure(WEIGH))
    until(lambda: bench.notes("safe-state"), "the bench is made safe")
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0
    bench.answer(people)  # it is taken with nobody there, and needs no bench
    bench.ended(people)
    report = bench.ended(strict, "failed")  # who asks is a campaign again
    assert "since the bench was made safe at step 1 chemist.weigh; none allowed" in report["reason"]


def test_a_run_that_may_be_interrupted_gets_its_settings_again_before_it_goes_on(bench: PeopleBench) -> None:
    bench.grace = 1.0
    bench.write_files()
    bench.start()
    key = hand_over(bench, procedure(HEAT, WEIGH, READ, rule="continue"))
    until(lambda: bench.notes("safe-state"), "the bench is made safe")
    bench.ask("GET", f"/runs/{key}?fence=1")
    until(lambda: bench.world.state()["oven"]["heat"]["to"] == 100.0, "the oven is set again")
    assert bench.answers(f"/runs/{key}?fence=1")["steps"][1]["status"] == "intent"  # nobody is asked twice
    bench.answer(key, 1)
    bench.ended(key)


def test_a_host_without_work_leaves_and_the_next_one_waits_on(bench: PeopleBench) -> None:
    bench.grace, bench.idle_exit = 0.5, 1.0
    bench.write_files()
    bench.start()
    key = hand_over(bench, procedure(WEIGH))
    assert bench.end() == 0
    bench.grace, bench.idle_exit = 60.0, 600.0  # the next one has time for this test
    bench.write_files()
    bench.start()
    assert bench.answers(f"/runs/{key}")["steps"][0]["status"] == "intent"
    bench.answer(key)
    bench.ended(key)


def test_a_run_that_waits_survives_a_restart_that_others_do_not(bench: PeopleBench) -> None:
    bench.start()
    holding, people = hand_over(bench, procedure(HEAT, WEIGH)), hand_over(bench, procedure(WEIGH))
    bench.await_person(holding, 1)
    bench.await_person(people)
    assert bench.host is not None
    bench.host.kill()
    bench.end()
    bench.start()
    assert bench.ended(holding, "failed")["reason"].startswith("interrupted: ")
    assert bench.answers(f"/runs/{people}")["status"] == "running"
    bench.answer(people)
    bench.ended(people)
