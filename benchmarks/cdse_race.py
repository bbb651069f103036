"""One race on a simulated chemistry: experiments until a noise-free outcome lies within a narrow window.

The window is 2 nm wide, its centre drawn for each task, and the limit of the line's width is set so that the window
holds 16 of the 4,096 candidates (0.4 %). The objective knows the centre, never the limit.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from benchmarks.cdse_pools import CdSePool
from flows.studies.cdse import cdse_space
from flows.studies.emission_noise import EmissionNoise
from models.base import Learner, Surrogate
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Infeasible, Knowledge, Observation, Policy
from orchestrator.suggestions import Suggestion
from policies.acquisition import AVOIDED_RADIUS, NEVER
from policies.initial import SobolPolicy
from policies.score import Score
from simulators.chemistry.cdse import CdSeOutcome
from simulators.chemistry.family import COMPLETED

WINDOW: Final = 2.0
"""nm, full width."""
HELD: Final = 16
"""Candidates within window and limit: 0.4 % of 4,096, between the 0.2 and 1 % of a hard but possible search."""
MIDDLE: Final = (0.25, 0.75)
"""Quantiles of the feasible candidates' wavelengths between which centres are drawn."""
CENTRES: Final = 1000
CENSORED: Final = 40
INITIAL: Final = 5
"""Sobol points of a campaign without history: one more than there are degrees of freedom."""
SAMPLES: Final = 128
"""Sobol samples of the targets' joint posterior at each candidate."""
BLOCK: Final = 128
"""Candidates predicted together: joint predictions of so few cost little, and gpytorch's batches of one cost a lot."""
LEAST: Final = 1e-300
"""Keeps the logarithm of an improvement finite."""


@dataclass(frozen=True)
class Race:
    """A judged task: where everything lies, and where to arrive."""

    pool: CdSePool
    number: int
    """Of the task; the window's centre depends on it alone."""
    later: CdSePool | None = None
    """What the candidates give at the end of a campaign, where the chemistry drifts; between, linearly."""

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.pool.name

    @cached_property
    def window(self) -> tuple[float, float]:
        """Centre (nm) and limit of the line's width (nm).

        Raises:
            BadInput: No centre's window holds enough candidates.
        """
        feasible = [one for one in self.pool.outcomes if one.reason == COMPLETED]
        peaks, widths = np.array([one.emission_nm for one in feasible]), np.array([one.fwhm_nm for one in feasible])
        generator = np.random.default_rng([self.number, HELD])
        for _ in range(CENTRES):
            centre = round(float(generator.uniform(*np.quantile(peaks, MIDDLE))), 1)
            inside = np.sort(widths[np.abs(peaks - centre) <= WINDOW / 2])
            if len(inside) > HELD:
                return centre, float(inside[HELD - 1])
        raise BadInput(f"task {self.name}: no window of {WINDOW:g} nm holds {HELD} candidates")

    @property
    def objective(self) -> Objective:
        """Match the centre, and have the line as narrow as possible."""
        wavelength = Target(name="wavelength", unit="nm", goal="match", value=self.window[0], tolerance="2 nm")
        return Objective(targets=(wavelength, Target(name="fwhm", unit="nm", goal="minimise", low=25, high=80)))

    @cached_property
    def space(self) -> SearchSpace:
        """The pool as a table of candidates."""
        return SearchSpace(parameters=cdse_space().parameters, candidates=self.pool.configurations)

    @cached_property
    def index(self) -> dict[object, int]:
        """Key of a configuration -> its place in the pool."""
        return {self.space.key(row): place for place, row in enumerate(self.pool.configurations)}

    def outcome(self, row: Configuration, number: int) -> CdSeOutcome:
        """Return what an experiment gives without noise, the `number`-th of its campaign."""
        place = self.index[self.space.key(row)]
        first = self.pool.outcomes[place]
        if self.later is None:
            return first
        last, share = self.later.outcomes[place], (number - 1) / CENSORED
        if COMPLETED not in (first.reason, last.reason) or first.reason != last.reason:
            return first if share < 0.5 else last
        mixed = [(1 - share) * getattr(first, name) + share * getattr(last, name) for name in _NUMBERS]
        return CdSeOutcome(COMPLETED, *mixed)

    def arrived(self, outcome: CdSeOutcome) -> bool:
        """Tell whether an outcome lies within window and limit."""
        centre, limit = self.window
        near = abs(outcome.emission_nm - centre) <= WINDOW / 2
        return outcome.reason == COMPLETED and near and outcome.fwhm_nm <= limit


_NUMBERS: Final = ("conversion", "emission_nm", "fwhm_nm", "quantum_yield", "diameter_nm")


def run(race: Race, policy: Policy, *, seed: int) -> int | None:
    """Experiment until the window is reached; return how many experiments it took, None where the censoring came first."""
    generator, noise = np.random.default_rng([race.number, seed]), EmissionNoise()
    asked: list[Configuration] = []
    observed: list[Observation] = []
    infeasible: list[Infeasible] = []
    for number in range(1, CENSORED + 1):
        known = Knowledge(observations=tuple(observed), infeasible=tuple(infeasible), excluded=tuple(asked), as_of=number)
        row = policy.propose(known, count=1, seed=seed_of(race.name, seed))[0].configuration
        outcome = race.outcome(row, number)
        if race.arrived(outcome):
            return number
        asked.append(row)
        if outcome.reason == COMPLETED:
            observed.append(noise.observe(row, outcome, generator))
        else:
            infeasible.append(Infeasible(row, outcome.reason))
    return None


def seed_of(name: str, seed: int) -> int:
    """Return the seed of a campaign's proposals."""
    return int(hashlib.sha256(f"{name}/{seed}".encode()).hexdigest()[:7], 16)


class Candidates(Protocol):
    """All that may be tried."""

    @property
    def configurations(self) -> tuple[dict[str, float | str], ...]:
        """In the order of their places."""
        ...


class Table(Protocol):
    """A race as a policy sees it."""

    @property
    def pool(self) -> Candidates:
        """What may be tried."""
        ...

    @property
    def space(self) -> SearchSpace:
        """The same as a space."""
        ...

    @property
    def index(self) -> dict[object, int]:
        """Key of a configuration -> its place."""
        ...

    @property
    def objective(self) -> Objective:
        """What is wanted."""
        ...


@dataclass(frozen=True)
class PoolPolicy(Policy):
    """Expected improvement of the objective over a table, by samples of independent predictions: the campaign's question, faster.

    The campaign's own policy asks for the improvement on the joint posterior of measured and new points. With noise far
    below the window's width, as here, the two differ little; this one takes milliseconds where that one takes seconds.
    """

    race: Table
    learner: Learner
    initial: int
    _encoded: dict[str, Tensor] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    @override
    def name(self) -> str:
        return "pool-improvement/1"

    @property
    @override
    def settings(self) -> dict[str, object]:
        return {"initial": self.initial, "samples": SAMPLES}

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Propose the best candidate that was not asked for; only one at a time."""
        if len(knowledge.excluded) < self.initial or (self.learner.needs_measurements and not knowledge.observations):
            return SobolPolicy(self.race.space).propose(knowledge, count=1, seed=seed)
        data = training_data(Encoding(self.race.space), self.race.objective, knowledge.observations)
        surrogate = self.learner.fit(data, seed=seed)
        score = Score(self.race.objective, tuple(target.unit for target in data))
        values = self._log_improvement(surrogate, score, knowledge, seed)
        values[[self.race.index[self.race.space.key(row)] for row in knowledge.excluded]] = -math.inf
        best = torch.nonzero(values >= values.max()).flatten()
        chosen = best[torch.randint(len(best), (1,), generator=torch.Generator().manual_seed(seed))]
        return (Suggestion(dict(self.race.pool.configurations[int(chosen)]), self.name, acquisition=float(values.max())),)

    def _log_improvement(self, surrogate: Surrogate, score: Score, knowledge: Knowledge, seed: int) -> Float[Tensor, " n"]:
        X = self._candidates
        measured = X[[self.race.index[self.race.space.key(one.configuration)] for one in knowledge.observations]]
        normal = _normal_samples(len(score.units), seed)
        with torch.no_grad():
            total = torch.zeros(len(X), dtype=X.dtype)
            for weight, model in surrogate.components():
                incumbent = float(score(model.posterior(measured.unsqueeze(-2)).mean.squeeze(-2)).max()) if len(measured) else -math.inf
                found = [model.posterior(X[start : start + BLOCK]) for start in range(0, len(X), BLOCK)]
                mean, sd = torch.cat([one.mean for one in found]), torch.cat([one.variance.clamp_min(0.0).sqrt() for one in found])
                scores = score(mean + sd * normal.unsqueeze(1))
                total += weight * ((scores - incumbent).clamp_min(0.0) if len(measured) else scores).mean(dim=0)
            return total.clamp_min(LEAST).log() + self._penalty(X, knowledge.infeasible)

    def _penalty(self, X: Float[Tensor, "n d"], infeasible: Sequence[Infeasible]) -> Float[Tensor, " n"]:
        """Lower the score near infeasible configurations, as the campaign's policy does."""
        if not infeasible:
            return torch.zeros(len(X), dtype=X.dtype)
        places = [self.race.index[self.race.space.key(one.configuration)] for one in infeasible]
        squared = (X.unsqueeze(1) - X[places]).square().sum(dim=-1)
        return torch.log((1.0 - torch.exp(-squared / AVOIDED_RADIUS**2)).clamp_min(NEVER)).sum(dim=-1)

    @property
    def _candidates(self) -> Float[Tensor, "n d"]:
        if "X" not in self._encoded:
            self._encoded["X"] = Encoding(self.race.space).encode(self.race.pool.configurations)
        return self._encoded["X"]


def _normal_samples(width: int, seed: int) -> Float[Tensor, "s m"]:
    """Draw standard normal numbers evenly."""
    engine = torch.quasirandom.SobolEngine(width, scramble=True, seed=seed)  # type: ignore[no-untyped-call]  # torch is partly untyped
    uniform = engine.draw(SAMPLES, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    found: Tensor = torch.special.ndtri(uniform)
    return found
