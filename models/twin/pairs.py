"""What a twin predicted and what the laboratory measured, row by row."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import spread_of
from orchestrator.errors import BadInput

LEAST_ROWS: Final = 8
"""Pairs below which nothing is said: our own choice, a variance of fewer is known to a factor of two at best."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A recorded quantity of the environment."""

    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A number that the twin's prediction depends on linearly, as far as is known: a constant's deviation, or a term's strength."""

    name: str
    sd: float
    """Standard deviation of its prior, which is normal about zero."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of conditions mean."""

    controls: tuple[str, ...]
    channels: tuple[Channel, ...] = ()
    constants: tuple[Coefficient, ...] = ()
    """The twin's calibratable constants, as deviations from what it assumes (in logarithms where these are positive)."""
    terms: tuple[Coefficient, ...] = ()
    """Candidate terms that the twin lacks."""

    def __post_init__(self) -> None:
        names = [*self.controls, *self.names_of_channels, *(one.name for one in (*self.constants, *self.terms))]
        for name, times in Counter(names).items():
            if times > 1 or not name:
                raise BadInput(f"{name or 'the empty name'!r} names {times} columns of a twin's pairs; expected a name for each")
        for one in (*self.constants, *self.terms):
            if not (math.isfinite(one.sd) and one.sd > 0):
                raise BadInput(f"{one.name} has a prior's standard deviation of {one.sd:g}; expected a positive number")

    @property
    def names_of_channels(self) -> tuple[str, ...]:
        """Return the channels' names."""
        return tuple(channel.name for channel in self.channels)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what runs were or would be carried out, and what the twin predicts there; `n` rows."""

    columns: Columns
    controls: Float[Tensor, "n d"]
    """In the unit cube."""
    environment: Float[Tensor, "n k"]
    """In the channels' units."""
    mean: Float[Tensor, " n"]
    """The twin's predictions, in the target's unit."""
    sensitivities: Float[Tensor, "n p"]
    """Derivatives of the prediction by the constants' deviations."""
    terms: Float[Tensor, "n t"]
    """Derivatives of the prediction by the terms' strengths, at none."""
    lots: tuple[str, ...] = ()
    """Label per row; empty where no lots are told."""
    at: tuple[float, ...] = ()
    """The constants' deviations at which all this is what the twin says; empty: at none."""

    def __post_init__(self) -> None:
        rows, columns = len(self.mean), self.columns
        widths = {
            "controls": (self.controls, len(columns.controls)),
            "environment": (self.environment, len(columns.channels)),
            "sensitivities": (self.sensitivities, len(columns.constants)),
            "terms": (self.terms, len(columns.terms)),
        }
        for name, (values, width) in widths.items():
            if tuple(values.shape) != (rows, width):
                raise BadInput(f"{name} of a twin's pairs have the shape {tuple(values.shape)}; expected ({rows}, {width})")
            _finite(name, values)
        _finite("predictions", self.mean)
        if len(self.at) not in (0, len(columns.constants)):
            raise BadInput(f"{len(self.at)} deviations of a twin's constants; expected one for each of {len(columns.constants)}, or none")
        if len(self.lots) not in (0, rows):
            raise BadInput(f"{len(self.lots)} lots of a twin's pairs; expected one for each of {rows} rows, or none")

    def __len__(self) -> int:
        return len(self.mean)

    def rows(self, which: slice) -> "Conditions":
        """Return some of the rows."""
        values = (self.controls, self.environment, self.mean, self.sensitivities, self.terms)
        controls, environment, mean, sensitivities, terms = (one[which] for one in values)
        return Conditions(self.columns, controls, environment, mean, sensitivities, terms, self.lots[which])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Readings beside predictions, in the order of time."""

    conditions: Conditions
    observed: Float[Tensor, " n"]
    """In the target's unit."""
    samples: tuple[str, ...] = ()
    """Which sample a reading is of: readings of one sample share its run. Empty: a sample each."""
    repeats: tuple[str, ...] = ()
    """What was set: runs of one label had equal controls. Empty: nothing was repeated."""
    batches: tuple[str, ...] = ()
    """What was made or begun together: a plate, an oven load, all that is of one substance. Runs of one label share what nobody recorded,
    and whatever had one value in all of them cannot be told from that. Empty: a batch each."""

    def __post_init__(self) -> None:
        rows = len(self.conditions)
        if len(self.observed) != rows:
            raise BadInput(f"{len(self.observed)} measured values beside {rows} predictions; expected one for each")
        if rows < LEAST_ROWS:
            raise BadInput(f"{rows} pairs of prediction and measurement; expected at least {LEAST_ROWS}")
        _finite("measured values", self.observed)
        for name, labels in (("samples", self.samples), ("repeats", self.repeats), ("batches", self.batches)):
            if len(labels) not in (0, rows):
                raise BadInput(f"{len(labels)} {name} of a twin's pairs; expected one for each of {rows} rows, or none")
        if self.batches and len(set(zip(self.sample_codes.tolist(), self.batches, strict=True))) > int(self.sample_codes.max()) + 1:
            raise BadInput("a sample of a twin's pairs is of two batches; expected one")
        if spread_of(self.observed - self.conditions.mean) is None:
            raise BadInput("all measured values differ from the twin's predictions by the same amount; expected some that do not")

    @property
    def sample_codes(self) -> Tensor:
        """Return the number of each row's sample, counted as they came."""
        return codes(self.samples or [str(row) for row in range(len(self.observed))])

    @property
    def repeat_codes(self) -> Tensor:
        """Return the number of what was set in each row."""
        return codes(self.repeats) if self.repeats else self.sample_codes

    @property
    def batch_codes(self) -> Tensor:
        """Return the number of each row's batch."""
        return codes(self.batches) if self.batches else self.sample_codes

    @property
    def batched(self) -> bool:
        """Whether any batch holds more than one run, and there is more than one batch."""
        return 0 < int(self.batch_codes.max()) < int(self.sample_codes.max())

    @property
    def read_twice(self) -> bool:
        """Whether any sample was read more than once."""
        return int(self.sample_codes.max()) + 1 < len(self.observed)

    @property
    def repeated(self) -> bool:
        """Whether anything was set in more than one run."""
        runs = {(int(sample), int(what)) for sample, what in zip(self.sample_codes, self.repeat_codes, strict=True)}
        return len(runs) > int(self.repeat_codes.max()) + 1


def codes(labels: Sequence[str]) -> Tensor:
    """Number labels in the order in which they first come."""
    seen = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return torch.tensor([seen[label] for label in labels])


def _finite(name: str, values: Tensor) -> None:
    if not bool(values.isfinite().all()):
        row = int((~values.isfinite()).nonzero()[0, 0])
        raise BadInput(f"{name} of a twin's pairs have a missing or infinite value in row {row}; expected numbers")
