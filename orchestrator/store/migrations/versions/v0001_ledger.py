"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_events()
    _make_campaigns()
    _make_proposals()
    _make_runs()
    _make_measurements()
    _make_readings()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def _document() -> sa.Column[str]:
    return sa.Column("document", sa.Text(), nullable=False)


def _refer(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def _make_events() -> None:
    op.create_table(
        "events",
        _integer("seq"),
        _text("kind"),
        _integer("version"),
        _text("campaign"),
        _text("subject"),
        sa.Column("payload", sa.Text(), nullable=False),
        _text("wall"),
        sa.Column("lab", sa.Float(), nullable=False),
        _text("by"),
        _text("previous"),
        _text("digest"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
    )
    op.create_index("ix_events_campaign_seq", "events", ["campaign", "seq"])


def _make_campaigns() -> None:
    op.create_table(
        "campaigns",
        _text("name"),
        _text("status"),
        _integer("fence"),
        _integer("event_seq"),
        _document(),
        sa.PrimaryKeyConstraint("name", name="pk_campaigns"),
        _refer("campaigns", "event_seq", "events.seq"),
    )
    op.create_index("ix_campaigns_event_seq", "campaigns", ["event_seq"])


def _make_proposals() -> None:
    op.create_table(
        "proposals",
        _text("proposal_id"),
        _integer("revision"),
        _text("campaign"),
        _integer("number"),
        _text("status"),
        _integer("event_seq"),
        _document(),
        sa.PrimaryKeyConstraint("proposal_id", "revision", name="pk_proposals"),
        _refer("proposals", "campaign", "campaigns.name"),
        _refer("proposals", "event_seq", "events.seq"),
    )
    op.create_index("ix_proposals_campaign_event_seq", "proposals", ["campaign", "event_seq"])


def _make_runs() -> None:
    op.create_table(
        "runs",
        _text("run_key"),
        _text("run_id"),
        _integer("attempt"),
        _text("campaign"),
        _text("proposal_id"),
        _integer("revision"),
        _integer("replicate"),
        _text("status"),
        sa.Column("ingested", sa.Boolean(), nullable=False),
        _integer("event_seq"),
        _document(),
        sa.PrimaryKeyConstraint("run_key", name="pk_runs"),
        sa.UniqueConstraint("run_id", "attempt", name="uq_runs_run_id_attempt"),
        sa.ForeignKeyConstraint(
            ["proposal_id", "revision"],
            ["proposals.proposal_id", "proposals.revision"],
            name="fk_runs_proposal_id_revision",
        ),
        _refer("runs", "campaign", "campaigns.name"),
        _refer("runs", "event_seq", "events.seq"),
    )
    op.create_index("ix_runs_campaign_event_seq", "runs", ["campaign", "event_seq"])


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        _text("run_key"),
        _text("target"),
        _integer("replicate"),
        _integer("revision"),
        _text("campaign"),
        _text("status"),
        sa.Column("value", sa.Float(), nullable=False),
        _integer("event_seq"),
        _document(),
        sa.PrimaryKeyConstraint("run_key", "target", "replicate", "revision", name="pk_measurements"),
        _refer("measurements", "run_key", "runs.run_key"),
        _refer("measurements", "campaign", "campaigns.name"),
        _refer("measurements", "event_seq", "events.seq"),
    )
    op.create_index("ix_measurements_campaign_event_seq", "measurements", ["campaign", "event_seq"])


def _make_readings() -> None:
    op.create_table(
        "raw_bytes",
        _text("sha256"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_raw_bytes"),
    )
    op.create_table(
        "raw_readings",
        _text("run_key"),
        _integer("seq"),
        sa.Column("sha256", sa.String(), nullable=True),
        _integer("event_seq"),
        _document(),
        sa.PrimaryKeyConstraint("run_key", "seq", name="pk_raw_readings"),
        _refer("raw_readings", "run_key", "runs.run_key"),
        _refer("raw_readings", "sha256", "raw_bytes.sha256"),
        _refer("raw_readings", "event_seq", "events.seq"),
    )
    op.create_index("ix_raw_readings_event_seq", "raw_readings", ["event_seq"])
