"""Deaths, full disks and several writers."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import StoreError
from orchestrator.store.chain import Happening, Link, forge
from orchestrator.store.ledger import Writer
from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore
from tests.postgresql import Server
from tests.store.cases import BY, CAMPAIGN, at, begin, reading, tell_execution, tell_experiment
from tests.store.places import numbered

pytestmark = pytest.mark.slow

SECONDS = 120
"""Liveness limit of a child process on a busy machine."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    with SqlStore.open(path) as store:
        yield store


def test_death_at_any_statement_leaves_all_or_nothing(place: LedgerPlace) -> None:
    subprocess.run([sys.executable, "-m", "tests.store.crashing", str(place)], check=True, timeout=SECONDS)
    through = deaths = 0
    while not through:
        deaths += 1
        with SqlStore.open(numbered(place, deaths), create=False) as store:
            assert store.verify() == ()
            run = store.changes(CAMPAIGN).runs[0]
            written = len(store.readings(run.run_key)), len(store.changes(CAMPAIGN).measurements), run.status
            through = run.status is RunStatus.COMPLETED
            assert written == ((2, 2, RunStatus.COMPLETED) if through else (0, 0, RunStatus.RUNNING))
            tell_experiment(store, 2)
            assert store.verify() == ()
    assert deaths > 10, "it died at each statement of a transaction with several"


WRITERS = ("dots", "wires", "rods", "sheets")
EXPERIMENTS = 12
"""Of each writer: five transactions, beside three of its own beginning."""


def test_processes_that_write_at_once_leave_one_sound_chain(place: LedgerPlace, record_property: Callable[[str, object], None]) -> None:
    """They also make the ledger, all at once."""
    command = [sys.executable, "-m", "tests.store.competing", str(place)]
    writers = [subprocess.Popen([*command, name, str(EXPERIMENTS)]) for name in WRITERS]
    assert [writer.wait(timeout=SECONDS) for writer in writers] == [0] * len(WRITERS)
    with SqlStore.open(place, read_only=True) as store:
        assert store.verify() == ()
        assert [len(store.changes(record.name).measurements) for record in store.campaigns()] == [2 * EXPERIMENTS] * len(WRITERS)
        told = len(WRITERS) * (3 + 5 * EXPERIMENTS)
        record_property(
            "figure", f"{len(WRITERS)} writers at once on {kind_of(place)}: {told} transactions, none lost, {store.head()[0]} events"
        )


def kind_of(place: LedgerPlace) -> str:
    return "SQLite" if isinstance(place, Path) else "PostgreSQL"


@pytest.mark.long
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_died_or_sleeps_in_mid_transaction_holds_nobody_up_for_long(
    postgres: Server, end: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    place = postgres.ledger()
    with SqlStore.open(place) as store:
        begin(store)
        with subprocess.Popen([sys.executable, "-m", "tests.store.stalling", str(place)], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "0\n", "it has the write lock"
            holder.send_signal(end)
            began = time.monotonic()
            assert store.take_up(CAMPAIGN, by=BY, now=at(2)) == 1
            took = time.monotonic() - began
            holder.kill()
        record_property("figure", f"PostgreSQL: another writer committed {took:.2f} s after {end.name} in mid-transaction")
        assert store.verify() == ()


def link_after(ledger: Writer) -> Link:
    return forge(ledger.head(), Happening(EventKind.ADAPTED, CAMPAIGN, CAMPAIGN, {"documents": {}}, BY, at(9)))


def test_who_was_silent_for_too_long_has_written_nothing_and_is_told(postgres: Server) -> None:
    def be_silent(store: SqlStore) -> None:
        with store.writing() as ledger:
            ledger.append(link_after(ledger))
            ledger.connection.exec_driver_sql("set local idle_in_transaction_session_timeout = 100")
            time.sleep(1)
            ledger.head()

    with SqlStore.open(postgres.ledger()) as store:
        begin(store)
        with pytest.raises(StoreError, match="was silent for 8 s while it had the write lock, nothing was written"):
            be_silent(store)
        assert store.head()[0] == 2


def test_a_session_that_the_server_ends_in_mid_transaction_is_one_line_and_the_next_one_goes_on(postgres: Server) -> None:
    place = postgres.ledger()
    with SqlStore.open(place) as store:
        begin(store)
        told = tell_execution(store)
        ended, head = told.run.evolve(status=RunStatus.COMPLETED), store.head()

        ours = f"application_name = 'athanor, pid {os.getpid()} on {socket.gethostname()}'"
        ends = iter([f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}"])

        def end_the_session(*_: object) -> None:
            for statement in ends:
                postgres.rows(statement)

        event.listen(store._engine, "commit", end_the_session)
        with pytest.raises(StoreError) as refusal:
            store.ingest(ended, [], [reading(0)], by=BY, now=at(9))
        assert str(refusal.value).startswith(f"ledger {place}: the connection was lost or refused; see that the server runs")
        assert store.head() == head
        store.ingest(ended, [], [reading(0)], by=BY, now=at(9))
        assert store.verify() == ()


def test_a_crash_of_the_server_in_mid_transaction_loses_what_was_not_committed_and_no_more(postgres: Server) -> None:
    def crash(store: SqlStore) -> None:
        with store.writing() as ledger:
            ledger.append(link_after(ledger))
            postgres.stop("immediate")
            ledger.head()

    with SqlStore.open(postgres.ledger()) as store:
        begin(store)
        tell_experiment(store, 1)
        head = store.head()
        for attempt in (lambda: crash(store), store.head):
            with pytest.raises(StoreError, match="the connection was lost or refused; see that the server runs and can be reached"):
                attempt()
        postgres.start()
        assert store.head() == head
        tell_experiment(store, 2)
        assert store.verify() == ()


def test_threads_share_a_store(place: LedgerPlace) -> None:
    with SqlStore.open(place) as store:
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
