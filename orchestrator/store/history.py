"""What the ledger held at an earlier event: what a proposal could know when it was made."""

import json
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.values import canonical
from orchestrator.errors import BadInput
from orchestrator.ports import Changes, StoredEvent
from orchestrator.store.documents import CAMPAIGNS, FOLLOWED, STATE, Kept, RowDocument, RowKey, abridge, kept_of

_Rows = dict[tuple[str, RowKey], tuple[int, RowDocument]]


def rebuild(events: Iterable[StoredEvent], campaign: str, seq: int) -> Changes:
    """Rebuild from a campaign's events what the store knew of it when `seq` was the last event.

    Raises:
        BadInput: There was no such campaign then.
    """
    rows: _Rows = {}
    snapshots: dict[str, Any] = {}
    for event in takewhile(lambda event: event.seq <= seq, events):
        for table, documents in event.payload["documents"].items():
            for document in documents:
                rows[table, STATE[table].key_of(document)] = (event.seq, _whole(document, snapshots))
    if (CAMPAIGNS.table, (campaign,)) not in rows:
        raise BadInput(f"no campaign {campaign!r} in this ledger at event {seq}")
    record = _select(rows, CAMPAIGNS)[0][1]
    return changes_of(seq, record, {name: _select(rows, kept) for name, kept in FOLLOWED.items()})


def changes_of(seq: int, record: CampaignRecord, found: Mapping[str, tuple[tuple[int, Any], ...]]) -> Changes:
    """Put together what has changed.

    Args:
        seq: Number of the last event.
        record: The campaign as it is then.
        found: By field of `Changes` the values, each with the number of the event that changed it.
    """
    numbered = ("runs", "measurements")
    seqs = {kept_of(value).key(value): number for name in numbered for number, value in found[name]}
    return Changes(seq, record, **{name: tuple(value for _, value in values) for name, values in found.items()}, seqs=seqs)


def _whole(document: RowDocument, snapshots: dict[str, Any]) -> RowDocument:
    """Put a campaign's snapshot, which only one event holds in full, in place of its digest."""
    short = abridge(document)
    if "snapshot" not in short or not short["snapshot"]:
        return document
    snapshot = snapshots.setdefault(json.dumps(short["snapshot"]), document["snapshot"])
    return {**document, "snapshot": snapshot}


def _select(rows: _Rows, kept: Kept[Any]) -> tuple[tuple[int, Any], ...]:
    """Return one table's values in the order of their last change, as the store does, each with that change's number."""
    mine = [(seq, key, document) for (table, key), (seq, document) in rows.items() if table == kept.table]
    return tuple((seq, kept.load(canonical(document))) for seq, _, document in sorted(mine, key=lambda row: row[:2]))
