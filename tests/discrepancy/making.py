"""Pairs with what was planted in them."""

import torch
from torch import Tensor

from models.twin.pairs import Channel, Coefficient, Columns, Conditions, Pairs

ROWS = 48
NOISE = 0.5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def conditions(rows: int = ROWS, *, seed: int = 0, alike: float = 0.8, lots: int = 4) -> Conditions:
    """Three controls, three channels of which the second follows the first, two constants, two terms."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(rows, 3, dtype=torch.float64, generator=generator)
    X[1::4] = X[::4]  # each fourth run is repeated at once
    E = normal(rows, 3, seed=1000 + seed)
    E[:, 1] = alike * E[:, 0] + (1 - alike**2) ** 0.5 * E[:, 1]
    columns = Columns(
        controls=("T", "time", "dose"),
        channels=(Channel("humidity", "%"), Channel("room", "degC"), Channel("light")),
        constants=(Coefficient("rate", 0.5), Coefficient("offset of the oven", 0.3)),
        terms=(Coefficient("quench", 1.0), Coefficient("bleaching", 1.0)),
    )
    E = E * torch.tensor([5.0, 2.0, 1.0]) + torch.tensor([40.0, 21.0, 0.0])
    mean = 10 + 2 * X[:, 0]
    slopes = torch.stack([2 * X[:, 0], X[:, 1] - 0.5], dim=1)
    terms = torch.stack([-(E[:, 0] - 40) / 5, -E[:, 2].clamp_min(0.0)], dim=1)
    names = tuple(f"L{row * lots // rows}" for row in range(rows)) if lots else ()
    return Conditions(columns, X, E, mean, slopes, terms, names)


def repeats(rows: int = ROWS) -> tuple[str, ...]:
    return tuple(str(row - 1 if row % 4 == 1 else row) for row in range(rows))


def pairs(*, effect: float = 1.0, rate: float = 0.3, seed: int = 0, alike: float = 0.8, rows: int = ROWS, readings: int = 1) -> Pairs:
    """Humidity moves the target by so many noise standard deviations per standard deviation of its own."""
    one = conditions(rows, seed=seed, alike=alike)
    truth = one.mean + rate * one.sensitivities[:, 0] + effect * NOISE * (one.environment[:, 0] - 40) / 5
    ran = truth + NOISE * normal(rows, seed=2000 + seed)
    if readings == 1:
        return Pairs(one, ran, (), repeats(rows))
    at = torch.arange(rows).repeat_interleave(readings)
    y = ran[at] + NOISE * normal(len(at), seed=3000 + seed)
    several = Conditions(
        one.columns,
        one.controls[at],
        one.environment[at],
        one.mean[at],
        one.sensitivities[at],
        one.terms[at],
        tuple(one.lots[row] for row in at.tolist()),
    )
    what = repeats(rows)
    return Pairs(several, y, tuple(str(row) for row in at.tolist()), tuple(what[row] for row in at.tolist()))
