"""The check of a ledger: what was altered, removed, inserted or reordered, and every row that disagrees with its events.

The events are gone through once, in order. Of each row they build, only a digest is remembered; a ledger of any length
is checked with a few hundred bytes for each row of state.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from orchestrator.domain.values import canonical
from orchestrator.store.chain import GENESIS, Link, read_payload
from orchestrator.store.documents import STATE, Kept, KeptReading, RowDocument, RowKey, abridge
from orchestrator.store.ledger import Scanner, StateRow
from orchestrator.store.upcasts import Payload

_AT_ONCE: Final = 500
"""Events held in memory at a time."""


@dataclass(slots=True)
class _Expected:
    """What the tables must hold by the events gone through so far."""

    rows: dict[tuple[str, RowKey], tuple[int, bytes]] = field(default_factory=dict)
    """Table and key -> number of the last event that changed the row, digest of its document."""
    readings: dict[int, bytes] = field(default_factory=dict)
    """Number of the event -> digest over the numbers and digests of the readings that it recorded."""


def audit(ledger: Scanner) -> Iterator[str]:
    """Go through a whole ledger and yield one line per fault."""
    expected = _Expected()
    yield from _audit_chain(ledger, expected)
    for kept in STATE.values():
        yield from _audit_rows(ledger, kept, expected)
    present: set[str] = set()
    yield from _audit_raw(ledger, present)
    yield from _audit_readings(ledger, expected, present)


def _all_links(ledger: Scanner) -> Iterator[Link]:
    """Go through all events, a few hundred at a time."""
    since = -(2**62)
    while links := ledger.links(None, since, _AT_ONCE):
        yield from links
        since = links[-1].seq


def _audit_chain(ledger: Scanner, expected: _Expected) -> Iterator[str]:
    seq, digest = 0, GENESIS
    for link in _all_links(ledger):
        yield from (f"event {missing}: missing" for missing in range(seq + 1, link.seq))
        if not _is_sound(link):
            yield f"event {link.seq}: altered (its content does not have its digest)"
        elif link.previous != digest or link.seq != seq + 1:
            yield f"event {link.seq}: does not follow event {seq} (removed, inserted or reordered)"
        seq, digest = link.seq, link.digest
        yield from _expect(link, expected)


def _is_sound(link: Link) -> bool:
    try:
        return link.digest == link.content_digest
    except (TypeError, ValueError):  # something that no JSON can hold was put into a column
        return False


def _expect(link: Link, expected: _Expected) -> Iterator[str]:
    try:
        payload = read_payload(link)
        readings = payload.get("readings", {})
        rows = list(_rows_of(link.seq, payload))
    except (TypeError, ValueError, KeyError, AttributeError):
        yield f"event {link.seq}: unreadable payload"
        return
    expected.rows.update(rows)
    if readings:
        expected.readings[link.seq] = _digest_of_readings(readings)


def _rows_of(seq: int, payload: Payload) -> Iterator[tuple[tuple[str, RowKey], tuple[int, bytes]]]:
    for table, documents in payload["documents"].items():
        for document in documents:
            yield (table, STATE[table].key_of(document)), (seq, _digest(document))


def _digest(document: RowDocument) -> bytes:
    return sha256(canonical(abridge(document)).encode()).digest()


def _digest_of_readings(readings: Mapping[str, str]) -> bytes:
    return sha256(canonical(dict(readings)).encode()).digest()


def _audit_rows(ledger: Scanner, kept: Kept[Any], expected: _Expected) -> Iterator[str]:
    for row in ledger.scan_rows(kept.table):
        key = kept.key_of(row.searchable)
        fault = _fault(kept, row, expected.rows.pop((kept.table, key), None))
        if fault:
            yield f"{kept.table} {_joined(key)}: {fault}"
    for (table, key), (seq, _) in expected.rows.items():
        if table == kept.table:
            yield f"{table} {_joined(key)}: missing; event {seq} recorded it"


def _joined(key: RowKey) -> str:
    return "/".join(map(str, key))


def _fault(kept: Kept[Any], row: StateRow, expected: tuple[int, bytes] | None) -> str | None:
    if expected is None:
        return "extra; no event recorded it"
    seq, digest = expected
    try:
        document = json.loads(row.document)
        agrees = canonical(document) == row.document and _digest(document) == digest
        agrees = agrees and kept.searchable(document) == dict(row.searchable)
    except (TypeError, ValueError, KeyError):
        agrees = False
    if not agrees:
        return f"altered; it disagrees with event {seq}"
    return None if row.event_seq == seq else f"altered; it names event {row.event_seq}, but event {seq} changed it last"


def _audit_raw(ledger: Scanner, present: set[str]) -> Iterator[str]:
    for digest, raw in ledger.scan_raw():
        present.add(digest)
        if sha256(raw).hexdigest() != digest:
            yield f"raw_bytes {digest}: altered (the bytes do not have this sha256)"


def _audit_readings(ledger: Scanner, expected: _Expected, present: set[str]) -> Iterator[str]:
    used: set[str] = set()
    for seq, group in groupby(ledger.scan_readings(), key=itemgetter(0)):
        readings = [kept for _, kept in group]
        yield from _missing_bytes(readings, present)
        used.update(kept.sha256 for kept in readings if kept.sha256)
        if expected.readings.pop(seq, None) != _digest_of_readings({str(kept.seq): kept.digest for kept in readings}):
            yield from _compare_readings(ledger, seq, readings)
    for seq in expected.readings:
        yield f"raw_readings: all that event {seq} recorded are missing"
    yield from (f"raw_bytes {digest}: extra; no reading has it" for digest in sorted(present - used))


def _missing_bytes(readings: list[KeptReading], present: set[str]) -> Iterator[str]:
    for kept in readings:
        if kept.sha256 and kept.sha256 not in present:
            yield f"raw_bytes {kept.sha256}: missing; reading {kept.run_key}/{kept.seq} has it"


def _compare_readings(ledger: Scanner, seq: int, readings: list[KeptReading]) -> Iterator[str]:
    """Name the readings at fault among those that say that one event recorded them."""
    links = [link for link in ledger.links(None, seq - 1, 1) if link.seq == seq]
    recorded: dict[str, str] = read_payload(links[0]).get("readings", {}) if links else {}
    for kept in readings:
        digest = recorded.pop(str(kept.seq), None)
        if digest is None:
            yield f"raw_readings {kept.run_key}/{kept.seq}: extra; event {seq} did not record it"
        elif digest != kept.digest:
            yield f"raw_readings {kept.run_key}/{kept.seq}: altered; it disagrees with event {seq}"
    yield from (f"raw_readings {links[0].subject}/{number}: missing; event {seq} recorded it" for number in recorded)
