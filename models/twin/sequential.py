"""New runs in the order of time, each predicted from the pairs and the new runs before it.

`innovations` are what a drift is watched on. Variances are not known but drawn: from a normal distribution about the most
probable logarithms, weighted by their posterior, and weighted anew by each run that comes [Gordon1993]. A run's value is put
into the mixture of all draws' predictions, and the probability found there back into a normal score [Rosenblatt1952, Dawid1984]:

    u_i = sum_s w_s Phi((y_i - m_si) / s_si),   z_i = Phi^-1(u_i)

So level, constants and all variances, that of the noise too, count with what is not known of them, and the charts begin by
themselves [Hawkins1987]: with noise of an unknown variance and nothing else the mixture would be Student's t.

`recalibrated` are predictions by a twin that is recalibrated with each run: its level and its constants walk at random from run
to run, so that what is long past is forgotten [West1997].

[Gordon1993]: N. J. Gordon, D. J. Salmond, A. F. M. Smith, IEE Proc. F 140, 107 (1993), 10.1049/ip-f-2.1993.0015.
[Rosenblatt1952]: M. Rosenblatt, Ann. Math. Stat. 23, 470 (1952), 10.1214/aoms/1177729394.
[Dawid1984]: A. P. Dawid, J. R. Stat. Soc. A 147, 278 (1984), 10.2307/2981683.
[Hawkins1987]: D. M. Hawkins, The Statistician 36, 299 (1987), 10.2307/2348827.
[West1997]: M. West, J. Harrison, Bayesian Forecasting and Dynamic Models, 2nd ed. (1997), chapter 6.
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.groups import Group
from models.twin.model import FLOOR, UNEXPLAINED, Model
from models.twin.pairs import Conditions
from models.twin.variances import WIDTH

DRAWS: Final = 256
"""Of the variances, our own choice: at 60 runs about a hundred count after 60 more."""
WIDER: Final = 1.3
"""Factor on the deviations that draws come from, our own choice: tails of the posterior are heavier than the normal one's."""
AT_ONCE: Final = 16
"""Draws whose covariances are in memory together."""
WALK: Final = 0.05
"""Variance of the step from run to run over that of the noise: chosen on ramps of 2 and 4 noise deviations in 60 runs and constants
that move by 2 of their prior's, seeds 5000 to 5099 of `benchmarks.twins`."""


@dataclass(frozen=True, slots=True)
class _Joint:
    """Pairs and new runs together; `n` pairs, `m` new runs."""

    residual: Float[Tensor, "n+m k"]
    lines: Float[Tensor, "n+m 1+p"]
    shapes: Float[Tensor, "c n+m n+m"]
    """Covariances of unit variance."""

    def covariance(self, variances: Float[Tensor, "*s c"]) -> Float[Tensor, "*s n+m n+m"]:
        """Return the covariance of all rows for given variances."""
        return self.lines @ self.lines.mT + torch.einsum("...c,cij->...ij", variances, self.shapes)


def innovations(model: Model, conditions: Conditions, observed: Float[Tensor, "*k m"], *, seed: int = 0) -> Float[Tensor, "*k m"]:
    """Return what each new run brought, as a normal score: independent and standard normal as long as nothing changes.

    Each new row counts as a run of its own, read once, of conditions that nothing repeats.

    Args:
        model: Fitted to the pairs; its groups and terms are taken as they are.
        conditions: Of the new runs, in the order of time.
        observed: What they measured, in the target's unit; several such at once cost as much as one.
        seed: Of the draws.
    """
    fitted, pairs = model.fitted, len(model.problem.residual)
    joint = _joint(model, conditions, observed.reshape(-1, len(conditions)))
    generator = torch.Generator().manual_seed(seed)
    half = torch.linalg.cholesky(fitted.covariance)
    normal = torch.randn(DRAWS, len(half), generator=generator, dtype=half.dtype)
    at = fitted.log_variances + WIDER * normal @ half.mT
    whitened, densities = _whitened(joint, at.exp())
    away = (at - fitted.components.medians.log()) / WIDTH
    drawn = 0.5 * (normal.square() - away.square()).sum(dim=1).reshape(-1, 1, 1)
    weights = densities[:, :pairs].sum(dim=1, keepdim=True) + drawn
    before = torch.cat([weights, weights + densities[:, pairs:].cumsum(dim=1)], dim=1)[:, :-1]
    return _scores(before.log_softmax(dim=0), whitened[:, pairs:]).mT.reshape(observed.shape)


def predictions(model: Model, conditions: Conditions) -> Float[Tensor, " m"]:
    """Return what is expected of new runs from the pairs alone, in the target's unit: the twin corrected once, for ever."""
    joint, pairs = _joint(model, conditions, conditions.mean.unsqueeze(0)), len(model.problem.residual)
    V = joint.covariance(model.fitted.variances)
    factor = torch.linalg.cholesky(V[:pairs, :pairs])
    weights = torch.cholesky_solve(model.problem.residual.unsqueeze(1), factor).squeeze(1)
    return model.problem.target(conditions, V[pairs:, :pairs] @ weights)


def recalibrated(model: Model, conditions: Conditions, observed: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Return what is expected of each new run from all before it, level and constants walking, in the target's unit.

    For the most probable variances. Each step moves predictions by `WALK` of the noise's variance, in equal parts by the level and
    each constant and term.
    """
    joint, pairs = _joint(model, conditions, observed.unsqueeze(0)), len(model.problem.residual)
    columns = joint.lines / joint.lines.square().mean(dim=0).sqrt()
    runs = torch.arange(1, len(columns) + 1, dtype=columns.dtype)
    step = WALK * (model.noise + model.variance(UNEXPLAINED)) / columns.shape[1]
    V = joint.covariance(model.fitted.variances) + step * torch.minimum(runs.unsqueeze(1), runs) * (columns @ columns.mT)
    factor = torch.linalg.cholesky(V)
    brought = torch.linalg.solve_triangular(factor, joint.residual, upper=False)
    return model.problem.target(conditions, (joint.residual - factor.diagonal().unsqueeze(1) * brought)[pairs:, 0])


def _joint(model: Model, conditions: Conditions, observed: Float[Tensor, "k m"]) -> _Joint:
    problem, components = model.problem, model.fitted.components
    residual = torch.stack([torch.cat([problem.residual, problem.left(one, conditions)]) for one in observed], dim=1)
    lines = torch.cat([model.lines, problem.lines(conditions, model.coefficients)])
    groups = [_over_all(model, group, conditions) for group in model.groups]
    alone, floor = torch.eye(len(conditions), dtype=residual.dtype), torch.diag(problem.floor(conditions))
    own = zip(components.names[len(groups) :], components.shapes[len(groups) :], strict=True)
    noises = [torch.block_diag(one, floor if name == FLOOR else alone) for name, one in own]  # type: ignore[no-untyped-call]  # torch
    return _Joint(residual, lines, torch.stack([*groups, *noises]))


def _over_all(model: Model, group: Group, conditions: Conditions) -> Float[Tensor, "n+m n+m"]:
    """Return a group's covariances of unit variance; a lot that no pair had varies as any other."""
    old, new = model.problem.coded, model.problem.coding(conditions)
    cross, own = group.kernel(old, new), group.kernel(new, new)
    own = own + torch.diag(group.variance(new) - own.diagonal())
    return torch.cat([torch.cat([group.kernel(old, old), cross], dim=1), torch.cat([cross.mT, own], dim=1)])


def _whitened(joint: _Joint, variances: Float[Tensor, "s c"]) -> tuple[Float[Tensor, "s n+m k"], Float[Tensor, "s n+m k"]]:
    """Return for each draw what each row brought beyond all before it, in deviations, and its log density but for a constant."""
    whitened, densities = list[Tensor](), list[Tensor]()
    for some in variances.split(AT_ONCE):  # type: ignore[no-untyped-call]  # torch
        factor = torch.linalg.cholesky(joint.covariance(some))
        whitened.append(torch.linalg.solve_triangular(factor, joint.residual.expand(len(some), -1, -1), upper=False))
        densities.append(-0.5 * whitened[-1].square() - factor.diagonal(dim1=1, dim2=2).log().unsqueeze(2))
    return torch.cat(whitened), torch.cat(densities)


def _scores(log_weights: Float[Tensor, "s m k"], z: Float[Tensor, "s m k"]) -> Float[Tensor, "m k"]:
    """Return normal scores of mixtures of standardised values, from the tail that is nearer: the other one rounds to one."""
    below, above = ((log_weights + torch.special.log_ndtr(sign * z)).logsumexp(dim=0).exp() for sign in (1.0, -1.0))
    least = torch.finfo(z.dtype).tiny  # beyond 37 deviations probabilities are zero in float64
    lower, upper = torch.special.ndtri(below.clamp_min(least)), -torch.special.ndtri(above.clamp_min(least))
    return torch.where(below < above, lower, upper)
