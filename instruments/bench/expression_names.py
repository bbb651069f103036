"""What the names in a bench file's expressions stand for: parameters of the campaign, constants and stocks of the bench."""

from typing import Any

from instruments.bench.file import BenchFile
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.intervals import Interval


def units_of(bench: BenchFile, space: SearchSpace) -> dict[str, str]:
    """Return the unit of each name."""
    return {**bench.constant_units, **space.units}


def values_at(bench: BenchFile, configuration: Configuration) -> dict[str, Any]:
    """Return the value of each name at a configuration, in its unit."""
    return {**bench.constant_values, **configuration}


def ranges_of(bench: BenchFile, space: SearchSpace) -> dict[str, Interval]:
    """Return the range of each numeric name over the box of all parameters, constraints left aside."""
    return {**{name: Interval(value, value) for name, value in bench.constant_values.items()}, **space.intervals}
