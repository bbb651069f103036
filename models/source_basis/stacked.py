"""Component processes of all targets side by side: one stack of kernel parts, one bank of source functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Model
from models.gaussian_processes.conditioning import DIAGONAL_JITTER, Conditioned
from models.gaussian_processes.kernels import each_alone
from models.gaussian_processes.stack import Ground, Member, Parts, Stack, materns
from models.inputs.features import Features
from models.source_basis.basis import Basis
from models.source_basis.process import REACHES, ComponentProcess
from models.source_basis.source_posterior import SourceBank


def stacked(
    models: Sequence[Model],
    scales: Sequence[float],
    combinations: Sequence[tuple[float, tuple[int, ...]]],
    lifting: Callable[[Tensor], Tensor],
) -> Stack | None:
    """Lay component processes side by side; None where a model is of another kind, or compares other features than the first."""
    processes = [model.process for model in models if isinstance(model, Conditioned) and isinstance(model.process, ComponentProcess)]
    if len(processes) < len(models) or any(one.skeleton.features != processes[0].skeleton.features for one in processes):
        return None
    bank = _Bank.of(processes[0].skeleton.features, [one.skeleton.basis for one in processes])
    members = [_member(model, process, scale, bank) for model, process, scale in zip(models, processes, scales, strict=True)]
    return Stack.of(Ground(bank.features, bank, materns, lifting), members, combinations)


@dataclass(frozen=True)
class _Bank:
    """The source functions of several targets' bases, each basis once."""

    features: Features
    bases: tuple[Basis, ...]

    @staticmethod
    def of(features: Features, bases: Sequence[Basis]) -> "_Bank":
        """Collect bases that have sources; those of one prior share their sources."""
        distinct = {id(basis.sources): basis for basis in bases if basis.sources}
        return _Bank(features, tuple(distinct.values()))

    @cached_property
    def _together(self) -> Parts | None:
        sources = [source for basis in self.bases for source in basis.sources]
        return SourceBank.of(sources).parts if sources else None

    @cached_property
    def _weights(self) -> Float[Tensor, "t n 1"]:
        return SourceBank.of([source for basis in self.bases for source in basis.sources]).weights

    def __call__(self, X: Float[Tensor, "b d"]) -> Float[Tensor, "b t"]:
        """Return all source functions; remembered table by table unless a gradient is asked for."""
        if self._together is None:
            return X[..., :0]
        if not X.requires_grad:
            return torch.cat([basis.functions(X) for basis in self.bases], dim=-1)
        return (self._together(self.features(X)) @ self._weights).squeeze(-1).mT

    def own(self, basis: Basis) -> tuple[int, int]:
        """Return where the functions of a basis stand among all, and how many all are."""
        sizes = [len(one.sources) for one in self.bases]
        place = next((index for index, one in enumerate(self.bases) if one.sources is basis.sources), 0)
        return sum(sizes[:place]), sum(sizes)


def _member(model: Conditioned, process: ComponentProcess, scale: float, bank: _Bank) -> Member:
    skeleton, beliefs = process.skeleton, process.beliefs
    start, count = bank.own(skeleton.basis)
    own = len(skeleton.basis.sources)
    # what low rank there is depends linearly on the source functions: ask for each of them alone
    averages, sets = skeleton.basis.combined(torch.eye(own, dtype=process.logs.dtype))
    columns = torch.block_diag(torch.ones(1, 1, dtype=process.logs.dtype), averages)  # type: ignore[no-untyped-call]  # torch is partly untyped
    half = process.half(columns, [torch.cat([torch.zeros_like(one[:1]), one]) for one in sets])
    means, spreads = columns @ beliefs.coefficient_means, half @ half.mT
    where = torch.tensor([0, *range(1 + start, 1 + start + own)])
    coefficients = torch.zeros(1 + count, dtype=means.dtype).index_copy(0, where, means)
    embedded = torch.zeros(1 + count, 1 + count, dtype=means.dtype)
    embedded[where.unsqueeze(-1), where] = spreads
    factors, amplitudes = _free(process)
    largest = float(process.variance(model.X).max().clamp_min(1.0)) if len(model.X) else 1.0
    return Member(
        factors=factors,
        amplitudes=amplitudes,
        coefficients=coefficients,
        spreads=embedded,
        X=model.X,
        Y=model.Y,
        noise=model.support_noise + DIAGONAL_JITTER * largest,
        level=model.scale.level * scale,
        spread=model.scale.spread * scale,
        inflation=model.inflation,
    )


def _free(process: ComponentProcess) -> tuple[Float[Tensor, "p f"], Float[Tensor, " p"]]:
    """Return factors on features and variances of the free functions: the product at each reach, then single parameters."""
    kernel, variances = process.skeleton.kernel, process.free_variances
    inverse = torch.exp(-kernel.log_lengths)[list(kernel.layout.blocks)]
    factors = [inverse / reach for reach in REACHES]
    amplitudes = [*variances[: len(REACHES)]]
    if len(variances) > len(REACHES):
        factors += [inverse * seen for seen in each_alone(kernel.layout, inverse)]
        amplitudes += [variances[-1] * share for share in kernel.shares]
    return torch.stack(factors), torch.stack(amplitudes)
