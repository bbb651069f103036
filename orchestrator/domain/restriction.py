"""What people take out of a search in mid-campaign: fixed or narrowed parameters, and surroundings of what they refused.

A restriction is no outcome and no measurement: it says where not to look, until its last batch or until it is lifted.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from orchestrator.domain.lifecycle import RestrictionStatus
from orchestrator.domain.values import Frozen


class Allowed(Frozen):
    """What is left of one column: a range, whose ends may be equal, or some names."""

    min: float | None = None
    """Lower bound, inclusive, in the column's unit; None for the space's own."""
    max: float | None = None
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.min is None and self.max is None) == (not self.names):
            raise ValueError("what is left of a column is either a range or names")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    @property
    def is_fixed(self) -> bool:
        """Whether one value is left."""
        return len(self.names) == 1 or (self.min is not None and self.min == self.max)

    def shown(self, unit: str = "") -> str:
        """Say it for people."""
        if self.names:
            return ", ".join(self.names)
        if self.is_fixed:
            return f"{self.min:.12g} {unit}".rstrip()
        low, high = ("" if bound is None else f"{bound:.12g}" for bound in (self.min, self.max))
        return f"{low}..{high} {unit}".rstrip()


class Restriction(Frozen):
    """One part of a space that proposals keep to, or stay away from."""

    restriction_id: str
    campaign: str
    number: int = 0
    """Counts the campaign's restrictions from 1; given by the ledger."""
    status: RestrictionStatus = RestrictionStatus.ACTIVE
    author: str
    reason: str | None = None
    columns: dict[str, Allowed] = Field(default_factory=dict)
    """What is left of columns; empty where a point is avoided."""
    around: dict[str, float | str] = Field(default_factory=dict)
    """The configuration that is avoided; empty where columns are restricted."""
    radius: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How far to stay from it: mean over the parameters' differences, each over its range."""
    last_batch: int | None = None
    """The last batch that it binds; None until it is lifted."""
    lifted: str | None = None
    """Why it was lifted."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.columns) == bool(self.around):
            raise ValueError("a restriction is either on columns or around a configuration")
        return self

    def binds(self, batch: int) -> bool:
        """Whether proposals of a batch keep to it."""
        return self.status is RestrictionStatus.ACTIVE and (self.last_batch is None or batch <= self.last_batch)

    def shown(self, units: Mapping[str, str]) -> str:
        """Say it for people, in one line.

        Args:
            units: Unit of each numeric column.
        """
        if self.columns:
            what = "; ".join(f"{column} = {allowed.shown(units.get(column, ''))}" for column, allowed in self.columns.items())
        else:
            values = ", ".join(f"{name} {value if isinstance(value, str) else f'{value:.5g}'}" for name, value in self.around.items())
            what = f"not within {self.radius:g} of {values}"
        return f"{what}{'' if self.last_batch is None else f', until batch {self.last_batch}'}"
