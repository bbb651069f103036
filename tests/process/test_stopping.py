"""`stop` says what is not safe; it goes by the bench file that the host kept, and never by the notes of another lab."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli import steering_commands
from flows.plans.lab import make_lab
from instruments.bench.endpoints import read_endpoints
from instruments.bench.file import BenchFile, load_bench
from instruments.lab_processes.bench_copies import bench_files, keep_copy, kept_copy, last_copy, noted_bench, places
from instruments.lab_processes.bench_process import ensure_bench, host_alive, shutdown_bench, unlatch
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.plant_process import shutdown_plant
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.processes import process_table
from instruments.lab_processes.state_files import (
    HOST,
    LAB,
    LATCHED,
    PLANT,
    STARTED,
    SUPERVISOR,
    folder_identity,
    is_copy,
    read_state_file,
    write_state_file,
)
from instruments.lab_processes.stop import Stopped, stop_bench, stopped_from
from instruments.supervisor import safe_state_without_host
from instruments.supervisor.__main__ import same_bench
from instruments.supervisor.safe_state_without_host import SafeStateWithoutHost, drive_in_turn
from orchestrator.errors import BadInput, Fault, HostError
from tests.process.conftest import eventually
from tests.process.test_last_resort import BENCH, Wiring

pytestmark = pytest.mark.slow

SUPERVISED = ("tests.process.fake_supervisor",)
DONE = {"instrument": "oven", "action": "off", "done": True, "reason": None}
MISSED = {"instrument": "pump_l", "action": "stop", "done": False, "reason": "no reply"}


@pytest.fixture(autouse=True)
def _ended(lab: Path) -> Iterator[None]:
    yield
    for name in ("supervisor", "host"):
        found = process_table(lab)[name]
        if found and (process := Process.of(found["pid"])):
            process.kill()
            reap(process.pid)


@pytest.fixture
def live_lab(tmp_path: Path) -> Path:
    return make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live").path


def started(lab: Path) -> Process:
    """Start the fake supervisor and host of a lab; return the host."""
    (lab / "bench.toml").write_text("[bench]\n")
    return ensure_bench(lab, lab / "bench.toml", supervisor=SUPERVISED).process


def stop(lab: Path) -> Stopped:
    stopped = stop_bench(lab, reason="smoke", by="Ada")
    if process := Process.parse(read_state_file(lab / STARTED).get("supervisor")):
        reap(process.pid)
    return stopped


# ---------------------------------------------------------------------- what is not safe


def test_a_host_that_obeys_in_part_is_replaced_and_what_is_not_safe_stands_in_the_verdict(lab: Path) -> None:
    host = started(lab)
    write_state_file(lab / "fake.json", {"safe_state": [DONE, MISSED]})
    stopped = stop(lab)
    assert f"host {host.pid} did not make the bench safe: pump_l.stop: NOT DONE: no reply" in stopped.lines
    assert not host.alive
    assert stopped.verdict.startswith("NOT SAFE: the safe state was NOT driven: ")  # the fake bench file has no wires
    assert read_state_file(lab / LATCHED)["by"] == "Ada"


def test_a_host_without_any_safe_action_did_not_make_the_bench_safe(lab: Path) -> None:
    host = started(lab)
    write_state_file(lab / "fake.json", {"safe_state": []})
    stopped = stop(lab)
    assert f"host {host.pid} did not make the bench safe: it drove no safe action" in stopped.lines
    assert stopped.unsafe


def test_a_host_of_another_user_is_not_said_to_be_ended(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = started(lab)
    write_state_file(lab / "fake.json", {"safe_state": [MISSED]})

    def refuse(process: Process, within: float = 0.0) -> bool:
        raise PermissionError(process.pid, within)

    with monkeypatch.context() as patch:
        patch.setattr(Process, "kill", refuse)
        stopped = stop_bench(lab, reason="smoke", by="Ada")
    assert f"host {host.pid} belongs to another user and CANNOT BE ENDED; its wires stay with it" in stopped.unsafe
    shutdown_bench(lab)


def without_safe_state(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("safe_state"))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda file: file.write_text("x = = 1"), "is not TOML"),
        (lambda file: file.unlink(), "does not exist"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "is not utf-8"),
        (lambda file: file.write_text(without_safe_state(BENCH.read_text())), "declares no safe action"),
    ],
)
def test_a_bench_file_by_which_nothing_can_be_driven_is_named_in_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: Callable[[Path], object], words: str
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(BENCH.read_text())
    broken(file)
    assert safe_state_without_host.main(["--lab", str(tmp_path), "--bench", str(file)]) == 4
    verdict = stopped_from(json.loads(capsys.readouterr().out)).verdict
    assert verdict.startswith("NOT SAFE: the safe state was NOT driven: ")
    assert words in verdict


def test_a_stop_that_drives_nothing_exits_with_4_and_says_why_in_its_last_line(live_lab: Path) -> None:
    write_state_file(live_lab / STARTED, {"bench": places(live_lab, live_lab / "bench.toml", None)})
    with pytest.raises(Fault, match=r"^NOT SAFE: the safe state was NOT driven: bench file .*bench.toml does not exist$") as told:
        steering_commands.stop(live_lab, by="Ada", reason="smoke")
    assert told.value.exit_code == 4
    assert (live_lab / LATCHED).exists()


def test_a_latch_that_cannot_be_written_is_not_called_safe(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(lab)
    monkeypatch.setattr("instruments.lab_processes.stop.write_latch", lambda *_, **__: None)
    write_state_file(lab / "fake.json", {"latches": False})
    assert "the bench is not latched" in stop_bench(lab, reason="smoke", by="Ada").verdict
    shutdown_bench(lab)


def test_a_lab_without_any_bench_is_no_success(live_lab: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no bench was ever started in lab .*nothing was driven"):
        steering_commands.stop(live_lab, by="Ada", reason="smoke")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="nothing was stopped: no lab in"):
        steering_commands.stop(None, by="Ada", reason="smoke")


def test_simulated_devices_that_ended_in_order_leave_nothing_to_make_safe_and_killed_ones_do(tmp_path: Path) -> None:
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="dry").path
    keep_copy(lab, "bench.toml", load_bench(BENCH).files, sha256="ab")
    assert stop(lab).unsafe == ()
    ports = {name: {"port": str(tmp_path / name)} for name in ("pumps", "oven")}
    links = {**ports, "platform": {"url": "opc.tcp://127.0.0.1:9"}}
    write_state_file(lab / PLANT / "endpoints.json", {"t0_monotonic": 0.0, "rate": 1.0, "endpoints": links})
    assert set(stop(lab).unsafe) >= {"oven.off", "pump_cd.stop", "platform.abort"}


# ---------------------------------------------------------------------- by which bench file


def resort(bench: BenchFile, wiring: Wiring, lab: Path) -> SafeStateWithoutHost:
    return replace(SafeStateWithoutHost.prepare(bench, wiring, lab=lab, what="stop"), lock_folder=lab / "locks")


def test_the_copy_is_gone_by_first_and_todays_file_for_what_it_does_not_reach(tmp_path: Path) -> None:
    today = tmp_path / "bench.toml"
    today.write_text(BENCH.read_text() + "\n# the pumps hang on another port today\n")
    yesterday, now = Wiring(), Wiring()
    yesterday.refusals["pumps"] = 9
    driven = drive_in_turn([lambda: resort(load_bench(BENCH), yesterday, tmp_path), lambda: resort(load_bench(today), now, tmp_path)])
    assert all(one.done for one in driven.actions)
    assert "oven.off" in yesterday.actions
    assert now.actions == ["pump_cd.stop", "pump_se.stop", "pump_l.stop"]


def test_todays_file_is_not_gone_by_where_the_copy_does(tmp_path: Path) -> None:
    wiring = Wiring()
    driven = drive_in_turn([lambda: resort(load_bench(BENCH), wiring, tmp_path), lambda: pytest.fail("it was read")])
    assert all(one.done for one in driven.actions)


def test_what_neither_file_reaches_is_told_with_both_reasons(tmp_path: Path) -> None:
    today = tmp_path / "bench.toml"
    today.write_text(BENCH.read_text() + "\n")
    files = []
    for bench in (load_bench(BENCH), load_bench(today)):
        wiring = Wiring()
        wiring.refusals["oven"] = 9
        files.append(lambda bench=bench, wiring=wiring: resort(bench, wiring, tmp_path))
    (missed,) = [one for one in drive_in_turn(files).actions if not one.done]
    assert str(missed.reason).count("oven is unplugged") == 2
    assert str(today) in str(missed.reason)


def test_a_bench_file_that_was_broken_since_its_host_began_does_not_keep_the_bench_from_being_made_safe(tmp_path: Path) -> None:
    lab, file = tmp_path / "lab", tmp_path / "bench.toml"
    file.write_text(BENCH.read_text())
    bench = load_bench(file)
    kept = keep_copy(lab, file.name, bench.files, sha256=bench.sha256)
    write_state_file(lab / STARTED, {"bench": places(lab, file, None)})
    file.write_text("x = = 1")
    assert bench_files(lab) == (kept, file)
    assert load_bench(kept).sha256 == bench.sha256
    assert same_bench(lab, bench) == kept
    file.unlink()
    assert same_bench(lab, bench) == kept
    file.write_text(bench.text)
    assert same_bench(lab, bench) == file


def test_a_bench_that_was_started_from_the_copy_keeps_the_place_of_its_file(tmp_path: Path) -> None:
    lab, file = tmp_path / "lab", tmp_path / "bench.toml"
    kept = keep_copy(lab, file.name, {file.name: b"x"}, sha256="ab")
    write_state_file(lab / STARTED, {"bench": places(lab, file, None)})
    assert places(lab, kept, None) == {"bench": "../bench.toml"}


# ---------------------------------------------------------------------- moved and copied labs


def test_a_moved_lab_is_itself_and_a_copied_one_is_not(live_lab: Path, tmp_path: Path) -> None:
    note = read_state_file(live_lab / LAB)
    assert note == {"kind": "live", "id": note["id"], **folder_identity(live_lab)}
    moved = live_lab.rename(tmp_path / "moved")
    assert not is_copy(moved)
    assert make_lab(moved, beside=moved, kind="live").path == moved
    assert read_state_file(moved / LAB) == note
    shutil.copytree(moved, tmp_path / "copied")
    assert is_copy(tmp_path / "copied")


def test_a_lab_of_before_learns_which_folder_it_is_and_stays_what_it_was(tmp_path: Path) -> None:
    write_state_file(tmp_path / "lab" / LAB, {"kind": "dry"})
    with pytest.raises(BadInput, match="is dry; this command needs a live one"):
        make_lab(tmp_path / "lab", beside=tmp_path, kind="live")
    note = read_state_file(make_lab(tmp_path / "lab", beside=tmp_path, kind="dry").path / LAB)
    assert note == {"kind": "dry", "id": note["id"], **folder_identity(tmp_path / "lab")}


def test_what_a_lab_notes_moves_with_it(tmp_path: Path) -> None:
    lab = tmp_path / "old" / "lab"
    keep_copy(lab, "bench.toml", {"bench.toml": b"x"}, sha256="ab")
    write_state_file(lab / STARTED, {"bench": places(lab, tmp_path / "old" / "bench.toml", lab / PLANT / "endpoints.json")})
    write_state_file(lab / SUPERVISOR, places(lab, Path("/elsewhere/bench.toml"), None))
    moved = (tmp_path / "old").rename(tmp_path / "new") / "lab"
    assert last_copy(moved) == kept_copy(moved, "bench.toml", "ab")
    assert noted_bench(moved) == Path("/elsewhere/bench.toml")
    (moved / SUPERVISOR).unlink()
    assert noted_bench(moved) == tmp_path / "new" / "bench.toml"


def test_the_ports_of_a_plant_are_found_where_its_folder_was_moved_and_not_where_it_was_copied(tmp_path: Path) -> None:
    folder = tmp_path / "plant"
    folder.mkdir()
    links = {"pumps": {"port": str(folder / "pumps.tty")}, "platform": {"url": "opc.tcp://127.0.0.1:9"}}
    document = {"folder": str(folder), **folder_identity(folder), "endpoints": links}
    write_state_file(folder / "endpoints.json", document)
    shutil.copytree(folder, tmp_path / "copied")
    moved = folder.rename(tmp_path / "moved")
    assert read_endpoints(tmp_path / "copied" / "endpoints.json") == document
    assert read_endpoints(moved / "endpoints.json")["endpoints"] == {**links, "pumps": {"port": str(moved / "pumps.tty")}}


def test_nothing_of_the_original_is_stopped_steered_or_ended_from_a_copy(live_lab: Path, tmp_path: Path) -> None:
    host = started(live_lab)
    note = read_state_file(live_lab / STARTED)
    write_state_file(live_lab / STARTED, {**note, "plant": Process.this().document()})
    copied = tmp_path / "copied"
    with FileLock(live_lab / "host.lock", what="bench host", lab=live_lab):  # the name in it is copied too
        shutil.copytree(live_lab, copied, symlinks=True)
    stopped = stop_bench(copied, reason="smoke", by="Ada")
    assert "the copy of another lab" in stopped.verdict
    assert stopped.unsafe
    assert not host_alive(copied)
    assert process_table(copied) == dict.fromkeys(["campaign", "host", "supervisor", "plant", "prefect"])
    shutdown_bench(copied)
    shutdown_plant(copied)
    assert not unlatch(copied, by="Ada", reason="aired")
    assert host.alive
    make_lab(copied, beside=tmp_path, kind="live")  # a command that begins something there: now it is a lab of its own
    assert read_state_file(copied / LAB)["id"] != read_state_file(live_lab / LAB)["id"]
    assert not (copied / HOST).exists()
    assert process_table(copied)["host"] is None
    with pytest.raises(BadInput, match="no bench was ever started"):
        stop_bench(copied, reason="smoke", by="Ada")
    assert host.alive
    assert host_alive(live_lab)
    write_state_file(live_lab / STARTED, note)
    shutdown_bench(live_lab)


def test_the_processes_of_a_moved_lab_are_still_its_own(live_lab: Path, tmp_path: Path) -> None:
    host = started(live_lab)
    moved = live_lab.rename(tmp_path / "moved")
    stopped = stop_bench(moved, reason="smoke", by="Ada")
    assert stopped.lines[0] == f"host {host.pid} drove the safe state and latched the bench"
    assert (moved / LATCHED).exists()
    moved.rename(live_lab)
    unlatch(live_lab, by="Ada", reason="aired")
    shutdown_bench(live_lab)


# ---------------------------------------------------------------------- ends and releases


def test_a_bench_whose_host_was_killed_is_driven_before_it_counts_as_ended(lab: Path) -> None:
    host = started(lab)
    supervisor = Process.parse(read_state_file(lab / SUPERVISOR))
    assert supervisor is not None
    assert supervisor.kill()
    reap(supervisor.pid)
    assert host.kill()
    with pytest.raises(HostError, match=r"was stopped: .*NOT SAFE: the safe state was NOT driven"):
        shutdown_bench(lab)


def test_an_end_whose_safe_state_was_not_done_is_no_clean_end(lab: Path) -> None:
    started(lab)
    write_state_file(lab / "fake.json", {"unsafe": "not done was: oven.off"})
    with pytest.raises(HostError, match=r"did not shut down cleanly and is latched: not done was: oven.off; since then: oven.off: done"):
        shutdown_bench(lab)


def test_a_host_that_lives_without_answering_is_not_called_unlatched(lab: Path) -> None:
    host = started(lab)
    stop_bench(lab, reason="smoke", by="Ada")
    assert host.signal(signal.SIGSTOP)
    eventually(lambda: host.suspended)
    with pytest.raises(HostError, match=f"host {host.pid} lives but does not answer: the bench stays latched"):
        unlatch(lab, by="Ada", reason="aired")
    assert json.loads((lab / LATCHED).read_text())["reason"] == "smoke"
    host.kill()
