"""How domain values become rows: a key, a JSON document, and columns to search by, which repeat fields of the document."""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from orchestrator.domain.codec import read_reading, write_reading
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Reading
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import Answer, Page, Person, ReviewRequest
from orchestrator.domain.values import Frozen, digest
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import StoreError
from orchestrator.store.chain import write_json

_Value = TypeVar("_Value", bound=Frozen)
RowDocument = dict[str, Any]
RowKey = tuple[str | int, ...]
_LAB: Final = ""
"""What stands for a campaign in events that concern the whole lab."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[_Value]):
    """One table of state and the domain values in it."""

    table: str
    model: type[_Value]
    key_fields: tuple[str, ...]
    columns: tuple[str, ...]
    """Searchable fields beside the key."""
    refers_to: tuple["Kept[Any]", ...] = ()
    """Tables whose keys stand here under the same names; a column `campaign` refers to the campaign by itself."""
    unique: tuple[str, ...] = ()
    """Columns that name a row too."""
    followed_as: str = ""
    """The field of `Changes` that says what of it has changed in a campaign; empty where nobody asks."""
    owner: str = "campaign"
    """The field that names the campaign; empty for what concerns the whole lab."""
    is_free: bool = False
    """Whether `LedgerStore.keep` may write it: nothing is checked but the value itself."""

    def key(self, value: _Value) -> RowKey:
        """Return the key of a value's row."""
        return tuple(value.__dict__[name] for name in self.key_fields)

    def campaign(self, value: _Value) -> str:
        """Return the campaign of a value's events."""
        return str(value.__dict__[self.owner]) if self.owner else _LAB

    def key_of(self, document: Mapping[str, Any]) -> RowKey:
        """Return the key of a document's row."""
        return tuple(document[name] for name in self.key_fields)

    def load(self, text: str) -> _Value:
        """Read a row's document."""
        return self.model.model_validate_json(text)

    def searchable(self, document: Mapping[str, Any]) -> RowDocument:
        """Return key and columns of a document's row."""
        return {name: document[name] for name in (*self.key_fields, *self.columns)}


CAMPAIGNS: Final = Kept("campaigns", CampaignRecord, ("name",), ("status", "fence"), owner="name")
PROPOSALS: Final = Kept("proposals", Proposal, ("proposal_id", "revision"), ("campaign", "number", "status"), followed_as="proposals")
RUNS: Final = Kept(
    "runs",
    ExperimentRun,
    ("run_key",),
    ("run_id", "attempt", "campaign", "proposal_id", "revision", "replicate", "status", "ingested"),
    refers_to=(PROPOSALS,),
    unique=("run_id", "attempt"),
    followed_as="runs",
)
MEASUREMENTS: Final = Kept(
    "measurements",
    Measurement,
    ("run_key", "target", "replicate", "revision"),
    ("campaign", "status", "value"),
    refers_to=(RUNS,),
    followed_as="measurements",
)
REQUESTS: Final = Kept("review_requests", ReviewRequest, ("request_id",), ("campaign", "number", "status"), followed_as="requests")
ANSWERS: Final = Kept("answers", Answer, ("answer_id",), ("campaign", "request_id", "status"), refers_to=(REQUESTS,), followed_as="answers")
PAGES: Final = Kept("pages", Page, ("sha256",), ("campaign",))
PEOPLE: Final = Kept("people", Person, ("name",), ("revoked",), owner="", is_free=True)
RESTRICTIONS: Final = Kept("restrictions", Restriction, ("restriction_id",), ("campaign", "number", "status"), followed_as="restrictions")
WORK: Final = Kept(
    "work_answers", WorkAnswer, ("answer_id",), ("campaign", "run_key", "step", "status"), refers_to=(RUNS,), followed_as="work"
)
STATE: Final[Mapping[str, Kept[Any]]] = {
    kept.table: kept for kept in (CAMPAIGNS, PROPOSALS, RUNS, MEASUREMENTS, REQUESTS, ANSWERS, PAGES, PEOPLE, RESTRICTIONS, WORK)
}
FOLLOWED: Final[Mapping[str, Kept[Any]]] = {kept.followed_as: kept for kept in STATE.values() if kept.followed_as}
"""By field of `Changes`."""
_BY_MODEL: Final[Mapping[type[Frozen], Kept[Any]]] = {kept.model: kept for kept in STATE.values()}


def kept_of(value: _Value) -> Kept[_Value]:
    """Return the table of a value."""
    return _BY_MODEL[type(value)]


def document_of(value: Frozen) -> RowDocument:
    """Return a value's JSON document."""
    return value.model_dump(mode="json")


def abridge(document: RowDocument) -> RowDocument:
    """Put a digest for a campaign's snapshot, which holds whole files and would otherwise be repeated in each event."""
    snapshot = document.get("snapshot")
    if not snapshot or set(snapshot) == {"sha256"}:
        return document
    return {**document, "snapshot": {"sha256": digest(snapshot)}}


@dataclass(frozen=True, slots=True)
class KeptReading:
    """A raw reading's row, and the device's bytes that stand in a table of their own."""

    run_key: str
    seq: int
    document: str
    sha256: str | None
    """Of the device's bytes; None where there are none."""

    @property
    def digest(self) -> str:
        """What the event holds of it."""
        return digest([self.run_key, self.seq, self.document, self.sha256])


def keep_reading(run_key: str, reading: Reading) -> KeptReading:
    """Make a reading's row.

    Raises:
        StoreError: The device's bytes do not have the digest that came with them.
    """
    what = f"reading {reading.seq} of run {run_key}"
    found = _raw_digest(reading, what=what)
    document = write_reading(reading)
    document |= {"value": _number(reading.value), "sha256": found or reading.sha256}
    if reading.array is not None:
        document["array"] = [_number(value) for value in reading.array]
    return KeptReading(run_key, reading.seq, write_json(document, what=what), found)


def load_reading(kept: KeptReading, raw: bytes) -> Reading:
    """Read a reading's row."""
    return read_reading(json.loads(kept.document), seq=kept.seq, raw=raw)


def _number(value: float | None) -> float | str | None:
    """Write infinities and NaN, which a device may well send, by name: JSON has no number for them."""
    return value if value is None or math.isfinite(value) else repr(float(value))


def _raw_digest(reading: Reading, *, what: str) -> str | None:
    if not reading.raw:
        return None
    found = sha256(reading.raw).hexdigest()
    if reading.sha256 not in ("", found):
        start = base64.b64encode(reading.raw[:24]).decode()
        raise StoreError(f"{what}: its bytes ({start}...) have the sha256 {found}, expected {reading.sha256}")
    return found
