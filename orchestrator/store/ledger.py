"""What a ledger can do inside one transaction: the little in which SQL and memory differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.store.chain import Link
from orchestrator.store.documents import KeptReading, RowKey


@dataclass(frozen=True, slots=True)
class StateRow:
    """A row of a state table."""

    searchable: Mapping[str, Any]
    """Key and columns."""
    document: str
    event_seq: int
    """The event that last changed it."""


class Reader(Protocol):
    """Looks things up."""

    def head(self) -> tuple[int, str]:
        """Return the last event's sequence number and digest."""
        ...

    def fence(self, campaign: str) -> int | None:
        """Return a campaign's fencing number; None when there is no such campaign."""
        ...

    def everything(self, table: str) -> Sequence[str]:
        """Return all documents of a small table, in the order of their keys."""
        ...

    def find(self, table: str, key: RowKey) -> str | None:
        """Return a row's document."""
        ...

    def changed(self, table: str, campaign: str, since: int) -> Sequence[tuple[int, str]]:
        """Return a campaign's rows that changed after an event, in the order of change: number of that change's event, document."""
        ...

    def highest_number(self, table: str, campaign: str) -> int:
        """Return the highest number that a table of a campaign's numbered things holds; 0 where it holds none."""
        ...

    def links(self, campaign: str | None, since: int, limit: int) -> Sequence[Link]:
        """Return the next events in order."""
        ...

    def readings(self, run_key: str) -> Sequence[tuple[KeptReading, bytes]]:
        """Return a run's raw readings in order."""
        ...


class Scanner(Protocol):
    """Goes through everything, a piece at a time, for the check of the ledger."""

    def links(self, campaign: str | None, since: int, limit: int) -> Sequence[Link]:
        """Return the next events in order."""
        ...

    def scan_rows(self, table: str) -> Iterator[StateRow]:
        """Go through a state table."""
        ...

    def scan_readings(self) -> Iterator[tuple[int, KeptReading]]:
        """Go through all raw readings with their events' numbers, in the order of these."""
        ...

    def scan_raw(self) -> Iterator[tuple[str, bytes]]:
        """Go through all raw bytes with their digests."""
        ...


class Writer(Reader, Protocol):
    """Changes a ledger, all or nothing."""

    def append(self, link: Link) -> None:
        """Add an event."""
        ...

    def put(self, table: str, row: StateRow) -> None:
        """Insert or replace a row."""
        ...

    def keep(self, reading: KeptReading, raw: bytes, event_seq: int) -> None:
        """Add a raw reading, and its bytes where they are new."""
        ...
