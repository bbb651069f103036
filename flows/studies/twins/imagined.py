"""Tasks that a twin imagines: what would be measured if its constants were others that their priors allow.

A prior that is learned from them knows what the twin knows, as sure of it as the twin is of its constants: a revision, whose priors a
campaign has narrowed, teaches more than what it revises. Surroundings stand at their references.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import outputs_of
from flows.studies.family import TaskObservations
from orchestrator.errors import BadInput
from orchestrator.history import Knowledge, Observation
from policies.initial import SobolPolicy
from simulators.twins.declaration import Situation

LEAST: Final = 2
"""Experiments of a task."""
NOISE: Final = 0.02
"""Standard deviation of a measurement, in those of a task's values: our own choice, a twin says nothing of it and a campaign learns it."""
_Rows = tuple[Observation, ...]


def imagined(bound: BoundTwin, *, tasks: int, rows: int, seed: int) -> TaskObservations:
    """Draw tasks: constants from their priors, a space-filling design for each, and a little noise.

    Args:
        bound: The twin, for the space aimed at.
        tasks: How many.
        rows: Experiments of each; where the twin predicts nothing there is none.
        seed: Of constants and noise.

    Raises:
        BadInput: Nothing is predicted in a task.
    """
    generator = np.random.default_rng(seed)
    return tuple(_tasks(bound, tasks, rows, seed, generator))


def _tasks(bound: BoundTwin, tasks: int, rows: int, seed: int, generator: np.random.Generator) -> Iterator[tuple[str, _Rows]]:
    for number in range(1, tasks + 1):
        drawn = {one.name: one.moved(float(generator.standard_normal())) for one in bound.twin.calibratable}
        design = [one.configuration for one in SobolPolicy(bound.space).propose(Knowledge(), count=rows, seed=seed * tasks + number)]
        situations = [bound.situation(row) for row in design]
        asked = [Situation(one.controls, {**one.constants, **drawn}, one.environment) for one in situations]
        values = outputs_of(bound, bound.twin.predict(asked))
        made = np.isfinite(values.sum(axis=1))
        if made.sum() < LEAST:
            count = int(made.sum())
            raise BadInput(f"twin {bound.twin.label}: task {number}: it predicts {count} of {rows} experiments; expected {LEAST} or more")
        noisy = values[made] + NOISE * values[made].std(axis=0) * generator.standard_normal(values[made].shape)
        chosen = [row for row, there in zip(design, made, strict=True) if there]
        told = [dict(zip(bound.outputs, map(float, one), strict=True)) for one in noisy]
        yield f"{bound.twin.label}/{number}", tuple(Observation(row, one) for row, one in zip(chosen, told, strict=True))
