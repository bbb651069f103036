"""A twin that is a table: predictions that somebody recorded, linear in between.

Between the rows that gave something the outputs are linear on Delaunay simplices (scipy), each control as a share of its range;
beyond them nothing is predicted. Where the nearest row of all gave nothing, neither does the twin, for that row's reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from flows.plans.twins.files import RecordedFile, inside
from orchestrator.errors import BadInput
from orchestrator.tablefile import read_table
from simulators.twins.declaration import Outcome, Situation, Twin

OUTSIDE: Final = "outside-table"
"""Why nothing is predicted beyond the rows that gave something."""

Array = NDArray[np.float64]


def recorded_twin(file: RecordedFile, folder: Path, *, what: str) -> Twin:
    """Make a twin of a table.

    Args:
        file: What its `.toml` file says.
        folder: Of the bench file, from which the table's path counts.
        what: What messages call the `.toml` file.

    Raises:
        BadInput: A column that is missing, a cell that is no number, a control that never changes, or too few rows.
    """
    keys = file.table
    path = folder / inside(keys.file)
    table = read_table(path, what=f"{what}: table {path}")
    reasons = tuple("" if keys.reason is None else str(row[keys.reason]).strip() for row in table.rows)
    points = np.array([[row[name].number() for name in keys.controls] for row in table.rows])
    made = [row for row, reason in zip(table.rows, reasons, strict=True) if not reason]
    values = np.array([[row[name].number() for name in keys.outputs] for row in made])
    spans = np.ptp(points, axis=0)
    for name, span in zip(keys.controls, spans, strict=True):
        if span == 0.0:
            raise BadInput(f"{what}: {name} has one value in all rows; expected what changes")
    recorded = _Recorded(tuple(keys.controls), tuple(keys.outputs), points.min(axis=0), spans, points, reasons, values)
    try:
        _ = recorded.between
    except (QhullError, ValueError) as error:
        need = len(keys.controls) + 1
        raise BadInput(f"{what}: {len(made)} rows with predictions; expected {need} or more that do not lie in one plane") from error
    return Twin(file.twin.name, file.twin.version, keys.controls, keys.outputs, recorded)


@dataclass(frozen=True)
class _Recorded:
    """Rows of a table; `n` of them, of which `m` gave something."""

    controls: tuple[str, ...]
    outputs: tuple[str, ...]
    low: Array
    spans: Array
    points: Array
    """n x d."""
    reasons: tuple[str, ...]
    values: Array
    """m x outputs."""

    @cached_property
    def between(self) -> Callable[[Array], Any]:
        """What is linear between the rows that gave something; NaN beyond."""
        known = np.array([not reason for reason in self.reasons])
        shares = self._shares(self.points[known])
        if len(self.controls) > 1:
            return LinearNDInterpolator(shares, self.values)  # type: ignore[no-any-return]  # scipy has no types
        order = np.argsort(shares[:, 0])
        if len(order) < 2:
            raise ValueError("a line needs two points")
        line = shares[order, 0], self.values[order]
        return lambda at: np.stack([np.interp(at[:, 0], line[0], one, np.nan, np.nan) for one in line[1].T], axis=1)

    def __call__(self, situations: Sequence[Situation]) -> list[Outcome]:
        if not situations:
            return []
        at = self._shares(np.array([[one.controls[name] for name in self.controls] for one in situations]))
        nearest = np.square(at[:, None, :] - self._shares(self.points)[None, :, :]).sum(axis=-1).argmin(axis=1)
        return [self._outcome(int(place), row) for place, row in zip(nearest, self.between(at), strict=True)]

    def _outcome(self, nearest: int, row: Array) -> Outcome:
        if self.reasons[nearest]:
            return self.reasons[nearest]
        return OUTSIDE if np.isnan(row).any() else dict(zip(self.outputs, map(float, row), strict=True))

    def _shares(self, points: Array) -> Array:
        return (points - self.low) / self.spans
