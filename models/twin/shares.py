"""How the variance of measured less predicted values splits: readout, run to run, the twin's constants, divergence.

Draws of all parts given the pairs, by conditioning joint draws of the prior (Matheron's rule [Wilson2021]): in each draw the
parts sum to the residuals, in the target's unit where shares of the prediction are compared. Variances are drawn from their
posterior first, so that intervals hold what is not known of them.

[Wilson2021]: J. T. Wilson et al., J. Mach. Learn. Res. 22 (105), 1 (2021).
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.model import FLOOR, NOISE, READOUT, RUN, UNEXPLAINED, Model

DRAWS: Final = 400
ENDS: Final = (0.05, 0.5, 0.95)
CONSTANTS: Final = "the twin's constants"
DIVERGENCE: Final = "divergence"


@dataclass(frozen=True, slots=True)
class Share:
    """Part of the variance, 0 to 1, with the ends of a 90 % interval."""

    name: str
    median: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of the variance of measured less predicted values over the pairs."""

    parts: tuple[Share, ...]
    """Readout, run to run (or noise, where the two cannot be told apart), the twin's constants, divergence."""
    divergence: tuple[Share, ...]
    """What divergence is made of: each term and group, and what repeated runs share beyond them."""
    sentences: tuple[str, ...]
    """What would remove how much, and what cannot be told apart."""


def split(model: Model, *, seed: int = 0) -> Split:
    """Split the variance."""
    drawn = _drawn(model, torch.Generator().manual_seed(seed))
    total = sum(drawn.values(), torch.zeros(DRAWS, dtype=torch.float64))
    shares = {name: values / total for name, values in drawn.items()}
    noises = [name for name in (READOUT, RUN, NOISE) if name in shares]
    diverging = [name for name in shares if name not in (*noises, CONSTANTS)]
    whole = sum((shares[name] for name in diverging), torch.zeros(DRAWS, dtype=torch.float64))
    parts = {name: shares[name] for name in noises} | {CONSTANTS: shares[CONSTANTS], DIVERGENCE: whole}
    found = tuple(_share(name, shares[name]) for name in diverging)
    own = tuple(_share(name, values) for name, values in parts.items())
    return Split(own, found, (*_removed(model, own, found), *_untold(model)))


def _drawn(model: Model, generator: torch.Generator) -> dict[str, Float[Tensor, " s"]]:
    """Return the variance over the pairs of each part, per draw."""
    components, rows = model.fitted.components, len(model.problem.residual)
    variances = model.fitted.drawn(DRAWS, generator)
    roots = [_root(shape) for shape in components.shapes]
    normal = torch.randn(len(roots), DRAWS, rows, generator=generator, dtype=torch.float64)
    prior = [size.sqrt().unsqueeze(1) * (z @ root.mT) for size, z, root in zip(variances.mT, normal, roots, strict=True)]
    strengths = torch.randn(DRAWS, model.lines.shape[1], generator=generator, dtype=torch.float64)
    V = components.known + torch.einsum("sc,cij->sij", variances, components.shapes)
    off = model.problem.residual - sum(prior) - strengths @ model.lines.mT
    weights = torch.cholesky_solve(off.unsqueeze(2), torch.linalg.cholesky(V)).squeeze(2)
    parts = {
        name: made + size.unsqueeze(1) * (weights @ shape)
        for name, made, size, shape in zip(components.names, prior, variances.mT, components.shapes, strict=True)
    }
    if FLOOR in parts:
        reading = READOUT if READOUT in parts else NOISE
        parts[reading] = parts[reading] + parts.pop(FLOOR)
    unit = model.problem.weights(model.problem.pairs.conditions) if model.problem.scale == "proportional" else torch.ones(rows)
    found = {name: (unit * values).var(dim=1, correction=0) for name, values in parts.items()}
    strengths = strengths + weights @ model.lines
    constants = len(model.problem.constants)
    moved = strengths[:, 1:].unsqueeze(1) * model.lines[:, 1:] * unit.unsqueeze(1)
    found[CONSTANTS] = moved[:, :, :constants].sum(dim=2).var(dim=1, correction=0)
    for number, name in enumerate(model.coefficients[constants:], start=constants):
        found[name] = moved[:, :, number].var(dim=1, correction=0)
    return found


def _root(shape: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    values, vectors = torch.linalg.eigh(shape)
    found: Tensor = vectors * values.clamp_min(0.0).sqrt()
    return found


def _share(name: str, values: Float[Tensor, " s"]) -> Share:
    lower, median, upper = values.quantile(torch.tensor(ENDS, dtype=values.dtype)).tolist()
    return Share(name, median, lower, upper)


def _percent(share: Share) -> str:
    return f"{100 * share.median:.0f} % [{100 * share.lower:.0f}, {100 * share.upper:.0f}]"


def _removed(model: Model, parts: tuple[Share, ...], divergence: tuple[Share, ...]) -> list[str]:
    """Say what would remove how much of the variance."""
    by_name = {one.name: one for one in (*parts, *divergence)}
    said = []
    if READOUT in by_name:
        said.append(f"a better readout would remove {_percent(by_name[READOUT])} of the variance")
    if model.problem.constants:
        said.append(f"constants known exactly would remove {_percent(by_name[CONSTANTS])}")
    channels = [group.name for group in model.groups if group.channel is not None]
    return [*said, *(f"{name} held still, or in the twin, would remove {_percent(by_name[name])}" for name in channels)]


def _untold(model: Model) -> list[str]:
    """Say what cannot be told apart with these pairs."""
    said, names = [], model.fitted.components.names
    if READOUT not in names:
        said.append("readout and run to run cannot be told apart: no sample was read twice")
    if UNEXPLAINED not in names:
        said.append("noise and a divergence that nothing recorded explains cannot be told apart: no run was repeated")
    return said
