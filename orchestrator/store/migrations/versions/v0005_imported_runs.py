"""A run that was imported has no proposal.

The table is made anew, for SQLite cannot lift a NOT NULL; the store has switched the references off for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Allow null."""
    with op.batch_alter_table("runs", recreate="auto") as table:
        table.alter_column("proposal_id", existing_type=sa.String(), nullable=True)
