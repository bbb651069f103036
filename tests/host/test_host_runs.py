import base64
import hashlib
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from tests.host.harness import Bench, request, steps, until


def test_a_run_with_every_kind_of_step_is_completed(bench: Bench) -> None:
    bench.start()
    report = bench.carry_out()
    assert report["status"] == "completed", report
    assert {step["status"] for step in report["steps"]} == {"done"}
    assert bench.executions(report["run_key"]) == (1, 1, 1)
    assert report["steps"][3]["sent"] == {"volume": 1.0}


def test_a_known_key_is_answered_with_what_is_known_and_executed_once(bench: Bench) -> None:
    bench.start()
    wanted = request(bench)
    for _ in range(3):
        assert bench.submit(wanted)["run_key"] == wanted["run_key"]
    bench.await_end(wanted["run_key"])
    assert bench.submit({**wanted, "fence": 5})["status"] == "completed"  # another process has taken the campaign up
    assert bench.executions(wanted["run_key"]) == (1, 1, 1)


def test_other_content_under_a_known_key_another_bench_file_and_an_older_fence_are_refused(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, fence=3)
    path = f"/runs/{wanted['run_key']}"
    bench.submit(wanted)
    assert bench.refused("PUT", path, {**wanted, "position": "B2"} | {"run_key": wanted["run_key"]})[0] == 409
    assert bench.refused("PUT", "/runs/other", request(bench, bench_sha256="0" * 64, fence=3))[0] == 409
    status, line = bench.refused("PUT", "/runs/other", request(bench, fence=2))
    assert (status, line) == (409, "campaign c: fence 2 is older than 3; another process took over")
    assert bench.refused("POST", f"{path}/abort", {"reason": "x", "fence": 2})[0] == 409
    assert bench.refused("POST", f"{path}/stored?fence=1")[0] == 409
    assert bench.refused("GET", "/runs/nobody")[0] == 404
    assert bench.await_end(wanted["run_key"])["status"] == "completed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"do": "pump_a.dose", "kind": StepKind.STATE_SETTING, "arguments": {"volume": 1.0}}, "kind state-setting; the driver says dosing"),
        ({"do": "pump_x.dose", "kind": StepKind.DOSING}, "no instrument 'pump_x'"),
        ({"do": "pump_a.fly", "kind": StepKind.DOSING}, "unknown command; legal: dose, set_flow"),
        ({"do": "oven.set_temperature", "kind": StepKind.STATE_SETTING, "arguments": {"temperature": 301.0}}, "allowed 20 to 300 degC"),
        ({"do": "read", "kind": StepKind.READ, "channels": ("oven.colour",)}, "no channel 'oven.colour'"),
        ({"do": "pump_a.dose", "kind": StepKind.DOSING, "arguments": {"volume": 1.0}}, "no fresh value of oven.temperature"),
    ],
)
def test_what_the_bench_file_does_not_allow_is_refused_on_arrival(bench: Bench, change: dict[str, Any], words: str) -> None:
    bench.start()
    step = Step.model_validate({"index": 0, **change})
    wanted = request(bench, [step])
    status, line = bench.refused("PUT", f"/runs/{wanted['run_key']}", wanted | {"run_key": None})
    assert status == 400
    assert words in line


def test_runs_are_executed_in_the_order_of_arrival(bench: Bench) -> None:
    bench.start()
    wanted = [request(bench, steps(wait=2.0)) for _ in range(3)]
    for one in wanted:
        bench.submit(one)
    reports = [bench.await_end(one["run_key"]) for one in wanted]
    assert [report["status"] for report in reports] == ["completed"] * 3
    begun = [report["started_lab"] for report in reports]
    assert begun == sorted(begun)
    assert all(later["started_lab"] >= earlier["ended_lab"] for earlier, later in itertools.pairwise(reports))


def test_a_long_poll_answers_as_soon_as_something_changes(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=4000.0))
    first = bench.submit(wanted)
    seen = [first["revision"]]
    while len(seen) < 8:
        seen.append(bench.ask("GET", f"/runs/{wanted['run_key']}?after={seen[-1]}&wait=30")["revision"])
    assert seen == sorted(set(seen))


def test_readings_travel_with_raw_bytes_and_are_deleted_only_once_stored(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=400.0))
    bench.submit(wanted)
    assert bench.refused("POST", f"/runs/{wanted['run_key']}/stored")[0] == 409
    bench.await_end(wanted["run_key"])
    readings = bench.readings(wanted["run_key"])
    assert [one["seq"] for one in readings] == list(range(1, len(readings) + 1))
    assert {f"{one['instrument']}.{one['channel']}" for one in readings} >= {"oven.temperature", "pump_a.flow", "platform.spectrum"}
    for one in readings:
        assert hashlib.sha256(base64.b64decode(one["raw"])).hexdigest() == one["sha256"]
    assert [one["array"] for one in readings if one["channel"] == "spectrum"] == [[1.0, 2.5, 1.0]]
    bench.ask("POST", f"/runs/{wanted['run_key']}/stored", {"fence": 1})
    assert bench.readings(wanted["run_key"]) == []
    assert bench.ask("GET", f"/runs/{wanted['run_key']}")["status"] == "completed"


def test_a_program_that_ends_with_a_declared_code_is_infeasible_and_leaves_the_bench_safe(bench: Bench) -> None:
    bench.start()
    with bench.world.open() as state:
        state["platform"] = {**state.get("platform", {}), "next_code": "clogged"}
    report = bench.carry_out()
    assert (report["status"], report["reason"]) == ("infeasible", "the tube clogged")
    assert bench.world.state()["oven"]["safe"] >= 1


def test_a_program_that_ends_with_any_other_code_has_failed(bench: Bench) -> None:
    bench.start()
    with bench.world.open() as state:
        state["platform"] = {**state.get("platform", {}), "next_code": "E17"}
    report = bench.carry_out()
    assert (report["status"], report["reason"]) == ("failed", "program ended with 'E17'")


@pytest.mark.parametrize(("wait", "status"), [(5.0, "completed"), (60.0, "failed")])
def test_a_flow_that_a_run_is_judged_by_is_read_while_it_flows_or_the_instruments_have_failed(
    tmp_path: Path, wait: float, status: str
) -> None:
    bench = Bench(tmp_path, rate=20.0, park_steps='[measured]\nflow = "pump_a.flow"\n')
    try:
        bench.start()
        report = bench.carry_out(steps(wait=wait))
        assert report["status"] == status, report
        if status == "failed":
            assert report["reason"].startswith("step 6 read: read only after the dose of pump_a had ended")
            assert bench.world.state()["platform"].get("programs") is None
    finally:
        bench.close()


def test_a_setpoint_that_is_not_reached_in_time_fails_the_run_before_anything_is_dosed(bench: Bench) -> None:
    bench.start()
    procedure = steps()
    until_never = procedure[0].until
    assert until_never is not None
    procedure[0] = procedure[0].evolve(until=until_never.evolve(target=200.0, timeout=30.0).model_dump())
    report = bench.carry_out(procedure)
    assert report["status"] == "failed"
    assert "oven.temperature is at 100 after 30 lab s; expected 200 within 1" in report["reason"]
    assert [step["status"] for step in report["steps"]] == ["failed"] + ["skipped"] * 7
    assert bench.executions(report["run_key"]) == (0, 0, 0)


def test_an_interlock_is_judged_on_fresh_readings_just_before_the_wire(slow_bench: Bench) -> None:
    bench = slow_bench
    bench.start()
    procedure = steps()
    procedure[0] = procedure[0].evolve(until=None)  # the setpoint satisfies the interlock, the oven does not yet
    report = bench.carry_out([step for step in procedure if step.index < 5])
    assert report["status"] == "failed"
    assert "interlock 'warm before dosing': oven.temperature = " in report["reason"]
    assert bench.executions(report["run_key"]) == (0, 0, 0)


def test_an_aborted_run_ends_at_once_and_a_waiting_one_never_begins(bench: Bench) -> None:
    bench.start()
    running, waiting = request(bench, steps(wait=1e6)), request(bench)
    bench.submit(running)
    bench.submit(waiting)
    bench.await_step(running["run_key"], 5, "intent")
    assert bench.ask("POST", f"/runs/{waiting['run_key']}/abort", {"reason": "not needed", "fence": 1})["status"] == "aborted"
    bench.ask("POST", f"/runs/{running['run_key']}/abort", {"reason": "smoke"})
    report = bench.await_end(running["run_key"])
    assert (report["status"], report["reason"]) == ("aborted", "smoke")
    assert bench.executions(waiting["run_key"]) == (0, 0, 0)
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0


def test_a_stop_overtakes_everything_and_latches_the_bench(bench: Bench) -> None:
    bench.start()
    running, waiting = request(bench, steps(wait=1e6)), request(bench)
    bench.submit(running)
    bench.submit(waiting)
    bench.await_step(running["run_key"], 5, "intent")
    answer = bench.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    assert [(one["instrument"], one["done"]) for one in answer["safe_state"]] == [
        (name, True) for name in ("oven", "pump_a", "pump_b", "platform")
    ]
    assert bench.await_end(running["run_key"])["status"] == "aborted"
    assert bench.await_end(waiting["run_key"])["status"] == "aborted"
    assert (bench.lab / "latched.json").exists()
    assert bench.refused("PUT", "/runs/next", request(bench))[0] == 423
    bench.ask("POST", "/unlatch", {"by": "Ada", "reason": "false alarm"})
    assert not (bench.lab / "latched.json").exists()
    assert bench.carry_out()["status"] == "completed"


def test_a_stop_gets_through_while_many_ask(bench: Bench) -> None:
    bench.start()
    wanted = request(bench, steps(wait=1e6))
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 5, "intent")
    polls = [threading.Thread(target=bench.answers, args=(f"/runs/{wanted['run_key']}?after=999&wait=20",)) for _ in range(60)]
    for poll in polls:
        poll.start()
    bench.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0
    assert bench.await_end(wanted["run_key"])["status"] == "aborted"
    bench.host.terminate() if bench.host else None
    assert bench.end() == 0
    for poll in polls:
        poll.join()


def test_watchdogs_are_armed_and_fed_on_the_wires_own_threads(bench: Bench) -> None:
    bench.start()
    until(lambda: bench.world.state()["pump_a"].get("refreshed", 0) >= 3, "pump_a's watchdog is fed")
    assert bench.world.state()["pump_a"]["armed"] == 1
    assert "refreshed" not in bench.world.state()["pump_b"]


def test_people_see_devices_runs_and_signs_of_life(bench: Bench) -> None:
    bench.start()
    report = bench.carry_out()
    status = bench.ask("GET", "/status")
    assert status["identities"]["oven"]["model"] == "fake"
    assert [run["run_key"] for run in status["runs"]] == [report["run_key"]]
    alive = bench.ask("GET", "/alive?supervisor=1")
    assert alive["ready"]
    assert not alive["latched"]
    assert alive["run"] is None
    assert set(alive["wires"]) == {"heat", "flow", "analysis"}
    assert max(alive["executor_age_s"], *alive["wires"].values()) < 10.0


def test_a_person_reads_one_channel_of_an_idle_bench_latched_or_not_and_none_beside_a_run(bench: Bench) -> None:
    bench.start()
    told = bench.answers("/channels/oven/temperature")
    assert (told["channel"], told["unit"], told["error"]) == ("temperature", "degC", None)
    assert isinstance(told["value"], float)
    assert told["wire"]
    assert bench.refused("GET", "/channels/oven/colour")[0] == 404
    wanted = request(bench)
    bench.ask("GET", "/alive?supervisor=1")
    bench.submit(wanted)
    bench.await_step(wanted["run_key"], 1, "sent", "acknowledged", "done")
    status, line = bench.refused("GET", "/channels/oven/temperature")
    assert (status, line) == (409, f"run {wanted['run_key']} is being executed; its devices can be read once it is over")
    bench.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    until(lambda: bench.ask("GET", "/alive")["run"] is None, "the run's end")
    assert bench.answers("/channels/oven/temperature")["error"] is None
