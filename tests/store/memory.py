"""A ledger in memory: what SQL is held to, and what tests use that need no file."""

import threading
from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from orchestrator.store.audit import audit
from orchestrator.store.chain import GENESIS, Link
from orchestrator.store.documents import CAMPAIGNS, STATE, KeptReading, RowKey
from orchestrator.store.ledger import StateRow
from orchestrator.store.ledger_store import LedgerStore

_CAMPAIGNS: Final = CAMPAIGNS.table


@dataclass(slots=True)
class MemoryLedger:
    """What the tables would hold; several stores may share one, as processes share a file."""

    links: list[Link] = field(default_factory=list)
    rows: dict[tuple[str, RowKey], StateRow] = field(default_factory=dict)
    readings: dict[tuple[str, int], tuple[int, KeptReading]] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class _Transaction:
    """Reads through to the ledger and writes beside it, until it is committed."""

    def __init__(self, base: MemoryLedger) -> None:
        self._base = base
        self._links: list[Link] = []
        self._rows: ChainMap[tuple[str, RowKey], StateRow] = ChainMap({}, base.rows)
        self._readings: ChainMap[tuple[str, int], tuple[int, KeptReading]] = ChainMap({}, base.readings)
        self._raw: ChainMap[str, bytes] = ChainMap({}, base.raw)

    def commit(self) -> None:
        self._base.links.extend(self._links)
        self._base.rows.update(self._rows.maps[0])
        self._base.readings.update(self._readings.maps[0])
        self._base.raw.update(self._raw.maps[0])

    def head(self) -> tuple[int, str]:
        last = (self._links or self._base.links)[-1:]
        return (last[0].seq, last[0].digest) if last else (0, GENESIS)

    def fence(self, campaign: str) -> int | None:
        row = self._rows.get((_CAMPAIGNS, (campaign,)))
        return None if row is None else int(row.searchable["fence"])

    def everything(self, table: str) -> Sequence[str]:
        mine = {key: row.document for (name, key), row in self._rows.items() if name == table}
        return [document for _, document in sorted(mine.items())]

    def find(self, table: str, key: RowKey) -> str | None:
        row = self._rows.get((table, key))
        return None if row is None else row.document

    def changed(self, table: str, campaign: str, since: int) -> Sequence[tuple[int, str]]:
        hits = [
            (row.event_seq, key, row.document)
            for (name, key), row in self._rows.items()
            if name == table and row.searchable["campaign"] == campaign and row.event_seq > since
        ]
        return [(seq, document) for seq, _, document in sorted(hits)]

    def highest_number(self, table: str, campaign: str) -> int:
        mine = (row.searchable for (name, _), row in self._rows.items() if name == table)
        return max((int(found["number"]) for found in mine if found["campaign"] == campaign), default=0)

    def links(self, campaign: str | None, since: int, limit: int) -> Sequence[Link]:
        start = bisect_right(self._base.links, since, key=lambda link: link.seq)
        return [link for link in self._base.links[start:] if campaign in (None, link.campaign)][:limit]

    def readings(self, run_key: str) -> Sequence[tuple[KeptReading, bytes]]:
        found = sorted((seq, kept) for (key, seq), (_, kept) in self._readings.items() if key == run_key)
        return [(kept, self._raw[kept.sha256] if kept.sha256 else b"") for _, kept in found]

    def append(self, link: Link) -> None:
        self._links.append(link)

    def put(self, table: str, row: StateRow) -> None:
        self._rows[table, STATE[table].key_of(row.searchable)] = row

    def keep(self, reading: KeptReading, raw: bytes, event_seq: int) -> None:
        if reading.sha256:
            self._raw.setdefault(reading.sha256, raw)
        self._readings[reading.run_key, reading.seq] = (event_seq, reading)

    def scan_rows(self, table: str) -> Iterator[StateRow]:
        return (row for (name, _), row in self._rows.items() if name == table)

    def scan_readings(self) -> Iterator[tuple[int, KeptReading]]:
        return iter(sorted(self._readings.values(), key=lambda entry: entry[0]))

    def scan_raw(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._raw.items())


class MemoryStore(LedgerStore):
    """A Store that forgets everything when the process ends."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        super().__init__()
        self._ledger = ledger or MemoryLedger()

    @override
    @contextmanager
    def reading(self) -> Iterator[_Transaction]:
        with self._ledger.lock:
            yield _Transaction(self._ledger)

    @override
    @contextmanager
    def writing(self) -> Iterator[_Transaction]:
        with self._ledger.lock:
            transaction = _Transaction(self._ledger)
            yield transaction
            transaction.commit()

    @override
    def verify(self) -> tuple[str, ...]:
        with self.reading() as ledger:
            return tuple(audit(ledger))

    @override
    def close(self) -> None:
        pass
