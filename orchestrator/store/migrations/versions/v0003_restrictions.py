"""The table of restrictions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "restrictions",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("restriction_id", "campaign")),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("restriction_id", name="pk_restrictions"),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.name"], name="fk_restrictions_campaign"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name="fk_restrictions_event_seq"),
    )
    op.create_index("ix_restrictions_campaign_event_seq", "restrictions", ["campaign", "event_seq"])
