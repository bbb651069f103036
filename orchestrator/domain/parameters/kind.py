"""What every kind of parameter can say of itself; a kind says the rest."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, model_validator

from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.restriction import Allowed
from orchestrator.domain.values import Configuration, Frozen
from orchestrator.domain.written import Flag
from orchestrator.intervals import Interval
from orchestrator.units import parse_difference

RELATIVE_TOLERANCE: Final = 1e-9
"""Bounds and equalities are compared within this part of a column's range or level: float noise, not a licence."""
RESOLVED: Final = 0.01
"""Part of a parameter's range that a bench tells apart where `resolution` says nothing else."""
EXACT: Final = 1e-9
"""Differences within this part of a resolution below it count as that resolution, and smaller ones as none: float noise."""
WRITTEN: Final = ".12g"
"""How a legal value is written: in full but for float noise, since what is read here is typed there."""
ABSENT: Final = "-"
"""What people see, and may write, in place of the value of a parameter that is absent."""
FIELD_DIGITS: Final = 6
"""Significant digits of a number that stands in a field or beside a question; one that is kept is kept in full."""


@dataclass(frozen=True, slots=True)
class FormField:
    """How a column is asked for."""

    description: str
    choices: tuple[str, ...] | None = None
    """The only answers; None where it is typed."""


def _described(schema: dict[str, Any]) -> None:
    """Say for editors what the class refuses."""
    schema["required"] = ["kind", *schema["required"]]
    if "otherwise" in schema["properties"]:
        schema["dependentRequired"] = {"when": ["otherwise"], "otherwise": ["when"]}


class ParameterKind(Frozen):
    """A parameter, whatever its kind."""

    model_config = ConfigDict(json_schema_extra=_described)

    kind: str
    """Which kind of parameter it is."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """The column's name, or what its columns' names begin with."""
    same_in_batch: Annotated[Flag, Field(exclude_if=lambda same: not same)] = False
    """Whether all proposals of a batch have one value, as experiments in one oven do: the first of them chooses it."""
    when: Annotated[
        dict[str, Annotated[tuple[str, ...], Field(json_schema_extra={"minItems": 1})]],
        Field(exclude_if=lambda when: not when, json_schema_extra={"minProperties": 1}),
    ] = Field(default_factory=dict)
    """Where the parameter is there at all: categorical parameter -> those of its categories with which it is; several must all hold."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_no_condition(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("when") == {}:
            raise ValueError(f"parameter {data.get('name', '?')}, when: it is empty; expected a categorical parameter, or nothing at all")
        return data

    @property
    def columns(self) -> tuple[str, ...]:
        """The configuration's entries that this parameter owns."""
        return (self.name,)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each column that holds numbers; the other columns hold names."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """The categories or components."""
        return ()

    @property
    def freedom(self) -> int:
        """How much of it can be varied independently."""
        return len(self.columns)

    # ----------------------------------------------------------------- where it is there

    @property
    def absence(self) -> dict[str, float | str]:
        """What a configuration holds in each column where the parameter is absent."""
        return {}

    @property
    def condition(self) -> str:
        """Where the parameter is there, for people."""
        return " and ".join(f"{name} is {' or '.join(names) or 'none of its categories'}" for name, names in self.when.items())

    @property
    def never(self) -> bool:
        """Whether nothing is left with which it is there; so only in a restricted space."""
        return any(not names for names in self.when.values())

    def unlike_absence(self, configuration: Configuration) -> str | None:
        """Say what is wrong with the columns of a parameter that is absent, if anything is."""
        for column, value in self.absence.items():
            found = configuration[column]
            if isinstance(value, str) or isinstance(found, str):
                same = found == value
            else:
                same = abs(found - value) <= RELATIVE_TOLERANCE * max(1.0, abs(value))
            if not same:
                shown = value if isinstance(value, str) else f"{value:{WRITTEN}} {self.units[column]}".rstrip()
                return f"{column} = {found}: {self.name} is there only where {self.condition}; expected {shown}"
        return None

    def filled(self, part: float) -> Configuration:
        """Return a legal value for a parameter that comes in.

        Args:
            part: From 0 to 1: how far along the range, the values or the names.
        """
        choices = tuple(self.choices())
        return choices[min(int(part * len(choices)), len(choices) - 1)]

    # ----------------------------------------------------------------- what is legal

    @property
    @abstractmethod
    def legal(self) -> str:
        """What a column's value may be, in a line."""

    @property
    def legal_values(self) -> str:
        """What the whole parameter may be, in a line."""
        return self.legal

    @abstractmethod
    def complaint(self, configuration: Configuration) -> str | None:
        """Say what is wrong with this parameter's part of a configuration, if anything is."""

    @property
    def intervals(self) -> dict[str, Interval]:
        """Range of each column that holds numbers."""
        return {}

    @property
    def size(self) -> float:
        """How many legal values there are where it is there; infinite where it varies continuously."""
        return inf

    def choices(self) -> Iterator[Configuration]:
        """Iterate over all legal values where there are finitely many."""
        return iter(())

    def neighbours(self, configuration: Configuration) -> Iterator[Configuration]:
        """Iterate over the values one discrete choice away."""
        return (one for one in self.choices() if any(configuration[column] != value for column, value in one.items()))

    # ----------------------------------------------------------------- what is told apart

    @property
    def on_log_scale(self) -> bool:
        """Whether equal ratios count as equal differences."""
        return False

    def place(self, value: float) -> float:
        """Return where a number stands on its axis."""
        return value

    @property
    def slack(self) -> float:
        """How far a number may miss a legal one on its axis: float noise, and what a conversion of units loses."""
        return 0.0

    @property
    def resolved(self) -> float:
        """The least difference on the axis that the bench tells apart, in the columns' unit; 0 for any."""
        return 0.0

    @property
    def told_apart(self) -> str:
        """What two experiments must differ by where that is not plain from the legal values."""
        return f"{self.resolved:g}" if self.resolved else ""

    @property
    def least_difference(self) -> float:
        """The least difference, over the range, that the bench tells apart; of values and names any."""
        return EXACT

    @abstractmethod
    def difference(self, one: Configuration, other: Configuration) -> float:
        """Return how far apart two configurations are in this parameter, from 0 to 1."""

    # ----------------------------------------------------------------- what is left in mid-campaign

    @abstractmethod
    def narrowed(self, allowed: Mapping[str, Allowed]) -> "ParameterKind":
        """Return what is left where columns of this parameter are restricted.

        Raises:
            BadInput: Nothing is left, or what is asked for was never legal.
        """

    def shares(self, allowed: Mapping[str, Allowed]) -> Iterator[LinearConstraint]:  # noqa: ARG002 - a single column needs none
        """Iterate over restrictions that bind as constraints."""
        return iter(())

    def holds(self, allowed: Allowed, value: float | str) -> bool:
        """Say whether a column's value is among what is left."""
        return self._lies(allowed, value, self.slack)

    def nears(self, allowed: Allowed, value: float | str) -> bool:
        """Say whether a readback stands for something that is left: the nearest legal value, or one within the resolution."""
        return self._lies(allowed, value, max(self.slack, self.resolved))

    def _lies(self, allowed: Allowed, value: float | str, room: float) -> bool:
        """Say whether a value is within what is left, or misses it by no more than some room on its axis."""
        if allowed.names or isinstance(value, str):
            return value in allowed.names
        low, high = (None if end is None else self.place(end) for end in (allowed.min, allowed.max))
        return (low is None or self.place(value) >= low - room) and (high is None or self.place(value) <= high + room)

    # ----------------------------------------------------------------- for people

    def shown(self, value: float | str) -> str:
        """Write a value for people, who may send it back as it is: with the digits that the bench tells apart, or enough to decide by.

        A number from a list is written in full, and a fraction so that what is seen sums to one. Nothing is rounded to what is not legal.
        """
        return value if isinstance(value, str) else f"{value:.{FIELD_DIGITS}g}"

    @property
    def field(self) -> FormField:
        """How a column of it is asked for."""
        return FormField(self.legal)

    def beside_others(self, legal: str) -> str:
        """Say of what is legal that it is one value for a whole batch, and where the parameter is there."""
        legal = f"the same in a batch, {legal}" if self.same_in_batch else legal
        return f"only where {self.condition}: {legal}" if self.when else legal


def check_otherwise(what: str, when: Mapping[str, object], otherwise: float | str | None) -> None:
    """Refuse a condition without the value that stands for absence, and the other way round, with ValueError."""
    if when and otherwise is None:
        raise ValueError(f"{what}: when needs otherwise, the value that a configuration has, and a bench is sent, where it is absent")
    if otherwise is not None and not when:
        raise ValueError(f"{what}: otherwise belongs to when; nothing says where it is absent")


def with_resolution(data: dict[str, Any], unit: str) -> dict[str, Any]:
    """Convert `resolution`, a difference, to the parameter's unit."""
    if data.get("resolution") is None:
        return data
    what = f"parameter {data.get('name', '?')}, resolution"
    value = parse_difference(data["resolution"], unit, what=what)
    if value <= 0:
        raise ValueError(f"{what}: {data['resolution']!r} is not above 0")
    return {**data, "resolution": value}
