"""Brings a ledger to today's schema with Alembic, which takes long to load: only a ledger that is made or migrated needs it."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from orchestrator.errors import StoreError
from orchestrator.store.engine import clear_errors, open_engine, writing
from orchestrator.store.schema import find_schema


def upgrade(path: Path, *, name: str) -> None:
    """Bring a file to the newest schema in one transaction, with the references switched off while tables are put in the place of others.

    Args:
        path: The file; made where there is none.
        name: How messages call it.

    Raises:
        StoreError: It is no ledger, or a row would refer to one that is not there.
    """
    engine = open_engine(path, read_only=False, references=False)
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")  # by module: an installed package migrates too
    config.set_main_option("path_separator", "os")
    try:
        with clear_errors(path), writing(engine).begin() as connection:
            find_schema(connection, name=name)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise StoreError(
                    f"{len(broken)} rows refer to rows that are not there, the first in table {broken[0][0]}; nothing was migrated"
                )
    finally:
        engine.dispose()
