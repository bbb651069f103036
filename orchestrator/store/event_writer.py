"""Writes state and what happened together: no row changes without an event that holds its new document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.clock import Instant
from orchestrator.domain.events import EventKind
from orchestrator.domain.values import Frozen
from orchestrator.store.chain import Happening, check_texts, forge, write_json
from orchestrator.store.documents import KeptReading, RowDocument, abridge, document_of, kept_of
from orchestrator.store.ledger import StateRow, Writer


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes in one transaction: who, and when."""

    ledger: Writer
    by: str
    now: Instant

    def record(
        self,
        kind: EventKind,
        *values: Frozen,
        about: Frozen | None = None,
        said: str | None = None,
        details: Mapping[str, Any] | None = None,
        readings: Sequence[tuple[KeptReading, bytes]] = (),
        abridged: bool = False,
    ) -> None:
        """Append one event and bring the tables to what it says.

        Args:
            kind: What happened.
            values: The new state.
            about: What the event is about, where that is not the first of the values.
            said: What a person said, where the kind is written with it.
            details: What no table holds.
            readings: Raw readings and the device's bytes.
            abridged: The event holds the digest of a snapshot that an earlier event holds in full.
        """
        entries = [(kept_of(value), document_of(value)) for value in values]
        payload: RowDocument = {"details": dict(details or {}), "documents": {kept.table: [] for kept, _ in entries}}
        for kept, document in entries:
            payload["documents"][kept.table].append(abridge(document) if abridged else document)
        if readings:
            payload["readings"] = {str(reading.seq): reading.digest for reading, _ in readings}
        subject = about or values[0]
        written, of = str(kind) if said is None else f"{kind}: {said}", kept_of(subject)
        happening = Happening(written, of.campaign(subject), str(of.key(subject)[0]), payload, self.by, self.now)
        link = forge(self.ledger.head(), happening)
        self.ledger.append(link)
        for kept, document in entries:
            text, searchable = write_json(document, what=kept.table), kept.searchable(document)
            check_texts(searchable.values(), what=kept.table)
            self.ledger.put(kept.table, StateRow(searchable, text, link.seq))
        for reading, raw in readings:
            self.ledger.keep(reading, raw, link.seq)
