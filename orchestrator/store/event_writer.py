"""Writes state and what happened together: no row changes without an event that holds its new document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.clock import Instant
from orchestrator.domain.values import Frozen
from orchestrator.store.chain import Happening, forge, write_json
from orchestrator.store.documents import Document, Kept, KeptReading, abridge, document_of
from orchestrator.store.ledger import Row, Writer


@dataclass(frozen=True, slots=True)
class Entry:
    """A domain value that a transaction writes."""

    kept: Kept[Any]
    value: Frozen
    abridged: bool = False
    """The event holds the digest of a snapshot that an earlier event holds in full."""

    @property
    def document(self) -> Document:
        """The row's document."""
        return document_of(self.value)

    @property
    def recorded(self) -> Document:
        """The event's document."""
        return abridge(self.document) if self.abridged else self.document


@dataclass(frozen=True, slots=True)
class Pen:
    """One transaction's hand: who writes, and when."""

    ledger: Writer
    by: str
    now: Instant

    def record(
        self,
        kind: str,
        campaign: str,
        subject: str,
        entries: Sequence[Entry] = (),
        *,
        details: Mapping[str, Any] | None = None,
        readings: Sequence[tuple[KeptReading, bytes]] = (),
    ) -> None:
        """Append one event and bring the tables to what it says."""
        payload: Document = {"details": dict(details or {}), "documents": _by_table(entries)}
        if readings:
            payload["readings"] = {str(kept.seq): kept.digest for kept, _ in readings}
        link = forge(self.ledger.head(), Happening(kind, campaign, subject, payload, self.by, self.now))
        self.ledger.append(link)
        for entry in entries:
            self._put(entry, link.seq)
        for kept, raw in readings:
            self.ledger.keep(kept, raw, link.seq)

    def _put(self, entry: Entry, event_seq: int) -> None:
        document = entry.document
        text = write_json(document, what=entry.kept.table)
        self.ledger.put(entry.kept.table, Row(entry.kept.searchable(document), text, event_seq))


def _by_table(entries: Sequence[Entry]) -> dict[str, list[Document]]:
    documents: dict[str, list[Document]] = {}
    for entry in entries:
        documents.setdefault(entry.kept.table, []).append(entry.recorded)
    return documents
