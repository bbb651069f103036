"""When people must agree before an experiment is carried out, as `[review]` of a campaign file says it."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from orchestrator.domain.durations import LabSeconds
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Number, Whole, either


class ReviewRule(Frozen):
    """When a proposal is put to people although the others are approved by rule."""

    model_config = ConfigDict(json_schema_extra=either("above", "below"))

    name: Annotated[str, Field(min_length=1)]
    """What the question to people says fired."""
    quantity: Annotated[str, Field(pattern=r"^(sd\.\S+|novelty|cost|margin|hazard)$")]
    """`sd.TARGET` in the target's unit, `novelty` (distance to the nearest measurement, each parameter over its range),
    `cost` in the currency of the stocks' prices, `margin` (smallest distance to a limit, over its range), or `hazard` (how
    many of the bench's hazards it meets)."""
    above: Number | None = None
    """Fires where the quantity is above it, in the quantity's unit."""
    below: Number | None = None
    """Fires where the quantity is below it; a rule has either this or `above`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"rule {self.name!r} needs either above or below")
        return self

    def fires(self, value: float) -> bool:
        """Whether a value asks for people."""
        return value > self.above if self.above is not None else self.below is not None and value < self.below


_DEADLINE_NEEDED: Final[JsonDict] = {
    "if": {"properties": {"on_deadline": {"enum": ["skip", "approve"]}}, "required": ["on_deadline"]},
    "then": {"required": ["deadline"]},
}
_RULES_NEEDED: Final[JsonDict] = {
    "if": {
        "anyOf": [
            {"properties": {"when": {"type": "array", "minItems": 1}}, "required": ["when"]},
            {"properties": {"first": {"type": "integer", "minimum": 1}}, "required": ["first"]},
        ]
    },
    "then": {"properties": {"mode": {"const": "rules"}}, "required": ["mode"]},
}
"""For editors: what the checks below refuse."""


class ReviewSpec(Frozen):
    """Who must agree before an experiment is carried out."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_DEADLINE_NEEDED, _RULES_NEEDED]})

    mode: Literal["always", "never", "rules"] = "never"
    """`always`: each proposal is put to people; `never`: none, but where a hazard of the bench fires; `rules`: as `first` and
    `[[review.when]]` say."""
    first: Annotated[Whole, Field(ge=0)] = 0
    """`rules`: so many first proposals of the campaign are always put to people."""
    deadline: LabSeconds | None = None
    """Lab time after which `on_deadline` holds; None to wait for ever."""
    on_deadline: Literal["hold", "skip", "approve"] = "hold"
    """`hold` waits on, `skip` lets the proposals expire, `approve` approves them (refused where a hazard may fire)."""
    valid_for: LabSeconds | None = None
    """Lab time after which an approval that was not carried out lapses."""
    refusal_radius: Annotated[Number, Field(ge=0, le=1)] = 0.05
    """How far later proposals stay from what a person refused: mean over the parameters' differences, each over its range."""
    refusal_batches: Annotated[Whole, Field(ge=0)] = 5
    """For so many batches; 0 for not at all."""
    when: tuple[ReviewRule, ...] = ()
    """Rules, as `[[review.when]]`: a proposal that meets one of them is put to people."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.when and self.mode != "rules":
            raise ValueError(f'[[review.when]] belongs to mode = "rules"; mode is "{self.mode}"')
        if self.on_deadline != "hold" and self.deadline is None:
            raise ValueError(f'on_deadline = "{self.on_deadline}" needs a deadline')
        return self
