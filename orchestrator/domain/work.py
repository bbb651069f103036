"""What people are asked to do in the middle of an experiment, and what they answered."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.values import Frozen

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class WantedValue(Frozen):
    """One value that a person is asked for."""

    name: str
    unit: str | None = ""
    """Empty for a pure number, None for a text."""
    low: float | None = None
    """Least value that is taken, in the unit."""
    high: float | None = None
    """Greatest value that is taken, in the unit."""

    @property
    def range(self) -> str:
        """What is legal, for people; empty where everything is."""
        low, high = ("" if one is None else f"{one:.6g}" for one in (self.low, self.high))
        words = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
        return f"{words} {self.unit or ''}".strip() if words else ""


class WorkOrder(Frozen):
    """What a step asks of a person: part of the step, so that an approval binds it."""

    instructions: str
    """What is to be done, with the experiment's own values and their units."""
    person: str | None = None
    """The one who is asked; None for anybody of the lab."""
    values: tuple[WantedValue, ...] = ()
    """What is to be brought back, in the order in which it is asked for."""


class WorkAnswer(Frozen):
    """What a person said of one step of a run; the code that proved who it was is never kept."""

    answer_id: str
    campaign: str
    run_key: str
    step: int
    """Index of the step, from 0."""
    person: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=80)]
    outcome: Literal["done", "not-done", "went-wrong"] = "done"
    values: dict[str, _Text] = Field(default_factory=dict)
    """What was brought back, as it was typed, by name; none where it was not done."""
    reason: str | None = None
    """Why it was not done, or what went wrong."""
    comment: str = ""
    via: Literal["page", "terminal", "dry-run"] = "terminal"
    status: AnswerStatus = AnswerStatus.RECEIVED
    refusal: str | None = None
    """Why it was refused."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.outcome != "done" and not (self.reason or "").strip():
            raise ValueError(f"an answer that says {self.outcome} needs a reason")
        if self.outcome != "done" and self.values:
            raise ValueError(f"an answer that says {self.outcome} has no values; {', '.join(self.values)} came")
        return self

    @property
    def counts(self) -> bool:
        """Whether it was not refused."""
        return self.status is not AnswerStatus.REFUSED

    @property
    def words(self) -> tuple[object, ...]:
        """What is said: the same answer again has the same words."""
        return (self.run_key, self.step, self.person, self.outcome, dict(sorted(self.values.items())), self.reason)
