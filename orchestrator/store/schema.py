"""The schema of a ledger: which one a database has.

What brings it to today's is Alembic, which `orchestrator.store.upgrading` loads: a ledger that is at the head opens without.
"""

import pkgutil
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from orchestrator.errors import StoreError
from orchestrator.store.migrations import versions

_KNOWN: Final = tuple(sorted(one.name.removeprefix("v").partition("_")[0] for one in pkgutil.iter_modules(versions.__path__)))
"""All schemas, the oldest first, by the names of their modules (`v0001_ledger`)."""


VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic notes a ledger's schema; written here as Alembic itself makes it."""


def latest() -> str:
    """Return the newest schema that this Athanor knows."""
    return _KNOWN[-1]


def find_schema(connection: Connection, *, name: str) -> str | None:
    """Return a database's schema; None for an empty database.

    Raises:
        StoreError: The database holds something else, or a schema of a newer Athanor.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            raise StoreError(f"{name} is a database, but not Athanor's ledger: it holds {', '.join(tables[:5])}")
        return None
    found = connection.execute(select(VERSION.c.version_num)).scalar_one_or_none()
    if found is not None and found not in _KNOWN:
        raise StoreError(f"ledger {name} has schema {found} of a newer Athanor; this one knows up to {latest()}")
    return None if found is None else str(found)
