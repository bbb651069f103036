"""A value that is absent is null; it used to be 0.

The table is made anew, for SQLite cannot lift a NOT NULL; the store has switched the references off for it.
"""

import json

import sqlalchemy as sa
from alembic import op

from orchestrator.domain.values import canonical
from orchestrator.store.upcasts import Payload, absent

revision = "0004"
down_revision = "0003"

_ROWS = sa.table("measurements", *(sa.column(name) for name in ("run_key", "target", "replicate", "revision", "value", "document")))
_KEY = ("run_key", "target", "replicate", "revision")


def upgrade() -> None:
    """Allow null, and put it where a placeholder stands."""
    with op.batch_alter_table("measurements", recreate="always") as table:
        table.alter_column("value", existing_type=sa.Float(), nullable=True)
    connection = op.get_bind()
    for row in connection.execute(sa.select(_ROWS).where(_ROWS.c.value == 0.0)).all():
        document = _document(row.document)
        if (read := absent(document)) != document:
            is_row = [_ROWS.c[name] == getattr(row, name) for name in _KEY]
            connection.execute(sa.update(_ROWS).where(*is_row).values(value=read["value"], document=canonical(read)))


def _document(text: str) -> Payload:
    """Read a document; one that somebody spoilt stays as it is, and `verify` names it."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
