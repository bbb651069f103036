"""Locks name their holder, are freed by the kernel, and pass to another only over a dead holder."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from instruments.lab_processes.campaign_lock import CampaignLock, campaign_holder
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.endpoint_names import canonical_endpoint
from instruments.lab_processes.locks import FileLock, take_over
from instruments.lab_processes.process_identity import Process, is_alive, start_ticks
from orchestrator.errors import LockHeld

_HEAD = """
import pathlib, sys, threading, time
from instruments.lab_processes.campaign_lock import *
from instruments.lab_processes.endpoint_locks import *
lab = pathlib.Path(sys.argv[1])
"""
_TAIL = "print('held', flush=True)\ntime.sleep(600)\n"
_CAMPAIGN = _HEAD + "CampaignLock(lab, 'demo').acquire()\n" + _TAIL
_PLAIN = _HEAD + "FileLock(lab / 'x.lock', what='a test', lab=lab).acquire()\n" + _TAIL
_WRITER = (
    _HEAD
    + "CampaignLock(lab, 'demo').acquire()\n"
    + "def write():\n    while file.write('old '):\n        file.flush(); time.sleep(0.01)\n"
    + "file = open(lab / 'wire', 'a')\nthreading.Thread(target=write).start()\n"
    + _TAIL
)


@contextmanager
def holding(program: str, lab: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", program, str(lab)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_taker_is_refused_with_pid_start_and_age_of_the_holder(lab: Path) -> None:
    with holding(_PLAIN, lab) as holder:
        found = Process.of(holder.pid)
        assert found is not None
        with pytest.raises(LockHeld, match=rf"process {holder.pid} \(a test, lab {lab}\), started {found.started[:10]}.* s ago"):
            FileLock(lab / "x.lock", what="another").acquire()


def test_a_killed_holder_leaves_the_lock_free(lab: Path) -> None:
    lock = FileLock(lab / "x.lock", what="a test")
    with holding(_PLAIN, lab) as holder:
        holder.kill()
        lock.acquire(patience=5.0)
        lock.release()


def test_a_lock_can_be_taken_again_after_its_release(lab: Path) -> None:
    lock = FileLock(lab / "x.lock", what="a test")
    for _ in range(2):
        with lock:
            assert lock.held
            with pytest.raises(LockHeld):
                FileLock(lab / "x.lock", what="another").acquire()
        assert not lock.held


def test_a_campaign_that_runs_is_never_displaced(lab: Path) -> None:
    with holding(_CAMPAIGN, lab) as holder:
        assert campaign_holder(lab) == Process.of(holder.pid)
        with pytest.raises(LockHeld, match=f"process {holder.pid} .campaign demo"):
            CampaignLock(lab, "demo", take_over=True).acquire()
        assert holder.poll() is None
    assert campaign_holder(lab) is None


def test_a_suspended_campaign_is_killed_before_its_successor_has_the_lock(lab: Path) -> None:
    with holding(_WRITER, lab) as holder:
        process = Process.of(holder.pid)
        assert process is not None
        _await_text(lab / "wire")
        holder.send_signal(signal.SIGSTOP)
        _await_state(process)
        with pytest.raises(LockHeld, match="suspended"):
            CampaignLock(lab, "demo").acquire()
        lock = CampaignLock(lab, "demo", take_over=True)
        with lock:
            assert not process.alive
            with (lab / "wire").open("a") as wire:
                wire.write("new")
            time.sleep(0.1)
            assert (lab / "wire").read_text().endswith("old new")
        assert lock.displaced is not None
        assert f"killed process {holder.pid}" in lock.displaced


def _await_text(path: Path) -> None:
    end = time.monotonic() + 5
    while not (path.exists() and path.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)


def _await_state(process: Process) -> None:
    end = time.monotonic() + 5
    while not process.suspended and time.monotonic() < end:
        time.sleep(0.01)


def test_a_campaign_whose_sign_of_life_stands_still_is_killed(lab: Path) -> None:
    with holding(_PLAIN, lab) as holder:
        sign = lab / "x.alive"
        sign.write_text(f"{time.monotonic() - 60:020.3f}")
        lock = FileLock(lab / "x.lock", what="another")
        line = take_over(lock, sign=sign, silent_after=30.0)
        assert line is not None
        assert "no sign of life for 60 s" in line
        assert holder.wait(5) == -signal.SIGKILL
        lock.release()


def test_a_holder_that_promised_no_sign_of_life_is_not_taken_for_silent(lab: Path) -> None:
    with holding(_PLAIN, lab) as holder:
        with pytest.raises(LockHeld):
            take_over(FileLock(lab / "x.lock", what="another"))
        assert holder.poll() is None


def test_the_sign_of_life_goes_on_while_the_main_thread_is_busy(lab: Path) -> None:
    with CampaignLock(lab, "demo"):
        first = (lab / "campaign.alive").read_text()
        end = time.monotonic() + 20
        while (lab / "campaign.alive").read_text() == first:
            assert time.monotonic() < end
            sum(range(10_000))


def test_a_reused_pid_is_neither_trusted_nor_signalled() -> None:
    mine = start_ticks(os.getpid())
    assert mine is not None
    impostor = Process(os.getpid(), mine - 1, "")
    assert is_alive(os.getpid(), mine)
    assert not impostor.alive
    assert not impostor.signal(signal.SIGKILL)
    assert impostor.wait(0.0)


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    process = Process.of(child.pid)
    assert process is not None
    assert process.wait(20.0)
    assert not process.alive
    child.wait()


def test_wires_are_locked_for_all_labs_and_users_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    ports = [str(tmp_path / "port"), "opc.tcp://Bench:4840/"]
    with EndpointLocks(ports, what="bench host", folder=folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o666}
        with pytest.raises(LockHeld, match=rf"process {os.getpid()} .bench host on opc.tcp://bench:4840"):
            EndpointLocks(["opc.tcp://bench:4840"], what="stop", folder=folder).acquire()


def test_two_names_of_one_port_are_one_lock(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "port")
    with EndpointLocks([str(tmp_path / "port")], what="one", folder=tmp_path / "locks"), pytest.raises(LockHeld):
        EndpointLocks([str(tmp_path / "by-id")], what="two", folder=tmp_path / "locks").acquire()


def test_a_simulated_port_is_known_by_its_lab_and_not_by_a_number_that_is_given_anew(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        (tmp_path / "pumps.tty").symlink_to(os.ttyname(slave))
        assert canonical_endpoint(str(tmp_path / "pumps.tty")) == str(tmp_path.resolve() / "pumps.tty")
    finally:
        os.close(master)
        os.close(slave)


def test_wires_are_taken_all_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    with EndpointLocks(["/dev/b"], what="one", folder=folder):
        with pytest.raises(LockHeld):
            EndpointLocks(["/dev/a", "/dev/b", "/dev/c"], what="two", folder=folder).acquire()
        with EndpointLocks(["/dev/a", "/dev/c"], what="three", folder=folder):
            pass
