"""What drives a prediction: Shapley values [Shapley1953] of functions of an encoded configuration.

A coalition S of players is worth

    v(S) = mean over background points b of f(x_S, b_rest)

where x is the point explained (interventional, or marginal, values [Janzing2020]: what the model computes is explained, not
which inputs happen to go together in the data, so that an input that the model ignores gets nothing however well it
correlates with one that matters). A player's value is its mean contribution over all orders in which players may join:

    phi_i = sum over S without i of |S|! (p - |S| - 1)! / p! (v(S + i) - v(S))

and the values of all players sum to f(x) - mean f(b). A player is a parameter with all of its columns: fractions of a
composition cannot be exchanged one by one, nor can the inputs of a category. Mixtures of two feasible points may break a
constraint between parameters; the model is asked there all the same.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate
from models.inputs.encoding import Encoding
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

ExplainedFunctions = Callable[[Float[Tensor, "n d"]], Float[Tensor, "n m"]]
"""Several functions of a configuration at once, so that all are asked at the same points."""

BACKGROUND: Final = 64
"""Background points that explanations of proposals use."""
MOST_EXACT: Final = 12
"""Players up to which every coalition is looked at: 4,096 of them."""
COALITIONS: Final = 2**MOST_EXACT
"""Coalitions looked at beyond that: no more work than the largest exact case."""
LEAST_PAIRS: Final = 16
"""Pairs of orders drawn at least, however many players there are: a standard error of fewer says little."""
ROWS_TOGETHER: Final = 2**10
"""Rows handed over at a time: memory stays bounded whatever the number of coalitions, and a Gaussian process is fastest then."""


@dataclass(frozen=True, slots=True)
class Player:
    """What joins a coalition as one: the inputs of a parameter."""

    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Shapley values of `m` functions at one point, `p` players."""

    names: tuple[str, ...]
    """The players."""
    values: Float[Tensor, "p m"]
    """In the functions' units; over all players they sum to the function at the point less `base`."""
    base: Float[Tensor, " m"]
    """Mean of the functions over the background."""
    errors: Float[Tensor, "p m"] | None = None
    """Standard errors from the orders drawn, for the background as it is; None where the values are exact."""


@dataclass(frozen=True, slots=True)
class _Game:
    """What coalitions are worth at one point."""

    value: ExplainedFunctions
    x: Float[Tensor, " d"]
    background: Float[Tensor, "b d"]
    owned: Float[Tensor, "p d"]
    """Which columns belong to which player; each to one."""

    @property
    def players(self) -> int:
        return len(self.owned)

    def worth(self, coalitions: Float[Tensor, "c p"]) -> Float[Tensor, "c m"]:
        """Return v(S) of coalitions given as zeros and ones."""
        together = max(1, ROWS_TOGETHER // len(self.background))
        with torch.no_grad():
            return torch.cat([self._worth(part) for part in coalitions.split(together)])  # type: ignore[no-untyped-call]  # torch

    def _worth(self, coalitions: Float[Tensor, "c p"]) -> Float[Tensor, "c m"]:
        present = (coalitions @ self.owned).bool().unsqueeze(1)
        rows = torch.where(present, self.x, self.background)
        values = self.value(rows.flatten(0, 1))
        return values.reshape(*rows.shape[:2], values.shape[-1]).mean(dim=1)


def players(encoding: Encoding, configuration: Configuration | None = None) -> tuple[Player, ...]:
    """Return one player per parameter: its number, its fractions or the inputs of its categories.

    Args:
        encoding: Of the space.
        configuration: The point explained, where it is one. What it does not have is no player: its inputs belong to the
            parameter whose category took it away.
    """
    pairs = zip(encoding.space.parameters, encoding.slices, strict=True)
    owned = {parameter.name: tuple(range(where.start, where.stop)) for parameter, where in pairs}
    gone = encoding.space.absent(configuration) if configuration is not None else frozenset()
    for one in reversed(encoding.space.conditional):
        if configuration is not None and one.name in gone:
            why = next(name for name, names in one.when.items() if name in gone or configuration[name] not in names)
            owned[why] += owned.pop(one.name)
    return tuple(Player(name, columns) for name, columns in owned.items())


def predicted_moments(surrogate: Surrogate) -> ExplainedFunctions:
    """Return the surrogate as a function: the means of all targets, then the standard deviations that experiments would reduce."""

    def value(X: Float[Tensor, "n d"]) -> Float[Tensor, "n 2m"]:
        posterior = surrogate.posterior(X.unsqueeze(-2))  # point by point: nobody needs the covariance of thousands
        return torch.cat([posterior.mean, posterior.variance.clamp_min(0.0).sqrt()], dim=-1).squeeze(-2)

    return value


def shapley(
    value: ExplainedFunctions, x: Float[Tensor, " d"], background: Float[Tensor, "b d"], group: Sequence[Player], *, seed: int = 0
) -> Attribution:
    """Attribute the functions at `x`, less their mean over the background, to the players.

    Exact up to `MOST_EXACT` players; beyond that from random orders, each taken forwards and backwards, which leaves
    nothing to chance in functions of single players and of pairs.

    Args:
        value: The functions; called with at most `ROWS_TOGETHER` rows, or one background, at a time.
        x: The point explained, encoded.
        background: What it is compared with: feasible points, encoded.
        group: Players that own each column once.
        seed: Of the orders; not used where values are exact.

    Raises:
        BadInput: A column that no player owns or that two own, or an empty background.
    """
    game = _Game(value, x, background, _ownership(group, x, background))
    values, base, errors = _exact(game) if game.players <= MOST_EXACT else _sampled(game, seed)
    return Attribution(tuple(player.name for player in group), values, base, errors)


def importance(
    value: ExplainedFunctions, X: Float[Tensor, "n d"], background: Float[Tensor, "b d"], group: Sequence[Player], *, seed: int = 0
) -> Float[Tensor, "p m"]:
    """Return each player's mean absolute Shapley value over points, for example all that were measured."""
    if not len(X):
        raise BadInput("importance over no points; expected at least one")
    return torch.stack([shapley(value, x, background, group, seed=seed).values.abs() for x in X]).mean(dim=0)


def _ownership(group: Sequence[Player], x: Float[Tensor, " d"], background: Float[Tensor, "b d"]) -> Float[Tensor, "p d"]:
    if not len(background):
        raise BadInput("an explanation compares with a background of points; got none")
    owned = torch.zeros(len(group), len(x), dtype=x.dtype)
    for number, player in enumerate(group):
        owned[number, list(player.columns)] = 1.0
    wrong = (owned.sum(dim=0) != 1.0).nonzero().flatten().tolist()
    if wrong:
        owners = [player.name for player in group if wrong[0] in player.columns]
        raise BadInput(f"input {wrong[0]} belongs to {' and '.join(owners) or 'no player'}; expected one owner for each of {len(x)} inputs")
    return owned


def _exact(game: _Game) -> tuple[Tensor, Tensor, None]:
    """Look at every coalition; number c holds the players whose bits are set in c."""
    count = game.players
    numbers = torch.arange(2**count)
    members = (numbers.unsqueeze(1) >> torch.arange(count)) & 1
    worth = game.worth(members.to(game.x.dtype))
    sizes = members.sum(dim=1)
    weights = torch.tensor([1.0 / (count * math.comb(count - 1, size)) for size in range(count)], dtype=game.x.dtype)
    values = []
    for player in range(count):
        without = numbers[members[:, player] == 0]
        gains = worth[without + 2**player] - worth[without]
        values.append(weights[sizes[without]] @ gains)
    return torch.stack(values), worth[0], None


def _sampled(game: _Game, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Average contributions along random orders and their reverses; the spread of the pairs' means gives the error."""
    count, generator = game.players, torch.Generator().manual_seed(seed)
    pairs = max(LEAST_PAIRS, COALITIONS // (2 * (count - 1)))
    ends = game.worth(torch.tensor([[0.0], [1.0]], dtype=game.x.dtype).expand(2, count))
    orders = [torch.randperm(count, generator=generator) for _ in range(pairs)]
    found = torch.stack([(_along(game, order, ends) + _along(game, order.flip(0), ends)) / 2 for order in orders])
    return found.mean(dim=0), ends[0], found.std(dim=0) / math.sqrt(pairs)


def _along(game: _Game, order: Tensor, ends: Float[Tensor, "2 m"]) -> Float[Tensor, "p m"]:
    """Return what each player adds when they join in this order; `ends` is the worth of nobody and of all."""
    rank = order.argsort()
    members = (rank < torch.arange(1, len(order)).unsqueeze(1)).to(game.x.dtype)
    worth = torch.cat([ends[:1], game.worth(members), ends[1:]])
    return worth.diff(dim=0)[rank]
