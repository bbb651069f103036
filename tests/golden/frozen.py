"""A lab as it is frozen here: its ledger as SQL text, its files, and what was read of it when it was written."""

import base64
import gzip
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from orchestrator.store.sql import SqlStore

HERE: Final = Path(__file__).parent
LABS: Final = tuple(sorted(path.parent for path in HERE.glob("*/*/frozen.json")))
"""All frozen labs, the oldest first."""
_DUMP: Final = "ledger.sql.gz"
_STATE: Final = ("proposals", "runs", "measurements", "requests", "answers", "restrictions")
_DIGITS: Final = 16
"""Of a row's digest: it names a row that changed, and proves nothing."""


def freeze_ledger(ledger: Path, folder: Path) -> None:
    """Write a ledger's tables as SQL; without the time in its head the compressed file depends on the text alone."""
    with closing(sqlite3.connect(ledger)) as connection:
        text = "\n".join(connection.iterdump()) + "\n"
    (folder / _DUMP).write_bytes(gzip.compress(text.encode(), mtime=0))


def thaw(folder: Path, to: Path) -> Path:
    """Copy a frozen lab, its ledger a database again; return the copy's folder."""
    lab = Path(shutil.copytree(folder, to))
    text = gzip.decompress((lab / _DUMP).read_bytes()).decode()
    with closing(sqlite3.connect(lab / "ledger.db")) as connection:
        connection.executescript(text)
        connection.commit()
    return lab


def read(ledger: Path) -> dict[str, Any]:
    """Read all that a ledger holds through today's code: a digest of each value as it is written, by campaign, table and key."""
    with closing(SqlStore.open(ledger, read_only=True)) as store:
        seq, head = store.head()
        records = store.campaigns()
        return {
            "head": [seq, head],
            "kinds": sorted({event.kind.partition(":")[0] for event in store.events()}),
            "people": {one.name: _digest(one.model_dump(mode="json")) for one in store.people()},
            "campaigns": {record.name: _campaign(store, record.name, seq) for record in records},
        }


def _campaign(store: SqlStore, name: str, seq: int) -> dict[str, Any]:
    changes = store.changes(name)
    told = _values(changes)
    assert told == _values(store.changes_until(name, seq)), f"{name}: the events tell another history than the tables"
    told["readings"] = {run.run_key: _digest(list(_readings(store, run.run_key))) for run in changes.runs}
    pages = {one.page_sha256 for one in changes.requests if one.page_sha256 is not None}
    told["pages"] = {sha256: _digest(store.page(sha256).model_dump(mode="json")) for sha256 in sorted(pages)}
    return told


def _values(changes: Any) -> dict[str, Any]:
    tables = {table: {_key(document): _digest(document) for document in _documents(changes, table)} for table in _STATE}
    return {"campaign": _digest(changes.campaign.model_dump(mode="json")), **tables}


def _documents(changes: Any, table: str) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in getattr(changes, table)]


def _key(document: dict[str, Any]) -> str:
    """Return the key of a document's row; a measurement's first, for it names its run too."""
    for names in (
        ("measurement_id", "run_key", "target", "replicate", "revision"),
        ("run_key",),
        ("answer_id",),
        ("request_id",),
        ("proposal_id", "revision"),
        ("restriction_id",),
    ):
        if all(name in document for name in names):
            return "/".join(str(document[name]) for name in names)
    raise AssertionError(f"no key in {sorted(document)}")


def _readings(store: SqlStore, run_key: str) -> Iterator[list[object]]:
    for one in store.readings(run_key):
        array = None if one.array is None else [repr(value) for value in one.array]
        raw = base64.b64encode(one.raw).decode()
        told = (one.step, one.instrument, one.channel, one.unit, one.quality, one.wall.isoformat(), one.lab, repr(one.value), array)
        yield [one.seq, *told, one.text, raw, one.sha256]


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
