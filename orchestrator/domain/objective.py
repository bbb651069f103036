"""Targets and how they are combined into one number to maximise.

Every formula is plain arithmetic, so that the same code scores floats, numpy arrays and torch samples.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, WithJsonSchema, model_serializer, model_validator
from pydantic.config import JsonDict
from typing_extensions import override

from orchestrator.domain.durations import LabSeconds
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import InOwnUnit, Number, Quantity, never, own_unit, quantity_schema, when
from orchestrator.units import parse, unit

CONSTANT: Final = 1e-9
"""Values of a target that differ by less than this part of their size differ by float noise only: they count as constant."""


_DUE_LATER: Final[JsonDict] = {"due": {"properties": {"from": {"const": "later"}}, "required": ["from"]}}


class Measured(Frozen):
    """A quantity that is measured, whatever is wanted of it."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """The quantity, as the bench's reduction or the recorded table calls it."""
    unit: str = ""
    """Unit of its values, here and in everything that is shown; empty for a pure number."""
    comes: Annotated[Literal["run", "later"], Field(alias="from")] = "run"
    """Whence its values come: `run`, from the readings of the run; `later`, from people, who add them after it
    (`athanor measure add`), while the bench is free and the configuration counts as pending."""
    due: LabSeconds | None = None
    """`later`: how long after the run's end a value is waited for; waited for as long as it takes where it is left out."""

    @model_validator(mode="after")
    def _check_measured(self) -> Self:
        unit(self.unit)
        if self.due is not None and self.comes != "later":
            raise ValueError(f'{self.label}: due belongs to from = "later"')
        return self

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"target {self.name}"

    @property
    def band(self) -> tuple[float | None, float | None]:
        """The least and the largest value that will do, in `unit`; None where there is no such bound."""
        return None, None

    @property
    def scale(self) -> tuple[float, float] | None:
        """The ends of the scale that it is judged by, in `unit`; None where it has none."""
        return None

    def judged(self, value: float) -> str:
        """Say behind a value whether it will do; empty where nothing says so."""
        low, high = self.band
        if low is None and high is None:
            return ""
        inside = (low is None or value >= low) and (high is None or value <= high)
        return ", keeps its limit" if inside else ", does not keep its limit"

    @property
    def expected_spread(self) -> float | None:
        """Guess how far values spread from what is said of them, in `unit`; None where that says nothing."""
        return None


class Target(Measured):
    """A quantity that is measured, with its direction."""

    model_config = ConfigDict(
        json_schema_extra={
            **when("goal", "match", required=["value", "tolerance"]),
            "else": never("value", "tolerance"),
            "dependentSchemas": _DUE_LATER,
        },
    )

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

    @property
    @override
    def band(self) -> tuple[float | None, float | None]:
        if self.value is None or self.tolerance is None:
            return None, None
        return self.value - self.tolerance, self.value + self.tolerance

    @property
    @override
    def scale(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    @override
    def expected_spread(self) -> float | None:
        """A quarter of its scale, or a match's tolerance."""
        return self.tolerance if self.scale is None else (self.scale[1] - self.scale[0]) / 4

    @override
    def judged(self, value: float) -> str:
        return {True: ", within tolerance", False: ", outside tolerance", None: ""}[self.within(value)]

    def within(self, value: float) -> bool | None:
        """Say whether a match is within its tolerance; None for a target without one."""
        if self.value is None or self.tolerance is None:
            return None
        return abs(value - self.value) <= self.tolerance


class Outcome(Measured):
    """A limit on what comes out: modelled and kept to, not optimised. It may be one on a target."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["min"]}, {"required": ["max"]}], "dependentSchemas": _DUE_LATER},
    )

    min: InOwnUnit | None = None
    """Least value that will do, in `unit`."""
    max: InOwnUnit | None = None
    """Largest value that will do, in `unit`."""
    probability: Annotated[Number, Field(gt=0, lt=1)] = 0.8
    """Chance to keep the limit from which on a configuration counts as one that does."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        name, unit_text = data.get("name", "?"), own_unit(data)
        changed = {k: parse(data[k], unit_text, what=f"outcome {name}, {k}") for k in ("min", "max") if data.get(k) is not None}
        return {**data, **changed}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"outcome {self.name}: expected min, max or both")
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise ValueError(f"outcome {self.name}: min {self.min:g} must be below max {self.max:g}")
        return self

    @property
    @override
    def label(self) -> str:
        return f"outcome {self.name}"

    @property
    @override
    def band(self) -> tuple[float | None, float | None]:
        return self.min, self.max

    @property
    @override
    def expected_spread(self) -> float | None:
        """A quarter of what it leaves, where that has two ends."""
        return None if self.min is None or self.max is None else (self.max - self.min) / 4

    @property
    def shown(self) -> str:
        """The limit in words, with its unit."""
        if self.min is None or self.max is None:
            return f"at least {self.min:.6g} {self.unit}".rstrip() if self.max is None else f"at most {self.max:.6g} {self.unit}".rstrip()
        return f"{self.min:.6g} to {self.max:.6g} {self.unit}".rstrip()

    def kept(self, value: float) -> bool:
        """Say whether a value keeps the limit."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


ObjectiveKind = Literal["utility", "pareto", "explore", "level"]


class ObjectiveSpec(Frozen):
    """What is wanted of the targets together."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"kind": {"enum": ["pareto", "level"]}}, "required": ["kind"]},
            "then": when("kind", "level", required=["reference"]),
            "else": {"properties": {"reference": {"maxProperties": 0}}},
        }
    )

    kind: ObjectiveKind = "utility"
    """`utility`: the weighted mean of the targets' utilities is to be large; `pareto`: the front of what cannot be bettered in
    one target without losing in another; `explore`: the targets are to be known everywhere; `level`: the border where one
    target crosses a value."""
    reference: dict[str, Quantity] = Field(default_factory=dict)
    """By target: the reference point of a Pareto front (what is no better than it counts for nothing; the end of the scale that
    is worth 0 where it is left out), or the level whose border is looked for."""


class Objective(Frozen):
    """What is wanted of the targets: the weighted mean of their utilities, one target's own utility where there is one, or another kind."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    kind: ObjectiveKind = "utility"
    reference: dict[str, float] = Field(default_factory=dict)
    """By target, in its unit: the reference point of a Pareto front, or the level whose border is looked for."""
    outcomes: tuple[Outcome, ...] = ()
    """Limits on what comes out."""

    @model_validator(mode="before")
    @classmethod
    def _convert(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("reference"), dict):
            return data
        units = {one.name: one.unit for one in data.get("targets", ()) if isinstance(one, Target)}
        found = {name: parse(value, units.get(name, ""), what=f"objective.reference.{name}") for name, value in data["reference"].items()}
        return {**data, "reference": found}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, names in (("a target", [one.name for one in self.targets]), ("an outcome", [one.name for one in self.outcomes])):
            if len(set(names)) < len(names):
                raise ValueError(f"{what} is declared twice in {names}")
        own = {one.name: one for one in self.targets}
        for outcome in self.outcomes:
            target = own.get(outcome.name)
            if target is not None and (outcome.unit, outcome.comes, outcome.due) != (target.unit, target.comes, target.due):
                raise ValueError(f"outcome {outcome.name} is a target too; unit, from and due stand there")
        if unknown := [name for name in self.reference if name not in own]:
            raise ValueError(f"objective.reference.{unknown[0]} names no target; expected {', '.join(own)}")
        unscaled = [target.name for target in self.targets if not target.scaled]
        if len(self.targets) > 1 and unscaled and self.kind in ("utility", "pareto"):
            raise ValueError(f"target {unscaled[0]}: several targets are combined on one scale; give it low and high")
        if self.kind == "pareto" and len(self.targets) < 2:
            raise ValueError(f'objective.kind = "pareto" needs at least two targets; there is {self.targets[0].name}')
        if self.kind == "level" and (len(self.targets) > 1 or not self.reference):
            raise ValueError('objective.kind = "level" needs one target and its level: reference = { NAME = VALUE }')
        if self.kind in ("utility", "explore") and self.reference:
            raise ValueError(f'objective.reference belongs to kind = "pareto" or "level", not to "{self.kind}"')
        if self.outcomes and self.kind != "utility":
            raise ValueError(f'outcomes belong to kind = "utility"; got "{self.kind}", which knows no limits')
        worthless = [one.name for one in self.targets if one.name in self.reference and float(one.utility(self.reference[one.name])) >= 1]
        if self.kind == "pareto" and worthless:
            raise ValueError(f"objective.reference.{worthless[0]}: a reference point as good as the scale's end leaves nothing to find")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what is not set: what was stored before there was more stays as it was."""
        left_out = {"kind": "utility", "reference": {}, "outcomes": []}
        return {name: value for name, value in handler(self).items() if name not in left_out or value not in (left_out[name], ())}

    @property
    def measured(self) -> tuple[Measured, ...]:
        """All that is measured and modelled: the targets, then quantities that only limits are on."""
        own = [target.name for target in self.targets]
        return (*self.targets, *(one for one in self.outcomes if one.name not in own))

    @property
    def ranked(self) -> bool:
        """Whether one measurement can be better than another; else the response itself is to be known."""
        return self.kind in ("utility", "pareto")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that is measured, in order."""
        return tuple(one.name for one in self.measured)

    @property
    def of_run(self) -> tuple[str, ...]:
        """The names of what a run's readings give."""
        return tuple(one.name for one in self.measured if one.comes == "run")

    @property
    def later(self) -> dict[str, float | None]:
        """How many lab seconds after a run's end all else is waited for; None for as long as it takes."""
        return {one.name: one.due for one in self.measured if one.comes == "later"}

    @property
    def units(self) -> dict[str, str]:
        """Unit of all that is measured."""
        return {one.name: one.unit for one in self.measured}

    def score(self, values: Mapping[str, Any]) -> Any:
        """Combine values of all targets (floats, arrays or tensors) into the number to maximise."""
        total = sum(target.weight for target in self.targets)
        return sum((target.weight / total) * target.utility(values[target.name]) for target in self.targets)

    @property
    def limited(self) -> tuple[tuple[int, Outcome], ...]:
        """Each limit with the place of its quantity among all that is measured."""
        return tuple((self.names.index(one.name), one) for one in self.outcomes)

    def limit_on(self, name: str) -> Outcome | None:
        """Return the limit on a quantity; None where there is none."""
        return next((one for one in self.outcomes if one.name == name), None)

    def keeps(self, values: Mapping[str, float]) -> bool | None:
        """Say whether a measurement keeps all limits: a value that is not there keeps none; None where there are no limits."""
        if not self.outcomes:
            return None
        return all(one.name in values and one.kept(values[one.name]) for one in self.outcomes)

    def constant(self, rows: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
        """Return a line for each target that is constant in what was measured: nothing is learned of it, fits guess its scale."""
        known = list(rows)
        notes = (constant_note(one.name, one.unit, [row[one.name] for row in known if one.name in row]) for one in self.measured)
        return tuple(note for note in notes if note is not None)

    def score_measured(self, values: Mapping[str, float]) -> float | None:
        """Score a measurement; None where a target is missing, and where nothing is best."""
        if not self.ranked or any(target.name not in values for target in self.targets):
            return None
        return float(self.score(values))

    def score_kept(self, values: Mapping[str, float]) -> float | None:
        """Score a measurement that keeps all limits, and so may be the best; None for any other."""
        return None if self.keeps(values) is False else self.score_measured(values)


def varies(low: float, high: float) -> bool:
    """Say whether values from `low` to `high` differ by more than float noise, whatever their unit."""
    return high - low > CONSTANT * max(abs(low), abs(high))


def constant_note(name: str, unit_text: str, values: Sequence[float]) -> str | None:
    """Say in a line that a target's values are constant, where there are several and they are."""
    if len(values) < 2 or varies(min(values), max(values)):
        return None
    return f"{name} is constant: {len(values)} values of {f'{values[0]:.6g} {unit_text}'.rstrip()}, which differ by float noise at most"
