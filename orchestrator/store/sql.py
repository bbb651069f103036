"""The ledger in a SQL database.

Statements are SQLAlchemy Core, not ORM, over the tables of `orchestrator.store.tables`, and the frequent ones are built
once: a transaction costs about a millisecond beside the disk's own flush. Each looks its rows up by a key or an index
(of the chain, only the head), so that none gets slower as the ledger grows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, Select, Table, bindparam, func, select
from typing_extensions import override

from orchestrator.errors import BadInput
from orchestrator.store.audit import audit
from orchestrator.store.chain import GENESIS, Link
from orchestrator.store.database import Database
from orchestrator.store.documents import CAMPAIGNS, STATE, KeptReading, RowKey
from orchestrator.store.ledger import StateRow
from orchestrator.store.ledger_store import LedgerStore
from orchestrator.store.place import LedgerPlace, ServerLedger
from orchestrator.store.sqlite_file import SqliteFile
from orchestrator.store.tables import EVENTS, RAW_BYTES, RAW_READINGS, TABLES

if TYPE_CHECKING:
    from orchestrator.store.database import Insert

_ROWS_AT_ONCE: Final = 500
_LINK_COLUMNS: Final = [EVENTS.c[column.name] for column in fields(Link)]
_READING_COLUMNS: Final = [RAW_READINGS.c[column.name] for column in fields(KeptReading)]
_HEAD: Final = select(EVENTS.c.seq, EVENTS.c.digest).order_by(EVENTS.c.seq.desc()).limit(1)


@cache
def _find(table: str) -> Select[str]:
    columns = TABLES[table].c
    return select(columns.document).where(*(columns[name] == bindparam(name) for name in STATE[table].key_fields))


@cache
def _put(insert: "Callable[[Table], Insert]", table: str) -> "Insert":
    """Return the statement that inserts a row, or replaces the one that has its key."""
    made, kept = insert(TABLES[table]), STATE[table]
    changed = {name: made.excluded[name] for name in (*kept.columns, "document", "event_seq")}
    return made.on_conflict_do_update(index_elements=kept.key_fields, set_=changed)


class _Transaction:
    """One transaction on a connection: an `orchestrator.store.ledger.Writer` and `Scanner`."""

    def __init__(self, connection: Connection, insert: "Callable[[Table], Insert]") -> None:
        self.connection = connection
        """For what goes beside these statements."""
        self._insert = insert

    def head(self) -> tuple[int, str]:
        row = self.connection.execute(_HEAD).first()
        return (row.seq, row.digest) if row else (0, GENESIS)

    def fence(self, campaign: str) -> int | None:
        table = TABLES[CAMPAIGNS.table]
        return self.connection.execute(select(table.c.fence).where(table.c.name == campaign)).scalar()

    def everything(self, table: str) -> Sequence[str]:
        columns = TABLES[table].c
        order = [columns[name] for name in STATE[table].key_fields]
        return self.connection.execute(select(columns.document).order_by(*order)).scalars().all()

    def find(self, table: str, key: RowKey) -> str | None:
        return self.connection.execute(_find(table), dict(zip(STATE[table].key_fields, key, strict=True))).scalar()

    def changed(self, table: str, campaign: str, since: int) -> Sequence[tuple[int, str]]:
        """Walk the index of campaign and event from there."""
        columns = TABLES[table].c
        order = [columns.event_seq, *(columns[name] for name in STATE[table].key_fields)]
        statement = select(columns.event_seq, columns.document).where(columns.campaign == campaign, columns.event_seq > since)
        return [(seq, document) for seq, document in self.connection.execute(statement.order_by(*order))]

    def highest_number(self, table: str, campaign: str) -> int:
        columns = TABLES[table].c
        return self.connection.execute(select(func.max(columns.number)).where(columns.campaign == campaign)).scalar() or 0

    def links(self, campaign: str | None, since: int, limit: int) -> Sequence[Link]:
        statement = select(*_LINK_COLUMNS).where(EVENTS.c.seq > since).order_by(EVENTS.c.seq).limit(limit)
        if campaign is not None:
            statement = statement.where(EVENTS.c.campaign == campaign)
        return [Link(*row) for row in self.connection.execute(statement)]

    def readings(self, run_key: str) -> Sequence[tuple[KeptReading, bytes]]:
        joined = RAW_READINGS.outerjoin(RAW_BYTES, RAW_READINGS.c.sha256 == RAW_BYTES.c.sha256)
        statement = select(*_READING_COLUMNS, RAW_BYTES.c.content).select_from(joined)
        statement = statement.where(RAW_READINGS.c.run_key == run_key).order_by(RAW_READINGS.c.seq)
        return [(KeptReading(*row[:-1]), row[-1] or b"") for row in self.connection.execute(statement)]

    def append(self, link: Link) -> None:
        self.connection.execute(self._insert(EVENTS), asdict(link))

    def put(self, table: str, row: StateRow) -> None:
        self.connection.execute(_put(self._insert, table), {**row.searchable, "document": row.document, "event_seq": row.event_seq})

    def keep(self, reading: KeptReading, raw: bytes, event_seq: int) -> None:
        if reading.sha256:
            new = self._insert(RAW_BYTES).on_conflict_do_nothing()
            self.connection.execute(new, {"sha256": reading.sha256, "content": raw})
        values = {"run_key": reading.run_key, "seq": reading.seq, "sha256": reading.sha256}
        self.connection.execute(self._insert(RAW_READINGS), {**values, "document": reading.document, "event_seq": event_seq})

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
        return iter(self.connection.execute(statement, execution_options={"yield_per": _ROWS_AT_ONCE}))


class SqlStore(LedgerStore):
    """A Store in a database; safe to share between threads and between processes."""

    def __init__(self, database: Database, engine: Engine, held: ExitStack) -> None:
        super().__init__()
        self._database = database
        self._engine = engine
        self._writer = database.writing(engine)
        self._held = held

    @property
    def name(self) -> str:
        """How messages call it."""
        return self._database.name

    @classmethod
    def open(cls, place: LedgerPlace, *, create: bool = True, read_only: bool = False) -> "SqlStore":
        """Open a ledger and, unless only to read, bring it to today's schema.

        Args:
            place: A file, in a folder that exists, or a schema on a server.
            create: Make the ledger when it is missing.
            read_only: Write nothing, and never make it; a file of an older schema is read from a copy that is brought to today's.

        Raises:
            BadInput: There is no such ledger, and none is to be made; or it is another lab's.
            StoreError: It is damaged, no ledger, of a newer schema, or cannot be reached.
        """
        database = database_of(place)
        with ExitStack() as held:
            engine = database.to_read(held) if read_only else database.to_write(held, create=create)
            return cls(database, engine, held.pop_all())

    @override
    @contextmanager
    def reading(self) -> Iterator[_Transaction]:
        with self._database.clear_errors(), self._engine.begin() as connection:
            yield _Transaction(connection, self._database.insert)

    @override
    @contextmanager
    def writing(self) -> Iterator[_Transaction]:
        with self._database.clear_errors(), self._writer.begin() as connection:
            yield _Transaction(connection, self._database.insert)

    @override
    def verify(self) -> tuple[str, ...]:
        with self._database.clear_errors(), self._engine.begin() as connection:
            return (*self._database.find_damage(connection), *audit(_Transaction(connection, self._database.insert)))

    @override
    def close(self) -> None:
        self._held.close()


def database_of(place: LedgerPlace) -> Database:
    """Return what is particular to the database of a ledger.

    Raises:
        BadInput: The driver that it needs is not installed.
    """
    if isinstance(place, Path):
        return SqliteFile(place)
    return _on_server(place)


def _on_server(place: ServerLedger) -> Database:
    try:  # late: who keeps a ledger in a file needs neither driver nor dialect, and they take long to load
        from orchestrator.store.postgresql_schema import PostgresSchema
    except ImportError as error:
        raise BadInput(f"ledger {place}: psycopg is not installed; Athanor's extra `postgresql` brings it ({error})") from error
    return PostgresSchema(place)
