import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from orchestrator.errors import BadInput, StoreError
from orchestrator.store.documents import STATE
from orchestrator.store.schema import latest
from orchestrator.store.sql import SqlStore
from orchestrator.store.tables import METADATA, TABLES
from tests.store.cases import BY, CAMPAIGN, at, begin, campaign


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    store = SqlStore.open(path, create=True)
    begin(store)
    store.close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open(path)
    yield store
    store.close()


def everything(folder: Path) -> dict[str, bytes]:
    """What is stored; SQLite's readers leave an index (-shm) of an empty log (-wal) behind."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix != ".sqlite-shm" and file.stat().st_size}


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


WRITTEN = "select name, sql from sqlite_master where sql is not null"


def parts(sql: str) -> list[str]:
    """A table's columns and constraints; the order of the latter means nothing."""
    return sorted(line.strip(", \t") for line in sql.replace('"', "").splitlines())


def test_the_migrations_make_the_tables_that_the_code_declares(store: SqlStore) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, METADATA) == []


def test_the_tables_of_migrations_and_code_are_written_alike(path: Path) -> None:
    declared = create_engine("sqlite://")
    METADATA.create_all(declared)
    with closing(sqlite3.connect(path)) as migrated, declared.connect() as connection:
        found = {name: parts(sql) for name, sql in migrated.execute(WRITTEN) if name != "alembic_version"}
        assert found == {name: parts(sql) for name, sql in connection.exec_driver_sql(WRITTEN)}
    declared.dispose()


def test_the_searchable_columns_are_fields_of_the_documents() -> None:
    for kept in STATE.values():
        columns = {column.name for column in TABLES[kept.table].columns}
        assert columns == {*kept.key_fields, *kept.columns, "event_seq", "document"}
        assert columns - {"event_seq", "document"} <= set(kept.model.model_fields)
        keys = {column.name for column in TABLES[kept.table].primary_key}
        assert keys == set(kept.key_fields)


def test_opening_again_writes_nothing(path: Path) -> None:
    before = everything(path.parent)
    SqlStore.open(path, create=True).close()
    SqlStore.open(path).close()
    assert everything(path.parent) == before


def test_a_ledger_of_today_opens_and_reads_without_what_takes_long_to_load(path: Path) -> None:
    heavy = {"alembic", "torch", "prefect", "sqlmodel", "pint", "numpy"}
    script = f"""
import sys
from pathlib import Path
from orchestrator.store.sql import SqlStore
for read_only in (False, True):
    with SqlStore.open(Path({str(path)!r}), read_only=read_only) as store:
        print(*(record.name for record in store.campaigns()))
print(*{heavy} & set(sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [CAMPAIGN, CAMPAIGN, ""]


def test_a_ledger_of_a_newer_athanor_is_refused_and_left_alone(path: Path) -> None:
    execute(path, "update alembic_version set version_num = '0999'")
    before = everything(path.parent)
    expected = f"ledger {path} has schema 0999 of a newer Athanor; this one knows up to {latest()}"
    for read_only in (False, True):
        with pytest.raises(StoreError) as refusal:
            SqlStore.open(path, create=not read_only, read_only=read_only)
        assert str(refusal.value) == expected
    assert everything(path.parent) == before


def test_a_file_that_is_missing_is_made_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    for read_only in (False, True):
        with pytest.raises(BadInput, match="there is no ledger"):
            SqlStore.open(path, create=False, read_only=read_only)
    with pytest.raises(BadInput, match="there is no ledger"):
        SqlStore.open(path, read_only=True)
    assert everything(tmp_path) == {}


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ledger .*: it cannot be opened; check that the folder exists"):
        SqlStore.open(tmp_path / "none" / "ledger.sqlite", create=True)


def test_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all, " * 200)
    before = everything(tmp_path)
    with pytest.raises(StoreError, match=r"the file is not a database; keep a copy"):
        SqlStore.open(path, create=True)
    assert everything(tmp_path) == before
    path.unlink()
    execute(path, "create table recipes (name text)")
    before = everything(tmp_path)
    with pytest.raises(StoreError, match=r"is a database, but not Athanor's ledger: it holds recipes"):
        SqlStore.open(path, create=True)
    assert everything(tmp_path) == before


def test_a_damaged_file_is_one_clear_line(path: Path) -> None:
    whole = path.read_bytes()
    for damaged in (whole[:4096] + b"\xff" * (len(whole) - 4096), whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"ledger .*ledger.sqlite: the file is damaged; keep a copy"):
            SqlStore.open(path)


def test_an_empty_file_becomes_a_ledger_but_not_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    with pytest.raises(StoreError, match=r"has schema none, this Athanor reads"):
        SqlStore.open(path, read_only=True)
    assert path.read_bytes() == b""
    store = SqlStore.open(path)
    assert store.verify() == ()
    store.close()


def test_a_store_opened_to_read_reads_and_refuses_to_write(path: Path) -> None:
    before = path.read_bytes()
    store = SqlStore.open(path, read_only=True)
    assert len(list(store.events())) == 2
    assert store.verify() == ()
    with pytest.raises(StoreError, match="it may not be written to, nothing was written"):
        store.create_campaign(campaign("wires"), by=BY, now=at(9))
    store.close()
    assert path.read_bytes() == before


def test_a_reader_sees_what_a_living_writer_committed(path: Path, store: SqlStore) -> None:
    store.create_campaign(campaign("wires"), by=BY, now=at(9))
    reader = SqlStore.open(path, read_only=True)
    assert len(reader.campaigns()) == 2
    reader.close()


def test_every_connection_is_durable_and_keeps_references(store: SqlStore) -> None:
    with store.writing() as ledger:
        values = [ledger.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
        assert values == ["wal", 2, 1]


@pytest.mark.parametrize("table", ["proposals", "runs", "measurements"])
def test_changes_are_found_by_walking_an_index(store: SqlStore, table: str) -> None:
    """However long the ledger is, only its new end is read."""
    ask = f"explain query plan select document from {table} where campaign = 'x' and event_seq > 7 order by event_seq"
    with store._engine.connect() as connection:
        plan = [str(row[-1]) for row in connection.exec_driver_sql(ask)]
    assert plan == [f"SEARCH {table} USING INDEX ix_{table}_campaign_event_seq (campaign=? AND event_seq>?)"]
