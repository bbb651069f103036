"""`athanor dry-run` loses its processes one after the other, at random moments; the same command goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from instruments.lab_processes.processes import process_table
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import settle
from tests.crash.oracle import judge

pytestmark = pytest.mark.slow

RATE = "400"
VICTIMS = ("campaign", "host", "campaign", "prefect", "host", "campaign", "supervisor", "campaign", "host", "campaign")
PATIENCE = 90.0
"""Wall seconds to wait for a process to be there."""


@pytest.mark.timeout(600)
def test_killing_campaign_host_supervisor_and_server_repeats_and_loses_nothing(
    make_lab: Callable[[int], tuple[Path, Path]], record_property: Callable[[str, object], None]
) -> None:
    said = endure(*make_lab(14), VICTIMS, random.Random(20))
    record_property("figure", said)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_night_of_random_deaths_repeats_and_loses_nothing(
    make_lab: Callable[[int], tuple[Path, Path]], record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random(21)
    said = endure(*make_lab(60), dice.choices(VICTIMS, k=40), dice)
    record_property("figure", said)


def endure(file: Path, lab: Path, victims: Sequence[str], dice: random.Random) -> str:
    """Carry a campaign to its end while its processes are killed; judge it; say what happened."""
    unknowns = seen = 0
    command = start(file, lab)
    for victim in victims:
        if command.poll() is not None:
            unknowns += person(lab, command)
            command = start(file, lab)
        pid = await_process(lab, victim, command)
        seen = await_progress(lab, beyond=seen + 2, command=command)
        time.sleep(dice.uniform(0.0, 2.0))
        kill(pid)
        if victim == "campaign":
            command.wait(timeout=PATIENCE)
            command = start(file, lab)
    while command.wait(timeout=600) != 0:
        unknowns += person(lab, command)
        command = start(file, lab)
    judgement = judge(lab, "cdse-600")
    assert judgement.complaints == ()
    assert all(process is None for name, process in process_table(lab).items() if name != "prefect")
    return f"{len(victims)} kills of {', '.join(sorted(set(victims)))}: {dict(judgement.runs)}, {unknowns} settled by a person"


def start(file: Path, lab: Path) -> subprocess.Popen[bytes]:
    """Type the command; what it says goes into a file, as on a terminal that nobody reads."""
    with (lab.parent / "command.log").open("ab") as log:
        arguments = [sys.executable, "-m", "flows.cli.main", "dry-run", str(file), "--rate", RATE]
        return subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def await_process(lab: Path, name: str, command: subprocess.Popen[bytes]) -> int:
    """Wait until a process of the lab carries a campaign that has begun; return its pid."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        table = process_table(lab) if lab.exists() else {}
        row = table.get(name)
        if row is not None and table.get("host") is not None and (lab / "ledger.db").exists():
            return int(row["pid"])
        assert command.poll() in (None, 3), (lab.parent / "command.log").read_text()
        time.sleep(0.1)
    raise AssertionError(f"no {name} came up; {(lab.parent / 'command.log').read_text()}")


def await_progress(lab: Path, *, beyond: int, command: subprocess.Popen[bytes]) -> int:
    """Wait until the campaign has written so many events, so that kills fall into its work and not into its start."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
            seq = store.head()[0]
        if seq > beyond or command.poll() is not None:
            return seq
        time.sleep(0.1)
    raise AssertionError(f"the campaign does not get on; {(lab.parent / 'command.log').read_text()}")


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it went by itself meanwhile: the moment was random


def person(lab: Path, command: subprocess.Popen[bytes]) -> int:
    """Do what the command's last line asks for; anything but an unknown outcome is a failure of the test."""
    said = (lab.parent / "command.log").read_text()
    assert command.returncode == 3, said
    return settle(lab, said.rstrip().splitlines()[-1])
