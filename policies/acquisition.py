"""What a measurement at a configuration is worth: expected improvement of the objective, in log space [Ament2023].

The objective is computed on joint samples of the targets. No model is ever fitted to the combined score: a match or a
weighted mean of targets is not Gaussian even where each target is.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import torch
from botorch.acquisition import AcquisitionFunction, LogExpectedImprovement
from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective, ScalarizedPosteriorTransform
from botorch.sampling import MCSampler
from botorch.sampling.normal import SobolQMCNormalSampler
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Model, Surrogate
from models.feasibility import Feasibility, LearnedFeasibility
from models.pinned import Functions, moments
from orchestrator.domain.records import Prediction
from orchestrator.suggestions import Spread
from policies.cost import Charge
from policies.drawn import DrawnImprovement, drawn_improvement
from policies.exploring import LEARNT, IntegratedReduction, integrated_reduction
from policies.limits import limits_at
from policies.pareto import DrawnTradeOff, Utilities, drawn_trade_off, is_by_volume
from policies.score import Score
from policies.settings import AcquisitionKind

AVOIDED_RADIUS: Final = 0.1
"""Distance, in encoded units, at which the penalty near an infeasible configuration has faded to a third of its start."""
NEVER: Final = 1e-12
"""Least chance that a configuration known to be infeasible is granted: keeps the logarithm finite."""
Computed = AcquisitionKind | Literal["log-nehvi", "log-nparego", "log-imse", "log-targeted-imse"]
"""What an acquisition function computes."""
_SAMPLER_SEEDS: Final = 2**31
"""Sobol samplers take seeds below it."""


class Acquisition(Protocol):
    """Scores t-batches of `q` joint points; larger is better."""

    def __call__(self, X: Float[Tensor, "*b q d"], /) -> Float[Tensor, " *b"]:
        """Return one log value per t-batch, differentiable."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """All that an acquisition function is built from."""

    surrogate: Surrogate
    score: Score
    measured: Float[Tensor, "n d"]
    """Where anything was measured that may still be proposed: the points to improve on."""
    pending: Float[Tensor, "p d"]
    """What is running and what the batch has so far, where it may still be proposed: to be improved on too."""
    infeasible: Float[Tensor, "f d"]
    kind: AcquisitionKind
    samples: int
    seed: int
    expected: Float[Tensor, "e d"] | None = None
    """Where nothing is measured in what is allowed: where the surrogate expects most of it; its mean there is to be improved on."""
    functions: Functions | None = None
    """Of the surrogate, where they are known already: those of a batch are the same for all of it."""
    apart: bool = False
    """Whether each combination of components has an acquisition function of its own."""
    feasibility: LearnedFeasibility | None = None
    """What is learned of the infeasible; without it their surroundings are avoided."""
    everywhere: Float[Tensor, "r d"] | None = None
    """Points all over what is allowed, where the response is to be learned: for objectives that ask for that."""
    charge: Charge | None = None
    """What the cost of an experiment takes off its score; None where cost does not count."""
    listed: bool = False
    """Whether all that may be proposed is listed: in a table, or since it is little."""

    def smoothed(self) -> "Question":
        """Return the same with costs read off a smooth curve: for points that no bench could be asked about."""
        return self if self.charge is None else replace(self, charge=replace(self.charge, smooth=True))

    @property
    def goalposts(self) -> Float[Tensor, "n d"]:
        """Where the score to improve on is attained."""
        return self.measured if self.expected is None else self.expected

    def moments(self, X: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
        """Return means and deviations of the targets at points, each by itself."""
        if self.functions is not None:
            return moments(self.functions, X)
        posterior = self.surrogate.posterior(X.unsqueeze(-2))
        with torch.no_grad():
            return posterior.mean.squeeze(-2), posterior.variance.clamp_min(0.0).sqrt().squeeze(-2)

    def predicted(self, x: Float[Tensor, "1 d"]) -> dict[str, Prediction]:
        """Return what is expected of a new measurement at a configuration, noise included, in the targets' units."""
        return predicted(self.surrogate, self.score, x)


def predicted(surrogate: Surrogate, score: Score, x: Float[Tensor, "1 d"]) -> dict[str, Prediction]:
    """Return what a surrogate expects of a new measurement at a configuration, noise included, in the targets' units."""
    with torch.no_grad():
        means = surrogate.posterior(x).mean[0].tolist()
        epistemic, aleatoric = surrogate.variance_parts(x)
        variances = (epistemic + aleatoric)[0].tolist()
    named = zip(score.objective.names, score.units, means, variances, strict=True)
    return {name: Prediction(mean=unit * mean, sd=unit * variance**0.5) for name, unit, mean, variance in named}


def spreads(surrogate: Surrogate, score: Score, x: Float[Tensor, "1 d"]) -> dict[str, Spread]:
    """Return of what the uncertainties of `predicted` are made, in the targets' units."""
    with torch.no_grad():
        epistemic, aleatoric = (part[0].sqrt().tolist() for part in surrogate.variance_parts(x))
    named = zip(score.objective.names, score.units, epistemic, aleatoric, strict=True)
    return {name: Spread(unit * known, unit * noise) for name, unit, known, noise in named}


@dataclass(frozen=True, slots=True)
class LogImprovement(Acquisition):
    """Log expected improvement, averaged over the surrogate's components in log space."""

    parts: tuple[tuple[float, Acquisition], ...]
    """Log weight, acquisition function; values in units of `scale`."""
    scale: float
    """What one unit of improvement is, in the objective's own unit."""
    feasibility: Feasibility
    kind: Computed
    """What is computed: with experiments pending there is no closed form, and `log-nei` stands in for `log-ei`."""
    limited: DrawnImprovement | None = None
    """What improves and keeps the limits; None where there are none."""
    charge: Charge | None = None

    @override
    def __call__(self, X: Float[Tensor, "*b q d"], /) -> Float[Tensor, " *b"]:
        parts = torch.stack([weight + part(X) for weight, part in self.parts])
        worth = torch.logsumexp(parts, dim=0) + math.log(self.scale) + self.feasibility.log_probability(X)
        return worth if self.charge is None else worth - self.charge(X)


@dataclass(frozen=True, slots=True)
class Surroundings(Feasibility):
    """A rule instead of a model: the score is lowered near infeasible configurations, by log(1 - exp(-(r/radius)^2)) each."""

    points: Float[Tensor, "f d"]
    """The infeasible ones."""

    @override
    def log_probability(self, X: Float[Tensor, "*b q d"]) -> Float[Tensor, " *b"]:
        if not len(self.points):
            return X.new_zeros(X.shape[:-2])
        squared = (X.unsqueeze(-2) - self.points).square().sum(dim=-1)
        near = torch.exp(-squared / AVOIDED_RADIUS**2)
        return torch.log((1.0 - near).clamp_min(NEVER)).sum(dim=(-1, -2))


def build_acquisition(question: Question) -> LogImprovement:
    """Build the acquisition function; the caller holds `repeatable`, since BoTorch draws from the global generator."""
    feasibility = Surroundings(question.infeasible) if question.feasibility is None else question.feasibility
    aim = question.score.objective.kind
    if aim == "pareto":
        trade_off = _trade_off(question)
        several: Computed = "log-nehvi" if is_by_volume(len(question.score.units), listed=question.listed) else "log-nparego"
        return LogImprovement(((0.0, trade_off),), trade_off.scale, feasibility, several, charge=question.charge)
    if aim in LEARNT:
        learnt: Computed = "log-imse" if aim == "explore" else "log-targeted-imse"
        return LogImprovement(((0.0, _learning(question)),), 1.0, feasibility, learnt, charge=question.charge)
    scale = _spread(question)
    kind: AcquisitionKind = "log-nei" if len(question.pending) else question.kind
    if kind == "log-nei" and not question.apart:
        drawn = _drawn(question, scale)
        limited = None if drawn.limits is None else drawn
        return LogImprovement(((0.0, drawn),), scale, feasibility, kind, limited=limited, charge=question.charge)
    builder = _hopeful if kind == "log-nei" and question.expected is not None else _BUILDERS[kind]
    parts = [(math.log(weight), builder(question, model, scale)) for weight, model in question.surrogate.components()]
    return LogImprovement(tuple(parts), scale, feasibility, kind, charge=question.charge)


def _spread(question: Question) -> float:
    """Return the spread of scores among measured points and within their predictions: BoTorch smooths on a scale of one."""
    mean, sd = question.moments(question.goalposts)
    with torch.no_grad():
        scores = torch.cat([question.score(mean), question.score(mean + sd), question.score(mean - sd)])
    spread = float(scores.std())
    return spread if spread > 0 else 1.0


def _functions(question: Question) -> Functions:
    return question.functions if question.functions is not None else question.surrogate.functions()


def _trade_off(question: Question) -> DrawnTradeOff:
    with torch.no_grad():
        posterior = question.surrogate.posterior(question.goalposts.unsqueeze(-2))
        mean, sd = posterior.mean.squeeze(-2), posterior.variance.clamp_min(0.0).sqrt().squeeze(-2)
    utilities = Utilities.among(question.score, mean, sd)
    return drawn_trade_off(
        _functions(question),
        utilities,
        utilities.all(mean),
        measured=question.measured,
        pending=question.pending,
        expected=question.expected,
        listed=question.listed,
        samples=question.samples,
        seed=question.seed,
    )


def _learning(question: Question) -> IntegratedReduction:
    assert question.everywhere is not None
    return integrated_reduction(question.surrogate, _functions(question), question.score, question.everywhere, question.pending)


def _drawn(question: Question, scale: float) -> DrawnImprovement:
    return drawn_improvement(
        _functions(question),
        question.score,
        measured=question.measured,
        pending=question.pending,
        expected=question.expected,
        scale=scale,
        samples=question.samples,
        seed=question.seed,
        limits=limits_at(question.surrogate, question.score, question.measured, question.goalposts),
    )


def _noisy(question: Question, model: Model, scale: float) -> AcquisitionFunction:
    # replicates are one point to improve on: equal rows would make the joint covariance singular
    baseline = torch.unique(question.measured, dim=0)
    return qLogNoisyExpectedImprovement(
        model,
        baseline,
        sampler=_sampler(question),
        objective=_scaled(question.score, scale),
        X_pending=_unless_empty(question.pending),
        prune_baseline=True,
        cache_root=None,  # where the model can
    )


def _hopeful(question: Question, model: Model, scale: float) -> AcquisitionFunction:
    # samples at points that nobody has measured are no level to improve on: every point far from them would seem better
    best = _best_mean(question, model) / scale
    objective, sampler = _scaled(question.score, scale), _sampler(question)
    if not len(question.pending):
        return qLogExpectedImprovement(model, best_f=best, sampler=sampler, objective=objective)
    return _BeyondPending(model, torch.unique(question.pending, dim=0), sampler=sampler, objective=objective, best=best)


class _BeyondPending(qLogNoisyExpectedImprovement):  # type: ignore[misc]  # botorch is untyped here
    """What one more experiment adds to a level, or to what pending ones may bring above it."""

    def __init__(
        self, model: Model, pending: Float[Tensor, "p d"], *, sampler: MCSampler, objective: GenericMCObjective, best: Float[Tensor, ""]
    ) -> None:
        super().__init__(model, pending, sampler=sampler, objective=objective, prune_baseline=False, cache_root=None)
        self._best = best

    @override
    def compute_best_f(self, obj: Float[Tensor, "*s b q"]) -> Float[Tensor, "*s b"]:
        return torch.maximum(super().compute_best_f(obj), self._best.to(obj))


def _best_mean(question: Question, model: Model) -> Float[Tensor, ""]:
    with torch.no_grad():
        return question.score(model.posterior(question.goalposts.unsqueeze(-2)).mean.squeeze(-2)).max()


def _noiseless(question: Question, model: Model, scale: float) -> AcquisitionFunction:
    best = _best_mean(question, model)
    # the score of one such target is a straight line
    zero, one = question.score(torch.tensor([[0.0], [1.0]], dtype=best.dtype))
    transform = ScalarizedPosteriorTransform(weights=(one - zero).reshape(1) / scale, offset=float(zero) / scale)
    return LogExpectedImprovement(model, best_f=best / scale, posterior_transform=transform)


_BUILDERS: Final = {"log-nei": _noisy, "log-ei": _noiseless}


def _scaled(score: Score, scale: float) -> GenericMCObjective:
    return GenericMCObjective(lambda samples, X=None: score(samples) / scale)  # noqa: ARG005 - botorch hands X over by name


def _sampler(question: Question) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([question.samples]), seed=question.seed % _SAMPLER_SEEDS)


def _unless_empty(X: Float[Tensor, "p d"]) -> Float[Tensor, "p d"] | None:
    return X if len(X) else None
