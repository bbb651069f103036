"""A lab as it is frozen here: its ledger, and its host's journal, as SQL text, its files, and what was read of it when it was written."""

import base64
import csv
import gzip
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from flows.cli.main import app
from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore

HERE: Final = Path(__file__).parent
LABS: Final = tuple(sorted(path.parent for path in HERE.glob("*/*/frozen.json")))
"""All frozen labs, the oldest first."""
_DATABASES: Final = {"ledger.sql.gz": "ledger.db", "journal.sql.gz": "journal.sqlite"}
"""A frozen database, and the file that it was; a lab without a bench host has no journal."""
_KEYS: Final = {
    "proposals": ("proposal_id", "revision"),
    "runs": ("run_key",),
    "measurements": ("measurement_id", "run_key", "target", "replicate", "revision"),
    "requests": ("request_id",),
    "answers": ("answer_id",),
    "restrictions": ("restriction_id",),
    "work": ("answer_id",),
}
"""What names a value, by its name in `Changes`."""
Fields = Mapping[str, Collection[str]]
"""Places of fields in a table's documents, such as `/provenance/seed`."""
_DIGITS: Final = 16
"""Of a row's digest: it names a row that changed, and proves nothing."""


def freeze_databases(lab: Path, folder: Path) -> None:
    """Write a lab's tables as SQL; without the time in its head the compressed file depends on the text alone."""
    for frozen, name in _DATABASES.items():
        if (lab / name).exists():
            with closing(sqlite3.connect(lab / name)) as connection:
                text = "\n".join(connection.iterdump()) + "\n"
            (folder / frozen).write_bytes(gzip.compress(text.encode(), mtime=0))


def thaw(folder: Path, to: Path) -> Path:
    """Copy a frozen lab, its databases made again; return the copy's folder."""
    lab = Path(shutil.copytree(folder, to))
    for frozen, name in _DATABASES.items():
        if (lab / frozen).exists():
            with closing(sqlite3.connect(lab / name)) as connection:
                connection.executescript(gzip.decompress((lab / frozen).read_bytes()).decode())
                connection.commit()
    return lab


def typed(*words: str) -> str:
    """Type a command that succeeds; return what it printed."""
    said = CliRunner().invoke(app, list(words))
    assert said.exit_code == 0, f"{words}: {said.output}{said.exception!r}"
    return said.output


def read_after_abort(frozen: Path, to: Path) -> dict[str, Any]:
    """Abort the only campaign of a copy, and say what then is in the ledger: results that only the host's journal had come too."""
    copy = thaw(frozen, to)
    typed("abort", "--by", "Ada", "--reason", "it was killed", "--lab", str(copy))
    (told,) = read(copy / "ledger.db")["campaigns"].values()
    typed("export", "--out", str(copy / "aborted"), "--lab", str(copy))
    with (copy / "aborted" / "measurements.csv").open(newline="") as file:
        values = [[row["run_key"], row["target"], row["value"], row["uncertainty"], row["status"]] for row in csv.DictReader(file)]
    return {"readings": told["readings"], "values": values}


def read(ledger: LedgerPlace, fields: Fields | None = None) -> dict[str, Any]:
    """Read all that a ledger holds through today's code: a digest of each value as it would be written, by campaign, table and key.

    Args:
        ledger: The database.
        fields: What values had when they were frozen, by table: a field that came later does not count. None for all.
    """
    with closing(SqlStore.open(ledger, read_only=True)) as store:
        seq, head = store.head()
        known = _Known(fields)
        return {
            "head": [seq, head],
            "kinds": sorted({event.kind.partition(":")[0] for event in store.events()}),
            "people": {one.name: known.digest("people", one) for one in store.people()},
            "campaigns": {record.name: _campaign(store, record.name, seq, known) for record in store.campaigns()},
            "fields": {table: sorted(names) for table, names in sorted(known.seen.items())},
        }


class _Known:
    """The fields that count, and those that were met."""

    def __init__(self, fields: Fields | None) -> None:
        self._fields = None if fields is None else {table: frozenset(names) for table, names in fields.items()}
        self.seen: dict[str, set[str]] = {}

    def digest(self, table: str, value: Any) -> str:
        """Return the digest of a value's document."""
        return _digest(self._kept(table, value.model_dump(mode="json"), ""))

    def _kept(self, table: str, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [self._kept(table, one, place) for one in value]
        if not isinstance(value, dict):
            return value
        places = {name: f"{place}/{name}" for name in value}
        kept = {name: at for name, at in places.items() if self._fields is None or at in self._fields.get(table, ())}
        self.seen.setdefault(table, set()).update(kept.values())
        return {name: self._kept(table, value[name], at) for name, at in kept.items()}


def _campaign(store: SqlStore, name: str, seq: int, known: _Known) -> dict[str, Any]:
    changes = store.changes(name)
    told = _values(changes, known)
    assert told == _values(store.changes_until(name, seq), known), f"{name}: the events tell another history than the tables"
    told["readings"] = {run.run_key: _digest(list(_readings(store, run.run_key))) for run in changes.runs}
    pages = sorted({one.page_sha256 for one in changes.requests if one.page_sha256 is not None})
    told["pages"] = {sha256: known.digest("pages", store.page(sha256)) for sha256 in pages}
    return told


def _values(changes: Any, known: _Known) -> dict[str, Any]:
    told = [table for table in _KEYS if table != "work" or changes.work]  # the first frozen labs knew of no steps of people
    tables = {table: {_key(table, one): known.digest(table, one) for one in getattr(changes, table)} for table in told}
    return {"campaign": known.digest("campaigns", changes.campaign), **tables}


def _key(table: str, value: Any) -> str:
    return "/".join(str(getattr(value, name)) for name in _KEYS[table])


def _readings(store: SqlStore, run_key: str) -> Iterator[list[object]]:
    for one in store.readings(run_key):
        array = None if one.array is None else [repr(value) for value in one.array]
        raw = base64.b64encode(one.raw).decode()
        told = (one.step, one.instrument, one.channel, one.unit, one.quality, one.wall.isoformat(), one.lab, repr(one.value), array)
        yield [one.seq, *told, one.text, raw, one.sha256]


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
