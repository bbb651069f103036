"""Targets and how they are combined into one number to maximise.

Every formula is plain arithmetic, so that the same code scores floats, numpy arrays and torch samples.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from orchestrator.domain.durations import LabSeconds
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import InOwnUnit, Number, never, own_unit, quantity_schema, when
from orchestrator.units import parse, unit

CONSTANT: Final = 1e-9
"""Values of a target that differ by less than this part of their size differ by float noise only: they count as constant."""


class Target(Frozen):
    """A quantity that is measured, with its direction."""

    model_config = ConfigDict(
        serialize_by_alias=True,
        json_schema_extra={
            **when("goal", "match", required=["value", "tolerance"]),
            "else": never("value", "tolerance"),
            "dependentSchemas": {"due": {"properties": {"from": {"const": "later"}}, "required": ["from"]}},
        },
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """The quantity, as the bench's reduction or the recorded table calls it."""
    unit: str = ""
    """Unit of its values, here and in everything that is shown; empty for a pure number."""
    goal: Literal["maximise", "minimise", "match"]
    """Which values are good."""
    value: InOwnUnit | None = None
    """The value to match, in `unit`."""
    tolerance: Annotated[float, WithJsonSchema(quantity_schema("a difference in `unit`", "5 nm", exclusiveMinimum=0))] | None = None
    """Distance from `value` at which a match is worth half."""
    low: InOwnUnit | None = None
    """Value that is worth 0 (maximise) or 1 (minimise); needed where targets are combined."""
    high: InOwnUnit | None = None
    """Value that is worth 1 (maximise) or 0 (minimise)."""
    weight: Annotated[Number, Field(gt=0)] = 1.0
    """Its share where several targets are combined; shares are taken of the sum of all weights."""
    comes: Annotated[Literal["run", "later"], Field(alias="from")] = "run"
    """Whence its values come: `run`, from the readings of the run; `later`, from people, who add them after it
    (`athanor measure add`), while the bench is free and the configuration counts as pending."""
    due: LabSeconds | None = None
    """`later`: how long after the run's end a value is waited for; waited for as long as it takes where it is left out."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        name, unit_text = data.get("name", "?"), own_unit(data)
        changed = {k: parse(data[k], unit_text, what=f"target {name}, {k}") for k in ("value", "low", "high") if data.get(k) is not None}
        if data.get("tolerance") is not None:
            difference = f"delta_{unit_text}" if unit_text in ("degC", "degF") else unit_text
            changed["tolerance"] = parse(data["tolerance"], difference, what=f"target {name}, tolerance")
        return {**data, **changed}

    @model_validator(mode="after")
    def _check(self) -> Self:
        unit(self.unit)
        if self.due is not None and self.comes != "later":
            raise ValueError(f'target {self.name}: due belongs to from = "later"')
        if self.goal == "match" and (self.value is None or self.tolerance is None or self.tolerance <= 0):
            raise ValueError(f"target {self.name}: match needs a value and a tolerance above 0")
        if self.goal != "match" and (self.value is not None or self.tolerance is not None):
            raise ValueError(f'target {self.name}: value and tolerance belong to goal = "match", not to {self.goal!r}')
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"target {self.name}: low {self.low:g} must be below high {self.high:g}")
        return self

    @property
    def scaled(self) -> bool:
        """Whether `low` and `high` put this target on the common scale."""
        return self.goal == "match" or (self.low is not None and self.high is not None)

    def utility(self, value: Any) -> Any:
        """Score a value, larger is better: 0 to 1 between `low` and `high`; a match scores 1 / (1 + (miss/tolerance)^2)."""
        if self.goal == "match":
            assert self.value is not None
            assert self.tolerance is not None
            miss = (value - self.value) / self.tolerance
            return 1.0 / (1.0 + miss * miss)
        sign = 1.0 if self.goal == "maximise" else -1.0
        if self.low is None or self.high is None:
            return sign * value
        return (value - self.low if sign > 0 else self.high - value) / (self.high - self.low)

    def within(self, value: float) -> bool | None:
        """Say whether a match is within its tolerance; None for a target without one."""
        if self.value is None or self.tolerance is None:
            return None
        return abs(value - self.value) <= self.tolerance


class Objective(Frozen):
    """The weighted mean of the targets' utilities; one target's own utility where there is one."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError(f"a target is declared twice in {names}")
        unscaled = [target.name for target in self.targets if not target.scaled]
        if len(self.targets) > 1 and unscaled:
            raise ValueError(f"target {unscaled[0]}: several targets are combined on one scale; give it low and high")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The targets' names, in order."""
        return tuple(target.name for target in self.targets)

    @property
    def of_run(self) -> tuple[str, ...]:
        """The names of the targets that a run's readings give."""
        return tuple(target.name for target in self.targets if target.comes == "run")

    @property
    def later(self) -> dict[str, float | None]:
        """How many lab seconds after a run's end each other target is waited for; None for as long as it takes."""
        return {target.name: target.due for target in self.targets if target.comes == "later"}

    @property
    def units(self) -> dict[str, str]:
        """Unit of each target."""
        return {target.name: target.unit for target in self.targets}

    def score(self, values: Mapping[str, Any]) -> Any:
        """Combine values of all targets (floats, arrays or tensors) into the number to maximise."""
        total = sum(target.weight for target in self.targets)
        return sum((target.weight / total) * target.utility(values[target.name]) for target in self.targets)

    def constant(self, rows: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
        """Return a line for each target that is constant in what was measured: nothing is learned of it, fits guess its scale."""
        known = list(rows)
        notes = (constant_note(one.name, one.unit, [row[one.name] for row in known if one.name in row]) for one in self.targets)
        return tuple(note for note in notes if note is not None)

    def score_measured(self, values: Mapping[str, float]) -> float | None:
        """Score a measurement; None where a target is missing."""
        if any(name not in values for name in self.names):
            return None
        return float(self.score(values))


def varies(low: float, high: float) -> bool:
    """Say whether values from `low` to `high` differ by more than float noise, whatever their unit."""
    return high - low > CONSTANT * max(abs(low), abs(high))


def constant_note(name: str, unit_text: str, values: Sequence[float]) -> str | None:
    """Say in a line that a target's values are constant, where there are several and they are."""
    if len(values) < 2 or varies(min(values), max(values)):
        return None
    return f"{name} is constant: {len(values)} values of {f'{values[0]:.6g} {unit_text}'.rstrip()}, which differ by float noise at most"
