"""What a bench's twin knows of one target, as a prior: its prediction, and how each constant moves it, are columns of a process.

    f(x) = b_0 + b_1 m(x) + sum_p z_p s_p(x) + u(x)

with the prediction m, its change s_p per prior standard deviation of constant p on the scale on which that prior is normal, b_1 about
one, z_p standard normal, and free functions u for what the twin lacks [Kennedy and O'Hagan, J. R. Stat. Soc. B 63 (2001) 425,
10.1111/1467-9868.00294]. All coefficients are integrated out. Columns are known at the rows of a table; between them each is the mean
of a Gaussian process of its own, so that a search may ask anywhere and follow slopes.

The guard knows nothing of the twin, not even in what units its values are of the order of one: it is the process with the beliefs of
campaigns without a history, in the units of what was measured. So a twin that is off by any factor costs the guard nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import spread_of
from models.gaussian_processes.conditioning import Adapted, Conditioned
from models.gaussian_processes.kernels import Layout, neutral_kernel
from models.gaussian_processes.single_task import GUESSED_SPREAD
from models.inputs.features import Features
from models.source_basis.basis import Basis
from models.source_basis.calibration import Inflation
from models.source_basis.guarded import FRESH_NOISE_DEVIATION, GUESSED_NOISE, DefaultPrior, fresh_process, weighed
from models.source_basis.learner import LEAST_SUPPORT, SourceBasisPrior, variance_notes
from models.source_basis.process import Beliefs, Skeleton
from models.source_basis.source_posterior import SourcePosterior, fit_source
from models.tasks import Prior, Scale, TaskData
from orchestrator.errors import BadInput

NAME: Final = "twin/1"
LEAST_PREDICTED: Final = 8
"""Rows of a table in which a twin must predict a target: of fewer no function can be made."""
FITTED: Final = 96
"""Rows from which a column's length scales are fitted; 240 gave the same errors between rows on three twins, at three times the time."""
LEVEL_DEVIATION: Final = 0.5
PREDICTION_DEVIATION: Final = 0.2
"""Of the level, in the prediction's spreads, and of the prediction's coefficient: our own choice."""
LACKING: Final = (-5.0, -3.5, -3.5, -4.0)
LACKING_DEVIATION: Final = 1.0
"""Logarithms of the variances of what a twin lacks, in its spreads: short, middle and long reach, single parameters; our own choice."""
MOVES_NOTHING: Final = 1e-3
"""A constant that moves a target by less than this part of its spread has no column."""
BESIDE: Final = 2.0
"""Values for which the twin's spread counts beside the measured ones in the guard's: our own choice."""
MOSTLY: Final = 19
"""Of twenty runs of which a twin that is right says that something comes of them, so many give something: our own choice."""
TRUST: Final = 0.5
"""Weight of the twin before the first experiment: nobody has seen how often twins help."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a twin says of one target at `n` rows of a campaign's encoding."""

    target: str
    X: Float[Tensor, "n d"]
    mean: Float[Tensor, " n"]
    """In the target's unit; NaN where nothing can be measured."""
    moved: Float[Tensor, "n p"]
    """Change per prior standard deviation of each constant, on the scale on which its prior is normal; NaN where unknown."""
    constants: tuple[str, ...]

    def there(self) -> "Predictions":
        """Return the rows in which there is a prediction; a slope that is unknown there counts as none.

        Raises:
            BadInput: There are too few.
        """
        kept = self.mean.isfinite()
        if (count := int(kept.sum())) < LEAST_PREDICTED:
            raise BadInput(f"the twin predicts {self.target} in {count} of {len(kept)} configurations; expected {LEAST_PREDICTED} or more")
        return replace(self, X=self.X[kept], mean=self.mean[kept], moved=self.moved[kept].nan_to_num(nan=0.0))


@dataclass(frozen=True)
class Columns(Basis):
    """Functions that are columns themselves, each with a coefficient of its own."""

    @property
    @override
    def set_names(self) -> tuple[str, ...]:
        return ()

    @property
    @override
    def columns(self) -> int:
        return len(self.sources)

    @override
    def __call__(self, X: Float[Tensor, "*b n d"]) -> tuple[Float[Tensor, "*b n a"], tuple[Float[Tensor, "*b n s"], ...]]:
        return self.combined(self.functions(X))

    @override
    def combined(self, G: Float[Tensor, "*b n t"]) -> tuple[Float[Tensor, "*b n a"], tuple[Float[Tensor, "*b n s"], ...]]:
        return G, ()


@dataclass(frozen=True)
class Unacquainted:
    """The guard: it learns even its units from what was measured, the spread beginning at the twin's."""

    fresh: SourceBasisPrior
    """In the twin's units, in which the likelihood is told."""

    @property
    def scale(self) -> Scale:
        """The twin's."""
        return self.fresh.scale

    def conditioned(self, task: TaskData) -> tuple[Conditioned, float]:
        """Return the adapted process and the log likelihood of the support in the twin's standard units.

        Level and spread are two numbers that were taken from the data, for each of which half a logarithm of their number is taken off
        (G. Schwarz, Ann. Stat. 6 (1978) 461, 10.1214/aos/1176344136).
        """
        own, n = self._own(task.Y), len(task.Y)
        model, likelihood = replace(self.fresh, scale=own).conditioned(task)
        if n < LEAST_SUPPORT:
            return model, likelihood
        return model, likelihood + n * math.log(self.scale.spread / own.spread) - math.log(n)

    def _own(self, Y: Float[Tensor, " n"]) -> Scale:
        """Return the values' mean, and their spread with the twin's counted beside them: a few flat values are no proof of flatness."""
        if not len(Y):
            return self.scale
        squares = BESIDE * self.scale.spread**2 + float((Y - Y.mean()).square().sum())
        return Scale(float(Y.mean()), math.sqrt(squares / (BESIDE + len(Y) - 1)))

    def state(self) -> dict[str, Any]:
        """Return what it is restored from."""
        return self.fresh.state()


@dataclass(frozen=True)
class GuardAlone(Prior):
    """The prior of a target of which the twin says nothing: the guard's process, in units of what was measured."""

    fresh: SourceBasisPrior

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Adapted:
        """Adapt to the task; at least one value has been measured."""
        level = float(task.Y.mean())
        scale = Scale(level, spread_of(task.Y) or GUESSED_SPREAD * abs(level) or 1.0)
        model, likelihood = replace(self.fresh, scale=scale).conditioned(task)
        return Adapted(NAME, ((1.0, model),), {**variance_notes(model), "log_likelihood": round(likelihood, 3)}, guard=model)

    @override
    def state(self) -> dict[str, Any]:
        return self.fresh.state()


def twin_prior(said: Predictions, features: Features, *, guard: bool, generator: torch.Generator) -> DefaultPrior:
    """Return the prior of one target.

    Args:
        said: What the twin predicts.
        features: Of the campaign's space.
        guard: Whether the model that knows nothing of the twin takes part.
        generator: Draws the rows from which length scales are fitted.

    Raises:
        BadInput: The twin predicts too little.
    """
    said = said.there()
    scale = _scale(said)
    standard = torch.cat([scale.standard(said.mean).unsqueeze(-1), said.moved / scale.spread], dim=-1)
    sizes = standard.square().mean(dim=0).sqrt()
    kept = [0, *(index for index in range(1, len(sizes)) if float(sizes[index]) > MOVES_NOTHING)]
    layout = Layout.of(features)
    names = [said.target, *(f"{said.target} by {name}" for name in said.constants)]
    sources = tuple(_source(names[index], said.X, standard[:, index], features, layout, generator) for index in kept)
    columns = Columns(features, sources, ())
    skeleton = Skeleton(features, neutral_kernel(layout), columns)
    informed = SourceBasisPrior(skeleton, _beliefs(sources, layout), scale, GUESSED_NOISE, None, integrated=True)
    fresh = replace(fresh_process(features, scale, GUESSED_NOISE), integrated=True)
    return DefaultPrior(informed, Unacquainted(fresh), TRUST, Inflation(), Inflation(), guard=guard, name=NAME)


def shaken(prior: DefaultPrior, said: Predictions, made: int, silent: Float[Tensor, "k d"] | None) -> DefaultPrior:
    """Return a prior that is trusted less the oftener nothing came of what its twin says something of.

    A failed run has no value that could speak against the twin. That the twin is right means that few fail (one of twenty, beta
    distributed); that it is not, any share. What could be made speaks for nobody.

    Args:
        prior: Of the twin.
        said: What the twin predicts; the row nearest to a configuration says whether anything comes of it.
        made: How many experiments gave a value.
        silent: What gave none.
    """
    if silent is None or not len(silent):
        return prior
    nearest = torch.cdist(silent, said.X).argmin(dim=-1)
    failed = int(said.mean[nearest].isfinite().sum())
    evidence = _log_beta(1 + failed, MOSTLY + made) - _log_beta(1, MOSTLY) - _log_beta(1 + failed, 1 + made)
    return replace(prior, trust=weighed(prior.trust, min(0.0, evidence), failed + made))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def guard_alone(features: Features) -> GuardAlone:
    """Return the prior of a target of which the twin says nothing."""
    return GuardAlone(fresh_process(features, Scale(0.0, 1.0), GUESSED_NOISE))


def _scale(said: Predictions) -> Scale:
    """Return the prediction's mean over the rows, and the spread that it and its constants give together."""
    spread = float((said.mean.var(correction=0) + said.moved.square().sum(dim=-1).mean()).sqrt())
    return Scale(float(said.mean.mean()), spread or 1.0)


def _source(name: str, X: Tensor, values: Tensor, features: Features, layout: Layout, generator: torch.Generator) -> SourcePosterior:
    return fit_source(TaskData(name, X, values), features(X), layout, generator, centred=False, fitted=FITTED)


def _beliefs(sources: Sequence[SourcePosterior], layout: Layout) -> Beliefs:
    """Return beliefs of the level, the prediction's coefficient and the constants', and of the logarithms of variances."""
    sizes = torch.tensor([one.spread for one in sources], dtype=torch.float64)
    about = torch.zeros_like(sizes)
    about[0] = 1.0
    deviations = torch.ones_like(sizes)
    deviations[0] = PREDICTION_DEVIATION
    lacking = LACKING if len(layout.parameters) > 1 else LACKING[:-1]
    return Beliefs(
        torch.cat([torch.zeros_like(sizes[:1]), about * sizes]),
        torch.cat([torch.full_like(sizes[:1], LEVEL_DEVIATION), deviations * sizes]),
        torch.tensor([*lacking, 0.0], dtype=torch.float64),
        torch.tensor([LACKING_DEVIATION] * len(lacking) + [FRESH_NOISE_DEVIATION], dtype=torch.float64),
    )
