"""Numbers as people read them: sensible digits, units, durations."""

from collections.abc import Callable, Iterable, Mapping
from math import floor, isfinite, log10
from typing import Any, Final

from orchestrator.domain.environment import RunEnvironment
from orchestrator.domain.objective import Objective, Target

MISSING: Final = "–"
"""Shown where there is no value."""
MANY_DECADES: Final = 1e-2
"""Smallest over largest value of a column below which fixed decimals would lose digits that matter."""
_RARE: Final = 0.005
"""Chances below it, or so near to one, are told as such: they rest on draws."""
_UNITS: Final = {"degC": "°C", "delta_degC": "°C", "degF": "°F", "percent": "%", "dimensionless": "", "1": ""}


def unit_label(unit: str) -> str:
    """Return a unit as printed; empty for a pure number."""
    return _UNITS.get(unit, unit.replace("**2", "²").replace("**3", "³").replace("^2", "²").replace("^3", "³"))


def axis_label(name: str, unit: str) -> str:
    """Return `name (unit)`."""
    return f"{name} ({unit_label(unit)})" if unit_label(unit) else name


def short_number(value: float | None, digits: int = 4) -> str:
    """Write a number with so many significant digits, without trailing zeros; powers of ten only far from one."""
    if value is None or not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e7:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def column_format(values: Iterable[float | str | None]) -> Callable[[float | str | None], str]:
    """Return how the cells of one column are written: with the same decimals, four digits for the largest.

    Columns over many decades, where that would hide the small values, are written cell by cell.
    """
    sizes = [abs(value) for value in values if isinstance(value, int | float) and isfinite(value) and value]
    if not sizes or not 1e-3 <= max(sizes) < 1e7 or min(sizes) < MANY_DECADES * max(sizes):
        return cell
    decimals = max(len(short_number(size).partition(".")[2]) for size in sizes)
    decimals = min(decimals, max(0, 3 - floor(log10(max(sizes)))))
    return lambda value: f"{value:.{decimals}f}" if isinstance(value, int | float) else cell(value)


def cell(value: float | str | None, digits: int = 4) -> str:
    """Write a configuration's entry."""
    return value if isinstance(value, str) else short_number(value, digits)


def with_unit(value: float | str | None, unit: str, digits: int = 4) -> str:
    """Write a value with its unit."""
    text = cell(value, digits)
    return text if text == MISSING or isinstance(value, str) or not unit_label(unit) else f"{text} {unit_label(unit)}"


def with_uncertainty(value: float, uncertainty: float | None) -> str:
    """Write a value to the place of its uncertainty's second digit, for example `523.4 ± 1.2`."""
    if uncertainty is None or uncertainty <= 0 or not 1e-6 <= uncertainty < 1e6:
        return short_number(value)
    decimals = max(0, 1 - floor(log10(uncertainty)))
    return f"{value:.{decimals}f} ± {uncertainty:.{decimals}f}"


def duration(seconds: float | None) -> str:
    """Write a duration in its two largest units."""
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{short_number(seconds * 1000, 3)} ms"
    if seconds < 60:
        return f"{short_number(seconds, 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def percent(share: float) -> str:
    """Write a chance; never as certain what draws cannot make certain."""
    return "< 1 %" if share < _RARE else "> 99 %" if share > 1 - _RARE else f"{100 * share:.0f} %"


def chance_to_keep(kept: Mapping[str, Any]) -> str:
    """Write the chance to keep all limits; where there are several, behind it that of each."""
    limits = ", ".join(f"{name} {percent(chance)}" for name, chance in kept["limits"].items())
    return f"{percent(kept['probability'])}{f' ({limits})' if len(kept['limits']) > 1 else ''}"


def environment_line(one: RunEnvironment) -> str:
    """Write what was recorded over a run: `41.2 ± 0.6 %, goals hold at 40 %; 38 readings, 97 % covered, at most 31 s old`.

    ± is the standard deviation of single readings. A lot is named; of days since a service there are no readings.
    """
    if one.lot is not None:
        return f"lot {one.lot} of {one.channel}"
    if one.mean is not None and not one.samples:  # the bench file says it
        return f"{with_unit(one.mean, one.unit, 3)} since {one.channel}, goals hold at {with_unit(one.reference, one.unit)}"
    value = "no reading" if one.mean is None else f"{with_uncertainty(one.mean, one.sd)} {unit_label(one.unit)}".rstrip()
    said = [f"{one.samples} reading{'s' if one.samples > 1 else ''}"] if one.samples else []
    said.append(f"{floor(100.0 * one.coverage)} % covered")
    if one.lag is not None:
        said.append(f"at most {duration(one.lag)} old")
    message = f" ({one.message})" if one.message else ""
    return f"{value}, goals hold at {with_unit(one.reference, one.unit)}; {', '.join(said)}{message}"


def alone(objective: Objective) -> Target | None:
    """Return the target that is itself the objective: the only one, and on no common scale."""
    first, *more = objective.targets
    return None if more or first.scaled else first


def together(objective: Objective) -> str | None:
    """Put into words what is wanted of the targets together; None where that is a score."""
    if objective.kind == "explore":
        return f"know {', '.join(objective.names)} everywhere"
    given = [
        f"{one.name} {with_unit(objective.reference[one.name], one.unit)}" for one in objective.targets if one.name in objective.reference
    ]
    if objective.kind == "level":
        return f"border at {given[0]}"
    return None if objective.kind == "utility" else "front" + (f", reference point {', '.join(given)}" if given else "")


def objective_label(objective: Objective) -> str:
    """Name the objective's axis: the target itself where it is the objective."""
    single = alone(objective)
    return "objective" if single is None else axis_label(single.name, single.unit)


def attained_label(objective: Objective) -> str:
    """Name the axis of what is attained."""
    return "hypervolume" if objective.kind == "pareto" else objective_label(objective)


def scored_apart(objective: Objective) -> bool:
    """Say whether experiments are ranked by a value beside those of the targets: on a front they are not."""
    return objective.kind == "utility" and alone(objective) is None


def sign(objective: Objective) -> float:
    """Return what a score is multiplied by to be shown: -1 where it is one quantity to minimise, else 1."""
    single = alone(objective)
    return -1.0 if single is not None and single.goal == "minimise" else 1.0
