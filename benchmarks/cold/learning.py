"""Learn beliefs from small random parts of the recorded tasks, leaving one family out at a time.

Expectation and maximisation over draws: each draw is weighed by the evidence that it has on each part, and the beliefs
become the weighed moments. Families count alike. Beliefs without a family take the draws of the last round, with
importance weights, so that evidence is computed once.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.cold.averaging import NAMES, Beliefs, Distances, Draws, distances, normal_draws, standard
from benchmarks.cold.tasks import FAMILIES, KINDS, tasks_of

PARTS: Final = 12
"""Of each family."""
SIZES: Final = (5, 8, 12, 16, 20, 25)
"""Rows of a part."""
COUNT: Final = 384
"""Draws of a round."""
ROUNDS: Final = 8
REWEIGHTED: Final = 12
"""Rounds with the draws of the last one, for each family that is left out."""
LEAST_DEVIATION: Final = 0.1
"""Draws that are all alike would have nothing to choose from."""
VAGUE: Final = Beliefs(
    torch.tensor([math.log(0.5), math.log(1.5), math.log(0.5), 0.0, 0.0, -3.0, -1.0], dtype=torch.float64),
    torch.tensor([1.2, 1.0, 1.2, 0.8, 2.0, 2.0, 0.8], dtype=torch.float64),
)
"""To begin with."""
_VALUES_SEED: Final = 1_000_000
"""Which of a configuration's records a part has: none of the seeds of campaigns."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a task; values are standard."""

    family: str
    kinds: tuple[str, ...]
    squared: Distances
    y: Float[Tensor, " n"]


def parts_of(family: str, data: Path | None = None) -> Iterator[Part]:
    """Draw a family's parts: rows and tasks in turn."""
    tasks, generator, found = list(tasks_of(family, data)), random.Random(f"{family}/0"), 0
    for number in range(2 * PARTS):
        task = tasks[number % len(tasks)]
        rows = generator.sample(range(len(task.X)), min(SIZES[number % len(SIZES)], len(task.X) // 2))
        y = task.measured(_VALUES_SEED + number)[rows]
        if float(y.std()) < 1e-9 or found == PARTS:
            continue  # nothing was found: no evidence
        found += 1
        yield Part(family, task.kinds, distances(task, task.X[rows], task.X[rows]), standard(y))


@dataclass(frozen=True, slots=True)
class _Round:
    """Draws, where they were drawn from, and the evidence of each on each part."""

    drawn: Float[Tensor, "s b"]
    source: Beliefs
    evidence: Float[Tensor, "k s"]


def _played(parts: Sequence[Part], beliefs: Beliefs, seed: int) -> _Round:
    normal, apart = normal_draws(COUNT, seed)
    drawn = beliefs.means + beliefs.deviations * normal
    evidence = torch.stack([Draws.of(drawn, apart, part.kinds).evidence(part.squared, part.y) for part in parts])
    return _Round(drawn, beliefs, evidence)


def _concerned(parts: Sequence[Part]) -> Float[Tensor, "k b"]:
    """Say which beliefs a part has something to say of: a length scale only where it has one of that kind."""
    return torch.tensor([[float(name not in KINDS or name in part.kinds) for name in NAMES] for part in parts], dtype=torch.float64)


def _density(drawn: Float[Tensor, "s b"], beliefs: Beliefs) -> Float[Tensor, "s b"]:
    return -0.5 * ((drawn - beliefs.means) / beliefs.deviations).square() - beliefs.deviations.log()


def _updated(parts: Sequence[Part], played: _Round, beliefs: Beliefs, leave: str | None) -> Beliefs:
    """Return the moments of the draws, weighed by evidence."""
    families, concerned = [part.family for part in parts], _concerned(parts)
    even = torch.tensor([float(name != leave) / families.count(name) for name in families], dtype=torch.float64)
    importance = concerned @ (_density(played.drawn, beliefs) - _density(played.drawn, played.source)).mT
    weights = torch.softmax(played.evidence + importance, dim=1) * even[:, None]
    by_draw = torch.einsum("ks,kb->sb", weights, concerned)
    totals = by_draw.sum(dim=0)
    means = (by_draw * played.drawn).sum(dim=0) / totals
    deviations = ((by_draw * (played.drawn - means).square()).sum(dim=0) / totals).sqrt().clamp_min(LEAST_DEVIATION)
    heard = totals > 0  # nothing is learned of a kind that no part has
    return Beliefs(torch.where(heard, means, beliefs.means), torch.where(heard, deviations, beliefs.deviations))


def learn(parts: Sequence[Part], *, leave: Sequence[str] = ()) -> dict[str, Beliefs]:
    """Return the beliefs of all families as `all`, and for each family that is left out those without it."""
    beliefs = VAGUE
    for number in range(ROUNDS):
        played = _played(parts, beliefs, 1000 + number)
        before, beliefs = beliefs, _updated(parts, played, beliefs, None)
    found = {"all": beliefs}
    for family in leave:
        without = before
        for _ in range(REWEIGHTED):
            without = _updated(parts, played, without, family)
        found[family] = without
    return found


def learn_all(data: Path | None = None) -> dict[str, Beliefs]:
    """Learn from all families."""
    return learn([part for family in FAMILIES for part in parts_of(family, data)], leave=tuple(FAMILIES))
