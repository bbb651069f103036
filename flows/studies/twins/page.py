"""A campaign beside its twin as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from plotly.offline import get_plotlyjs

from flows.studies.twins import figures
from flows.studies.twins.compared import Compared
from flows.studies.twins.drifting import Watched
from flows.studies.twins.explained import Explained
from flows.studies.twins.failing import Failing
from flows.studies.twins.helping import Help
from flows.studies.twins.sentences import SCALES, error_line, failure_sentences, head, sentences, with_unit
from flows.templating import render
from orchestrator.domain.drift import DriftAlarm


@dataclass(frozen=True)
class Told:
    """What is told of one revision."""

    name: str
    base: str
    learned: str
    terms: str
    verdict: str


@dataclass(frozen=True)
class _Pictures:
    found: Compared
    one: Explained
    watched: Watched | None

    @cached_property
    def waterfall(self) -> Any:
        return figures.waterfall(self.one)

    @cached_property
    def against(self) -> Any | None:
        return figures.against(self.found, self.one)

    @cached_property
    def rolling(self) -> Any | None:
        return None if self.watched is None else figures.rolling(self.one, self.watched)

    @cached_property
    def over_time(self) -> Any:
        return figures.over_time(self.found, self.one, self.watched)


def page(
    found: Compared,
    quantities: Sequence[Explained],
    watched: Sequence[Watched | None],
    revisions: Sequence[Told],
    revised: tuple[str, Any] | None,
    failures: Sequence[tuple[Failing, Help]],
    raised: Sequence[DriftAlarm] = (),
    *,
    simulated: bool,
) -> str:
    """Render it.

    Args:
        found: The runs beside the twin.
        quantities: What is known of each quantity.
        watched: The drift charts of each; None where there are too few runs.
        revisions: Of the twin.
        revised: Name of the newest revision, and what it says of all rows, n x m.
        failures: Reasons for which runs came to nothing, and what would help.
        raised: Alarms that were raised while the campaign ran.
        simulated: Whether this was a dry run.
    """
    gaps = [
        (one.gap.measured, one.gap.runs, *(with_unit(value, one.gap.unit) for value in (one.gap.bias, one.gap.error, one.gap.spread)))
        for one in quantities
    ]
    return render(
        "twin.html",
        found=found,
        quantities=quantities,
        scales=SCALES,
        recorded=", ".join(found.varied) or "nothing",
        heads=("quantity", "runs", "measured - twin, mean", "root mean square", "spread of what was measured"),
        gaps=gaps,
        parity=figures.parity(found, [one.gap.measured for one in quantities], revised),
        said=[sentences(one) for one in quantities],
        pictures=[_Pictures(found, one, own) for one, own in zip(quantities, watched, strict=True)],
        watching=[_watching(one, one_of.gap.unit) for one, one_of in zip(watched, quantities, strict=True)],
        raised=[one.answered_line for one in raised],
        revisions=[(one.name, one.base, one.learned, one.terms, one.verdict) for one in revisions],
        failures=[(head(found, one), failure_sentences(found, one, help_), figures.failed(found, one)) for one, help_ in failures],
        simulated=simulated,
        plotly=get_plotlyjs(),
    )


def _watching(one: Watched | None, unit: str) -> str:
    if one is None:
        return "Too few runs to watch for a drift."
    told = "; ".join(f"alarm at proposal {at}, probably since {since}" for at, since in one.alarms) or "no alarm"
    runs = f"A drift is watched for in {len(one.numbers)} runs, after {one.learned} that say how far runs lie apart"
    return f"{runs}: {told}. There the twin is {error_line(one, unit)}."
