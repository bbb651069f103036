"""The schema of a ledger: which one a database has, and how to bring it to today's."""

from functools import cache
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from orchestrator.errors import StoreError

_SCRIPTS: Final = "orchestrator.store:migrations"
"""By module, so that an installed package migrates too."""


def latest() -> str:
    """Return the newest schema that this Athanor knows."""
    return _known()[0]


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
    found = connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()
    if found is not None and found not in _known():
        raise StoreError(f"ledger {name} has schema {found} of a newer Athanor; this one knows up to {latest()}")
    return None if found is None else str(found)


def upgrade(connection: Connection) -> None:
    """Bring a database to the newest schema inside the connection's transaction.

    Raises:
        StoreError: A row would refer to one that is not there.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise StoreError(f"{len(broken)} rows refer to rows that are not there, the first in table {broken[0][0]}; nothing was migrated")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    return config


@cache
def _known() -> tuple[str, ...]:
    """All schemas, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())
