"""Who carries a campaign on, for newcomers on other machines: the fence decides, and this lock only names its holder.

A session of its own keeps an advisory lock (manual, 13.3.5) for as long as the process lives, and asks something each second:
a holder that has asked nothing for a while is suspended or cut off. Only such a one is ended, and only where a person says so.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import psycopg

from orchestrator.errors import LockHeld
from orchestrator.store.place import ServerLedger
from orchestrator.store.postgresql_engine import application, clear_errors, connect

logger = logging.getLogger(__name__)

_SIGN_SECONDS: Final = 1.0
SILENT_AFTER: Final = 10.0
"""Seconds without a sign of life that count as silence, as on one machine."""
_END_MS: Final = 5000
_TAKE: Final = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
_FIND: Final = """
select s.pid, s.application_name, coalesce(host(s.client_addr), 'the server itself'), s.backend_start,
       extract(epoch from clock_timestamp() - s.state_change) > %s
from pg_locks l join pg_stat_activity s on s.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0)
"""


@contextmanager
def holding(place: ServerLedger, campaign: str, *, take_over: bool, silent_after: float = SILENT_AFTER) -> Iterator[str | None]:
    """Hold a campaign; yield a line about a silent holder that was ended for it.

    Raises:
        LockHeld: Another process holds it; the message says which, where and since when.
        StoreError: The server cannot be asked.
    """
    key, ended = f"{place.schema} {campaign}", threading.Event()
    with clear_errors(str(place)):
        session = connect(place, application=f"{application()}, campaign {campaign}")
    with closing(session):
        with clear_errors(str(place)):
            displaced = _take(session, key, f"campaign {campaign} of ledger {place}", silent_after if take_over else None)
        sign = threading.Thread(target=_show_life, args=(session, ended), name="ledger-sign", daemon=True)
        sign.start()
        try:
            yield displaced
        finally:
            ended.set()
            sign.join()


def _take(session: psycopg.Connection, key: str, what: str, silent_after: float | None) -> str | None:
    if _is_taken(session, key):
        return None
    holder = session.execute(_FIND, (silent_after or 0.0, key)).fetchone()
    if holder is not None:
        pid, name, address, since, is_silent = holder
        told = f"{name} (from {address}, since {since:%Y-%m-%d %H:%M:%S%z})"
        if silent_after is None or not is_silent:
            raise LockHeld(f"{what} is carried on by {told}; only one that gives no sign of life is displaced, by --take-over")
        session.execute("select pg_terminate_backend(%s, %s)", (pid, _END_MS))
    if not _is_taken(session, key):
        raise LockHeld(f"{what} was taken by another process a moment ago; try again")
    return None if holder is None else f"{told} gave no sign of life and was displaced"


def _is_taken(session: psycopg.Connection, key: str) -> bool:
    row = session.execute(_TAKE, (key,)).fetchone()
    return row is not None and bool(row[0])


def _show_life(session: psycopg.Connection, ended: threading.Event) -> None:
    while not ended.wait(_SIGN_SECONDS):
        try:
            session.execute("select 1")
        except psycopg.Error as error:
            logger.warning("nobody is told any more who carries this campaign on: %s", " ".join(str(error).split()))
            return
