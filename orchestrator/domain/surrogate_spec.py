"""What the policy's model is, as `[surrogate]` of a campaign file says it."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Flag, Number, never


class SurrogateSpec(Frozen):
    """What the policy's model is: a Gaussian process that begins from nothing, or a prior that is adapted."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"kind": {"const": "gp"}}, "required": ["kind"]},
            "then": {**never("prior"), "properties": {"mean": {"const": "level"}}},
            "else": {
                "oneOf": [
                    {"required": ["prior"], "properties": {"mean": {"const": "level"}}},
                    {"required": ["mean"], "properties": {"mean": {"const": "twin"}}, **never("prior", "task")},
                ],
                "properties": {"beliefs": {"const": "default"}},
            },
        }
    )

    kind: Literal["default", "gp"] = "default"
    """`default` adapts a prior; `gp` needs none, and is what a campaign without this table has."""
    prior: str | None = None
    """The prior's file, relative to this one."""
    guard: Flag = True
    """Whether a model that knows no history takes part, so that a prior that does not fit fades."""
    task: dict[str, Number | str] = Field(default_factory=dict)
    """What is known about this task, by the prior's descriptors."""
    device: Literal["cpu", "auto"] = "cpu"
    """Where adaptation is computed: on the processor, which is also what `auto` chooses; there is no code for another."""

    beliefs: Annotated[Literal["default", "learned"], Field(exclude_if=lambda chosen: chosen == "default")] = "default"
    """What a `gp` believes before anything is measured: `default` is BoTorch's, `learned` (on trial) has length scales by kind of
    parameter, chosen on recorded tables, and all categories of a parameter equally far apart."""

    mean: Annotated[Literal["level", "twin"], Field(exclude_if=lambda chosen: chosen == "level")] = "level"
    """What the model expects before anything is measured: with `twin` the prediction of the bench's `[twin]`, adapted as a prior is; with
    `level` what kind and prior say."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mean == "twin" and (self.kind == "gp" or self.prior is not None or self.task):
            given = 'kind = "gp"' if self.kind == "gp" else "prior" if self.prior is not None else "task"
            raise ValueError(f'mean = "twin" adapts the bench\'s twin in the place of a prior; got {given} beside it')
        if self.kind == "default" and self.beliefs == "learned":
            raise ValueError('beliefs = "learned" belongs to kind = "gp"; kind is "default", which adapts a prior')
        if self.kind == "default" and self.prior is None and self.mean == "level":
            raise ValueError('kind "default" adapts a prior; expected prior = FILE, or kind = "gp"')
        if self.kind == "gp" and (self.prior is not None or self.task):
            raise ValueError('prior and task belong to kind = "default", not to "gp"')
        return self
