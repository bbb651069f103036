from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.chain import EVENT_VERSION, GENESIS, Happening, Link, forge, read_event, read_payload
from orchestrator.store.upcasts import ANY, UPCASTS, Upcast
from tests.store.cases import at


def happening(**payload: Any) -> Happening:
    return Happening("dispatched", "dots", "run-1", payload, "a test", at(1))


def link(**payload: Any) -> Link:
    return forge((0, GENESIS), happening(**payload))


def test_the_digest_covers_every_field_and_the_event_before() -> None:
    sealed = link(x=1.0)
    assert sealed.digest == sealed.content_digest
    changed = [
        replace(sealed, seq=2),
        replace(sealed, kind="queued"),
        replace(sealed, version=EVENT_VERSION + 1),
        replace(sealed, campaign="wires"),
        replace(sealed, subject="run-2"),
        replace(sealed, payload='{"x":1.1}'),
        replace(sealed, payload='{"x": 1.0}'),
        replace(sealed, wall="2026-01-02T03:04:07+00:00"),
        replace(sealed, lab=1.5),
        replace(sealed, by="another"),
        replace(sealed, previous="f" * 64),
    ]
    assert sealed.digest not in {other.content_digest for other in changed}
    assert len({other.content_digest for other in changed}) == len(changed)


def test_a_link_follows_the_head_it_was_given() -> None:
    first = link()
    second = forge((first.seq, first.digest), happening())
    assert (second.seq, second.previous) == (2, first.digest)


def test_an_old_event_is_read_through_its_kinds_upcasts_in_turn() -> None:
    upcasts: dict[tuple[str, int], Upcast] = {
        (ANY, 2): lambda payload: {**payload, "read": True},
        ("dispatched", 1): lambda payload: {"degC": payload["T"]},
        ("dispatched", 2): lambda payload: {"kelvin": payload["degC"] + 273.15},
        ("queued", 1): lambda payload: payload["nothing of the kind"],
    }
    old = replace(link(T=20.0), version=1)
    old = replace(old, digest=old.content_digest)
    assert read_payload(old, upcasts=upcasts, version=1) == {"T": 20.0}
    assert read_payload(old, upcasts=upcasts, version=2) == {"degC": 20.0}
    assert read_payload(old, upcasts=upcasts, version=3) == {"kelvin": 293.15}
    assert read_payload(replace(old, kind="other"), upcasts=upcasts, version=3) == {"T": 20.0, "read": True}
    assert old.digest == old.content_digest, "reading does not rewrite"


def test_no_upcast_leads_beyond_todays_version() -> None:
    assert all(old < EVENT_VERSION for _, old in UPCASTS)


def test_an_event_shows_what_was_written() -> None:
    event = read_event(link(x=[1, "µ"]))
    assert (event.payload, event.lab, event.wall) == ({"x": [1, "µ"]}, 1.0, "2026-01-02T03:04:06+00:00")


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(StoreError, match="cannot be written as JSON"):
        forge((0, GENESIS), replace(happening(), by="\udcff"))
