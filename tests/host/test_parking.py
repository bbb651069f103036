"""An idle bench is parked, and warmed up before anything else happens on it; each half of that leaves a record."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from instruments.bench_client.client import HostClient
from instruments.lab_processes.state_files import HOST, read_state_file, write_latch
from orchestrator.errors import BenchLatched, HostError
from tests.host.harness import Bench, request, steps, until

pytestmark = pytest.mark.slow

AFTER = 'park_after = "120 s"'
NEVER = 'park_after = "1000 h"'
PARK = """
[[park.steps]]
do = "oven.set_temperature"
with = { temperature = "40 degC" }

[[park.steps]]
do = "pump_a.set_flow"
with = { flow = "0.5 mL/min" }
"""


@pytest.fixture
def parking(tmp_path: Path) -> Iterator[Bench]:
    """Parks after 0.3 wall seconds."""
    made = Bench(tmp_path, park_after=AFTER, park_steps=PARK)
    yield made
    made.close()


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Bench]:
    """Would park, but not in the time of a test."""
    made = Bench(tmp_path, park_after=NEVER, park_steps=PARK)
    yield made
    made.close()


def is_parked(bench: Bench) -> bool:
    return bench.answers("/alive").get("parked") is True


def run_and_park(bench: Bench) -> dict[str, Any]:
    """Carry out a run and wait until the bench is parked after it; on a slow machine it was parked before it, too."""
    report = bench.carry_out()
    assert report["status"] == "completed"
    until(lambda: is_parked(bench) and any(note["lab"] > report["ended_lab"] for note in bench.notes("parked")), "parked")
    return report


def settings(bench: Bench) -> tuple[Any, Any, Any]:
    """Return what oven and pumps are set to."""
    state = bench.world.state()
    return tuple(
        state.get(name, {}).get(command, {}).get(argument)
        for name, command, argument in (
            ("oven", "set_temperature", "temperature"),
            ("pump_a", "set_flow", "flow"),
            ("pump_b", "set_flow", "flow"),
        )
    )


def test_an_idle_bench_is_parked_once_and_says_so(parking: Bench) -> None:
    parking.start()
    report = run_and_park(parking)
    assert settings(parking) == (40.0, 0.5, 3.0)
    parking.wait_lab(3 * 120.0)
    (begun,) = [note for note in parking.notes("parking") if note["lab"] > report["ended_lab"]]
    assert [step["do"] for step in begun["steps"]] == ["oven.set_temperature", "pump_a.set_flow"]
    (parked,) = [note for note in parking.notes("parked") if note["lab"] > report["ended_lab"]]
    assert parked["lab"] - report["ended_lab"] >= 120.0
    assert parked["sent"][1] == {"do": "pump_a.set_flow", "sent": {"flow": 0.5}}
    shown = parking.ask("GET", "/status")["parking"]
    assert (shown["phase"], [one["arguments"] for one in shown["before"]]) == ("parked", [{"temperature": 100.0}, {"flow": 2.0}])


def test_what_stood_before_is_set_again_before_the_first_step_of_the_next_run(parking: Bench) -> None:
    parking.start()
    run_and_park(parking)
    parking.world.plan("oven", "perform", "refused", times=1)  # the first setting after parking is refused
    report = parking.carry_out(steps(temperature=120.0))
    assert (report["status"], report["steps"][0]["status"]) == ("failed", "skipped")
    assert "could not be warmed up" in report["reason"]
    assert report["evidence"]["not_executed"] is True
    assert parking.notes("warming")[-1]["why"] == f"run {report['run_key']}"
    assert parking.notes("warming")[-1]["steps"][0]["arguments"] == {"temperature": 100.0}


def test_a_run_on_a_parked_bench_goes_as_any_other(parking: Bench) -> None:
    parking.start()
    run_and_park(parking)
    report = parking.carry_out()
    assert report["status"] == "completed"
    warmed = parking.notes("warmed")[-1]
    assert [one["sent"] for one in warmed["sent"]] == [{"temperature": 100.0}, {"flow": 2.0}]
    assert warmed["lab"] <= report["steps"][0]["started_lab"]
    assert parking.executions(report["run_key"]) == (1, 1, 1)


def test_a_campaign_may_warm_the_bench_before_it_hands_a_run_over(parking: Bench) -> None:
    parking.start()
    run_and_park(parking)
    stood = parking.notes("parking")[-1]
    with HostClient(read_state_file(parking.lab / HOST)["socket"], 1, campaign="c", beats=False) as client:
        assert client.warm()
    until(lambda: parking.notes("parking")[-1] != stood, "parked again, since no run came")
    warmed = parking.notes("warmed")[-1]
    assert parking.notes("warming")[-1]["why"] == "asked for"
    assert [one["sent"] for one in warmed["sent"]] == [{"temperature": 100.0}, {"flow": 2.0}]
    assert stood["lab"] < warmed["lab"] <= parking.notes("parking")[-1]["lab"] - 120.0
    assert parking.notes("parking")[-1]["before"] == stood["before"]


def test_a_bench_that_is_not_parked_has_nothing_to_warm(patient: Bench) -> None:
    patient.start()
    assert patient.ask("POST", "/warm", {}) == {"warming": False}
    assert patient.notes("warming") == []


def test_an_older_campaign_process_warms_nothing(patient: Bench) -> None:
    patient.start()
    patient.carry_out(fence=5)
    assert patient.refused("POST", "/warm", {"campaign": "c", "fence": 4})[0] == 409


def test_a_bench_that_never_ran_is_parked_as_well_and_has_nothing_to_restore(parking: Bench) -> None:
    parking.start()
    until(lambda: is_parked(parking), "parked")
    assert parking.notes("parking")[0]["before"] == []
    assert parking.carry_out()["status"] == "completed"


def test_nothing_is_parked_while_a_run_is_carried_out(parking: Bench) -> None:
    parking.start()
    wanted = request(parking, steps(wait=900.0))
    parking.submit(wanted)
    report = parking.await_end(wanted["run_key"])
    assert report["status"] == "completed"
    until(lambda: is_parked(parking), "parked after its end")
    parked = [note["lab"] for note in parking.notes("parking")]
    assert [lab for lab in parked if report["started_lab"] <= lab <= report["ended_lab"]] == []
    assert parked[-1] >= report["ended_lab"] + 120.0


def test_a_stopped_bench_is_not_parked_and_a_parked_one_that_is_stopped_is_safe(parking: Bench) -> None:
    parking.start()
    run_and_park(parking)
    before = len(parking.notes("parking")), len(parking.notes("warming"))
    parking.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    assert not is_parked(parking)
    assert parking.refused("POST", "/warm", {})[0] == 423
    with pytest.raises(BenchLatched):
        HostClient(read_state_file(parking.lab / HOST)["socket"], 1, campaign="c", beats=False).warm()
    parking.wait_lab(3 * 120.0)
    parking.ask("POST", "/unlatch", {"reason": "no smoke", "by": "Ada"})
    parking.wait_lab(3 * 120.0)
    assert len(parking.notes("parking")) == before[0]  # the heater of a safe bench is not switched on to park it
    assert parking.world.state()["oven"]["heat"]["to"] == 20.0
    assert parking.carry_out()["status"] == "completed"
    assert len(parking.notes("warming")) == before[1]


def test_without_a_campaign_a_parked_bench_goes_to_its_safe_state_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, grace=5.0, park_after=AFTER, park_steps=PARK)
    try:
        bench.start()
        report = bench.carry_out()
        until(lambda: bench.answers("/alive").get("safe_state") is not None, "safe")
        alive = bench.ask("GET", "/alive")
        assert (alive["parked"], alive["attended"]) == (False, False)
        assert (alive["safe_state"]["reason"], alive["safe_state"]["asked"]) == ("no campaign for 5 s", False)
        assert any(note["lab"] > report["ended_lab"] for note in bench.notes("parked"))
    finally:
        bench.close()


def test_a_bench_that_cannot_be_parked_is_made_safe(parking: Bench) -> None:
    parking.world.plan("pump_a", "perform", "refused")
    parking.start()
    until(lambda: parking.answers("/alive").get("safe_state") is not None, "the safe state")
    alive = parking.ask("GET", "/alive")
    assert parking.world.state()["oven"]["safe"] > 0
    assert parking.notes("upkeep-failed") == [{"doing": "parked", "reason": "pump_a answered ?OOR"}]
    assert parking.notes("parked") == []
    assert alive["safe_state"]["reason"] == "the bench could not be parked: pump_a answered ?OOR"
    assert alive["parked"] is False
    assert parking.carry_out()["status"] == "completed"


@pytest.mark.parametrize(("note", "before"), [("parking", False), ("parked", True), ("parked", False)])
def test_a_host_killed_while_it_parks_is_followed_by_one_that_knows_what_stood(parking: Bench, note: str, *, before: bool) -> None:
    parking.start(at=note, before=before)
    first = request(parking)
    parking.submit(first)
    assert parking.end() == -9
    known = len(parking.notes("parking"))
    parking.start()
    report = parking.await_end(first["run_key"])
    until(lambda: is_parked(parking), "parked at last")
    assert settings(parking)[:2] == (40.0, 0.5)
    assert len(parking.notes("parking")) == known + 1  # what was interrupted is done once more from its beginning
    found = [note for note in parking.notes("parking") if note["lab"] > report["ended_lab"]]
    assert all([one["arguments"] for one in note["before"]] == [{"temperature": 100.0}, {"flow": 2.0}] for note in found)
    assert parking.carry_out()["status"] == "completed"
    assert [one["sent"] for one in parking.notes("warmed")[-1]["sent"]] == [{"temperature": 100.0}, {"flow": 2.0}]


@pytest.mark.parametrize(("note", "before"), [("warming", False), ("warmed", True)])
def test_a_host_killed_while_it_warms_up_begins_the_run_once(parking: Bench, note: str, *, before: bool) -> None:
    parking.start()
    run_and_park(parking)
    assert parking.host is not None
    parking.host.kill()
    parking.end()
    wanted = request(parking)
    parking.start(at=note, before=before)
    with suppress(HostError):  # it may die before it answers
        parking.submit(wanted)
    assert parking.end() == -9
    parking.start()
    parking.submit(wanted)
    assert parking.await_end(wanted["run_key"])["status"] == "completed"
    assert parking.executions(wanted["run_key"]) == (1, 1, 1)


def test_a_campaign_that_waits_for_a_person_before_its_first_run_is_heard(tmp_path: Path) -> None:
    bench = Bench(tmp_path, grace=4.0)
    try:
        bench.start()
        with HostClient(read_state_file(bench.lab / HOST)["socket"], 1, campaign="c") as client:
            client.attend()
            until(lambda: bench.ask("GET", "/status")["campaign_silence_s"] > 1.5, "some silence")
            until(lambda: bench.ask("GET", "/status")["campaign_silence_s"] < 1.0, "a heartbeat without a run")
            assert bench.ask("GET", "/alive")["attended"]
    finally:
        bench.close()


def test_a_changed_bench_file_forgets_what_stood(parking: Bench) -> None:
    parking.start()
    run_and_park(parking)
    assert parking.host is not None
    parking.host.kill()
    parking.end()
    parking.park_steps = PARK.replace("40 degC", "45 degC")
    parking.write_files()
    parking.start()
    until(lambda: is_parked(parking), "parked anew")
    assert settings(parking)[0] == 45.0
    assert parking.notes("parking")[-1]["before"] == []
    assert parking.carry_out()["status"] == "completed"


def test_a_host_does_not_start_with_park_steps_that_the_bench_forbids(parking: Bench) -> None:
    parking.park_steps = PARK.replace("40 degC", "340 degC")
    parking.write_files()
    parking.start(wait=False)
    assert parking.end() == 1
    assert "allowed 20 to 300 degC" in read_state_file(parking.lab / "host-error.json")["error"]


def test_a_safe_state_that_was_told_of_while_no_host_lived_keeps_its_name(parking: Bench) -> None:
    parking.lab.mkdir(parents=True, exist_ok=True)
    write_latch(parking.lab, reason="the host was silent", by="supervisor", key="entering 7")
    parking.start()
    safe = parking.ask("GET", "/alive")["safe_state"]
    assert (safe["key"], safe["asked"]) == ("entering 7", True)
    parking.wait_lab(2 * 120.0)
    assert parking.notes("parking") == []
