"""The review form as Prefect shows it, and the answer that comes back from it.

What Prefect does to a form is met here: a field that is filled beforehand keeps its limits only inside the rows, a
default comes back as if somebody had typed it, rows can be moved, added and renamed, and what is not in the model is
dropped. So each row's verdict and the reviewer's name are never filled beforehand, and every row names its proposal.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from prefect.input import RunInput
from pydantic import BaseModel, Field, ValidationError, create_model

from flows.review.answering import differences
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.domain.records import Proposal
from orchestrator.domain.review import Answer, Asked, ReviewRequest, Verdict
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput

Choice = Literal["approve", "reject"]
RESERVED: Final = ("proposal", "verdict", "reason")
"""Fields of a row beside the parameters; one of the same name gets an underscore."""


def field_names(space: SearchSpace) -> dict[str, str]:
    """Return the form's field by column: a reversible map, since a field's name is an identifier."""
    names: dict[str, str] = {}
    for column in space.columns:
        name = re.sub(r"\W", "_", column)
        while name in RESERVED or name in names.values():
            name += "_"
        names[column] = name
    return names


def row_name(asked: Asked) -> str:
    """Return what a row calls its proposal; what comes back must be the same."""
    return f"proposal {asked.number} revision {asked.revision} [{asked.content_hash[:8]}]"


def form_for(
    request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, describe: Mapping[str, str], page: str = ""
) -> type[RunInput]:
    """Build the form of a request.

    Args:
        request: What is asked.
        proposals: Its proposals, in its order.
        space: Gives units and limits of the fields.
        describe: A line of what is expected of each proposal, by its id.
        page: Address of the decision page.
    """
    row: Any = _row_model(space, page)
    fields = field_names(space)
    rows = [
        {
            "proposal": f"{row_name(asked)}{describe.get(asked.proposal_id, '')}",
            "reason": "",
            **{fields[column]: value for column, value in proposal.configuration.items()},
        }
        for asked, proposal in zip(request.asked, proposals, strict=True)
    ]
    count = len(rows)
    return create_model(
        "Review",
        __base__=RunInput,
        rows=(list[row], Field(default=rows, min_length=count, max_length=count, description="one row per proposal; leave their order")),
        reviewer=(str, Field(min_length=2, max_length=80, description="your name")),
        code=(str, Field(default="", description="a one-time code from your sheet, where the lab keeps people")),
        comment=(str, Field(default="", description="kept with the decision")),
        content_hash=(str, Field(default=request.content_hash, description="do not change")),
    )


def _row_model(space: SearchSpace, page: str) -> type[BaseModel]:
    fields = field_names(space)
    what = "which proposal this is, with what is expected of it; do not change"
    parameters: dict[str, Any] = {}
    for parameter in space.parameters:
        for column in parameter.columns:
            parameters[fields[column]] = _field(parameter, column)
    return create_model(
        "Row",
        proposal=(str, Field(description=f"{what}. [Decision page]({page})" if page else what)),
        verdict=(Choice, Field(description="approve as it stands or as edited below, or reject with a reason")),
        reason=(str, Field(default="", description="needed to reject")),
        **parameters,
    )


def _field(parameter: Parameter, column: str) -> tuple[Any, Any]:
    match parameter:
        case ContinuousParameter():
            return float, Field(ge=parameter.min, le=parameter.max, title=column, description=parameter.legal)
        case DiscreteParameter():
            return float, Field(ge=parameter.min, le=parameter.max, title=column, description=parameter.legal)
        case CategoricalParameter():
            return Literal[parameter.categories], Field(title=column, description="one of the names listed")
        case CompositionParameter():
            return float, Field(ge=0.0, le=1.0, title=column, description=parameter.legal)


def answer_from(
    request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, came: Mapping[str, Any], *, answer_id: str, key: str
) -> tuple[Answer, str]:
    """Read the fields that came back from a form; return the answer and the code that was typed.

    Rows are told apart by what they call themselves, so that moved, added, removed or renamed ones are noticed later.

    Raises:
        BadInput: Not even the shape of an answer.
    """
    try:
        verdicts = [_verdict(request, proposals, space, row) for row in came["rows"]]
        answer = Answer(
            answer_id=answer_id,
            campaign=request.campaign,
            request_id=request.request_id,
            content_hash=str(came["content_hash"]),
            reviewer=came["reviewer"],
            verdicts=tuple(verdicts),
            comment=came.get("comment") or "",
            via="page",
            key=key,
        )
    except ValidationError as error:
        raise explain(error, what="the form") from error
    except (KeyError, TypeError) as error:
        raise BadInput(f"the form came back without {error}") from error
    return answer, str(came.get("code") or "")


def _verdict(request: ReviewRequest, proposals: Sequence[Proposal], space: SearchSpace, row: Mapping[str, Any]) -> Verdict:
    called = str(row["proposal"])
    found = next((index for index, one in enumerate(request.asked) if called.startswith(row_name(one))), None)
    if found is None:
        return Verdict(proposal_id=called[:80], revision=0, verdict=row["verdict"], reason=row.get("reason") or "unknown row")
    fields = field_names(space)
    values = {column: row[fields[column]] for column in space.columns if fields[column] in row}
    edits = differences(space, proposals[found], values)
    refused = row["verdict"] == "reject"
    return Verdict(
        proposal_id=request.asked[found].proposal_id,
        revision=request.asked[found].revision,
        verdict=row["verdict"],
        reason=(row.get("reason") or "").strip() or None,
        edits={} if refused else edits,
    )
