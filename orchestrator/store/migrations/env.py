"""Alembic's entry: migrates over the connection, and inside the transaction, that the store hands in."""

from alembic import context

from orchestrator.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
