"""What a campaign has attained, by its kind of objective: a best score, a front's hypervolume, or how well a response is known."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.domain.front import covered_share, front
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.values import Configuration
from orchestrator.history import History, best
from orchestrator.suggestions import CERTAINTY

if TYPE_CHECKING:  # it loads pint
    from orchestrator.domain.objective import Objective


def attained(history: History, objective: "Objective", among: Collection[str] | None = None) -> float | None:
    """Return what a goal is held against: the best score, or the share of the hypervolume; None where there is none.

    Args:
        history: The campaign so far.
        objective: What is wanted.
        among: Keys of the runs that count; all where it is left out.
    """
    if objective.kind == "pareto":
        return covered_share(objective, (values for key, values in history.accepted.items() if among is None or key in among))
    found = best(history, objective, among)
    return None if found is None else found[1]


def front_of(history: History, objective: "Objective", among: Collection[str] | None = None) -> tuple[ExperimentRun, ...]:
    """Return the runs, of all or of some, that are better than the reference point and that no other betters, best first target first."""
    rows = {key: values for key, values in history.accepted.items() if among is None or key in among}
    return tuple(history.runs[key] for key in front(objective, rows))


def certainties(history: History) -> tuple[Mapping[str, Mapping[str, float]], ...]:
    """Return how well the response was known when each proposal was made, in their order; nothing for objectives that seek a best."""
    details = (one.provenance.details for one in history.newest())
    return tuple(one[CERTAINTY] for one in details if CERTAINTY in one)


def attained_line(history: History, objective: "Objective", among: Collection[str] | None = None) -> str:
    """Say in a few words what is attained, of all or by some runs."""
    if not objective.ranked:
        return known_line(certainties(history), objective)
    found = attained(history, objective, among)
    if objective.kind == "pareto" and found is None:
        return "no front yet"
    shown = "-" if found is None else format(found, ".4f")
    return f"front of {len(front_of(history, objective, among))}, hypervolume {shown}" if objective.kind == "pareto" else f"best {shown}"


def known_line(known: Sequence[Mapping[str, Mapping[str, float]]], objective: "Objective") -> str:
    """Say how well the response is known, and was at first."""
    if not known:
        return "no model yet"
    first, last = known[0], known[-1]
    parts = [
        f"mean sd {name} {last['sd'][name]:.3g} {unit}".rstrip() + (f" (first {first['sd'][name]:.3g})" if len(known) > 1 else "")
        for name, unit in objective.units.items()
        if name in last["sd"]
    ]
    parts += [f"{100 * share:.0f} % of the space uncertain" for share in last.get("uncertain", {}).values()]
    return ", ".join(parts)


def front_lines(
    history: History, objective: "Objective", units: Mapping[str, str], present: Callable[[Configuration], Configuration] = dict
) -> Iterator[str]:
    """Say what each run of the front gave, and where it was measured.

    Args:
        history: The campaign so far.
        objective: What is traded off.
        units: Of the numeric columns.
        present: Leaves out of a configuration what is absent.
    """
    for run in front_of(history, objective):
        values = history.accepted[run.run_key]
        given = ", ".join(_shown(one.name, values[one.name], one.unit) for one in objective.targets)
        place = ", ".join(_shown(name, value, units.get(name, "")) for name, value in present(history.configuration_of(run)).items())
        yield f"{given} at {place}"


def _shown(name: str, value: Any, unit: str) -> str:
    return f"{name} {value if isinstance(value, str) else format(value, '.4g')} {unit}".rstrip()
