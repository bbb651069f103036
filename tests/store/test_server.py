"""What a ledger on a server has of its own: whose it is, who may open it, and that it is made like one in a file."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from orchestrator.domain.events import EventKind
from orchestrator.errors import BadInput, StoreError
from orchestrator.store.place import LedgerPlace, ServerLedger
from orchestrator.store.schema import latest
from orchestrator.store.sql import SqlStore
from tests.postgresql import PASSWORD, Server
from tests.store.cases import BY, at, begin, campaign, tell_experiment
from tests.store.places import read_place

pytestmark = pytest.mark.slow


def structure(store: SqlStore) -> dict[str, Any]:
    """What a ledger's tables are, as the database itself says."""
    with store._engine.connect() as connection:
        seen = inspect(connection)
        return {
            table: {
                "columns": {one["name"]: one["nullable"] for one in seen.get_columns(table)},
                "key": seen.get_pk_constraint(table)["constrained_columns"],
                "references": sorted((one["constrained_columns"], one["referred_table"]) for one in seen.get_foreign_keys(table)),
                "unique": sorted(one["column_names"] for one in seen.get_unique_constraints(table)),
                "indexes": sorted((one["name"], one["column_names"]) for one in seen.get_indexes(table) if not one["unique"]),
            }
            for table in seen.get_table_names()
            if table != "lab"
        }


def test_both_databases_end_with_the_same_tables_also_by_migration(postgres: Server, tmp_path: Path) -> None:
    place = postgres.ledger()
    with SqlStore.open(tmp_path / "ledger.sqlite") as file, SqlStore.open(place) as server:
        expected = structure(file)
        assert structure(server) == expected
        begin(server)
        tell_experiment(server)
    for statement in (
        "drop table work_answers",
        "alter table runs alter proposal_id set not null",
        "alter table measurements alter value set not null",
        "update alembic_version set version_num = '0003'",
    ):
        change(postgres, place, statement)
    with pytest.raises(StoreError) as refusal:
        SqlStore.open(place, read_only=True)
    assert str(refusal.value) == f"ledger {place} has schema 0003, this Athanor reads {latest()}; `athanor run` brings it there"
    with SqlStore.open(place) as server:
        assert structure(server) == expected
        assert server.verify() == ()


def change(postgres: Server, place: ServerLedger, statement: str) -> None:
    postgres.rows(statement, schema=place.schema)


def test_a_ledger_of_a_newer_athanor_is_refused(postgres: Server) -> None:
    place = postgres.ledger()
    SqlStore.open(place).close()
    change(postgres, place, "update alembic_version set version_num = '0999'")
    with pytest.raises(StoreError, match=f"has schema 0999 of a newer Athanor; this one knows up to {latest()}"):
        SqlStore.open(place)


def test_a_schema_that_holds_something_else_is_refused(postgres: Server) -> None:
    place = postgres.ledger()
    change(postgres, place, f"create schema {place.schema} authorization athanor create table recipes (name text)")
    with pytest.raises(StoreError, match="is a database, but not Athanor's ledger: it holds recipes"):
        SqlStore.open(place)


def test_another_labs_ledger_or_one_of_the_other_kind_is_refused(postgres: Server) -> None:
    place = postgres.ledger(lab="hers", kind="live")
    SqlStore.open(place).close()
    for other in (ServerLedger(place.address, place.schema, "his", "live"), ServerLedger(place.address, place.schema, "hers", "dry")):
        for read_only in (False, True):
            with pytest.raises(BadInput, match=r"is that of live lab hers, this is .* lab h.*; each lab has a schema of its own"):
                SqlStore.open(other, read_only=read_only)


def test_the_first_run_settles_the_kind_of_a_lab(postgres: Server) -> None:
    made = postgres.ledger(kind="")
    SqlStore.open(made).close()
    settled = ServerLedger(made.address, made.schema, made.lab, "dry")
    SqlStore.open(settled).close()
    with pytest.raises(BadInput, match="is that of dry lab"):
        SqlStore.open(ServerLedger(made.address, made.schema, made.lab, "live"))


def test_a_ledger_that_is_missing_is_made_only_on_request(postgres: Server) -> None:
    place = postgres.ledger()
    for asked in ({"create": False}, {"read_only": True}):
        with pytest.raises(BadInput, match="there is no ledger"):
            SqlStore.open(place, **asked)


def test_who_may_only_read_reads_and_writes_nothing(postgres: Server) -> None:
    place = postgres.ledger()
    with SqlStore.open(place) as store:
        begin(store)
    with SqlStore.open(place, read_only=True) as store:
        assert store.verify() == ()
        with pytest.raises(StoreError, match="it may not be written to, nothing was written"):
            store.create_campaign(campaign("wires"), by=BY, now=at(9))


def test_names_sort_alike_whatever_the_servers_language_is(place: LedgerPlace) -> None:
    with SqlStore.open(place) as store:
        for name in ("b", "Z", "ä", "a", "_", "A"):
            store.create_campaign(campaign(name), by=BY, now=at(0))
        assert [one.name for one in store.campaigns()] == ["A", "Z", "_", "a", "b", "ä"]


def test_a_text_that_no_server_could_hold_is_refused_everywhere(place: LedgerPlace) -> None:
    with SqlStore.open(place) as store:
        begin(store)
        with pytest.raises(StoreError, match=r"cannot be written: 'A.x00da' holds a NUL character"):
            store.take_up("dots", by="A\0da", now=at(2))
        store.update_campaign(store.campaigns()[0], kind=EventKind.ADAPTED, by=BY, now=at(3), payload={"why": "\0"})
        assert next(store.events(since=2)).payload["details"] == {"why": "\0"}


@pytest.mark.parametrize("given", [{"PGPASSFILE": "/nowhere"}, {"PGPASSFILE": "/nowhere", "PGPASSWORD": "wr0ng"}])
def test_a_missing_or_wrong_password_is_one_line_that_says_how_to_give_it(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as refusal:
        SqlStore.open(postgres.ledger())
    said = str(refusal.value)
    assert "the server refused the user; a password stands in ~/.pgpass" in said
    assert "\n" not in said
    assert "wr0ng" not in said


def test_no_password_is_found_in_a_process_an_error_or_a_log(postgres: Server) -> None:
    place = postgres.ledger()
    with SqlStore.open(place) as store:
        begin(store)
        assert PASSWORD not in f"{store.name} {store._engine!r} {store._engine.url}"
        titles = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any(PASSWORD.encode() in title for title in titles)


def test_a_server_that_cannot_be_reached_is_one_line(postgres: Server) -> None:
    place = read_place("postgresql://athanor@127.0.0.1:1/laboratory?schema=x")
    with pytest.raises(StoreError) as refusal:
        SqlStore.open(place)
    assert str(refusal.value).startswith(f"ledger {place}: the connection was lost or refused; see that the server runs and can be reached")
    assert "\n" not in str(refusal.value)


def test_without_the_driver_one_line_names_what_brings_it() -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.store.places import read_place
try:
    SqlStore.open(read_place("postgresql://ada@db/lab?schema=x"))
except BadInput as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.startswith("ledger postgresql://ada@db/lab?schema=x: psycopg is not installed; Athanor's extra `postgresql` brings it")
