"""SQLite as the ledger needs it: durable, one writer at a time, and errors in one clear line.

Python's sqlite3 would begin transactions on its own, late and only before some statements, so it is told to begin none;
SQLAlchemy's `begin` event then does: `BEGIN IMMEDIATE` for whoever will write (it waits for its turn there, and what it
read stays true until its commit), a plain `BEGIN` for readers, who see one moment and hold up nobody (WAL).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from orchestrator.errors import StoreError

_BUSY_SECONDS: Final = 30.0
"""Wall seconds for which a writer waits for its turn; a transaction takes milliseconds."""
_BEGIN: Final = "athanor_begin"


def open_engine(path: Path, *, read_only: bool, references: bool = True, immutable: bool = False) -> Engine:
    """Make an engine; nothing is opened before the first connection.

    Args:
        path: The file.
        read_only: Write nothing.
        references: Whether each statement must keep them. A migration puts a table in the place of another, which drops rows
            that others refer to; it checks them all before its commit. SQLite heeds this only outside a transaction.
        immutable: Nobody writes to the file, and nothing can be written beside it: no lock, no log.
    """
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}{'&immutable=1' if immutable else ''}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)

    # A creator, because a URL would decode the quoted path once too often.
    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "connect", _prepare_to_read if read_only else _prepare)
    if not references:
        event.listen(engine, "connect", _drop_references)
    event.listen(engine, "begin", _begin)
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine with which transactions take the write lock when they begin."""
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def _prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _drop_references(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _prepare_to_read(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def find_damage(connection: Connection) -> list[str]:
    """Return one line per place where the file itself is damaged, its indexes included."""
    lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    return [f"file: {line}" for line in lines if line != "ok"]


_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another process holds its write lock; end that process or try again",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the folder exists and may be written to",
    sqlite3.SQLITE_CONSTRAINT: "a row contradicts others; nothing was written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; keep a copy and put back a backup",
    sqlite3.SQLITE_FULL: "the disk is full, nothing was written; free some space and give the command again",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; check it and give the command again",
    sqlite3.SQLITE_NOTADB: "the file is not a database; keep a copy and put back a backup",
    sqlite3.SQLITE_READONLY: "it may not be written to, nothing was written; check the permissions of file, folder and disk",
}
_PRIMARY: Final = 0xFF
"""The low byte of SQLite's extended result codes."""


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what the database throws into one line that names the file and says what to do."""
    try:
        yield
    except DBAPIError as error:
        raise _refusal(path, error.orig or error) from error
    except sqlite3.Error as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: BaseException) -> StoreError:
    return StoreError(f"ledger {path}: {_ADVICE.get(primary_code(error), 'the database refused')} ({error})")


def primary_code(error: BaseException | None) -> int:
    """Return SQLite's primary result code; 0 where the error is not from SQLite itself, which alone sets one."""
    return 0 if error is None else int(vars(error).get("sqlite_errorcode", 0)) & _PRIMARY
