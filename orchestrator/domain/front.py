"""Trade-offs between targets: which measurements no other betters in all targets, and how much they cover together.

Everything is computed in utilities (`Target.utility`), larger is better, above the reference point of the objective. Plain
arithmetic: a report or a status needs no library for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it loads pint
    from orchestrator.domain.objective import Objective

Point = tuple[float, ...]


def corner(objective: "Objective") -> Point:
    """Return the utility of the reference point, target by target; 0 where none is given."""
    given = objective.reference
    return tuple(float(one.utility(given[one.name])) if one.name in given else 0.0 for one in objective.targets)


def traded(objective: "Objective", values: Mapping[str, float]) -> Point | None:
    """Return the utilities of a measurement above the reference point; None where a target is missing."""
    if any(target.name not in values for target in objective.targets):
        return None
    return tuple(float(one.utility(values[one.name])) - low for one, low in zip(objective.targets, corner(objective), strict=True))


def front(objective: "Objective", rows: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Return the keys of the measurements that are better than the reference point and that no other betters, best first target first.

    Args:
        objective: What is traded off.
        rows: Key -> values by target; incomplete ones count for nothing.
    """
    points = {key: point for key, values in rows.items() if (point := traded(objective, values)) is not None and min(point) > 0}
    kept = set(_undominated(points.values()))
    return tuple(sorted((key for key in points if points[key] in kept), key=lambda key: (tuple(-part for part in points[key]), key)))


def _betters(one: Point, other: Point) -> bool:
    return one != other and all(first >= second for first, second in zip(one, other, strict=True))


def covered_share(objective: "Objective", rows: Iterable[Mapping[str, float]]) -> float | None:
    """Return the hypervolume of measurements over that of the box from the reference point to utility 1 of all targets.

    It is above 1 where values lie beyond the scales' ends; None before the first complete measurement.
    """
    points = [point for values in rows if (point := traded(objective, values)) is not None]
    if not points:
        return None
    box = 1.0
    for low in corner(objective):
        box *= 1.0 - low
    return hypervolume(points) / box


def hypervolume(points: Sequence[Point]) -> float:
    """Return the volume of all that lies between zero and some point; what is not above zero everywhere counts for nothing.

    Slices along the last coordinate, from the best down, each a hypervolume of one dimension less.
    """
    above = _undominated(point for point in points if min(point) > 0)
    if not above:
        return 0.0
    if len(above[0]) == 1:
        return max(point[0] for point in above)
    volume, seen = 0.0, list[Point]()
    heights = sorted({point[-1] for point in above}, reverse=True)
    for height, below in zip(heights, (*heights[1:], 0.0), strict=True):
        seen = _undominated([*seen, *(point[:-1] for point in above if point[-1] == height)])
        volume += (height - below) * hypervolume(seen)
    return volume


def _undominated(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other betters, each once: in this order a point is bettered by an earlier one, if by any."""
    kept: list[Point] = []
    for point in sorted(set(points), reverse=True):
        if not any(_betters(other, point) for other in kept):
            kept.append(point)
    return kept
