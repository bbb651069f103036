"""How a configuration becomes steps, and readings a measured configuration: from a bench's procedure or a recorded table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from flows.plans.lab_time import lab_time
from instruments.bench.file import BenchFile
from instruments.bench.procedure import Procedure
from instruments.recorded import steps_for
from orchestrator.domain.records import Reading, Step
from orchestrator.domain.review import Reason
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError, BadInput
from orchestrator.history import History
from orchestrator.review import Quantities


class Recipe(Protocol):
    """What the flow's steps need of a bench, beside the Bench port."""

    @property
    def reduction(self) -> str:
        """Name and version of the reduction from readings to measurements."""
        ...

    @property
    def folder(self) -> Path:
        """Where the bench file lies, and a reduction that stands beside it."""
        return Path()

    @property
    def positions(self) -> tuple[str, ...]:
        """All sampler positions; empty where there is no sampler."""
        ...

    @property
    def binding(self) -> Mapping[str, str]:
        """What an approval binds beside configuration and steps."""
        ...

    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        """Compute all steps and check them against the envelope."""
        ...

    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        """Compute the measured configuration."""
        ...

    def lab_seconds(self, history: History, steps: Sequence[Step], before: Sequence[Step]) -> float:  # noqa: ARG002 - a table answers at once
        """Expect how many lab seconds steps take after other steps; what nothing is known of counts as nothing."""
        return 0.0

    def quantities(self, configuration: Configuration) -> Quantities:  # noqa: ARG002 - a table has no price and no hazard
        """Compute what review rules look at: cost, margin and the hazards met; empty where nothing is known of them."""
        return Quantities({})


def steps_of(recipe: Recipe, configuration: Configuration) -> tuple[Step, ...]:
    """Expand what a person wrote: whatever does not allow it is their input's fault, in one line.

    Raises:
        BadInput: A limit, an interlock or an expression that refuses the configuration.
    """
    try:
        return recipe.expand(configuration)
    except BadInput:
        raise
    except AthanorError as error:
        raise BadInput(str(error)) from error


class WiredRecipe(Recipe):
    """A bench's procedure."""

    def __init__(self, bench: BenchFile, procedure: Procedure, binding: Mapping[str, str]) -> None:
        self._bench = bench
        self._procedure = procedure
        self._binding = binding

    @property
    @override
    def reduction(self) -> str:
        return self._bench.spec.bench.reduction

    @property
    @override
    def folder(self) -> Path:
        return self._bench.path.parent

    @property
    @override
    def positions(self) -> tuple[str, ...]:
        return self._bench.positions

    @property
    @override
    def binding(self) -> Mapping[str, str]:
        return self._binding

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        return self._procedure.expand(configuration)

    @override
    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        return self._procedure.measured(readings, proposed)

    @override
    def lab_seconds(self, history: History, steps: Sequence[Step], before: Sequence[Step]) -> float:
        expected = lab_time(self._procedure, history, steps, before)
        return float(expected["lab_seconds"]) + float(expected["more_seconds"] or 0.0)

    @override
    def quantities(self, configuration: Configuration) -> Quantities:
        steps = self._procedure.expand(configuration)
        cost = self._procedure.reagents(steps).cost
        margins = [one.relative for one in self._bench.envelope.margins(steps) if one.relative is not None]
        values = {"cost": cost, "margin": min(margins, default=None)}
        hazards = tuple(
            Reason(name=one.name, text=one.line, people=one.people, hazard=True) for one in self._procedure.hazards(configuration)
        )
        return Quantities({name: value for name, value in values.items() if value is not None}, hazards)


class ToldRecipe(Recipe):
    """Nothing of ours: whoever asks carries out, and tells what came of it."""

    reduction = "told/1"
    positions = ()
    binding: Mapping[str, str] = {}

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        return ()

    @override
    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        return dict(proposed)


class RecordedRecipe(Recipe):
    """One look-up in a table of measured experiments."""

    def __init__(self, units: Mapping[str, str], binding: Mapping[str, str]) -> None:
        self._binding = binding
        self._units = units

    @property
    @override
    def reduction(self) -> str:
        return "recorded/1"

    @property
    @override
    def positions(self) -> tuple[str, ...]:
        return ()

    @property
    @override
    def binding(self) -> Mapping[str, str]:
        return self._binding

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        return steps_for(configuration, self._units)

    @override
    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        return dict(proposed)
