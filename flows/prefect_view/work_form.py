"""The form of a step that waits for a person, as Prefect shows it, and what comes back from it.

As with review: what must be read stands in a field, nothing that counts is filled beforehand, and numbers are text.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from prefect.input import RunInput
from pydantic import Field, create_model

from flows.running.waiting_steps import WaitingStep
from flows.running.work_operations import StepReply
from orchestrator.domain.work import WorkOrder
from orchestrator.errors import BadInput
from orchestrator.work import expected

_Outcome = Literal["done", "not-done", "went-wrong"]
_RESERVED: Final = ("notice", "instructions", "outcome", "reason", "person", "code", "comment")


def value_fields(order: WorkOrder) -> dict[str, str]:
    """Return the form's field by value: a reversible map, since some names are the form's own."""
    names: dict[str, str] = {}
    for wanted in order.values:
        name = re.sub(r"\W", "_", wanted.name)
        while name in _RESERVED or name in names.values():
            name += "_"
        names[wanted.name] = name
    return names


def form_of(waiting: WaitingStep, *, notice: str = "") -> type[RunInput]:
    """Build the form of a step, with what was wrong with the last answer."""
    order, names = waiting.order, value_fields(waiting.order)
    read: dict[str, str] = {"notice": notice} if notice else {}
    read["instructions"] = f"run {waiting.code}, for {waiting.whom}: {order.instructions}"
    fields: dict[str, Any] = {
        name: (str, Field(default="", title="Read this first; nothing to fill in", description=text)) for name, text in read.items()
    }
    fields["outcome"] = (_Outcome, Field(description="whether it was done; the run fails where it was not"))
    for wanted in order.values:
        fields[names[wanted.name]] = (str, Field(default="", title=wanted.name, description=expected(wanted)))
    return create_model(
        "Work",
        __base__=RunInput,
        **fields,
        reason=(str, Field(default="", description="why it was not done, or what went wrong")),
        person=(str, Field(min_length=2, max_length=80, description="your name")),
        code=(str, Field(default="", description="a one-time code from your sheet, where the lab keeps people")),
        comment=(str, Field(default="", description="kept with the answer")),
    )


def said_in(waiting: WaitingStep, came: Mapping[str, Any], *, answer_id: str) -> StepReply:
    """Read the fields that came back from a form.

    Raises:
        BadInput: Not even the shape of an answer.
    """
    try:
        outcome = came["outcome"]
        typed = {value: str(came.get(field) or "").strip() for value, field in value_fields(waiting.order).items()}
        return StepReply(
            by=str(came["person"]),
            values={name: text for name, text in typed.items() if text} if outcome == "done" else {},
            outcome=outcome,
            reason=str(came.get("reason") or "").strip() or None,
            comment=str(came.get("comment") or ""),
            code=str(came.get("code") or "") or None,
            via="page",
            answer_id=answer_id,
        )
    except KeyError as error:
        raise BadInput(f"the form came back without {error}") from error
