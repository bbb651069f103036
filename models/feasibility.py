"""What can be made at all, learned from the runs that could not: one classifier for each reason, by Laplace's method.

A latent function g has the kernel of a family's fresh process and a constant; an experiment is spared the reason with chance
Phi(g(x)), Phi being the normal distribution function. Given the kernel's numbers, g is replaced by the Gaussian around its most
probable values [Rasmussen2006, algorithms 3.1 and 3.2]; the numbers themselves are those of greatest evidence times prior. The
probit link keeps the chance of a new experiment in closed form, with gradients.

Reasons are taken as independent causes of which a run reveals the first: a completed run was spared each of them, an infeasible
one says nothing of the reasons that it did not meet. The likelihood is then a product over reasons, and so is the chance.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.gaussian_processes.conditioning import canonical_order
from models.gaussian_processes.fitting import minimise
from models.gaussian_processes.kernels import FamilyKernel, Layout, neutral_kernel
from models.inputs.features import Features

LEAST_PROBABILITY: Final = 1e-3
"""Chance that is granted to any configuration: a classifier of a few runs knows nothing for certain."""
_LEVEL: Final = 1.0
"""Expected value of the latent function where nothing is known: most recipes that people allow can be made."""
_LEVEL_DEVIATION: Final = 1.0
_LENGTH_DEVIATION: Final = math.sqrt(3.0)
"""Of the logarithm of a length scale around the neutral one [Hvarfner2024]: an input may not matter at all."""
_VARIANCES: Final = (math.log(4.0), math.log(4.0))
"""Means of the logarithms of the latent function's variances (all inputs together, single parameters): a border may be sharp."""
_VARIANCE_DEVIATION: Final = 1.0
_JITTER: Final = 1e-6
"""Added to the diagonal: rows may be equal."""
_NEWTON: Final = 50
"""Steps at most towards the most probable latent values; ten are usual."""
_CONVERGED: Final = 1e-10
"""Gain of a step in the log posterior below which it is the last."""
_SHORTEST: Final = 1e-4
"""Part of a step that is tried last."""
_LEAST_CURVATURE: Final = 1e-30
"""Of the log likelihood: far from the border it is none, and a root has no slope at zero."""
_FIT_ITERATIONS: Final = 40


class Feasibility(Protocol):
    """Says how likely configurations are to give something to measure."""

    def log_probability(self, X: Float[Tensor, "*b q d"]) -> Float[Tensor, " *b"]:
        """Return the logarithm of the chance that all of `q` points can be made, differentiably."""
        ...


@dataclass(frozen=True, slots=True)
class LearnedFeasibility(Feasibility):
    """The chance of being spared every reason that was met."""

    features: Features
    causes: Mapping[str, "Classifier"]
    """By reason, in alphabetical order."""

    @override
    def log_probability(self, X: Float[Tensor, "*b q d"]) -> Float[Tensor, " *b"]:
        total = X.new_zeros(X.shape[:-1])
        F = self.features(X)
        for one in self.causes.values():
            total = total + one.log_probability(F)
        return total.clamp_min(math.log(LEAST_PROBABILITY)).sum(dim=-1)

    def spared(self, X: Float[Tensor, "n d"]) -> Mapping[str, Float[Tensor, " n"]]:
        """Return the chance to be spared each reason; all of it is their product."""
        with torch.no_grad():
            return {reason: one.log_probability(self.features(X)).exp() for reason, one in self.causes.items()}


def learn_feasibility(
    features: Features, completed: Float[Tensor, "n d"], infeasible: Mapping[str, Float[Tensor, "f d"]]
) -> LearnedFeasibility:
    """Learn from completed runs and, by reason, infeasible ones; the order of rows does not count."""
    good = features(completed)
    causes = {reason: _classifier(features, good, features(infeasible[reason])) for reason in sorted(infeasible)}
    return LearnedFeasibility(features, causes)


def _classifier(features: Features, good: Float[Tensor, "n f"], bad: Float[Tensor, "k f"]) -> "Classifier":
    F, signs = torch.cat([good, bad]), torch.cat([good.new_ones(len(good)), -bad.new_ones(len(bad))])
    order = canonical_order(F, signs)
    return fit_classifier(Layout.of(features), F[order], signs[order])


@dataclass(frozen=True, slots=True)
class LatentKernel:
    """Covariance of the latent function around its expected level."""

    family: FamilyKernel
    variances: Float[Tensor, " 2"]
    """Of all inputs together, and of single parameters."""

    @staticmethod
    def of(layout: Layout, theta: Float[Tensor, " p"]) -> "LatentKernel":
        """Build the kernel of fitted numbers: logarithms of variances, and of lengths over the neutral ones."""
        neutral = neutral_kernel(layout)
        return LatentKernel(FamilyKernel(layout, neutral.log_lengths + theta[2:], neutral.shares), theta[:2].exp())

    def __call__(self, A: Float[Tensor, "*b n f"], B: Float[Tensor, "*b m f"]) -> Float[Tensor, "*b n m"]:
        """Return covariances."""
        A, B = self.family.scaled(A), self.family.scaled(B)
        (product,) = self.family.products(A, B, (1.0,))
        return _LEVEL_DEVIATION**2 + self.variances[0] * product + self.variances[1] * self.family.additive(A, B)

    @property
    def variance(self) -> Float[Tensor, ""]:
        """At any point."""
        return _LEVEL_DEVIATION**2 + self.variances.sum()


@dataclass(frozen=True, slots=True)
class Classifier:
    """The Gaussian around the most probable latent values, and what it says of new points."""

    kernel: LatentKernel
    F: Float[Tensor, "n f"]
    slope: Float[Tensor, " n"]
    """Of the log likelihood at the most probable values."""
    root: Float[Tensor, " n"]
    """Of the likelihood's curvature there."""
    factor: Float[Tensor, "n n"]
    """Lower Cholesky factor of 1 + root K root."""
    evidence: float
    """Logarithm of the approximate marginal likelihood."""

    def moments(self, F: Float[Tensor, "*b f"]) -> tuple[Float[Tensor, " *b"], Float[Tensor, " *b"]]:
        """Return mean and variance of the latent function [Rasmussen2006, algorithm 3.2]."""
        flat = F.reshape(-1, F.shape[-1])
        K = self.kernel(flat, self.F)
        half = torch.linalg.solve_triangular(self.factor, self.root.unsqueeze(-1) * K.mT, upper=False)
        mean, variance = _LEVEL + K @ self.slope, self.kernel.variance - half.square().sum(dim=0)
        return mean.reshape(F.shape[:-1]), variance.clamp_min(0.0).reshape(F.shape[:-1])

    def log_probability(self, F: Float[Tensor, "*b f"]) -> Float[Tensor, " *b"]:
        """Return the logarithm of the chance to be spared."""
        mean, variance = self.moments(F)
        found: Tensor = torch.special.log_ndtr(mean / (1.0 + variance).sqrt())
        return found


def fit_classifier(layout: Layout, F: Float[Tensor, "n f"], signs: Float[Tensor, " n"]) -> Classifier:
    """Fit the kernel's numbers by evidence and prior.

    Args:
        layout: Of the features.
        F: Features, in an order that does not depend on how rows came in.
        signs: 1 where a run was spared, -1 where it was not.
    """
    centre = torch.tensor([*_VARIANCES, *[0.0] * layout.lengths], dtype=F.dtype)
    deviation = torch.tensor([_VARIANCE_DEVIATION] * 2 + [_LENGTH_DEVIATION] * layout.lengths, dtype=F.dtype)

    def loss(theta: Tensor) -> Tensor:
        prior = 0.5 * ((theta - centre) / deviation).square().sum()
        return prior - log_evidence(LatentKernel.of(layout, theta)(F, F), signs)

    theta = minimise(loss, centre, max_iter=_FIT_ITERATIONS)
    return classifier(LatentKernel.of(layout, theta), F, signs)


def classifier(kernel: LatentKernel, F: Float[Tensor, "n f"], signs: Float[Tensor, " n"]) -> Classifier:
    """Return the approximation with given numbers."""
    with torch.no_grad():
        K = _covariance(kernel(F, F))
        step = _most_probable(K, signs)
        return Classifier(kernel, F, step.slope, step.root, step.factor, float(step.evidence))


def log_evidence(K: Float[Tensor, "n n"], signs: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the logarithm of Laplace's marginal likelihood, with its slope in K [Rasmussen2006, equation 3.32].

    The most probable values move with K. One more Newton step from them, differentiated, has the slope of the values
    themselves: where a step leads nowhere it does not depend, to first order, on where it began.
    """
    K = _covariance(K)
    with torch.no_grad():
        values = _most_probable(K, signs).values
    return _Step.at(K, signs, _LEVEL + K @ _Step.at(K, signs, values).weights).evidence


def _covariance(K: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    return K + _JITTER * torch.eye(len(K), dtype=K.dtype)


@dataclass(frozen=True, slots=True)
class _Step:
    """Latent values, and the log posterior there to second order."""

    K: Float[Tensor, "n n"]
    values: Float[Tensor, " n"]
    likelihood: Float[Tensor, ""]
    slope: Float[Tensor, " n"]
    root: Float[Tensor, " n"]
    factor: Float[Tensor, "n n"]

    @staticmethod
    def at(K: Float[Tensor, "n n"], signs: Float[Tensor, " n"], values: Float[Tensor, " n"]) -> "_Step":
        """Expand the log likelihood of the probit link [Rasmussen2006, equation 3.16]."""
        logs = torch.special.log_ndtr(signs * values)
        ratio = torch.exp(-0.5 * values.square() - 0.5 * math.log(2.0 * math.pi) - logs)
        root = (ratio.square() + signs * values * ratio).clamp_min(_LEAST_CURVATURE).sqrt()
        B = torch.eye(len(K), dtype=K.dtype) + root.unsqueeze(-1) * K * root
        return _Step(K, values, logs.sum(), signs * ratio, root, torch.linalg.cholesky(B))

    @property
    def weights(self) -> Float[Tensor, " n"]:
        """K^-1 (values - level) where Newton's method goes [Rasmussen2006, algorithm 3.1]."""
        target = self.root.square() * (self.values - _LEVEL) + self.slope
        solved = torch.cholesky_solve((self.root * (self.K @ target)).unsqueeze(-1), self.factor).squeeze(-1)
        return target - self.root * solved

    @property
    def evidence(self) -> Float[Tensor, ""]:
        """The approximate log marginal likelihood at the most probable values, where K^-1 (values - level) is the slope."""
        return self.likelihood - 0.5 * self.slope @ (self.values - _LEVEL) - self.factor.diagonal().log().sum()


def _most_probable(K: Float[Tensor, "n n"], signs: Float[Tensor, " n"]) -> _Step:
    """Climb to the most probable latent values by Newton's method, with shorter steps where a whole one leads down."""
    weights = torch.zeros_like(signs)
    step = _Step.at(K, signs, _LEVEL + K @ weights)
    height = float(step.likelihood)
    for _ in range(_NEWTON):
        aim, part, gain = step.weights, 1.0, -math.inf
        while gain < 0.0 and part > _SHORTEST:
            tried = weights + part * (aim - weights)
            found = _Step.at(K, signs, _LEVEL + K @ tried)
            gain = float(found.likelihood - 0.5 * tried @ (found.values - _LEVEL)) - height
            part *= 0.5
        if gain < 0.0:
            break
        weights, step, height = tried, found, height + gain
        if gain < _CONVERGED:
            break
    return step
