"""Functions that priors hold likely, drawn for a dry run: the plant loads no model, and is given values at some hundred points."""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch

from flows.plans.simulated import SimulatedBench
from models.meta_learning.checkpoint import PriorFile, load_prior
from models.meta_learning.registry import restore_prior
from orchestrator.errors import BadInput
from orchestrator.ports import Knowledge
from policies.initial import SobolPolicy
from simulators.responses import ResponseSection

_POINTS: Final = 384
"""Points at which a function is drawn: jointly, so that their covariance is a matrix of that size."""
_SEED_BYTES: Final = 7
"""Of a hash: what a generator of torch takes."""
_JITTERS: Final = (0.0, 1e-9, 1e-7, 1e-5)
"""Of the mean variance; added until the covariance has a root."""


def sampled_priors(made: SimulatedBench, seed: int) -> dict[str, dict[str, Any]]:
    """Draw the function of one task for each response that is a prior; the same seed gives the same ones.

    Returns:
        By channel: `rows`, configurations of the prior's space, and `values` there, in the prior's unit, which is `unit`.

    Raises:
        BadInput: A prior cannot be read, or has no such target or parameter.
    """
    folder = made.plant.parent if made.plant is not None else Path()
    return {name: _sampled(name, section, folder, seed) for name, section in made.priors.items()}


def _sampled(name: str, section: ResponseSection, folder: Path, seed: int) -> dict[str, Any]:
    try:
        file = load_prior(folder / (section.prior or ""), restore=restore_prior)
        target = section.target or _only_target(file)
        unit = file.family(target).unit
        if strange := sorted(set(section.inputs.values()) - set(file.space.columns)):
            raise BadInput(f"inputs name parameter {strange[0]!r}; prior {file.name} has {', '.join(file.space.columns)}")
        rows = [dict(one.configuration) for one in SobolPolicy(file.space.one_by_one).propose(Knowledge(), count=_POINTS, seed=0)]
        drawn = _draw(file, target, rows, torch.Generator().manual_seed(_stream(name, seed)))
    except BadInput as error:
        raise BadInput(f"response {name}: {error}") from error
    return {"rows": rows, "values": drawn.tolist(), "unit": unit}


def _stream(name: str, seed: int) -> int:
    """Return a seed of each channel's own: adding a channel changes no other."""
    return int.from_bytes(sha256(f"{seed}\0{name}".encode()).digest()[:_SEED_BYTES], "big")


def _only_target(file: PriorFile) -> str:
    if len(file.targets) > 1:
        raise BadInput(f"prior {file.name} knows {', '.join(one.name for one in file.targets)}; target says which one is meant")
    return file.targets[0].name


def _draw(file: PriorFile, target: str, rows: list[dict[str, Any]], generator: torch.Generator) -> torch.Tensor:
    """Draw a component of the unadapted prior by its weight, and from it one function at all rows."""
    sources = file.tasks[target]
    about = sources[int(torch.randint(len(sources), (1,), generator=generator))]
    nothing = about.rows([])
    surrogate = file.prior(target).adapt(nothing, generator=generator)
    weights, models = zip(*surrogate.components(), strict=True)
    chosen = int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=generator))
    with torch.no_grad():
        posterior = models[chosen].posterior(file.encoding.encode(rows))
        mean, covariance = posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix
        noise = torch.randn(len(rows), dtype=torch.float64, generator=generator)
        drawn: torch.Tensor = mean + _root(covariance) @ noise
        return drawn


def _root(covariance: torch.Tensor) -> torch.Tensor:
    height = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    for jitter in _JITTERS:
        root: torch.Tensor
        root, failed = torch.linalg.cholesky_ex(covariance + jitter * height)
        if not failed:
            return root
    raise BadInput("its covariance has no root; expected a prior whose functions differ")
