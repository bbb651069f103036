"""A function that was drawn at some points, in between: the mean of a Gaussian process through them with Matern's kernel 5/2.

The formula is eq. 4.17 of [Rasmussen, Williams: Gaussian Processes for Machine Learning, MIT Press 2006].
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from orchestrator.units import convert
from simulators.setting import MIDDLE, Value, reach_of

_SCALE: Final = 0.7
"""Length scale, as a share of each input's range: longer than the spacing of some hundred points in ten dimensions."""
_JITTER: Final = 1e-6
"""Of the kernel's height; the solve stays sound where points almost coincide."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A smooth function through points of the unit cube."""

    points: Array
    """n x d."""
    weights: Array
    level: float
    """What it goes back to far from all points."""

    @classmethod
    def through(cls, points: Array, values: Array) -> "Interpolation":
        """Lay a function through values (n) at points (n x d)."""
        level = float(values.mean())
        kernel = _matern(points, points) + _JITTER * np.eye(len(points))
        weights: Array = np.linalg.solve(kernel, values - level).astype(np.float64)
        return cls(points, weights, level)

    def at(self, point: Array) -> float:
        """Return the value at a point (d)."""
        return self.level + float(_matern(point[None, :], self.points)[0] @ self.weights)


def _matern(left: Array, right: Array) -> Array:
    scaled = math.sqrt(5.0) / _SCALE * np.sqrt(np.square(left[:, None, :] - right[None, :, :]).sum(axis=-1))
    kernel: Array = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    return kernel


class SampledFunction(BaseModel):
    """A function that was drawn from a prior, at some hundred points."""

    rows: list[dict[str, Value]]
    values: list[float]
    unit: str = ""


class Drawn:
    """A function that was drawn from a prior: numbers count as shares of its ranges, words as they are or are not."""

    def __init__(self, inputs: Mapping[str, str], sampled: SampledFunction, unit: str) -> None:
        self._inputs, self._units = {parameter: setting for setting, parameter in inputs.items()}, (sampled.unit, unit)
        columns = {name: [row[name] for row in sampled.rows] for name in sampled.rows[0]}
        self._reach = {name: reach_of(column) for name, column in columns.items()}
        points = np.array([self._point(row) for row in sampled.rows])
        self._between = Interpolation.through(points, np.array(sampled.values))
        convert(0.0, *self._units)

    def _point(self, row: Mapping[str, Value | None]) -> list[float]:
        point: list[float] = []
        for name, reach in self._reach.items():
            value = row.get(name)
            if reach.values:
                point += [float(value == word) if value is not None else 1.0 / len(reach.values) for word in reach.values]
            else:
                point.append(MIDDLE if value is None else reach.share(value))
        return point

    def value(self, made: Mapping[str, Value]) -> float:
        """Return the value at these settings; a parameter that none of them is stands in the middle."""
        row = {name: made.get(self._inputs[name]) if name in self._inputs else None for name in self._reach}
        return convert(self._between.at(np.array(self._point(row))), *self._units)
