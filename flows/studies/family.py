"""What a family of simulated chemistries is: those that come with Athanor, those of installed packages, files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import BadInput
from orchestrator.plugins import CHEMISTRIES, find_plugin, installed
from orchestrator.ports import Observation

TaskObservations = tuple[tuple[str, tuple[Observation, ...]], ...]
"""(task's name, its observations) of each task."""


@dataclass(frozen=True, slots=True)
class SimulatedFamily:
    """A family, and the units that its rows stand in."""

    draw: Callable[[int, int, int], TaskObservations]
    """Number of tasks, rows per task, seed -> the tasks: a function of these alone."""
    units: Mapping[str, str]
    """Of what is varied and of what is measured."""
    parameters: tuple[str, ...]
    """What is varied."""
    group: Callable[[str], str | None]
    """Task -> its kin's common name."""
    describe: Callable[[str], dict[str, float | str]]
    """Task -> what a chemist knows of it before the first experiment."""
    chemistry: Callable[[int | None], Any] | None = None
    """For a plant: seed of the hidden constants (None: the family's centre) -> what reacts in it. For the tube of the platform that
    comes with Athanor it is a `Chemistry`; bodies of your own get whatever it is as `self.chemistry`."""


def find_family(families: Mapping[str, SimulatedFamily], name: str, folder: Path) -> SimulatedFamily:
    """Return a family by its name.

    Args:
        families: Those that come with Athanor.
        name: Of one of them or of an installed package, or `./FILE.py:NAME`.
        folder: Where the file that names it lies.

    Raises:
        BadInput: There is none of this name, or the plug-in cannot be loaded or is none.
    """
    if name in families:
        return families[name]
    found = find_plugin(CHEMISTRIES, name, folder)
    if found is None:
        raise BadInput(f"family {name!r} is unknown; known: {', '.join(sorted({*families, *installed(CHEMISTRIES)})) or 'none'}")
    if not isinstance(found.thing, SimulatedFamily):
        raise BadInput(f"{found.what} ({found.source}) is {found.thing!r:.80}; expected an athanor.chemistries.SimulatedFamily")
    return found.thing
