"""Families of simulated chemistries that tasks can be drawn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.ports import Observation

Draw = Callable[[int, int, int], tuple[tuple[str, tuple[Observation, ...]], ...]]
"""Number of tasks, rows per task, seed -> (task, rows) pairs."""


@dataclass(frozen=True, slots=True)
class SimulatedFamily:
    """A family, and the units that its rows stand in."""

    draw: Draw
    units: Mapping[str, str]
    """Of what is varied and of what is measured."""
    parameters: tuple[str, ...]
    """What is varied."""
    group: Callable[[str], str | None]
    """Task -> its kin's common name."""
    describe: Callable[[str], dict[str, float | str]]
    """Task -> what a chemist knows of it before the first experiment."""
