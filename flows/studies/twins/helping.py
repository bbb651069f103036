"""What would help, by the twin: the smallest change of one thing that is set, or of one constant, after which a run has what it lacked.

It is as right as the twin is. What the twin does not know, it cannot answer for, and that is said.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import outputs_of
from flows.studies.twins.compared import Compared
from flows.studies.twins.ended import Ended
from flows.studies.twins.explained import Explained
from flows.studies.twins.failing import Failing
from flows.studies.twins.surroundings import surroundings
from models.twin.failures import Separation
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.values import Configuration
from simulators.twins.declaration import Constant, Outcome, Situation

STEPS: Final = 10
"""Parts of a parameter's range, and of `FARTHEST_SDS`, by which changes are tried: our own choice, a tenth is what people adjust."""
FARTHEST_SDS: Final = 3.0
"""Prior standard deviations by which a constant is moved at most: farther away it is another chemistry."""
MOST_RUNS: Final = 6
"""Runs that a twin is asked about, spread over the campaign: some take a second for each answer."""
NO_EFFECT: Final = 0.01
"""Share of a quantity below which surroundings make no difference to it, by the twin."""
MOST_TOLD: Final = 3
"""Changes that are told for one reason at most."""


@dataclass(frozen=True)
class Change:
    """The smallest change of one thing that helps, over some runs."""

    what: str
    unit: str
    is_constant: bool
    """Of the twin: what no setting changes, and another material may."""
    before: float
    after: float
    """Medians over the runs that it helps."""
    helps: int
    of: int
    share: float
    """Median size, in parts of the parameter's range, or of `FARTHEST_SDS`."""


@dataclass(frozen=True)
class Effect:
    """What surroundings do to a quantity of runs that failed, by the twin, and what brings it back."""

    measured: str
    ratio: float
    """Median of the quantity as the run was over the quantity at the threshold's lower end, or its upper one."""
    by: str
    """The twin, or the terms that it has taken up."""
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Help:
    """All that the twin has to say of one reason."""

    works: tuple[Change, ...]
    """After which it no longer gives the reason itself; empty where it does not give it."""
    effects: tuple[tuple[Separation, tuple[Effect, ...]], ...]
    """For each named channel what the twin knows of it; empty where it knows nothing."""


def helping(found: Compared, one: Failing, all_of: Sequence[Explained]) -> Help:
    """Ask the twin what would help.

    Args:
        found: The runs beside the twin.
        one: The reason.
        all_of: What is known of quantities: terms that the twin has taken up.

    Raises:
        BadInput: What the twin gives is not what it declares.
    """
    agreed = _spread([each for each in one.cases if each.said == one.reason])
    plain = found.plain
    works = _changes(
        plain, agreed, [_beside(found, plain, each) for each in agreed], [lambda outcome: not isinstance(outcome, str)] * len(agreed)
    )
    named = one.separated.named if one.separated is not None else ()
    channels = {channel.name for channel in found.channels}
    failed = _spread(one.tried)
    return Help(works, tuple((each, tuple(_effects(found, each, failed, all_of))) for each in named if each.factor in channels))


def _spread(runs: Sequence[Ended]) -> list[Ended]:
    return list(runs) if len(runs) <= MOST_RUNS else [runs[place * (len(runs) - 1) // (MOST_RUNS - 1)] for place in range(MOST_RUNS)]


def _beside(found: Compared, bound: BoundTwin, one: Ended) -> dict[str, float]:
    return surroundings(bound, one.environment or {}, found.units)


@dataclass(frozen=True)
class _Affected:
    """A quantity that a channel changes, of some runs."""

    measured: str
    ratio: float
    bound: BoundTwin
    by: str
    runs: tuple[Ended, ...]
    goals: tuple[Callable[[Outcome], bool], ...]

    @property
    def size(self) -> float:
        return abs(math.log(self.ratio)) if self.ratio > 0.0 else math.inf


def _effects(found: Compared, named: Separation, failed: Sequence[Ended], all_of: Sequence[Explained]) -> Iterator[Effect]:
    """Yield each quantity that by the twin a channel changes in runs that failed; of the most changed one what brings it back."""
    affected = filter(None, (_affected(found, named, failed, measured, all_of) for measured in found.plain.outputs))
    for place, one in enumerate(sorted(affected, key=lambda one: -one.size)):
        beside = [_beside(found, one.bound, run) for run in one.runs]
        changes = () if place else _changes(one.bound, one.runs, beside, one.goals)
        yield Effect(one.measured, one.ratio, one.by, changes)


def _affected(found: Compared, named: Separation, failed: Sequence[Ended], measured: str, all_of: Sequence[Explained]) -> _Affected | None:
    assert named.interval is not None, "channels are numbers"
    kept = named.interval[0] if named.above else named.interval[1]
    bound, by = _informed(found, measured, named.factor, all_of)
    was = [bound.situation(one.configuration, _beside(found, bound, one)) for one in failed]
    spared = [surroundings(bound, {**(one.environment or {}), named.factor: kept}, found.units) for one in failed]
    would = [bound.situation(one.configuration, where) for one, where in zip(failed, spared, strict=True)]
    values = outputs_of(bound, bound.twin.predict([*was, *would]))[:, list(bound.outputs).index(measured)]
    pairs = zip(failed, map(float, values[: len(failed)]), map(float, values[len(failed) :]), strict=True)
    moved = [(one, here, there) for one, here, there in pairs if abs(there - here) > NO_EFFECT * abs(there)]  # never where either is NaN
    if not moved:
        return None
    goals = tuple(_brings_back(bound, measured, here, there) for _, here, there in moved)
    return _Affected(measured, median(here / there for _, here, there in moved if there), bound, by, tuple(one for one, *_ in moved), goals)


def _informed(found: Compared, measured: str, channel: str, all_of: Sequence[Explained]) -> tuple[BoundTwin, str]:
    """Return the twin with the terms of a channel that a quantity has taken up, at their most probable strengths, and what it is called."""
    label = found.plain.twin.label
    own = next((one for one in all_of if one.gap.measured == measured), None)
    if own is None:
        return found.bound, label
    name = next((name for name, channel_of in found.bound.surroundings.items() if channel_of.name == channel), channel)
    driven = {one.name for one in found.terms if one.channel == name}
    strengths = {one.name: one.mean for one in own.analysis.estimates if one.name in own.taken_up and one.name in driven}
    constants = {one.name: replace(one, value=strengths[one.name]) for one in found.bound.twin.constants if one.name in strengths}
    twin = found.bound.twin.with_constants(constants)
    return replace(found.bound, twin=twin), f"{label} with {', '.join(strengths)}" if strengths else label


def _brings_back(bound: BoundTwin, measured: str, here: float, there: float) -> Callable[[Outcome], bool]:
    """Return whether an outcome reaches the value that a quantity would have had."""
    sign, place = math.copysign(1.0, there - here), list(bound.outputs).index(measured)
    return lambda outcome: not isinstance(outcome, str) and sign * (float(outputs_of(bound, [outcome])[0, place]) - there) >= 0.0


def _changes(
    bound: BoundTwin, runs: Sequence[Ended], beside: Sequence[Mapping[str, float]], goals: Sequence[Callable[[Outcome], bool]]
) -> tuple[Change, ...]:
    """Return for each thing that helps any run its smallest change; what helps most runs first, then what is changed least."""
    tried = [(row, *one) for row, (run, where) in enumerate(zip(runs, beside, strict=True)) for one in _moves(bound, run.asked, where)]
    outcomes = bound.twin.predict([one[-1] for one in tried])
    least: dict[tuple[str, bool], dict[int, tuple[float, float, float]]] = {}
    for (row, what, is_constant, share, before, after, _), outcome in zip(tried, outcomes, strict=True):
        mine = least.setdefault((what, is_constant), {})
        if goals[row](outcome) and (row not in mine or share < mine[row][0]):
            mine[row] = (share, before, after)
    units = {one.name: one.unit for one in bound.twin.constants}
    found = []
    for (what, is_constant), rows in least.items():
        if rows:
            share, before, after = (median(column) for column in zip(*rows.values(), strict=True))
            unit = units[what] if is_constant else bound.space.units.get(what, "")
            found.append(Change(what, unit, is_constant, before, after, len(rows), len(runs), share))
    return tuple(sorted(found, key=lambda one: (one.is_constant, -one.helps, one.share)))


_Move = tuple[str, bool, float, float, float, Situation]
"""What, whether it is a constant, how far in parts of its range, before, after, and the situation."""


def _moves(bound: BoundTwin, configuration: Configuration, beside: Mapping[str, float]) -> Iterator[_Move]:
    here = bound.situation(configuration, beside)
    for parameter in bound.space.parameters:
        if not isinstance(parameter, ContinuousParameter | DiscreteParameter) or parameter.name not in configuration:
            continue
        own = float(configuration[parameter.name])
        for value in _places(parameter, own):
            moved = {**configuration, parameter.name: value}
            if bound.space.complaint(moved) is None:
                share = parameter.difference(configuration, moved)
                yield parameter.name, False, share, own, value, bound.situation(moved, beside)
    for constant in _own(bound):
        for step in range(1, STEPS + 1):
            for sds in (-FARTHEST_SDS * step / STEPS, FARTHEST_SDS * step / STEPS):
                value = constant.moved(sds)
                asked = Situation(here.controls, {**here.constants, constant.name: value}, here.environment)
                yield constant.name, True, step / STEPS, constant.value, value, asked


def _own(bound: BoundTwin) -> Iterator[Constant]:
    """Yield the constants that the twin itself declares: strengths of the library's terms are no property of a material."""
    names = {one.name for one in bound.found.twin.constants}
    yield from (one for one in bound.twin.calibratable if one.name in names)


def _places(parameter: ContinuousParameter | DiscreteParameter, own: float) -> Iterator[float]:
    """Yield other values of a parameter, by parts of its range on its axis; its ends among them."""
    if isinstance(parameter, DiscreteParameter):
        yield from (one for one in parameter.values if one != own)
        return
    begin, span = parameter.axis
    here = (parameter.place(own) - begin) / span
    for step in range(1, STEPS + 1):
        for share in (here - step / STEPS, here + step / STEPS):
            if 0.0 <= share <= 1.0:
                value = begin + share * span
                yield min(max(math.exp(value) if parameter.on_log_scale else value, parameter.min), parameter.max)
