"""The tables of review: requests, answers, decision pages and people."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    _make("review_requests", _text("request_id"), _text("campaign"), _integer("number"), _text("status"), key="request_id")
    _make("answers", _text("answer_id"), _text("campaign"), _text("request_id"), _text("status"), key="answer_id")
    _make("pages", _text("sha256"), _text("campaign"), key="sha256")
    _make("people", _text("name"), sa.Column("revoked", sa.Boolean(), nullable=False), key="name")
    for table in ("review_requests", "answers"):
        op.create_index(f"ix_{table}_campaign_event_seq", table, ["campaign", "event_seq"])
    for table in ("pages", "people"):
        op.create_index(f"ix_{table}_event_seq", table, ["event_seq"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def _make(table: str, *columns: sa.Column[str] | sa.Column[int] | sa.Column[bool], key: str) -> None:
    referred = {"campaign": "campaigns.name", "request_id": "review_requests.request_id", "event_seq": "events.seq"}
    names = [*(column.name for column in columns if column.name != key), "event_seq"]
    op.create_table(
        table,
        *columns,
        _integer("event_seq"),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(key, name=f"pk_{table}"),
        *(sa.ForeignKeyConstraint([name], [referred[name]], name=f"fk_{table}_{name}") for name in names if name in referred),
    )
