"""A ledger in a SQLite file."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects.sqlite import Insert, insert
from typing_extensions import override

from orchestrator.errors import StoreError
from orchestrator.store.database import Database, no_ledger
from orchestrator.store.readonly import copy_ledger, engine_to_read
from orchestrator.store.schema import find_schema, latest
from orchestrator.store.sqlite_engine import clear_errors, find_damage, open_engine, writing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SqliteFile(Database):
    """A file, in a folder that exists."""

    path: Path

    @property
    @override
    def name(self) -> str:
        return str(self.path)

    @property
    @override
    def insert(self) -> Callable[[Table], Insert]:
        return insert

    @override
    def exists(self) -> bool:
        return self.path.exists()

    @override
    def to_write(self, held: ExitStack, *, create: bool) -> Engine:
        if not create and not self.exists():
            raise no_ledger(self.name)
        if not self.exists() or self._look() != latest():
            _upgrade(self.path, name=self.name)
        engine = open_engine(self.path, read_only=False)
        held.callback(engine.dispose)
        return engine

    @override
    def to_read(self, held: ExitStack) -> Engine:
        """Return an engine; a ledger of an older schema is read from a copy that is brought to today's."""
        if not self.exists():
            raise no_ledger(self.name)
        with self.clear_errors():
            engine = engine_to_read(self.path, held)
            with engine.begin() as connection:
                schema = find_schema(connection, name=self.name)
            if schema == latest():
                return engine
            if schema is None:
                raise StoreError(f"ledger {self.path} has schema none, this Athanor reads {latest()}; `athanor run` brings it there")
            logger.info("ledger %s has schema %s: a copy is brought to %s and read", self.path, schema, latest())
            copy = copy_ledger(engine, held)
        _upgrade(copy, name=self.name)
        migrated = open_engine(copy, read_only=True)
        held.callback(migrated.dispose)
        return migrated

    @override
    def writing(self, engine: Engine) -> Engine:
        return writing(engine)

    @override
    def find_damage(self, connection: Connection) -> list[str]:
        return find_damage(connection)

    @override
    def clear_errors(self) -> AbstractContextManager[None]:
        return clear_errors(self.path)

    @override
    def holding(self, campaign: str, *, take_over: bool) -> AbstractContextManager[None]:
        return nullcontext()  # the lab's own lock names the holder: a file is on one machine

    def _look(self) -> str | None:
        """Return the file's schema without writing to it."""
        engine = open_engine(self.path, read_only=True)
        try:
            with self.clear_errors(), engine.begin() as connection:
                return find_schema(connection, name=self.name)
        finally:
            engine.dispose()


def _upgrade(path: Path, *, name: str) -> None:
    """Bring a file to the newest schema in one transaction; made where there is none.

    The references are switched off meanwhile: a table that is put in the place of another drops rows that others refer to.

    Raises:
        StoreError: It is no ledger, or a row would refer to one that is not there.
    """
    from orchestrator.store.upgrading import migrate  # late: Alembic takes as long to load as all else that a reader needs

    engine = open_engine(path, read_only=False, references=False)
    try:
        with clear_errors(path), writing(engine).begin() as connection:
            find_schema(connection, name=name)
            migrate(connection)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise StoreError(
                    f"{len(broken)} rows refer to rows that are not there, the first in table {broken[0][0]}; nothing was migrated"
                )
    finally:
        engine.dispose()
