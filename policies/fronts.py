"""What counts as better where targets are traded off, in draws: a front's hypervolume, or a scalarisation drawn by chance.

Two or three targets: the hypervolume [Daulton2021], exact for one new point. Of two the front is a staircase, and above each of its
steps the point adds a rectangle; of three it is one staircase above the other, and a step that stays the same from one to the next
is one box. Any number: an augmented Chebyshev scalarisation [Knowles2006] with weights from the simplex, as BoTorch's qLogNParEGO has
it [Daulton2020]; here only what is better than the reference point in all targets counts. Positive parts are BoTorch's fat-tailed
ones [Ament2023].
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch
from botorch.acquisition.logei import TAU_RELU
from botorch.utils.safe_math import fatmoid, fatplus
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

_FAR: Final = 1e6
"""In spreads: where the step of a front that nothing bounds ends, and how bad is worse than all. Infinity has no slope."""
AUGMENTED: Final = 0.05
"""Weight of the sum beside the worst target [Knowles2006]: without it a point that betters another in one target is no better."""

EDGE: Final = 1e-3
"""Width, in spreads, of the smoothed step from worse than the reference point to better: BoTorch's own for constraints."""


class Gain(Protocol):
    """What a new point adds in each draw."""

    @property
    def cells(self) -> int:
        """How many numbers one point takes."""
        ...

    def __call__(self, U: Float[Tensor, "m c s b"]) -> Float[Tensor, "c s b"]:
        """Return gains, all greater than zero."""
        ...


class Aim(Protocol):
    """What counts as better."""

    @property
    def scale(self) -> float:
        """What one unit of gain is."""
        ...

    def leaders(self, U: Float[Tensor, "m c s r"]) -> Bool[Tensor, "c s r"]:
        """Say which points attain, in each draw, what a new one has to improve on."""
        ...

    def gain(self, U: Float[Tensor, "m c s r"]) -> Gain:
        """Return what a new point adds to these."""
        ...


@dataclass(frozen=True, slots=True)
class HypervolumeAim(Aim):
    """The area under the front above zero, of two targets."""

    scale: float

    @override
    def leaders(self, U: Float[Tensor, "2 c s r"]) -> Bool[Tensor, "c s r"]:
        order, along, height = _descending(U)
        return torch.zeros_like(along, dtype=torch.bool).scatter(-1, order, (height > _before(height)) & (along > 0))

    @override
    def gain(self, U: Float[Tensor, "2 c s r"]) -> "HypervolumeGain":
        _, along, height = _descending(U)
        is_step = (height > _before(height)) & (along > 0)
        most = int(is_step.sum(dim=-1).max()) if is_step.shape[-1] else 0
        first = (~is_step).to(torch.int8).argsort(dim=-1, stable=True)[..., :most]  # steps in their order, then padding of no width
        places, heights = (torch.where(is_step, one, 0.0).gather(-1, first) for one in (along, height))
        edge = along.new_zeros(*along.shape[:-1], 1)
        begins, ends = torch.cat([places, edge], dim=-1), torch.cat([edge + _FAR, places], dim=-1)
        return HypervolumeGain(*(one.unsqueeze(-1) for one in (begins, ends, torch.cat([edge, heights], dim=-1))))


@dataclass(frozen=True, slots=True)
class HypervolumeGain(Gain):
    """What a point adds to the area under staircases, step by step."""

    begins: Float[Tensor, "c s f 1"]
    """Along the first target."""
    ends: Float[Tensor, "c s f 1"]
    heights: Float[Tensor, "c s f 1"]
    """Along the second one."""

    @property
    @override
    def cells(self) -> int:
        return self.begins.numel()

    @override
    def __call__(self, U: Float[Tensor, "2 c s b"]) -> Float[Tensor, "c s b"]:
        along, height = U.unsqueeze(-2)
        # smoothed like this, widths add up: a step that is cut in two is worth what it was
        width = fatplus(along - self.begins, tau=TAU_RELU) - fatplus(along - self.ends, tau=TAU_RELU)
        gained: Tensor = (width * fatplus(height - self.heights, tau=TAU_RELU)).sum(dim=-2)
        return gained


@dataclass(frozen=True, slots=True)
class VolumeAim(Aim):
    """The volume under the front above zero, of three targets."""

    scale: float

    @override
    def leaders(self, U: Float[Tensor, "3 c s r"]) -> Bool[Tensor, "c s r"]:
        leads = (U > 0).all(dim=0)
        for other in U.split(1, dim=-1):  # type: ignore[no-untyped-call]  # torch is partly untyped
            leads = leads & ~((other >= U).all(dim=0) & (other > U).any(dim=0))
        return leads

    @override
    def gain(self, U: Float[Tensor, "3 c s r"]) -> "VolumeGain":
        parts = [_boxes(draws, self.leaders(draws)) for draws in U.split(1, dim=1)]  # type: ignore[no-untyped-call]  # one at a time: memory
        most = max(part.shape[-1] for part in parts)
        boxes = torch.cat([functional.pad(part, (0, most - part.shape[-1])) for part in parts], dim=1)
        return VolumeGain(boxes.unsqueeze(-1))


@dataclass(frozen=True, slots=True)
class VolumeGain(Gain):
    """What a point adds to the volume under fronts of three targets, box by box."""

    boxes: Float[Tensor, "5 c s f 1"]
    """Where each begins and ends along the first target, its floor along the second, its bottom and top along the third."""

    @property
    @override
    def cells(self) -> int:
        return self.boxes[0].numel()

    @override
    def __call__(self, U: Float[Tensor, "3 c s b"]) -> Float[Tensor, "c s b"]:
        along, height, up = U.unsqueeze(-2)
        begin, end, floor, bottom, top = self.boxes
        # as for two: smoothed like this, boxes that touch are worth what they are worth together
        width = fatplus(along - begin, tau=TAU_RELU) - fatplus(along - end, tau=TAU_RELU)
        thickness = fatplus(up - bottom, tau=TAU_RELU) - fatplus(up - top, tau=TAU_RELU)
        gained: Tensor = (width * thickness * fatplus(height - floor, tau=TAU_RELU)).sum(dim=-2)
        return gained


def _boxes(U: Float[Tensor, "3 c s r"], leads: Bool[Tensor, "c s r"]) -> Float[Tensor, "5 c s f"]:
    """Cut what lies above zero and not below the leaders into boxes, at most two for each leader and one; padding has no width.

    Between two neighbouring values of the third target the front is the staircase of the leaders above: level `k` is that of the
    first `k` of them. A step is known by the leader where it begins; it lasts as long as its end and its floor do. So few boxes are
    what [Lacour2017, doi 10.1016/j.cor.2016.06.021] has; here all draws are cut at once.
    """
    levels, lasts = _steps(U, leads)
    begin, end, floor, top = levels
    changed = functional.pad((end[..., 1:, :] != end[..., :-1, :]) | (floor[..., 1:, :] != floor[..., :-1, :]), (0, 0, 1, 0), value=True)
    changed = changed | ~lasts | ~functional.pad(lasts[..., :-1, :], (0, 0, 1, 0))
    # the next change lies at the highest level of those below
    later = torch.where(changed, top, 0.0)[..., 1:, :].flip(-2).cummax(dim=-2).values.flip(-2)
    bottom = functional.pad(later, (0, 0, 0, 1))
    is_box = (lasts & changed & (end > begin) & (top > bottom)).flatten(-2)
    most = int(is_box.sum(dim=-1).max())
    first = (~is_box).to(torch.int8).argsort(dim=-1, stable=True)[..., :most]
    return torch.stack([torch.where(is_box, one.flatten(-2), 0.0).gather(-1, first) for one in (begin, end, floor, bottom, top)])


def _steps(U: Float[Tensor, "3 c s r"], leads: Bool[Tensor, "c s r"]) -> tuple[Float[Tensor, "4 c s l w"], Bool[Tensor, "c s l w"]]:
    """Return beginnings, ends, floors and tops of the steps of each level's staircase, one place for each leader, and which are there."""
    most = int(leads.sum(dim=-1).max()) if leads.shape[-1] else 0
    first = torch.where(leads, U[0], -1.0).argsort(dim=-1, descending=True, stable=True)[..., :most]
    along, height, up = torch.where(leads, U, 0.0).gather(-1, first.expand(3, *first.shape))
    rank = up.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1, stable=True)
    edge = along.new_zeros(*along.shape[:-1], 1)
    tops = torch.cat([edge + _FAR, up.sort(dim=-1, descending=True).values], dim=-1).unsqueeze(-1)
    above = rank.unsqueeze(-2) < torch.arange(most + 1, device=rank.device).unsqueeze(-1)
    heights = torch.where(above, height.unsqueeze(-2), 0.0)
    floor = functional.pad(heights, (1, 0)).cummax(dim=-1).values
    is_step = functional.pad(heights > floor[..., :-1], (0, 1), value=True)  # behind the last one is what no leader reaches
    begin = torch.cat([along, edge], dim=-1).unsqueeze(-2).expand_as(floor)
    ends = torch.where(is_step, begin, _FAR)[..., :-1]
    end = functional.pad(ends, (1, 0), value=_FAR).cummin(dim=-1).values
    return torch.stack([begin, end, floor, tops.expand_as(floor)]), is_step


@dataclass(frozen=True, slots=True)
class ChebyshevAim(Aim):
    """A scalarisation whose best is to be improved on."""

    weights: Float[Tensor, "m 1 1 1"]
    """Each over the width between the worst and the best that is known."""
    ideal: Float[Tensor, "m 1 1 1"]
    scale: float = 1.0

    @staticmethod
    def drawn(known: Float[Tensor, "m n"], seed: int) -> "ChebyshevAim":
        """Draw weights from the simplex.

        Args:
            known: What is expected of points that are known.
            seed: Of the weights.
        """
        shares = torch.empty(len(known), dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(seed)).to(known)
        ideal, worst = known.amax(dim=1), known.amin(dim=1)
        # what is no better than the reference point is as good as it, where anything is better
        worst = torch.where(ideal > 0, worst.clamp_min(0.0), worst)
        width = torch.where(ideal > worst, ideal - worst, 1.0)
        aim = ChebyshevAim((shares / shares.sum() / width).view(-1, 1, 1, 1), ideal.view(-1, 1, 1, 1))
        spread = float(aim.worth(known[:, None, None]).std(correction=0))
        return replace(aim, scale=spread if spread > 0 else 1.0)

    def worth(self, U: Float[Tensor, "m c s b"]) -> Float[Tensor, "c s b"]:
        """Return the scalarisation, larger is better."""
        missing = self.weights * (self.ideal - U)
        return -(missing.amax(dim=0) + AUGMENTED * missing.sum(dim=0)) / self.scale

    @override
    def leaders(self, U: Float[Tensor, "m c s r"]) -> Bool[Tensor, "c s r"]:
        worth = self._counting(U)
        return (worth == worth.amax(dim=-1, keepdim=True)) & (worth > -_FAR)

    @override
    def gain(self, U: Float[Tensor, "m c s r"]) -> "ChebyshevGain":
        best = self._counting(U).amax(dim=-1, keepdim=True) if U.shape[-1] else U.new_full((*U.shape[1:3], 1), -_FAR)
        return ChebyshevGain(self, best)

    def _counting(self, U: Float[Tensor, "m c s r"]) -> Float[Tensor, "c s r"]:
        """Return the same, very low for what is not better than the reference point in all targets."""
        return torch.where((U > 0).all(dim=0), self.worth(U), -_FAR)


@dataclass(frozen=True, slots=True)
class ChebyshevGain(Gain):
    """What a point adds to the best of a scalarisation, where it is better than the reference point in all targets."""

    aim: ChebyshevAim
    best: Float[Tensor, "c s 1"]

    @property
    @override
    def cells(self) -> int:
        return self.best.numel() * len(self.aim.weights)

    @override
    def __call__(self, U: Float[Tensor, "m c s b"]) -> Float[Tensor, "c s b"]:
        gained: Tensor = fatplus(self.aim.worth(U) - self.best, tau=TAU_RELU) * fatmoid(U, tau=EDGE).prod(dim=0)
        return gained


def _descending(U: Float[Tensor, "2 c s r"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the order in which the first target falls, and both targets in it."""
    order = U[0].argsort(dim=-1, descending=True, stable=True)
    return order, U[0].gather(-1, order), U[1].gather(-1, order)


def _before(height: Float[Tensor, "*s r"]) -> Float[Tensor, "*s r"]:
    """Return the largest height before each place, at least zero."""
    highest = torch.cat([torch.zeros_like(height[..., :1]), height[..., :-1]], dim=-1).clamp_min(0.0)
    return highest.cummax(dim=-1).values if height.shape[-1] else height
