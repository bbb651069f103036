"""What a campaign's twin expects of a proposal, and how far to trust it there: how far it was off where something was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean
from typing import Any, Final

import numpy as np

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import outputs_of, twin_table
from models.inputs.encoding import Encoding
from models.inputs.proximity import nearest_measured
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.units import convert
from simulators.twins.terms import DAY, ELAPSED

LAST: Final = convert(1.0, DAY, "s")
"""Lab seconds before the end of the newest run over which surroundings are averaged: tomorrow is taken to be as today."""
_Values = Mapping[str, float]
_Gaps = Sequence[tuple[ExperimentRun, _Values]]


@dataclass(frozen=True)
class Expecting:
    """Asks a twin about proposals; each run is predicted once in a process."""

    bound: BoundTwin
    _said: dict[str, tuple[Any, str | _Values]] = field(default_factory=dict)
    """Run -> what the twin was asked, and what it said of it."""

    def __call__(self, history: History, proposals: Sequence[Proposal]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return what is to be told of the twin, and of each proposal.

        Returns:
            The twin's name, the `surroundings` in which it is asked, and by quantity how far it was `off` so far; or why it `failed`. For
            each proposal a `reason` where nothing can be measured by the twin, or what is `expected` by quantity: the `mean`, the standard
            deviation `sd` that the priors of its constants leave (to first order), and `near`, by how much the nearest measured runs
            differed from the twin, the nearest first. All in the campaign's units.
        """
        try:
            gaps, around = self._gaps(history), self._around(history)
            return self._of_all(gaps, around), self._of_each(history, proposals, gaps, around)
        except BadInput as error:  # other people's code: nothing waits for it
            return {"twin": self.bound.twin.label, "failed": str(error)}, [{} for _ in proposals]

    def _of_all(self, gaps: _Gaps, around: _Values) -> dict[str, Any]:
        known = [
            {"name": one.name, "value": around.get(one.name, one.reference), "unit": one.unit, "recorded": one.name in around}
            for one in self.bound.twin.environment
        ]
        off = {}
        for name in self.bound.outputs:
            found = [gap[name] for _, gap in gaps if name in gap]
            if found:
                off[name] = {"runs": len(found), "mean": fmean(found), "rms": sqrt(fmean(one * one for one in found))}
        return {"twin": self.bound.twin.label, "surroundings": known, "off": off}

    def _of_each(self, history: History, proposals: Sequence[Proposal], gaps: _Gaps, around: _Values) -> list[dict[str, Any]]:
        table = twin_table(self.bound, [one.configuration for one in proposals], [around] * len(proposals))
        sds = np.sqrt(np.nansum((table.sensitivities * table.prior_sds) ** 2, axis=2))
        told = []
        for row, proposal in enumerate(proposals):
            near = self._near(proposal, gaps, history)
            said = {
                name: {"mean": float(table.mean[row, place]), "sd": float(sds[row, place]), "unit": unit, "near": near.get(name, [])}
                for place, (name, unit) in enumerate(zip(table.measured, table.units, strict=True))
            }
            told.append({"reason": table.reasons[row]} if table.reasons[row] else {"expected": said})
        return told

    # ----------------------------------------------------------------- runs

    def _gaps(self, history: History) -> _Gaps:
        """Return measured less predicted values of each run that has any, as it was carried out and in what was recorded with it."""
        runs = [
            one
            for one in history.attempts()
            if one.started_lab is not None and self.bound.outputs.keys() & history.accepted.get(one.run_key, {})
        ]
        begin = min((one.started_lab or 0.0 for one in runs), default=0.0)
        asked = {one.run_key: (dict(history.configuration_of(one)), self._at(one, begin)) for one in runs}
        new = [key for key, what in asked.items() if key not in self._said or self._said[key][0] != what]
        situations = [self.bound.situation(*asked[key]) for key in new]
        rows = outputs_of(self.bound, outcomes := self.bound.twin.predict(situations))
        for key, outcome, row in zip(new, outcomes, rows.tolist(), strict=True):
            self._said[key] = asked[key], outcome if isinstance(outcome, str) else dict(zip(self.bound.outputs, row, strict=True))
        found = []
        for run in runs:
            said, measured = self._said[run.run_key][1], history.accepted[run.run_key]
            if not isinstance(said, str):
                found.append((run, {name: measured[name] - value for name, value in said.items() if name in measured}))
        return found

    def _near(self, proposal: Proposal, gaps: _Gaps, history: History) -> dict[str, list[float]]:
        if not gaps:
            return {}
        encoding = Encoding(self.bound.space)
        measured = encoding.encode([history.configuration_of(run) for run, _ in gaps])
        nearest = nearest_measured(encoding.encode([proposal.configuration])[0], measured, encoding).indices
        return {name: [gaps[one][1][name] for one in nearest if name in gaps[one][1]] for name in self.bound.outputs}

    # ----------------------------------------------------------------- surroundings

    def _at(self, run: ExperimentRun, begin: float) -> dict[str, float]:
        elapsed = {ELAPSED: convert((run.started_lab or begin) - begin, "s", DAY)} if ELAPSED in self.bound.twin.reference else {}
        return {**self.bound.environment_of(run.environment), **elapsed}

    def _around(self, history: History) -> dict[str, float]:
        """Return the mean of what was recorded over the last day of the laboratory; nothing before there was a run."""
        runs = [one for one in history.attempts() if one.started_lab is not None and one.ended_lab is not None]
        if not runs:
            return {}
        begin, end = min(one.started_lab or 0.0 for one in runs), max(one.ended_lab or 0.0 for one in runs)
        known = [self._at(one, begin) for one in runs if (one.ended_lab or 0.0) >= end - LAST]
        names = {name for one in known for name in one} - {ELAPSED}
        found = {name: fmean(one[name] for one in known if name in one) for name in sorted(names)}
        return {**found, **({ELAPSED: convert(end - begin, "s", DAY)} if ELAPSED in self.bound.twin.reference else {})}
