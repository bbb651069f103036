"""Reading a ledger beside which nothing may be written: an archive, a colleague's folder, a read-only disk.

SQLite wants to make a file beside a ledger even to read it. Where that is refused, a ledger whose log (-wal) holds nothing
is opened as immutable; else ledger and log are read from a copy, for what the log holds was committed.
"""

import logging
import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import StoreError
from orchestrator.store.sqlite_engine import open_engine, primary_code

logger = logging.getLogger(__name__)

_REFUSED: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What SQLite answers where it may not write beside the ledger."""
_COPIES: Final = 5
"""Attempts at a copy while somebody writes, whom we cannot ask to wait."""


def engine_to_read(path: Path, held: ExitStack) -> Engine:
    """Make an engine that reads a ledger, and writes nothing beside it where that is refused.

    Args:
        path: The ledger.
        held: Takes over what must be given back with the engine, and the engine itself.

    Raises:
        StoreError: It changes while it is copied.
    """
    engine = open_engine(path, read_only=True)
    held.callback(engine.dispose)
    if _opens(engine):
        return engine
    if _log_of(path).exists() and _log_of(path).stat().st_size > 0:
        logger.info("ledger %s and its log are read from a copy: nothing may be written beside them", path)
        other = open_engine(_copy(path, temporary(held)), read_only=True)
    else:
        other = open_engine(path, read_only=True, immutable=True)
    held.callback(other.dispose)
    return other


def copy_ledger(engine: Engine, held: ExitStack) -> Path:
    """Copy what an engine reads, as of one moment, into a temporary folder."""
    target = temporary(held) / "ledger.db"
    with closing(engine.raw_connection()) as source, closing(sqlite3.connect(target)) as copy:
        assert isinstance(source.driver_connection, sqlite3.Connection)
        source.driver_connection.backup(copy)
    return target


def temporary(held: ExitStack) -> Path:
    """Make a folder that lasts as long as the engine."""
    return Path(held.enter_context(TemporaryDirectory(prefix="athanor-ledger-")))


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _opens(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("select 1 from sqlite_master limit 1")
    except DBAPIError as error:
        if primary_code(error.orig) in _REFUSED:
            return False
        raise
    return True


def _copy(path: Path, folder: Path) -> Path:
    files = (path, _log_of(path))
    for _ in range(_COPIES):
        before = [_version(file) for file in files]
        for file in files:
            shutil.copyfile(file, folder / file.name)
        if [_version(file) for file in files] == before:
            return folder / path.name
    raise StoreError(f"ledger {path} may only be read, and changes while it is copied; try again when nobody writes to it")


def _version(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns
