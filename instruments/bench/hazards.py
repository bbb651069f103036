"""Declared hazards: quantities of a configuration beyond which one or two persons must sign, whatever the rules say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from instruments.bench.expression_names import ranges_of, units_of, values_at
from instruments.bench.file import BenchFile
from instruments.bench.spec import HazardSpec
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard that fires at a configuration."""

    name: str
    value: float
    """In `unit`, as `limit`."""
    unit: str
    limit: float
    side: Literal["above", "below"]
    """Of the limit, on which the value lies."""
    people: int
    """How many persons must sign."""

    @property
    def line(self) -> str:
        """One line for people."""
        signers = "one person must sign" if self.people == 1 else f"{self.people} persons must sign"
        return f"{self.name}: {self.value:.6g} {self.unit} is {self.side} {self.limit:g} {self.unit}; {signers}".replace("  ", " ")


def check_hazards(bench: BenchFile, space: SearchSpace) -> None:
    """Check every hazard's expression against the names and units that there are.

    Raises:
        BadInput: An unknown name, or dimensions that do not fit the limit's.
    """
    units = units_of(bench, space)
    for spec, (_, unit) in _declared(bench):
        try:
            Expression(spec.value).check(units, unit)
        except BadInput as error:
            raise BadInput(f"hazard {spec.name!r}, value: {error}") from error


def firing_hazards(bench: BenchFile, space: SearchSpace, configuration: Configuration) -> tuple[Hazard, ...]:
    """Return the hazards that fire at a configuration, in the order of the bench file.

    Raises:
        BadInput: A value that cannot be computed there: nobody could say whether it is hazardous.
    """
    values, units = values_at(bench, configuration), units_of(bench, space)
    found = []
    for spec, (limit, unit) in _declared(bench):
        try:
            value = float(Expression(spec.value).evaluate(values, units, unit))
        except BadInput as error:
            raise BadInput(f"hazard {spec.name!r}: {error}") from error
        harmless = value <= limit if spec.side == "above" else value >= limit
        if not harmless:  # a value that is no number fires as well
            found.append(Hazard(spec.name, value, unit, limit, spec.side, spec.people))
    return tuple(found)


def possible_hazards(bench: BenchFile, space: SearchSpace) -> tuple[str, ...]:
    """Return the names of the hazards that may fire somewhere in the search space: some too many, never one too few."""
    ranges, units = ranges_of(bench, space), units_of(bench, space)
    names = []
    for spec, (limit, unit) in _declared(bench):
        bounds = Expression(spec.value).evaluate(ranges, units, unit)
        low, high = (bounds, bounds) if isinstance(bounds, float) else (bounds.low, bounds.high)
        if not (high <= limit if spec.side == "above" else low >= limit):
            names.append(spec.name)
    return tuple(names)


def _declared(bench: BenchFile) -> Iterator[tuple[HazardSpec, tuple[float, str]]]:
    for spec in bench.spec.hazards:
        yield spec, bench.hazard_limits[spec.name]
