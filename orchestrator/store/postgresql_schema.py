"""A ledger in a schema of a PostgreSQL database, which says in a table `lab` whose ledger it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, Table, select, text, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import Insert, insert
from typing_extensions import override

from orchestrator.errors import BadInput, StoreError
from orchestrator.store import postgresql_engine
from orchestrator.store.database import Database, no_ledger
from orchestrator.store.place import ServerLedger
from orchestrator.store.postgresql_holder import holding
from orchestrator.store.schema import VERSION, find_schema, latest
from orchestrator.store.tables import LAB, METADATA

_ENCODING: Final = "UTF8"


@dataclass(frozen=True, slots=True)
class PostgresSchema(Database):
    """A schema; made where the user may make one."""

    place: ServerLedger

    @property
    @override
    def name(self) -> str:
        return str(self.place)

    @property
    @override
    def insert(self) -> Callable[[Table], Insert]:
        return insert

    @override
    def exists(self) -> bool:
        with ExitStack() as held:
            return self._look(self._engine(held, read_only=True))[0] is not None

    @override
    def to_write(self, held: ExitStack, *, create: bool) -> Engine:
        engine = self._engine(held, read_only=False)
        schema, kind = self._look(engine)
        if schema is None and not create:
            raise no_ledger(self.name)
        if schema != latest() or kind != self.place.kind:
            self._bring_to_today(engine)
        return engine

    @override
    def to_read(self, held: ExitStack) -> Engine:
        engine = self._engine(held, read_only=True)
        schema, _ = self._look(engine)
        if schema is None:
            raise no_ledger(self.name)
        if schema != latest():
            raise StoreError(f"ledger {self.name} has schema {schema}, this Athanor reads {latest()}; `athanor run` brings it there")
        return engine

    @override
    def writing(self, engine: Engine) -> Engine:
        return postgresql_engine.writing(engine)

    @override
    def find_damage(self, connection: Connection) -> list[str]:
        return postgresql_engine.find_damage(connection)

    @override
    def clear_errors(self) -> AbstractContextManager[None]:
        return postgresql_engine.clear_errors(self.name)

    @override
    def holding(self, campaign: str, *, take_over: bool) -> AbstractContextManager[str | None]:
        return holding(self.place, campaign, take_over=take_over)

    def _engine(self, held: ExitStack, *, read_only: bool) -> Engine:
        with self.clear_errors():
            engine = postgresql_engine.open_engine(self.place, read_only=read_only)
        held.callback(engine.dispose)
        return engine

    def _look(self, engine: Engine) -> tuple[str | None, str]:
        """Return which schema the ledger has, and its lab's kind as it stands there."""
        with self.clear_errors(), engine.begin() as connection:
            return self._find(connection)

    def _find(self, connection: Connection) -> tuple[str | None, str]:
        schema = find_schema(connection, name=self.name)
        return (schema, "") if schema is None else (schema, self._kind(connection))

    def _kind(self, connection: Connection) -> str:
        """Return the lab's kind; refuse another lab's ledger."""
        lab, kind = connection.execute(select(LAB.c.id, LAB.c.kind)).one()
        if lab != self.place.lab or kind not in ("", self.place.kind):
            raise BadInput(
                f"ledger {self.name} is that of {kind or 'unsettled'} lab {lab}, this is {self.place.kind or 'unsettled'} lab "
                f"{self.place.lab}; each lab has a schema of its own (a copied lab: `athanor export --ledger`, `athanor import`)"
            )
        return str(kind)

    def _bring_to_today(self, engine: Engine) -> None:
        """Make the ledger, migrate it, or say of what kind its lab is, alone: others who would wait, and find it done."""
        with self.clear_errors(), postgresql_engine.changing_tables(engine).begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": self.place.schema})
            schema, kind = self._find(connection)
            if schema is None:
                self._make(connection)
            elif schema != latest():
                _migrate(connection)
            elif kind != self.place.kind:
                connection.execute(update(LAB).values(kind=self.place.kind))

    def _make(self, connection: Connection) -> None:
        encoding = connection.execute(text("show server_encoding")).scalar()
        if encoding != _ENCODING:
            made = "createdb --encoding UTF8 --template template0"
            raise BadInput(f"ledger {self.name}: the database has the encoding {encoding}; expected {_ENCODING} ({made})")
        if connection.execute(text("select to_regnamespace(:name)"), {"name": self.place.schema}).scalar() is None:
            connection.exec_driver_sql(f"create schema {self.place.schema}")
        for table in (VERSION, LAB):
            table.create(connection)
        METADATA.create_all(connection)
        connection.execute(plain_insert(VERSION).values(version_num=latest()))
        connection.execute(plain_insert(LAB).values(id=self.place.lab, kind=self.place.kind))


def _migrate(connection: Connection) -> None:
    from orchestrator.store.upgrading import migrate  # late: Alembic takes long to load, and is seldom needed

    migrate(connection)
