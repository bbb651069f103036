"""Turning what people type into answers: from the terminal's options and from a form's fields."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.events import person_named
from orchestrator.domain.review import Answer, Asked, ReviewRequest, Verdict
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput
from orchestrator.units import parse


def edits_of(texts: Sequence[str], space: SearchSpace) -> dict[int, dict[str, float | str]]:
    """Read edits such as `3:T=210` or `3:tau=2 min`, by the proposal's number.

    Raises:
        BadInput: Names the text, and what was expected.
    """
    edits: dict[int, dict[str, float | str]] = {}
    for text in texts:
        number, colon, rest = text.partition(":")
        column, equals, value = rest.partition("=")
        if not (colon and equals and is_number(number)):
            raise BadInput(f"--set {text!r}: expected NUMBER:PARAMETER=VALUE, for example 3:{space.columns[0]}=1")
        _set_once(edits.setdefault(int(number), {}), column.strip(), value.strip(), space, what=f"--set {text!r}")
    return edits


def is_number(text: str) -> bool:
    """Whether a text is the number of a proposal or request: digits that `int` reads as people do."""
    return re.fullmatch("[0-9]{1,9}", text.strip()) is not None


def values_of(texts: Sequence[str], space: SearchSpace) -> dict[str, float | str]:
    """Read values such as `T=210` or `tau=2 min`.

    Raises:
        BadInput: Names the text, and what was expected.
    """
    values: dict[str, float | str] = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"--set {text!r}: expected PARAMETER=VALUE, for example {space.columns[0]}=1")
        _set_once(values, column.strip(), value.strip(), space, what=f"--set {text!r}")
    return values


def _set_once(values: dict[str, float | str], column: str, value: str, space: SearchSpace, *, what: str) -> None:
    if column in values:
        raise BadInput(f"{what}: {column} is set twice")
    values[column] = value_of(space, column, value, what=what)


def value_of(space: SearchSpace, column: str, value: float | str, *, what: str) -> float | str:
    """Read one value as it was typed, converted to the column's unit where it has one of its own.

    Raises:
        BadInput: No such column, or no number where one is expected; names `what`.
    """
    if column not in space.columns:
        raise BadInput(f"{what}: there is no parameter {column!r}; there are {', '.join(space.columns)}")
    return parse(value, space.units[column], what=what) if column in space.units else value


def verdicts_of(
    request: ReviewRequest,
    *,
    approved: Sequence[int],
    rejected: Mapping[int, str],
    edits: Mapping[int, Mapping[str, float | str]],
    approve_rest: bool = False,
    reject_rest: str | None = None,
) -> tuple[Verdict, ...]:
    """Return one verdict per row of a request.

    Args:
        request: What is asked.
        approved: Numbers of approved proposals.
        rejected: Reasons by number of refused proposals.
        edits: New values by number; an edited proposal is approved as edited.
        approve_rest: Whether all others are approved.
        reject_rest: The reason for which all others are refused; else each must be named.

    Raises:
        BadInput: A number that is not asked about, named twice, or not named at all.
    """
    asked = {one.number: one for one in request.asked}
    named = [*approved, *rejected]
    for number in (*named, *edits):
        if number not in asked:
            raise BadInput(f"proposal {number} is not in request {request.number}; it asks about {_numbers(asked)}")
    if twice := sorted({number for number in named if named.count(number) > 1} | (set(edits) & set(rejected))):
        raise BadInput(f"proposal {twice[0]} is both approved and refused")
    missing = sorted(set(asked) - set(named) - set(edits))
    if missing and not approve_rest and reject_rest is None:
        raise BadInput(
            f"request {request.number}: nothing is said of proposal {_numbers(missing)}; a decision is on all of {_numbers(asked)}"
        )
    refused = {**rejected, **(dict.fromkeys(missing, reject_rest) if reject_rest is not None else {})}
    return tuple(verdict_on(one, refused=refused.get(number), edits=edits.get(number, {})) for number, one in asked.items())


def _numbers(numbers: Any) -> str:
    return ", ".join(str(number) for number in numbers)


def verdict_on(asked: Asked, *, refused: str | None = None, edits: Mapping[str, float | str] | None = None) -> Verdict:
    """Return what is said of one proposal: refused for a reason, or approved, as edited where it is.

    Raises:
        BadInput: A refusal without a reason, or with edits.
    """
    try:
        return Verdict(
            proposal_id=asked.proposal_id,
            revision=asked.revision,
            verdict="approve" if refused is None else "reject",
            reason=refused,
            edits=dict(edits or {}),
        )
    except ValidationError as error:
        raise explain(error, what="the answer") from error


def answer_of(request: ReviewRequest, answer_id: str, *, reviewer: str, verdicts: Sequence[Verdict], comment: str) -> Answer:
    """Return the terminal's answer to a request.

    Raises:
        BadInput: No name, or a stand-in's.
    """
    try:
        return Answer(
            answer_id=answer_id,
            campaign=request.campaign,
            request_id=request.request_id,
            content_hash=request.content_hash,
            reviewer=person_named(reviewer),
            verdicts=tuple(verdicts),
            comment=comment,
            via="terminal",
        )
    except ValidationError as error:
        raise explain(error, what="the answer") from error
