"""Deaths, full disks and several writers."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import StoreError
from orchestrator.store.sql import SqlStore
from tests.store.cases import BY, CAMPAIGN, at, begin, reading, tell_execution, tell_experiment

pytestmark = pytest.mark.slow

SECONDS = 120
"""Liveness limit of a child process on a busy machine."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open(tmp_path / "ledger.sqlite", create=True)
    yield store
    store.close()


def test_death_at_any_statement_leaves_all_or_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.store.crashing", str(tmp_path)], check=True, timeout=SECONDS)
    paths = sorted(tmp_path.glob("*.sqlite"))
    assert len(paths) > 10, "it died at each statement of a transaction with several"
    for path in paths:
        store = SqlStore.open(path)
        assert store.verify() == ()
        run = store.changes(CAMPAIGN).runs[0]
        written = len(store.readings(run.run_key)), len(store.changes(CAMPAIGN).measurements), run.status
        assert written == ((2, 2, RunStatus.COMPLETED) if path == paths[-1] else (0, 0, RunStatus.RUNNING))
        tell_experiment(store, 2)
        assert store.verify() == ()
        store.close()


def test_processes_that_write_at_once_leave_one_sound_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    command = [sys.executable, "-m", "tests.store.competing", str(path)]
    writers = [subprocess.Popen([*command, name, "12"]) for name in ("dots", "wires", "rods")]
    assert [writer.wait(timeout=SECONDS) for writer in writers] == [0, 0, 0]
    store = SqlStore.open(path, read_only=True)
    assert store.verify() == ()
    assert [len(store.changes(record.name).runs) for record in store.campaigns()] == [12, 12, 12]
    store.close()


def test_threads_share_a_store(store: SqlStore) -> None:
    begin(store)
    threads = [threading.Thread(target=tell_experiment, args=(store, number)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(store.changes(CAMPAIGN).measurements) == 16
    assert store.verify() == ()


def limit_pages(store: SqlStore, pages: int) -> None:
    """Make the file as full as a full disk would."""

    def limit(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(store._engine, "connect", limit)
    store._engine.dispose()


def test_a_full_disk_is_one_clear_line_and_writes_nothing(store: SqlStore, tmp_path: Path) -> None:
    begin(store)
    told = tell_execution(store)
    head, changes = store.head(), store.changes(CAMPAIGN)
    limit_pages(store, 1)
    ended = told.run.evolve(status=RunStatus.COMPLETED)
    big = [reading(number, raw=number.to_bytes(2) * 4000) for number in range(20)]
    line = f"ledger {tmp_path / 'ledger.sqlite'}: the disk is full, nothing was written; free some space"
    with pytest.raises(StoreError, match="the disk is full") as refusal:
        store.ingest(ended, [], big, by=BY, now=at(9))
    assert str(refusal.value).startswith(line)
    assert (store.head(), store.changes(CAMPAIGN), store.readings(ended.run_key)) == (head, changes, ())
    assert store.verify() == ()
    limit_pages(store, 100_000)
    store.ingest(ended, [], big, by=BY, now=at(10))
    assert store.readings(ended.run_key) == tuple(big)


_LIMITED = """
import resource, sys
from pathlib import Path
from orchestrator.errors import StoreError
from orchestrator.store.sql import SqlStore
from tests.store.cases import begin, tell_experiment
store = SqlStore.open(Path(sys.argv[1]), create=True)
begin(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    for number in range(1, 10_000):
        tell_experiment(store, number)
except StoreError as error:
    print(number, error)
"""


def test_a_file_that_may_not_grow_is_one_clear_line(tmp_path: Path) -> None:
    """A real refusal by the kernel, in the midst of a write."""
    path = tmp_path / "ledger.sqlite"
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(path)], check=True, timeout=SECONDS, capture_output=True, text=True)
    number, _, line = done.stdout.partition(" ")
    assert line.startswith(f"ledger {path}: the disk ")
    store = SqlStore.open(path)
    assert store.verify() == ()
    assert len(store.changes(CAMPAIGN).proposals) in (int(number) - 1, int(number))
    store.close()


def test_a_write_lock_that_nobody_gives_back_is_one_clear_line(store: SqlStore, tmp_path: Path) -> None:
    begin(store)
    store._engine.dispose()
    event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 50"))
    holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds its write lock"):
        store.take_up(CAMPAIGN, by=BY, now=at(2))
    assert store.head()[0] == 2, "reading goes on"
    holder.close()
    assert store.take_up(CAMPAIGN, by=BY, now=at(2)) == 1
