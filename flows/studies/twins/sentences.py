"""What an analysis says, for people: the same lines on a terminal and on the page."""

from collections.abc import Mapping, Sequence
from typing import Final

from flows.report.quantities import short_number
from flows.report.quantities import with_unit as quantity
from flows.studies.twins.compared import Compared
from flows.studies.twins.drifting import Watched
from flows.studies.twins.explained import Explained
from flows.studies.twins.failing import BY_THE_TWIN, Failing, Unusual, unit_of
from flows.studies.twins.helping import MOST_TOLD, Change, Effect, Help
from models.twin.analysis import Finding
from models.twin.factors import ALPHA
from models.twin.failures import LEAST_CASES, Separated, Separation, Side
from models.twin.model import Scale
from models.twin.shares import Share
from simulators.twins.terms import ELAPSED

SCALES: Final[Mapping[Scale, str]] = {"additive": "differences", "proportional": "shares of the prediction", "multiplicative": "logarithms"}
"""As what measured and predicted values are compared."""


def with_unit(value: float, unit: str) -> str:
    """Write a number to three digits."""
    return f"{value:.3g} {unit}".rstrip()


def error_line(one: Watched, unit: str) -> str:
    """Say how far off the twin is in the runs that were watched, corrected once and recalibrated with each run."""
    once, rolling = (with_unit(error, unit) for error in one.errors)
    return f"off by {once} corrected once, by {rolling} recalibrated with each run"


def sentences(one: Explained) -> list[str]:
    """Say what is known of why one quantity differs."""
    analysis, own = one.analysis, {each.name: each for each in one.analysis.ranking}
    lines = [_said(each) for each in one.named] or ["nothing recorded is shown to make the difference"]
    silent = ", ".join(f"{each.factor} (p {each.p_value:.2g})" for each in analysis.findings if not each.named)
    lines += [f"not shown: {silent}"] if silent else []
    lines += [f"{each.factor} is not settled: {each.settle}" for each in analysis.findings if not each.named and each.settle]
    lines += [f"the twin lacks {name}: log Bayes factor {own[name].log_bayes_factor:.1f}" for name in one.taken_up]
    calibrated = ", ".join(each.name for each in analysis.estimates if each.calibrated)
    lines += [f"these runs calibrate {calibrated}"] if calibrated else []
    parts = ", ".join(f"{each.name} {_share(each)}" for each in analysis.split.parts)
    return [*lines, f"of the variance of the difference: {parts}", *analysis.split.sentences]


def _said(found: Finding) -> str:
    others = ", ".join(name for name in found.together if name != found.factor)
    if found.share is None:
        return f"{found.factor}: cannot be told from {others}; to settle it, {found.settle}"
    goes = {"rises": ", values rise with it", "falls": ", values fall with it", "bends": ", values bend with it"}.get(found.direction, "")
    settle = f"; to settle it, {found.settle}" if found.settle else ""
    apart = f" (or {others}, which these runs cannot tell from it)" if others else ""
    return f"{found.factor}{apart} made a difference{goes}: {_share(found.share)} of the variance, p {found.p_value:.2g}{settle}"


def _share(share: Share) -> str:
    return f"{100 * share.median:.0f} % [{100 * share.lower:.0f} %, {100 * share.upper:.0f} %]"


# ---------------------------------------------------------------------- runs that came to nothing


def head(found: Compared, one: Failing) -> str:
    """Say how many runs a reason ended, and what the twin says of them."""
    said = [f"{count} {_says(one.reason, said)}" for said, count in sorted(one.said.items(), key=lambda each: -each[1])]
    vain = f"; it says {one.reason} of {one.said_in_vain} that gave something" if one.said_in_vain else ""
    return f"{one.reason}: {len(one.cases)} of {len(found.ended)} runs; by the twin {', '.join(said)}{vain}"


def _says(reason: str, said: str) -> str:
    return "work" if not said else f"are {said} too" if said == reason else f"are {said}"


def failure_sentences(found: Compared, one: Failing, help_: Help) -> list[str]:
    """Say what separates the runs that a reason ended from those that it spared, and what would help."""
    lines = list[str]()
    if one.separated is not None:
        for each in one.separated.named:
            lines += [_separates(found, each), _advice(found, each)]
        lines += _too_little(one.separated) if one.separated.named else [_unsettled(one)]
    elif one.tried:
        unexplained = f"{len(one.tried)} that the twin does not expect and {len(one.spared)} that were spared"
        lines.append(f"{unexplained}: too few to look for what separates them ({LEAST_CASES} of either)")
    if changes := _changes(help_.works):
        lines.append(f"by the twin they work after {changes}")
    elif any(said == one.reason for said in one.said):
        lines.append("by the twin no single change within the parameters' ranges lets them work")
    for each, effects in help_.effects:
        lines += _effects(found, one, each, effects)
    return lines


def _unsettled(one: Failing) -> str:
    assert one.separated is not None, "it was tried"
    least = min(one.separated.p_values.items(), key=lambda each: each[1], default=("", 1.0))
    told = f" (least p {least[1]:.2g}: {least[0]})" if least[0] else ""
    return f"not settled: nothing that was set or recorded separates {len(one.tried)} runs from {len(one.spared)} that were spared it{told}"


def _too_little(found: Separated) -> list[str]:
    """Name what is beyond chance beside the named factors, and adds too little to be named."""
    named = {name for one in found.named for name in one.together}
    others = [f"{name} (p {p:.2g})" for name, p in found.p_values.items() if p <= ALPHA and name not in named]
    return [f"beyond chance beside that, with too little evidence to be named: {', '.join(others)}"] if others else []


def _separates(found: Compared, one: Separation) -> str:
    others = ", ".join(name for name in one.together if name != one.factor)
    apart = f" (or {others}, which these runs cannot tell from it)" if others else ""
    within = f" among the runs that most fail by {' and '.join(one.within)}," if one.within else ""
    low, high = (one.spared, one.failing) if one.above else (one.failing, one.spared)
    if one.label is not None:
        own, others_of = (one.failing, one.spared) if one.above else (one.spared, one.failing)
        told = f"of {one.label} {_of(own)} failed, of all others {_of(others_of)}"
        return f"{one.factor}{apart}:{within} {told} (p {one.p_value:.2g})"
    assert one.threshold is not None, "what has no label has a threshold"
    assert one.interval is not None, "what has no label has a threshold"
    unit = unit_of(found, one.factor)
    ends = f"[{short_number(one.interval[0], 3)}, {short_number(one.interval[1], 3)}]"
    told = f"up to {quantity(one.threshold, unit, 3)} {_of(low)} failed, above {_of(high)}"
    return f"{one.factor}{apart}:{within} {told} (threshold in {ends} with 95 %, p {one.p_value:.2g})"


def _of(side: Side) -> str:
    return f"{side.failed or 'none'} of {side.runs}"


def _advice(found: Compared, one: Separation) -> str:
    """Say what to do, with the figure that it rests on; of what cannot be told apart, what would tell it."""
    if len(one.together) > 1:
        return f"to settle it, vary {one.factor} while {', '.join(one.together[1:])} stays as it is"
    if one.label is not None:
        if not one.above:
            return f"keep to {one.factor} {one.label}"
        return f"take another {one.factor} than {one.label}"
    assert one.interval is not None, "what has no label has a threshold"
    kept = quantity(one.interval[0] if one.above else one.interval[1], unit_of(found, one.factor), 3)
    if one.factor == ELAPSED:
        return f"something has changed about then: look at what was done to the bench near {kept}"
    if one.factor.endswith(BY_THE_TWIN):
        return f"keep to settings of which the twin says {'less' if one.above else 'more'} than {kept}"
    return f"keep {one.factor} {'below' if one.above else 'above'} {kept}"


def _effects(found: Compared, one: Failing, each: Separation, effects: Sequence[Effect]) -> list[str]:
    if not effects:
        return [f"the twin knows no effect of {each.factor}: what else would help it cannot say"]
    assert each.interval is not None, "channels are numbers"
    at = quantity(each.interval[0] if each.above else each.interval[1], unit_of(found, each.factor), 3)
    lines = [f"by {effect.by} {effect.measured} is {effect.ratio:.2g} times what it would be at {each.factor} {at}" for effect in effects]
    changes = _changes(effects[0].changes)
    back = f"it is brought back by {changes}" if changes else "no single change within the parameters' ranges brings it back"
    knows = "" if one.reason in one.said else f"; whether that spares them {one.reason} the twin cannot say, for it works by it there"
    return [lines[0] + f": {back}{knows}", *lines[1:]]


def _changes(changes: Sequence[Change]) -> str:
    """Name the changes that help most runs, and the constant that would."""
    settings = [one for one in changes if not one.is_constant][:MOST_TOLD]
    constants = [one for one in changes if one.is_constant][:1]
    told = [
        f"{one.what} from {short_number(one.before, 3)} to {quantity(one.after, one.unit, 3)} ({one.helps} of {one.of} runs)"
        for one in settings
    ]
    for one in constants:
        other = f"{one.what} of {quantity(one.after, one.unit, 3)} instead of {short_number(one.before, 3)}"
        told.append(f"by another material or coating, {other} ({one.helps} of {one.of} runs)")
    return ", or ".join(told)


def unusual_sentences(found: Compared, one: Unusual) -> list[str]:
    """Say in what one run lies beyond all that gave something, and how much that is worth."""
    mine = one.one
    ended = f"ended with {mine.told or mine.reason}" if mine.reason else "gave something"
    lines = [f"proposal {mine.number} {ended}; by the twin {'it works' if not mine.said else f'it is {mine.said}'}"]
    for name, value, low, high in one.factors:
        if low is None or high is None or isinstance(value, str):
            lines.append(f"{name} {value}: none of {one.among} runs that gave something had it")
        else:
            beyond = "more" if value > high else "less"
            span = f"{short_number(low, 3)} to {quantity(high, unit_of(found, name), 3)}"
            lines.append(f"{name} {short_number(value, 3)}: {beyond} than in all {one.among} runs that gave something ({span})")
    if not one.factors:
        return [*lines, f"nothing that was set or recorded lies beyond the {one.among} runs that gave something"]
    return [*lines, f"of these runs {one.as_unusual} are themselves beyond all others in something: one run proves nothing"]
