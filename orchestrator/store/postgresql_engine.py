"""PostgreSQL as the ledger needs it: one writer at a time, nobody held up by the dead, and errors in one clear line.

Who writes begins with `LOCK TABLE events IN EXCLUSIVE MODE` under READ COMMITTED: each statement after it sees what was
committed before the lock was given. (Under a stricter isolation the snapshot is older than the lock, so that the chain's head
is read as it was before the wait.) Readers see one moment under REPEATABLE READ, and hold up nobody. Parameters are those of
the PostgreSQL manual, 20.3 and 20.11, and of libpq, 34.1.2.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import StoreError
from orchestrator.store.place import HOW_TO_GIVE_PASSWORDS, ServerLedger

_SILENT: Final = 8
"""Seconds after which a session that has the write lock and says nothing is ended: others write again within 10 s. A transaction takes
milliseconds, so that only a suspended or vanished client is silent for so long."""
_SESSION: Final = {
    "lock_timeout": "30s",  # waiting for one's turn, as long as with a file
    "statement_timeout": "60s",  # above it: waiting is a part of a statement
    "idle_in_transaction_session_timeout": "60s",  # of a reader, who holds up nobody, but keeps old rows from being cleared away
    "client_connection_check_interval": "2s",  # a killed client's statement ends while it runs or waits (PostgreSQL 14 and later)
    "tcp_user_timeout": f"{_SILENT}s",  # a suspended client that takes no answer, a host that is gone with an answer under way
    "tcp_keepalives_idle": "4",  # a host that is gone: 4 s, then two questions, 2 s apart
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "2",
}
"""The server's side of a session."""
_CLIENT: Final = {
    "connect_timeout": "10",  # per address
    "keepalives_idle": "4",  # a server that is gone, as above
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": f"{1000 * _SILENT}",  # ms
    "client_encoding": "UTF8",
}
"""Our side; what the URL says comes first."""
_BEGIN: Final = "athanor_begin"
_WRITE: Final = f"SET LOCAL idle_in_transaction_session_timeout = '{_SILENT}s'; LOCK TABLE events IN EXCLUSIVE MODE"
_CHANGE: Final = "SET LOCAL statement_timeout = 0"
_READ_ONLY: Final = "athanor_read_only"


def connect(place: ServerLedger, *, application: str) -> psycopg.Connection:
    """Open a session; libpq reads the URL, and finds the password."""
    options = " ".join(f"-c {name}={value}" for name, value in {**_SESSION, "search_path": place.schema}.items())
    ours = {**_CLIENT, "options": options, "application_name": application}
    return psycopg.connect(make_conninfo("", **{**ours, **conninfo_to_dict(place.address)}), autocommit=True)


def application() -> str:
    """Say for the server which process this is."""
    return f"athanor, pid {os.getpid()} on {socket.gethostname()}"


def open_engine(place: ServerLedger, *, read_only: bool) -> Engine:
    """Make an engine whose transactions see one moment; nothing is opened before the first connection."""

    def session() -> psycopg.Connection:
        opened = connect(place, application=application())
        opened.autocommit = False
        return opened

    # A creator, because libpq alone reads all of its own URLs. A connection that died while nobody used it is renewed.
    engine = create_engine("postgresql+psycopg://", creator=session, pool_pre_ping=True, use_native_hstore=False)
    event.listen(engine, "begin", _begin)
    return engine.execution_options(**{_READ_ONLY: read_only})


def writing(engine: Engine) -> Engine:
    """Return the engine with which transactions take the write lock when they begin."""
    return _changing(engine, _WRITE)


def changing_tables(engine: Engine) -> Engine:
    """Return the engine whose transactions make or migrate tables."""
    return _changing(engine, _CHANGE)


def _changing(engine: Engine, begin: str) -> Engine:
    return engine.execution_options(**{_BEGIN: begin})


def _begin(connection: Connection) -> None:
    """Say of what kind the transaction is that the driver begins with its first statement."""
    options, driver = connection.get_execution_options(), connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    begin = options.get(_BEGIN)
    driver.isolation_level = IsolationLevel.REPEATABLE_READ if begin is None else IsolationLevel.READ_COMMITTED
    driver.read_only = begin is None or options[_READ_ONLY]
    if begin is not None:
        driver.execute(begin)  # both statements in one message, which SQLAlchemy would not send


def find_damage(connection: Connection) -> list[str]:
    """Return a line where pages failed their checksum; the server counts them where it keeps checksums at all."""
    asked = text("select checksum_failures, checksum_last_failure from pg_stat_database where datname = current_database()")
    failures, last = connection.execute(asked).one()
    return [f"database: {failures} pages failed their checksum, the last at {last}"] if failures else []


_LOST: Final = "the connection was lost or refused; see that the server runs and can be reached, and give the command again"
_ADVICE: Final = {
    "08": _LOST,
    "22": "it does not take such a value, nothing was written",
    "23": "a row contradicts others; nothing was written",
    "25006": "it may not be written to, nothing was written; check the rights of the user and of the server",
    "25P03": f"this process was silent for {_SILENT} s while it had the write lock, nothing was written; give the command again",
    "28": f"the server refused the user; {HOW_TO_GIVE_PASSWORDS}",
    "3D": "there is no such database; `createdb` makes one",
    "42501": "the user may not do that, nothing was written; the owner of database and schema can grant it",
    "53100": "the server's disk is full, nothing was written; free some space and give the command again",
    "53": "the server has no room for it, nothing was written; give the command again when it is less busy",
    "55P03": "another process holds its write lock; end that process or try again",
    "57014": "the statement took too long, nothing was written; give the command again when the server is less busy",
    "57": _LOST,
    "58": "the server cannot read or write its disk; check it and give the command again",
    "XX": "what the server keeps is damaged; keep a copy and put back a backup",
}
"""By SQLSTATE (manual, appendix A), or the class that its first characters name."""


@contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turn what the database throws into one line that names the ledger and says what to do."""
    try:
        yield
    except DBAPIError as error:
        raise _refusal(name, error.orig or error) from error
    except psycopg.Error as error:
        raise _refusal(name, error) from error


def _refusal(name: str, error: BaseException) -> StoreError:
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    said = " ".join(str(error).split())
    if state is not None:
        advice = next((_ADVICE[key] for key in (state, state[:2]) if key in _ADVICE), "the database refused")
    elif not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        advice = _ADVICE["22"]
    elif "password" in said:  # while a connection is made, libpq tells no SQLSTATE
        advice = _ADVICE["28"]
    else:
        advice = _LOST
    return StoreError(f"ledger {name}: {advice} ({said})")
