"""A data set as a twin's pairs, some of whose groups are left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.twin.pairs import Channel, Coefficient, Columns, Conditions, Pairs
from simulators.twins.terms import SD

GAIN: Final = "gain"
"""The one constant of each twin that may be calibrated: it multiplies what is predicted."""


@dataclass(frozen=True)
class Case:
    """What was measured beside a twin; `n` rows."""

    name: str
    controls: dict[str, Float[Tensor, " n"]]
    """In any units; they are brought to the unit cube by their ranges over all rows."""
    channels: dict[str, Float[Tensor, " n"]]
    """What of the surroundings was recorded or is known."""
    predicted: Callable[[Sequence[int]], Float[Tensor, " n"]]
    """The twin's predictions of all rows; a twin that is fitted is fitted to the rows that it is given."""
    observed: Float[Tensor, " n"]
    groups: tuple[str, ...]
    """What is left out together."""
    classes: tuple[str, ...]
    """Whose means the affine map has."""
    lots: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    """What shares something that nobody recorded."""
    repeats: tuple[str, ...] = ()
    """What had equal controls."""
    unit: str = ""

    def __len__(self) -> int:
        return len(self.observed)

    def conditions(self, which: Sequence[int], predicted: Float[Tensor, " n"]) -> Conditions:
        """Return what `models.twin` is told of some rows."""
        at, mean = list(which), predicted[list(which)]
        cube = [(one - one.min()) / (one.max() - one.min()) for one in self.controls.values()]
        return Conditions(
            Columns(tuple(self.controls), tuple(map(Channel, self.channels)), (Coefficient(GAIN, SD),)),
            _columns(cube, len(self))[at],
            _columns(list(self.channels.values()), len(self))[at],
            mean,
            mean.unsqueeze(1),
            torch.zeros(len(at), 0, dtype=torch.float64),
            tuple(self.lots[row] for row in which) if self.lots else (),
        )

    def pairs(self, which: Sequence[int], predicted: Float[Tensor, " n"]) -> Pairs:
        """Return some rows as pairs, in their order."""
        batches, repeats = (tuple(labels[row] for row in which) if labels else () for labels in (self.batches, self.repeats))
        return Pairs(self.conditions(which, predicted), self.observed[list(which)], (), repeats, batches)


def _columns(columns: Sequence[Tensor], rows: int) -> Tensor:
    return torch.stack(list(columns), dim=1) if columns else torch.zeros(rows, 0, dtype=torch.float64)


def numbers(rows: Sequence[dict[str, str]], column: str) -> Float[Tensor, " n"]:
    """Return a column as numbers."""
    return torch.tensor([float(row[column]) for row in rows], dtype=torch.float64)


def calculated(values: Float[Tensor, " n"]) -> Callable[[Sequence[int]], Float[Tensor, " n"]]:
    """Return the predictions of a twin of which nothing is fitted."""
    return lambda _: values


def linear(columns: dict[str, Tensor], observed: Float[Tensor, " n"]) -> Callable[[Sequence[int]], Float[Tensor, " n"]]:
    """Return the predictions of a twin that is a linear function, fitted to what it may learn from."""
    X = torch.stack([torch.ones_like(observed), *columns.values()], dim=1)

    def predicted(learned: Sequence[int]) -> Tensor:
        at = list(learned)
        return X @ torch.linalg.lstsq(X[at], observed[at].unsqueeze(1), driver="gelsd").solution[:, 0]

    return predicted


def one_hot(labels: Sequence[str], prefix: str) -> dict[str, Float[Tensor, " n"]]:
    """Return a column of zeros and ones for each label."""
    return {f"{prefix}={one}": torch.tensor([float(label == one) for label in labels], dtype=torch.float64) for one in sorted(set(labels))}
