"""Brings a ledger to today's schema with Alembic, which takes long to load: only a ledger that is made or migrated needs it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection) -> None:
    """Carry out in the connection's transaction whatever migrations a ledger lacks."""
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")  # by module: an installed package migrates too
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
