"""The review form as Prefect shows it, and the answer that comes back from it.

What Prefect does to a form is met here: a default comes back as if somebody had typed it, the browser's field for
numbers drops a decimal comma without a word, and what the server refuses is named by the field's path. So the verdicts
and the reviewer's name are never filled beforehand, numbers are text, and each proposal is a field called after it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from prefect.input import RunInput
from pydantic import BaseModel, Field, ValidationError, create_model

from flows.review.answering import value_of
from orchestrator.domain.events import person_named
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.parameters.kind import ABSENT
from orchestrator.domain.records import Proposal
from orchestrator.domain.review import Answer, Asked, ReviewRequest, Verdict
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput

_Choice = Literal["approve", "reject"]
RESERVED: Final = ("proposal", "verdict", "reason")
"""Fields of a proposal beside the parameters; one of the same name gets an underscore."""


def field_names(space: SearchSpace) -> dict[str, str]:
    """Return the form's field by column: a reversible map, since a field's name is an identifier."""
    names: dict[str, str] = {}
    for column in space.columns:
        name = re.sub(r"\W", "_", column)
        while name in RESERVED or name in names.values():
            name += "_"
        names[column] = name
    return names


def row_field(asked: Asked) -> str:
    """Return the name of a proposal's own field: what the server refuses in it, it names by this."""
    return f"proposal_{asked.number}"


def row_name(asked: Asked) -> str:
    """Return what a proposal's field calls it; what comes back must be the same."""
    return f"proposal {asked.number} revision {asked.revision} [{asked.content_hash[:8]}]"


def row_of(asked: Asked, proposal: Proposal, space: SearchSpace, *, expected: str = "") -> dict[str, str]:
    """Return what is filled in of a proposal before anybody sees it: everything but the verdict."""
    names = field_names(space)
    there = space.present(proposal.configuration)
    values = {names[column]: _shown(parameter, there.get(column)) for column, parameter in _columns(space)}
    return {"proposal": f"{row_name(asked)}{expected}", "reason": "", **values}


def _shown(parameter: Parameter, value: float | str | None) -> str:
    return ABSENT if value is None else parameter.shown(value)


def form_for(
    request: ReviewRequest,
    proposals: Sequence[Proposal],
    space: SearchSpace,
    describe: Mapping[str, str],
    *,
    page: str = "",
    notice: str = "",
) -> type[RunInput]:
    """Build the form of a request.

    Args:
        request: What is asked.
        proposals: Its proposals, in its order.
        space: Gives units and limits of the fields.
        describe: A line of what is expected of each proposal, by its id.
        page: Address of the decision page.
        notice: What must be read first: the default page shows no form's description.
    """
    row = _row_model(space, page)
    fields: dict[str, Any] = (
        {"notice": (str, Field(default="", title="Read this first; nothing to fill in", description=notice))} if notice else {}
    )
    for asked, proposal in zip(request.asked, proposals, strict=True):
        filled = row_of(asked, proposal, space, expected=describe.get(asked.proposal_id, ""))
        fields[row_field(asked)] = (row, Field(default=filled, title=f"proposal {asked.number}"))
    return create_model(
        "Review",
        __base__=RunInput,
        **fields,
        reviewer=(str, Field(min_length=2, max_length=80, description="your name")),
        code=(str, Field(default="", description="a one-time code from your sheet, where the lab keeps people")),
        comment=(str, Field(default="", description="kept with the decision")),
        content_hash=(str, Field(default=request.content_hash, description="do not change")),
    )


def _row_model(space: SearchSpace, page: str) -> type[BaseModel]:
    names = field_names(space)
    what = "which proposal this is, with what is expected of it; do not change"
    parameters: dict[str, Any] = {names[column]: _field(parameter, column) for column, parameter in _columns(space)}
    return create_model(
        "Row",
        proposal=(str, Field(description=f"{what}. [Decision page]({page})" if page else what)),
        verdict=(_Choice, Field(description="approve as it stands or as edited below, or reject with a reason")),
        reason=(str, Field(default="", description="needed to reject")),
        **parameters,
    )


def _columns(space: SearchSpace) -> Iterator[tuple[str, Parameter]]:
    return ((column, parameter) for parameter in space.parameters for column in parameter.columns)


def _field(parameter: Parameter, column: str) -> tuple[Any, Any]:
    field = parameter.field
    said = Field(title=column, description=parameter.beside_others(field.description))
    choices = field.choices if field.choices is None or not parameter.when else (*field.choices, ABSENT)
    return str if choices is None else Literal[choices], said


def answer_from(
    request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, came: Mapping[str, Any], *, answer_id: str, key: str
) -> tuple[Answer, str]:
    """Read the fields that came back from a form; return the answer and the code that was typed.

    Rows are told apart by what they call themselves, so that missing and renamed ones are noticed later.

    Raises:
        BadInput: Not even the shape of an answer; names each proposal of which something cannot be read.
    """
    try:
        answer = Answer(
            answer_id=answer_id,
            campaign=request.campaign,
            request_id=request.request_id,
            content_hash=str(came["content_hash"]),
            reviewer=came["reviewer"],
            verdicts=_verdicts(request, proposals, space, came),
            comment=came.get("comment") or "",
            via="page",
            key=key,
        )
        person_named(answer.reviewer)
    except ValidationError as error:
        raise explain(error, what="the form") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"the form came back without {error}") from error
    return answer, str(came.get("code") or "")


def _verdicts(request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, came: Mapping[str, Any]) -> tuple[Verdict, ...]:
    rows = (
        came["rows"] if "rows" in came else [came[name] for one in request.asked if (name := row_field(one)) in came]
    )  # once it was a list
    found: list[Verdict] = []
    complaints: list[str] = []
    for row in rows:
        try:
            found.append(_verdict(request, proposals, space, row))
        except BadInput as error:
            complaints.append(str(error))
    if complaints:
        raise BadInput("; ".join(complaints))
    return tuple(found)


def _verdict(request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, row: Mapping[str, Any]) -> Verdict:
    called = str(row["proposal"])
    asked, proposal = next((one for one in zip(request.asked, proposals, strict=True) if called.startswith(row_name(one[0]))), (None, None))
    if asked is None or proposal is None:
        return Verdict(proposal_id=called[:80], revision=0, verdict=row.get("verdict"), reason=row.get("reason") or "unknown row")
    what = f"proposal {asked.number}"
    try:
        return Verdict(
            proposal_id=asked.proposal_id,
            revision=asked.revision,
            verdict=row.get("verdict"),
            reason=(row.get("reason") or "").strip() or None,
            edits={} if row.get("verdict") == "reject" else _checked(space, proposal, row, what),
        )
    except ValidationError as error:
        raise explain(error, what=what) from error


def _checked(space: SearchSpace, proposal: Proposal, row: Mapping[str, Any], what: str) -> dict[str, float | str]:
    """Return what was edited; refuse `-` in place of what is there then."""
    edits = dict(_edits(space, proposal, row, what))
    gone, names = space.absent({**proposal.configuration, **edits}), field_names(space)
    for one in (one for one in space.conditional if one.name not in gone):
        if left_out := [column for column in one.columns if str(row.get(names[column], "")).strip() == ABSENT]:
            raise BadInput(f"{what}: {left_out[0]} has no value, and is there where {one.condition}; expected {one.legal}")
    return edits


def _edits(space: SearchSpace, proposal: Proposal, row: Mapping[str, Any], what: str) -> Iterator[tuple[str, float | str]]:
    """Yield what differs from what was proposed; a field that comes back with the very text that was shown, or with `-`, is not edited."""
    names, there = field_names(space), space.present(proposal.configuration)
    for column, parameter in _columns(space):
        proposed = proposal.configuration[column]
        came, comes_in = row.get(names[column], proposed), False
        if isinstance(came, str):
            kept = came.strip() == _shown(parameter, there.get(column)) or (bool(parameter.when) and came.strip() == ABSENT)
            came = proposed if kept else value_of(space, column, came.strip(), what=f"{what}: {column}")
            comes_in = not kept and column not in there
        if came != proposed or comes_in:
            yield column, came
