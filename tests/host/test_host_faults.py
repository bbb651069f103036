"""Lost, refused and undecidable commands: what may happen only once is never sent again on a guess."""

from typing import Any

import pytest

from tests.host.harness import Bench, request, steps, until


@pytest.mark.parametrize("kind", ["lost-reply", "lost-request", "not-sent"])
@pytest.mark.parametrize("instrument", ["oven", "pump_a", "platform"])
def test_a_lost_exchange_is_settled_by_evidence_and_the_run_goes_on(bench: Bench, instrument: str, kind: str) -> None:
    bench.start()
    bench.world.plan(instrument, "perform", kind)
    report = bench.carry_out()
    assert report["status"] == "completed", report
    assert bench.executions(report["run_key"]) == (1, 1, 1)


def test_a_state_setting_step_is_sent_again_twice_at_most(bench: Bench) -> None:
    bench.start()
    bench.world.plan("oven", "perform", "lost-request", times=3)
    report = bench.carry_out()
    assert (report["status"], report["steps"][0]["status"]) == ("failed", "failed")
    assert "oven gave no answer" in report["reason"]
    assert bench.world.state()["faults"] == []


@pytest.mark.parametrize("instrument", ["oven", "pump_a", "platform"])
def test_a_refused_command_is_not_sent_again_and_fails_the_run(bench: Bench, instrument: str) -> None:
    bench.start()
    bench.world.plan(instrument, "perform", "refused")
    report = bench.carry_out()
    assert report["status"] == "failed"
    assert f"{instrument} answered ?OOR" in report["reason"]
    assert max(bench.executions(report["run_key"])) <= 1
    assert bench.world.state()["oven"]["safe"] >= 1


def test_silent_reads_and_polls_are_asked_again(bench: Bench) -> None:
    bench.start()
    bench.world.plan("oven", "read", "lost-request", times=2)
    bench.world.plan("platform", "outcome", "lost-reply", times=4)
    assert bench.carry_out()["status"] == "completed"


def _unknown(bench: Bench) -> dict[str, Any]:
    """Let the host die just after a dose went out, and switch the pump off and on before the next host comes."""
    wanted = request(bench, steps("continue"))
    bench.start(at=14, before=True)
    bench.submit(wanted)
    bench.end()
    bench.world.power_cycle("pump_a")
    bench.start()
    return bench.await_end(wanted["run_key"])


def test_a_dose_that_nobody_can_decide_is_unknown_and_blocks_the_bench(bench: Bench) -> None:
    report = _unknown(bench)
    assert (report["status"], report["steps"][3]["status"]) == ("unknown", "unknown")
    assert report["evidence"]["finding"]["verdict"] == "undecidable"
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0
    status, line = bench.refused("PUT", "/runs/next", request(bench))
    assert status == 503
    assert f"athanor resolve {report['run_key']} --done | --not-done | --discard --reason TEXT --by NAME" in line
    bench.host.terminate() if bench.host else None
    assert bench.end() == 0
    bench.start()
    assert bench.ask("GET", f"/runs/{report['run_key']}")["status"] == "unknown"
    assert bench.executions(report["run_key"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("verdict", "status", "reason", "not_executed"),
    [
        ("done", "failed", "executed, result lost", None),
        ("not-done", "failed", "not executed", True),
        ("discard", "aborted", "discarded", None),
    ],
)
def test_a_person_settles_an_unknown_run_and_the_bench_works_again(
    bench: Bench, verdict: str, status: str, reason: str, *, not_executed: bool | None
) -> None:
    key = _unknown(bench)["run_key"]
    assert bench.refused("POST", f"/runs/{key}/resolve", {"verdict": "perhaps", "by": "Ada", "reason": "x"})[0] == 400
    assert bench.refused("POST", f"/runs/{key}/resolve", {"verdict": verdict, "by": " ", "reason": "x"})[0] == 400
    report = bench.ask("POST", f"/runs/{key}/resolve", {"verdict": verdict, "by": "Ada", "reason": "looked at the syringe"})
    assert (report["status"], report["reason"]) == (status, reason)
    assert report["evidence"].get("not_executed") is not_executed
    assert (report["evidence"]["by"], report["evidence"]["reason"]) == ("Ada", "looked at the syringe")
    assert bench.refused("POST", f"/runs/{key}/resolve", {"verdict": verdict, "by": "Ada", "reason": "x"})[0] == 409
    assert bench.carry_out()["status"] == "completed"


def test_a_program_that_ended_under_our_key_is_adopted_however_long_the_gap(bench: Bench) -> None:
    procedure = [step.evolve(interrupted="abort") for step in steps()]
    wanted = request(bench, procedure)
    bench.start(at=26, before=True)  # the program was sent, its acknowledgement is not committed
    bench.submit(wanted)
    bench.end()
    lab_before = bench.world.state()["platform"]["programs"][wanted["run_key"]]["end"]
    assert lab_before > 0
    bench.wait_lab(200.0)
    bench.start()
    report = bench.await_end(wanted["run_key"])
    assert report["status"] == "completed", report
    assert bench.executions(wanted["run_key"]) == (1, 1, 1)


def test_a_gap_beyond_max_gap_ends_the_run_and_proves_what_was_not_executed(bench: Bench) -> None:
    procedure = [step.evolve(interrupted=60.0) for step in steps()]
    wanted = request(bench, procedure)
    bench.start(at=13, before=False)  # the intent to dose is committed, nothing was sent
    bench.submit(wanted)
    bench.end()
    bench.wait_lab(100.0)
    bench.start()
    report = bench.await_end(wanted["run_key"])
    assert report["status"] == "failed"
    assert report["reason"].startswith("interrupted: ")
    assert report["reason"].endswith("at most 60 allowed")
    assert report["evidence"]["not_executed"] is True
    assert bench.executions(wanted["run_key"]) == (0, 0, 0)


def test_settings_that_a_watchdog_may_have_undone_are_made_again_after_an_interruption(bench: Bench) -> None:
    wanted = request(bench, steps("continue"))
    bench.start(at=13, before=False)
    bench.submit(wanted)
    bench.end()
    with bench.world.open() as state:
        state["oven"]["heat"] = None
        state["pump_a"]["set_flow"] = {"flow": 0.001}
    bench.start()
    assert bench.await_end(wanted["run_key"])["status"] == "completed"
    assert bench.world.state()["pump_a"]["set_flow"] == {"flow": 2.0}
    temperatures = [one["value"] for one in bench.readings(wanted["run_key"]) if one["channel"] == "temperature"]
    assert temperatures[-1] == pytest.approx(100.0)


def test_a_device_that_complains_when_its_watchdog_is_fed_ends_the_run(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=1e6))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    bench.world.plan("pump_a", "refresh", "refused")
    report = bench.await_end(wanted["run_key"])
    assert (report["status"], report["reason"]) == ("failed", "pump_a answered ?OOR")
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0


def test_a_device_that_complains_on_an_idle_bench_is_armed_anew_before_the_next_run(bench: Bench) -> None:
    bench.start()
    armed = bench.world.state()["pump_a"]["armed"]
    bench.world.plan("pump_a", "refresh", "refused")
    until(lambda: bench.world.state()["pump_a"].get("safe", 0) > 0, "the bench is made safe")
    assert bench.carry_out()["status"] == "completed"
    assert bench.world.state()["pump_a"]["armed"] == armed + 1


def test_settings_are_made_again_when_a_link_was_opened_anew_during_a_run(bench: Bench) -> None:
    bench.start()
    bench.world.plan("oven", "read", "lost-request", times=2)
    report = bench.carry_out()
    assert report["status"] == "completed"
    assert bench.world.state()["oven"]["armed"] == 2  # at the start, and after the lost link
    assert bench.world.state()["oven"]["settings"] == 2
    assert bench.executions(report["run_key"]) == (1, 1, 1)
