"""The chain of events: each one seals its content and the digest of the one before it.

What is sealed is the payload's text as written, so that not even a space can change unnoticed. Sealed events are never
rewritten; old ones are read through up-casts. A cut-off tail leaves a sound, shorter chain: only the head's digest,
printed in reports and exports, shows it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Final

from orchestrator.clock import Instant
from orchestrator.domain.values import canonical, digest
from orchestrator.errors import StoreError
from orchestrator.ports import StoredEvent
from orchestrator.store.upcasts import ANY, UPCASTS, Payload, Upcast

GENESIS: Final = "0" * 64
"""What stands before the first event."""
EVENT_VERSION: Final = 2
"""Schema version of the events that this Athanor writes."""


@dataclass(frozen=True, slots=True)
class Link:
    """An event as it was written."""

    seq: int
    kind: str
    version: int
    campaign: str
    subject: str
    payload: str
    """Canonical JSON."""
    wall: str
    """ISO 8601, UTC."""
    lab: float
    """Lab seconds."""
    by: str
    previous: str
    digest: str = ""

    @property
    def content_digest(self) -> str:
        """The sha256 over the previous digest and everything else that the event holds."""
        head = [self.previous, self.seq, self.kind, self.version, self.campaign, self.subject]
        return digest([*head, self.payload, self.wall, self.lab, self.by])


@dataclass(frozen=True, slots=True)
class Happening:
    """What is to become an event."""

    kind: str
    campaign: str
    subject: str
    payload: Payload
    by: str
    now: Instant


def write_json(document: Any, *, what: str) -> str:
    """Write canonical JSON.

    Raises:
        StoreError: The document holds something that JSON cannot (a NaN, a lone surrogate, an object).
    """
    try:
        text = canonical(document)
        text.encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"{what} cannot be written as JSON: {error}") from error
    return text


def check_texts(values: Iterable[object], *, what: str) -> None:
    """Refuse a NUL character, which no PostgreSQL text can hold; within JSON it is escaped.

    Raises:
        StoreError: A value holds one.
    """
    for value in values:
        if isinstance(value, str) and "\0" in value:
            raise StoreError(f"{what} cannot be written: {value!r} holds a NUL character")


def forge(head: tuple[int, str], happening: Happening) -> Link:
    """Make the link after a head (sequence number, digest)."""
    what = f"event {happening.kind!r} of {happening.subject!r}"
    link = Link(
        seq=head[0] + 1,
        kind=happening.kind,
        version=EVENT_VERSION,
        campaign=happening.campaign,
        subject=happening.subject,
        payload=write_json(happening.payload, what=what),
        wall=happening.now.wall.astimezone(UTC).isoformat(),
        lab=float(happening.now.lab),
        by=happening.by,
        previous=head[1],
    )
    write_json([link.kind, link.campaign, link.subject, link.lab, link.by], what=what)
    check_texts([link.kind, link.campaign, link.subject, link.by], what=what)
    return replace(link, digest=link.content_digest)


def read_payload(link: Link, *, upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS, version: int = EVENT_VERSION) -> Payload:
    """Read a payload as the given schema version has it."""
    payload: Payload = json.loads(link.payload)
    for old in range(link.version, version):
        for kind in (ANY, link.kind):
            upcast = upcasts.get((kind, old))
            payload = upcast(payload) if upcast else payload
    return payload


def read_event(link: Link) -> StoredEvent:
    """Read an event as today's code knows it."""
    return StoredEvent(
        seq=link.seq,
        kind=link.kind,
        campaign=link.campaign,
        subject=link.subject,
        payload=read_payload(link),
        wall=link.wall,
        lab=link.lab,
        by=link.by,
        previous=link.previous,
        digest=link.digest,
    )
