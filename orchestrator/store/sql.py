"""The ledger in a SQL database.

Statements are SQLAlchemy Core, not ORM, over the tables of `orchestrator.store.tables`, and the frequent ones are built
once: a transaction costs about a millisecond beside the disk's own flush. Each looks its rows up by a key or an index
(of the chain, only the head), so that none gets slower as the ledger grows.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, bindparam, func, select
from sqlalchemy.dialects.sqlite import Insert, insert
from typing_extensions import override

from orchestrator.errors import BadInput, StoreError
from orchestrator.store.audit import audit
from orchestrator.store.chain import GENESIS, Link
from orchestrator.store.documents import CAMPAIGNS, STATE, KeptReading, RowKey
from orchestrator.store.engine import clear_errors, find_damage, open_engine, writing
from orchestrator.store.ledger import StateRow
from orchestrator.store.ledger_store import LedgerStore
from orchestrator.store.readonly import copy_ledger, engine_to_read
from orchestrator.store.schema import find_schema, latest
from orchestrator.store.tables import EVENTS, RAW_BYTES, RAW_READINGS, TABLES

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE: Final = 500
_LINK_COLUMNS: Final = [EVENTS.c[column.name] for column in fields(Link)]
_READING_COLUMNS: Final = [RAW_READINGS.c[column.name] for column in fields(KeptReading)]
_HEAD: Final = select(EVENTS.c.seq, EVENTS.c.digest).order_by(EVENTS.c.seq.desc()).limit(1)


@cache
def _find(table: str) -> Select[str]:
    columns = TABLES[table].c
    return select(columns.document).where(*(columns[name] == bindparam(name) for name in STATE[table].key_fields))


@cache
def _put(table: str) -> Insert:
    """Return the statement that inserts a row, or replaces the one that has its key."""
    made, kept = insert(TABLES[table]), STATE[table]
    changed = {name: made.excluded[name] for name in (*kept.columns, "document", "event_seq")}
    return made.on_conflict_do_update(index_elements=kept.key_fields, set_=changed)


class _Transaction:
    """One transaction on a connection: an `orchestrator.store.ledger.Writer` and `Scanner`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self) -> tuple[int, str]:
        row = self._connection.execute(_HEAD).first()
        return (row.seq, row.digest) if row else (0, GENESIS)

    def fence(self, campaign: str) -> int | None:
        table = TABLES[CAMPAIGNS.table]
        return self._connection.execute(select(table.c.fence).where(table.c.name == campaign)).scalar()

    def everything(self, table: str) -> Sequence[str]:
        columns = TABLES[table].c
        order = [columns[name] for name in STATE[table].key_fields]
        return self._connection.execute(select(columns.document).order_by(*order)).scalars().all()

    def find(self, table: str, key: RowKey) -> str | None:
        return self._connection.execute(_find(table), dict(zip(STATE[table].key_fields, key, strict=True))).scalar()

    def changed(self, table: str, campaign: str, since: int) -> Sequence[str]:
        """Walk the index of campaign and event from there."""
        columns = TABLES[table].c
        order = [columns.event_seq, *(columns[name] for name in STATE[table].key_fields)]
        statement = select(columns.document).where(columns.campaign == campaign, columns.event_seq > since)
        return self._connection.execute(statement.order_by(*order)).scalars().all()

    def highest_number(self, table: str, campaign: str) -> int:
        columns = TABLES[table].c
        return self._connection.execute(select(func.max(columns.number)).where(columns.campaign == campaign)).scalar() or 0

    def links(self, campaign: str | None, since: int, limit: int) -> Sequence[Link]:
        statement = select(*_LINK_COLUMNS).where(EVENTS.c.seq > since).order_by(EVENTS.c.seq).limit(limit)
        if campaign is not None:
            statement = statement.where(EVENTS.c.campaign == campaign)
        return [Link(*row) for row in self._connection.execute(statement)]

    def readings(self, run_key: str) -> Sequence[tuple[KeptReading, bytes]]:
        joined = RAW_READINGS.outerjoin(RAW_BYTES, RAW_READINGS.c.sha256 == RAW_BYTES.c.sha256)
        statement = select(*_READING_COLUMNS, RAW_BYTES.c.content).select_from(joined)
        statement = statement.where(RAW_READINGS.c.run_key == run_key).order_by(RAW_READINGS.c.seq)
        return [(KeptReading(*row[:-1]), row[-1] or b"") for row in self._connection.execute(statement)]

    def append(self, link: Link) -> None:
        self._connection.execute(insert(EVENTS), asdict(link))

    def put(self, table: str, row: StateRow) -> None:
        self._connection.execute(_put(table), {**row.searchable, "document": row.document, "event_seq": row.event_seq})

    def keep(self, reading: KeptReading, raw: bytes, event_seq: int) -> None:
        if reading.sha256:
            self._connection.execute(insert(RAW_BYTES).on_conflict_do_nothing(), {"sha256": reading.sha256, "content": raw})
        values = {"run_key": reading.run_key, "seq": reading.seq, "sha256": reading.sha256}
        self._connection.execute(insert(RAW_READINGS), {**values, "document": reading.document, "event_seq": event_seq})

    def scan_rows(self, table: str) -> Iterator[StateRow]:
        names = [*STATE[table].key_fields, *STATE[table].columns]
        columns = TABLES[table].c
        statement = select(columns.document, columns.event_seq, *(columns[name] for name in names))
        for document, event_seq, *values in self._stream(statement):
            yield StateRow(dict(zip(names, values, strict=True)), document, event_seq)

    def scan_readings(self) -> Iterator[tuple[int, KeptReading]]:
        statement = select(RAW_READINGS.c.event_seq, *_READING_COLUMNS).order_by(RAW_READINGS.c.event_seq)
        for event_seq, *values in self._stream(statement):
            yield event_seq, KeptReading(*values)

    def scan_raw(self) -> Iterator[tuple[str, bytes]]:
        return ((sha256, content) for sha256, content in self._stream(select(RAW_BYTES.c.sha256, RAW_BYTES.c.content)))

    def _stream(self, statement: Select[Any]) -> Iterator[Sequence[Any]]:
        return iter(self._connection.execute(statement, execution_options={"yield_per": _ROWS_AT_ONCE}))


class SqlStore(LedgerStore):
    """A Store in a SQLite file; safe to share between threads and between processes."""

    def __init__(self, engine: Engine, path: Path, held: ExitStack) -> None:
        super().__init__()
        self._engine = engine
        self._writer = writing(engine)
        self._path = path
        self._held = held

    @classmethod
    def open(cls, path: Path, *, create: bool = True, read_only: bool = False) -> "SqlStore":
        """Open a ledger and, unless only to read, bring it to today's schema.

        Args:
            path: The file, in a folder that exists.
            create: Make the file when it is missing.
            read_only: Write nothing; one of an older schema is read from a copy that is brought to today's. Never makes the file.

        Raises:
            BadInput: There is no such file, and none is to be made.
            StoreError: The file is damaged, no ledger, or of a newer schema.
        """
        if not path.exists() and (read_only or not create):
            raise BadInput(f"there is no ledger {path}; `athanor run` and `athanor dry-run` make one")
        with ExitStack() as held:
            engine = _to_read(path, held) if read_only else _to_write(path, held)
            return cls(engine, path, held.pop_all())

    @override
    @contextmanager
    def reading(self) -> Iterator[_Transaction]:
        with clear_errors(self._path), self._engine.begin() as connection:
            yield _Transaction(connection)

    @override
    @contextmanager
    def writing(self) -> Iterator[_Transaction]:
        with clear_errors(self._path), self._writer.begin() as connection:
            yield _Transaction(connection)

    @override
    def verify(self) -> tuple[str, ...]:
        with clear_errors(self._path), self._engine.begin() as connection:
            return (*find_damage(connection), *audit(_Transaction(connection)))

    @override
    def close(self) -> None:
        self._held.close()


def _to_write(path: Path, held: ExitStack) -> Engine:
    if not path.exists() or _look(path) != latest():
        _upgrade(path, name=str(path))
    engine = open_engine(path, read_only=False)
    held.callback(engine.dispose)
    return engine


def _to_read(path: Path, held: ExitStack) -> Engine:
    with clear_errors(path):
        engine = engine_to_read(path, held)
        with engine.begin() as connection:
            schema = find_schema(connection, name=str(path))
        if schema == latest():
            return engine
        if schema is None:
            raise StoreError(f"ledger {path} has schema none, this Athanor reads {latest()}; `athanor run` brings it there")
        logger.info("ledger %s has schema %s: a copy is brought to %s and read", path, schema, latest())
        copy = copy_ledger(engine, held)
    _upgrade(copy, name=str(path))
    migrated = open_engine(copy, read_only=True)
    held.callback(migrated.dispose)
    return migrated


def _upgrade(path: Path, *, name: str) -> None:
    from orchestrator.store.upgrading import upgrade  # late: Alembic takes as long to load as all else that a reader needs

    upgrade(path, name=name)


def _look(path: Path) -> str | None:
    """Return a file's schema without writing to it."""
    engine = open_engine(path, read_only=True)
    try:
        with clear_errors(path), engine.begin() as connection:
            return find_schema(connection, name=str(path))
    finally:
        engine.dispose()
