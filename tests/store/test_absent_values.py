"""A value that is absent is null; ledgers of before, which had a 0 there, are migrated and read through up-casts.

`ledger-0003.sql` was dumped from a ledger that Athanor wrote while its schema was 0003: run 1 has a value and an absent one,
run 2 only absent ones (one of them retracted later), run 3 a quarantined value, a measured zero and a zero that a person
typed, run 4 a zero of another reduction.
"""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flows.plans.snapshots import files_of
from flows.report.export.campaign import export_campaign
from flows.report.export.source import Source
from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.errors import StoreError
from orchestrator.history import History, observations
from orchestrator.store.schema import latest
from orchestrator.store.sql import SqlStore
from orchestrator.summary import quarantined
from tests.store.cases import BY, at, begin, measurement, tell_execution

OLD_HEAD = "d6c32a8fad94f27a94ea8ff25d537d2e92e838b5bfc97e87d29b5d4064a3a4fa"
VALUES = {
    ("r1", "wavelength", 1): 500.0,
    ("r1", "quantum_yield", 1): None,
    ("r2", "wavelength", 1): None,
    ("r2", "quantum_yield", 1): None,
    ("r3", "wavelength", 1): 512.0,
    ("r3", "quantum_yield", 1): 0.0,
    ("r3", "wavelength", 2): 0.0,
    ("r4", "wavelength", 1): 0.0,
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "ledger-0003.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return path


@pytest.fixture
def migrated(old: Path) -> Iterator[SqlStore]:
    with closing(SqlStore.open(old)) as store:
        yield store


def sealed(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("select * from events order by seq").fetchall()


def test_a_ledger_of_before_is_migrated_and_sound_and_its_events_are_as_they_were(old: Path) -> None:
    before = sealed(old)
    with closing(SqlStore.open(old)) as store:
        assert store.verify() == ()
        assert store.head() == (29, OLD_HEAD)
    assert sealed(old) == before
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(latest(),)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = {tuple(row[:3]): row[3] for row in connection.execute("select run_key, target, revision, value from measurements")}
    assert rows == VALUES


def test_only_what_was_a_placeholder_reads_as_absent(migrated: SqlStore) -> None:
    found = {(one.run_key, one.target, one.revision): one.value for one in migrated.changes("dots").measurements}
    assert found == VALUES
    then = {(one.run_key, one.target, one.revision): one.value for one in migrated.changes_until("dots", 28).measurements}
    assert then == {key: value for key, value in VALUES.items() if key != ("r3", "wavelength", 2)}


def test_a_migrated_ledger_is_learnt_from_exported_and_written_to(migrated: SqlStore, tmp_path: Path) -> None:
    changes = migrated.changes("dots")
    assert [dict(one.values) for one in observations(History.of(changes))] == [{"wavelength": 500.0}]
    assert quarantined(History.of(changes)) == (
        "5 of 7 values were quarantined: 1 x Reference without a value; 1 x no peak; 1 x Reference is of uncertain quality; ..."
    )
    export_campaign(Source(changes, *files_of(changes.campaign), tuple(migrated.events()), migrated.head()), tmp_path / "out")
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        cells = {(row["run_key"], row["target"], int(row["revision"])): row["value"] for row in csv.DictReader(file)}
    assert cells == {key: "" if value is None else str(value) for key, value in VALUES.items()}
    seen = next(one for one in changes.measurements if one.value == 512.0)
    migrated.update_measurement(seen.evolve(status=MeasurementStatus.RETRACTED), by=BY, now=at(9))
    assert migrated.verify() == ()


def test_a_migration_that_leaves_a_row_pointing_nowhere_is_taken_back(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:  # which by itself does not look after references
        connection.execute("delete from runs where run_key = 'r4'")
        connection.commit()
    with pytest.raises(StoreError, match="2 rows refer to rows that are not there, the first in table"):
        SqlStore.open(old)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("0003",)]


def test_a_document_that_somebody_spoilt_is_migrated_as_it_is_and_named(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("update measurements set document = 'no json' where run_key = 'r2' and target = 'wavelength'")
        connection.commit()
    with closing(SqlStore.open(old)) as store:
        assert store.verify() == ("measurements r2/wavelength/1/1: altered; it disagrees with event 28",)


def test_an_absent_value_is_null_in_the_ledger_and_in_its_column(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqlStore.open(path)) as store:
        begin(store)
        told = tell_execution(store)
        ended = told.run.evolve(status="completed", ingested=True)
        absent = measurement(ended).evolve(value=None, uncertainty=None, status=MeasurementStatus.QUARANTINED, reason="no peak")
        store.ingest(ended, [absent], [], by=BY, now=at(6))
        store.ingest(ended, [absent], [], by=BY, now=at(7))  # the same again changes nothing
        assert store.changes(ended.campaign).measurements == (absent,)
        assert store.verify() == ()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select value, json_extract(document, '$.value') from measurements").fetchall() == [(None, None)]
