"""What a person meets when a file, the ledger or the disk is not what it was: one clear line, and nothing is lost.

One unfinished campaign for all: each test breaks one thing, types the command, and mends it; the last one lets it finish.
"""

import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from orchestrator.errors import NeedsPerson
from tests.crash.campaigns import settle
from tests.crash.oracle import judge
from tests.faults.agreement import disagreements
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import CAMPAIGN, Ended, Laboratory, eventually

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 400.0
BUDGET: Final = 3
LEFT: Final = 96 * 1024
"""Bytes that the ledger may still grow: enough to begin, not enough to end."""


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    """Make a lab whose campaign process died in its first experiment; its host goes on."""
    made = make_laboratory(budget=BUDGET, rate=RATE)
    command = made.dry_run()
    eventually(lambda: bool(made.truth(event="dose")) or command.poll() is not None, "the first dose")
    assert command.poll() is None, made.ended(command).err
    command.kill()
    command.wait()
    return made


def test_a_campaign_file_changed_under_an_unfinished_campaign_is_refused_with_the_difference(laboratory: Laboratory) -> None:
    text, head = laboratory.file.read_text(), laboratory.head()
    laboratory.file.write_text(text.replace(f"budget = {BUDGET}\n", "budget = 30\n"))
    refused = laboratory.complete()
    laboratory.file.write_text(text)
    assert refused.code == 1
    assert "unfinished" in refused.err
    assert f"-budget = {BUDGET}" in refused.err
    assert "+budget = 30" in refused.err
    assert "Traceback" not in refused.err
    assert laboratory.head() == head


def test_a_ledger_of_a_newer_schema_is_refused(laboratory: Laboratory) -> None:
    head = laboratory.head()
    with kept(laboratory) as ledger, closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-tomorrow'")
        connection.commit()
        refused = laboratory.complete()
        assert refused.code == 4
        assert "schema" in refused.line
        assert "of-tomorrow" in refused.line
    assert laboratory.head() == head


@pytest.mark.parametrize("place", ["its header", "its middle"])
def test_a_ledger_with_overwritten_bytes_is_refused(laboratory: Laboratory, place: str) -> None:
    head = laboratory.head()
    with kept(laboratory) as ledger:
        size = ledger.stat().st_size
        with ledger.open("r+b") as file:
            file.seek(0 if place == "its header" else 4096)
            file.write(b"\xa5" * (100 if place == "its header" else size - 8192))
        assert laboratory.type("verify").code == 4
        refused = laboratory.complete()
        assert refused.code == 4
        assert str(ledger) in refused.line
        assert "damaged" in refused.line or "not a database" in refused.line
    assert laboratory.head() == head


def test_a_ledger_that_cannot_grow_stops_the_campaign_with_one_line(laboratory: Laboratory) -> None:
    most = max(path.stat().st_size for path in laboratory.lab.glob("ledger.db*")) + LEFT
    head = laboratory.head()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    stopped = laboratory.ended(laboratory.dry_run(limit=limit))
    assert stopped.code == 4
    assert "ledger" in stopped.line
    assert "disk" in stopped.line
    assert laboratory.head()[0] > head[0]


def test_after_all_that_the_same_command_goes_on_and_nothing_is_lost(laboratory: Laboratory, capsys: pytest.CaptureFixture[str]) -> None:
    ended = laboratory.complete()
    assert ended.code == 0, ended.err
    found = judge(laboratory.lab, CAMPAIGN)
    with capsys.disabled():
        print(f"\nafter a changed file, a newer schema, two damages and a full disk: {dict(found.runs)}")
    assert found.complaints == ()
    assert disagreements(laboratory) == []
    assert len(laboratory.runs()) == BUDGET


def test_a_full_disk_under_everything_stops_the_campaign_with_one_line_and_loses_nothing(
    make_laboratory: MakeLaboratory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory = make_laboratory(budget=2, rate=RATE)
    with small_disk(laboratory.lab), closing(laboratory):
        (laboratory.lab / "plant").symlink_to(tmp_path, target_is_directory=True)  # the devices do not stand on that disk
        command = laboratory.dry_run()
        eventually(lambda: bool(laboratory.truth(event="dose")) or command.poll() is not None, "the first dose")
        fill(laboratory.lab / "filler")
        stopped = laboratory.ended(command)
        assert stopped.code in (3, 4), stopped
        assert stopped.line
        eventually(lambda: not laboratory.is_heating(), "the safe state")
        (laboratory.lab / "filler").unlink()
        ended, asked = go_on(laboratory)
        assert ended.code == 0, ended.err
        found = judge(laboratory.lab, CAMPAIGN)
        with capsys.disabled():
            print(f"\nfull disk: {stopped.line}\nafterwards {dict(found.runs)}; a person was asked for: {asked}")
        assert found.complaints == ()
        assert disagreements(laboratory) == []


def go_on(laboratory: Laboratory) -> tuple[Ended, list[str]]:
    """Type the command, and what it asks a person to type, until it asks no more."""
    asked: list[str] = []
    while (ended := laboratory.complete()).code == NeedsPerson.exit_code and len(asked) < 4:
        if "athanor resolve" in ended.line:
            asked.append("resolve")
            settle(laboratory.lab, ended.line)
        else:
            asked.append("resume")
            resumed = laboratory.type("resume", "--by", "Ada", "--reason", "the disk has room again")
            assert resumed.code == 0, (ended.line, resumed.err)
    return ended, asked


@contextmanager
def kept(laboratory: Laboratory) -> Iterator[Path]:
    """Give the ledger as one whole file to break, and put it back afterwards."""
    ledger = laboratory.lab / "ledger.db"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = ledger.read_bytes()
    yield ledger
    for path in laboratory.lab.glob("ledger.db*"):
        path.unlink()
    ledger.write_bytes(whole)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of 16 MB on a folder; skips where that is not allowed."""
    folder.mkdir(parents=True)
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, check=False).returncode
    ):
        pytest.skip("this machine lets the tests mount no disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break
