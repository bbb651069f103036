"""The ledger's tables, made from what `orchestrator.store.documents` says of each.

Each row holds the whole frozen value as a JSON document, and beside it only the fields that are searched by. Each also
holds the number of the event that last changed it, indexed together with the campaign: what changed since an event is
then found by walking the index from there, in a time that depends on the change alone and not on the ledger's size.
"""

from dataclasses import fields
from typing import Any, Final, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from orchestrator.store.chain import Link
from orchestrator.store.documents import CAMPAIGNS, STATE, Kept, KeptReading

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_NAME: Final = String().with_variant(String(collation="C"), "postgresql")
"""Sorted by its bytes on each database, whatever a server's language is."""
_NUMBER: Final = Integer().with_variant(BigInteger(), "postgresql")
"""SQLite's integers have 8 bytes by themselves."""
_TYPES: Final[tuple[tuple[type, TypeEngine[Any]], ...]] = ((bool, Boolean()), (int, _NUMBER), (float, Float()), (str, _NAME))
"""The first that a field's type is a kind of: a bool is an int, a status a string."""
_WHOLE_TEXTS: Final = ("document", "payload")
"""Never searched by."""


def _column(name: str, kind: Any, *, key: bool = False) -> Column[Any]:
    """Return the column of a field of this type."""
    held, *absent = get_args(kind) or (kind,)
    found = Text() if name in _WHOLE_TEXTS else next(column for base, column in _TYPES if issubclass(held, base))
    return Column(name, found, primary_key=key, autoincrement=False, nullable=bool(absent))


def _refer(column: str, target: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], [target])


EVENTS: Final = Table(
    "events", METADATA, *(_column(one.name, one.type, key=one.name == "seq") for one in fields(Link)), Index(None, "campaign", "seq")
)
RAW_BYTES: Final = Table("raw_bytes", METADATA, _column("sha256", str, key=True), Column("content", LargeBinary, nullable=False))
RAW_READINGS: Final = Table(
    "raw_readings",
    METADATA,
    *(_column(one.name, one.type, key=one.name in ("run_key", "seq")) for one in fields(KeptReading)),
    _column("event_seq", int),
    _refer("run_key", "runs.run_key"),
    _refer("sha256", "raw_bytes.sha256"),
    _refer("event_seq", "events.seq"),
    Index(None, "event_seq"),
)


def _state(kept: Kept[Any]) -> Table:
    """Make a table of state."""
    types = kept.model.model_fields
    names = (*kept.key_fields, *kept.columns)
    others = [ForeignKeyConstraint(one.key_fields, [f"{one.table}.{name}" for name in one.key_fields]) for one in kept.refers_to]
    campaigns = [_refer("campaign", f"{CAMPAIGNS.table}.name")] if "campaign" in names else []
    return Table(
        kept.table,
        METADATA,
        *(_column(name, types[name].annotation, key=name in kept.key_fields) for name in names),
        _column("event_seq", int),
        _column("document", str),
        *([UniqueConstraint(*kept.unique)] if kept.unique else []),
        *others,
        *campaigns,
        _refer("event_seq", f"{EVENTS.name}.seq"),
        Index(None, "campaign", "event_seq") if kept.followed_as else Index(None, "event_seq"),
    )


TABLES: Final = {kept.table: _state(kept) for kept in STATE.values()}
"""Of state, by name."""

LAB: Final = Table("lab", MetaData(), Column("id", String(), primary_key=True), Column("kind", String(), nullable=False))
"""Whose ledger it is: stands beside a ledger on a server, and in a file that a ledger is moved in; a lab's own file needs none."""
