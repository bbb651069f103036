"""What an analysis says, for people: the same lines on a terminal and on the page."""

from flows.studies.twins.drifting import Watched
from flows.studies.twins.explained import Explained
from models.twin.analysis import Finding
from models.twin.shares import Share


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
