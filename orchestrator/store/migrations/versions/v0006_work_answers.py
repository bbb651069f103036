"""The table of people's answers to steps that waited for them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_NUMBER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
"""As the other tables have them."""


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "work_answers",
        *(sa.Column(name, _NAME, nullable=False) for name in ("answer_id", "campaign", "run_key")),
        sa.Column("step", _NUMBER, nullable=False),
        sa.Column("status", _NAME, nullable=False),
        sa.Column("event_seq", _NUMBER, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", name="pk_work_answers"),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name="fk_work_answers_run_key"),
        sa.ForeignKeyConstraint(["campaign"], ["campaigns.name"], name="fk_work_answers_campaign"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name="fk_work_answers_event_seq"),
    )
    op.create_index("ix_work_answers_campaign_event_seq", "work_answers", ["campaign", "event_seq"])
