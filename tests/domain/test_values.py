"""Frozen values check themselves, copy with checks, and hash to one canonical text."""

import json
import math
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.identity import uuid7
from orchestrator.domain.values import Frozen, canonical, digest, explain
from orchestrator.errors import BadInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


class Inner(Frozen):
    size: int


class Outer(Frozen):
    name: str
    ratio: float = 1.0
    inner: Inner | None = None


def test_a_value_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Outer(name="a").name = "b"  # type: ignore[misc]  # what is tested


def test_a_copy_is_checked_like_a_new_value() -> None:
    assert Outer(name="a").evolve(ratio=2.0) == Outer(name="a", ratio=2.0)
    with pytest.raises(ValidationError):
        Outer(name="a").evolve(ratio="wide")
    with pytest.raises(ValidationError):
        Outer(name="a").evolve(nmae="b")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Outer(name="a", ratio=value)


@given(document=JSON)
def test_canonical_text_reads_back_as_the_document(document: object) -> None:
    assert json.loads(canonical(document)) == document


@given(document=st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_change_a_digest(document: dict[str, int]) -> None:
    assert digest(document) == digest(dict(reversed(document.items())))


@given(left=JSON, right=JSON)
def test_other_texts_have_other_digests(left: object, right: object) -> None:
    assert (digest(left) == digest(right)) == (canonical(left) == canonical(right))


def test_what_is_no_json_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"x": math.nan})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "a", "raito": 1}, "campaign.toml: unknown key raito; legal here: name, ratio"),
        ({"name": "a", "inner": {"size": 1, "colour": 2}}, "campaign.toml: unknown key inner.colour"),
        ({}, "campaign.toml: name is missing"),
        ({"name": "a", "ratio": "x"}, "campaign.toml: ratio = 'x': "),
        (["name"], r"campaign.toml: \(top\) = \['name'\]"),
    ],
)
def test_the_first_complaint_becomes_one_clear_line(document: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document)
    line = explain(caught.value, what="campaign.toml", legal={(): ("name", "ratio")})
    assert isinstance(line, BadInput)
    with pytest.raises(BadInput, match=message):
        raise line
    assert "\n" not in str(line)


def test_identifiers_are_uuids_of_version_7_and_sort_by_the_millisecond() -> None:
    first = uuid7()
    time.sleep(0.005)
    second = uuid7()
    assert first < second
    for text in (first, second):
        identifier = UUID(text)
        assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
    assert abs((UUID(second).int >> 80) / 1000 - time.time()) < 5


def test_a_thousand_identifiers_differ() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made), "those of one process sort as they were made, also within a millisecond"
