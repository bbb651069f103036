"""The ledger's tables.

Each row holds the whole frozen value as a JSON document, and beside it only the fields that are searched by. Each also
holds the number of the event that last changed it, indexed together with the campaign: what changed since an event is
then found by walking the index from there, in a time that depends on the change alone and not on the ledger's size.
"""

from typing import ClassVar

from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class LedgerTable(SQLModel):
    """Base of all tables; a metadata of its own keeps other libraries' tables out of the migrations."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=_CONVENTION)


class EventRow(LedgerTable, table=True):
    """One link of the chain."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "campaign", "seq"),)

    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str
    version: int
    campaign: str
    subject: str
    payload: str = Field(sa_type=Text)
    wall: str
    lab: float
    by: str
    previous: str
    digest: str


class CampaignRow(LedgerTable, table=True):
    """State of a campaign."""

    __tablename__ = "campaigns"

    name: str = Field(primary_key=True)
    status: str
    fence: int
    event_seq: int = Field(foreign_key="events.seq", index=True)
    document: str = Field(sa_type=Text)


class ProposalRow(LedgerTable, table=True):
    """One revision of a proposal."""

    __tablename__ = "proposals"
    __table_args__ = (Index(None, "campaign", "event_seq"),)

    proposal_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    campaign: str = Field(foreign_key="campaigns.name")
    number: int
    status: str
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class RunRow(LedgerTable, table=True):
    """One attempt of an experiment."""

    __tablename__ = "runs"
    __table_args__ = (
        ForeignKeyConstraint(["proposal_id", "revision"], ["proposals.proposal_id", "proposals.revision"]),
        UniqueConstraint("run_id", "attempt"),
        Index(None, "campaign", "event_seq"),
    )

    run_key: str = Field(primary_key=True)
    run_id: str
    attempt: int
    campaign: str = Field(foreign_key="campaigns.name")
    proposal_id: str
    revision: int
    replicate: int
    status: str
    ingested: bool
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class MeasurementRow(LedgerTable, table=True):
    """One revision of one target's value."""

    __tablename__ = "measurements"
    __table_args__ = (Index(None, "campaign", "event_seq"),)

    run_key: str = Field(primary_key=True, foreign_key="runs.run_key")
    target: str = Field(primary_key=True)
    replicate: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    campaign: str = Field(foreign_key="campaigns.name")
    status: str
    value: float | None
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class ReviewRequestRow(LedgerTable, table=True):
    """A question to people."""

    __tablename__ = "review_requests"
    __table_args__ = (Index(None, "campaign", "event_seq"),)

    request_id: str = Field(primary_key=True)
    campaign: str = Field(foreign_key="campaigns.name")
    number: int
    status: str
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class AnswerRow(LedgerTable, table=True):
    """What a person answered."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "campaign", "event_seq"),)

    answer_id: str = Field(primary_key=True)
    campaign: str = Field(foreign_key="campaigns.name")
    request_id: str = Field(foreign_key="review_requests.request_id")
    status: str
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class PageRow(LedgerTable, table=True):
    """A decision page; never changed."""

    __tablename__ = "pages"

    sha256: str = Field(primary_key=True)
    campaign: str = Field(foreign_key="campaigns.name")
    event_seq: int = Field(foreign_key="events.seq", index=True)
    document: str = Field(sa_type=Text)


class PersonRow(LedgerTable, table=True):
    """Somebody who may sign."""

    __tablename__ = "people"

    name: str = Field(primary_key=True)
    revoked: bool
    event_seq: int = Field(foreign_key="events.seq", index=True)
    document: str = Field(sa_type=Text)


class RestrictionRow(LedgerTable, table=True):
    """What people took out of a search."""

    __tablename__ = "restrictions"
    __table_args__ = (Index(None, "campaign", "event_seq"),)

    restriction_id: str = Field(primary_key=True)
    campaign: str = Field(foreign_key="campaigns.name")
    number: int
    status: str
    event_seq: int = Field(foreign_key="events.seq")
    document: str = Field(sa_type=Text)


class RawBytesRow(LedgerTable, table=True):
    """A device's own bytes, once."""

    __tablename__ = "raw_bytes"

    sha256: str = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RawReadingRow(LedgerTable, table=True):
    """One raw reading; never changed."""

    __tablename__ = "raw_readings"

    run_key: str = Field(primary_key=True, foreign_key="runs.run_key")
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sha256: str | None = Field(default=None, foreign_key="raw_bytes.sha256")
    event_seq: int = Field(foreign_key="events.seq", index=True)
    document: str = Field(sa_type=Text)


METADATA = LedgerTable.metadata
