"""Copies a ledger from one database to another, row by row and all in one transaction; not a byte of an event changes.

A ledger that is moved travels in a SQLite file, in which the table `lab` says whose it is.
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, insert, inspect, select

from orchestrator.errors import BadInput, StoreError
from orchestrator.store.audit import audit
from orchestrator.store.sql import SqlStore
from orchestrator.store.tables import LAB, METADATA

_ROWS_AT_ONCE: Final = 500
_KINDS: Final = ("live", "dry")
"""Of labs."""


def copy_ledger(source: SqlStore, target: SqlStore) -> tuple[int, str]:
    """Copy everything as of one moment, while others may write to the source; return the head.

    Raises:
        BadInput: The target holds something.
        StoreError: The source is damaged; nothing was copied.
    """
    with source.reading() as read, target.writing() as written:
        if (held := written.head()[0]) != 0:
            raise BadInput(f"ledger {target.name} holds {held} events; a ledger is imported into an empty one only")
        for table in METADATA.sorted_tables:
            _copy_rows(table, read.connection, written.connection)
        if complaints := list(audit(written)):
            raise StoreError(
                f"ledger {source.name} is damaged: {len(complaints)} complaints, the first: {complaints[0]}; nothing was copied"
            )
        return written.head()


def _copy_rows(table: Table, source: Connection, target: Connection) -> None:
    found = source.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": _ROWS_AT_ONCE})
    for rows in found.mappings().partitions():
        target.execute(insert(table), [dict(row) for row in rows])


def write_file(source: SqlStore, path: Path, *, lab: str, kind: str) -> tuple[int, str]:
    """Write a whole ledger, and whose it is, into a new file; return the head.

    Raises:
        BadInput: There is such a file already.
        StoreError: The source is damaged, or the file cannot be written.
    """
    if path.exists():
        raise BadInput(f"{path} is there already; name a new file")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with closing(SqlStore.open(draft)) as target:
            with target.writing() as written:
                LAB.create(written.connection)
                written.connection.execute(insert(LAB).values(id=lab, kind=kind))
            head = copy_ledger(source, target)
        draft.rename(path)
    finally:
        for left in path.parent.glob(f"{draft.name}*"):
            left.unlink()
    return head


def owner_in(store: SqlStore) -> tuple[str, str] | None:
    """Return identifier and kind of the lab that a moved ledger is of; None where it does not say."""
    with store.reading() as read:
        if not inspect(read.connection).has_table(LAB.name):
            return None
        found = read.connection.execute(select(LAB.c.id, LAB.c.kind)).first()
    return None if found is None or found.kind not in _KINDS else (str(found.id), str(found.kind))
