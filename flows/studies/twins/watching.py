"""A bench whose campaigns watch how it differs from its twin, as `[twin.drift]` of its file says it.

What the charts say follows from the history alone, alarms included. Runs are learned from and watched from the beginning, or from the
run with which the newest alarm's drift began; so each drift raises one alarm, and who goes on after a crash finds what is missing.
"""

import logging
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from flows.plans.lab import Lab
from flows.plans.plan import Plan
from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.files import RevisionFile, read_twin_file, revisions
from flows.studies.twins.compared import Compared, compared
from flows.studies.twins.drifting import Watched, drift
from flows.studies.twins.operations import recalibrate
from models.twin.pairs import LEAST_ROWS
from orchestrator.domain.drift import DriftAlarm, DriftSpec
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import DriftWatch

logger = logging.getLogger(__name__)

BY_RULE: Final = "rule drift"
"""Who writes a revision that follows from an alarm."""


def drift_watch(plan: Plan, lab: Lab) -> DriftWatch | None:
    """Return what looks for drifts in a campaign; None where its bench file does not ask."""
    return None if plan.twin is None or plan.twin.drift is None else TwinWatch(plan.twin, plan.twin.drift, lab)


@dataclass(frozen=True)
class TwinWatch(DriftWatch):
    """Watches all quantities that a twin predicts."""

    bound: BoundTwin
    spec: DriftSpec
    lab: Lab

    @override
    def alarm(self, history: History) -> DriftAlarm | None:
        if not any(one.accepted is not None and one.target in self.bound.outputs for one in history.measurements.values()):
            return None
        try:
            found = compared(history, self.bound)
        except BadInput as error:  # a twin that fails is no reason to end a campaign
            logger.warning("campaign %s: no drift is watched for: %s", history.campaign.name, error)
            return None
        return next((alarm for measured in self.bound.outputs if (alarm := self._alarm_of(history, found, measured)) is not None), None)

    def _alarm_of(self, history: History, found: Compared, measured: str) -> DriftAlarm | None:
        seen = found.since(began(history, measured))
        if measured not in seen.table.measured or len(seen.told(measured)) <= self.spec.learn:
            return None
        try:
            watched = drift(seen, measured, learn=self.spec.learn, every=self.spec.false_alarm)
        except BadInput as error:  # all differ by the same, for example: no reason to end a campaign
            logger.warning("campaign %s: no drift is watched for: %s", history.campaign.name, error)
            return None
        known = {one.run_key for one in history.campaign.drifts if one.target == measured}
        found_at = zip(watched.drift.alarms, watched.drift.began, strict=True)
        return next((self._of(watched, at, since) for at, since in found_at if watched.run_keys[at] not in known), None)

    def _of(self, watched: Watched, at: int, since: int) -> DriftAlarm:
        return DriftAlarm(
            target=watched.measured,
            run_key=watched.run_keys[at],
            number=watched.numbers[at],
            since=watched.run_keys[since],
            since_number=watched.numbers[since],
            size=max(float(watched.drift.up[at]), float(watched.drift.down[at])),
            limit=watched.drift.limit,
            then=self.spec.then,
            done="told" if self.spec.then == "tell" else None,
        )

    @override
    def recalibrated(self, history: History, alarm: DriftAlarm) -> str | None:
        if (known := self._written(alarm)) is not None:
            return known
        since = history.runs[alarm.since].started_lab or 0.0
        if len(compared(history, self.bound).since(since).told(alarm.target)) < LEAST_ROWS:
            return None
        return recalibrate(self.lab, history.campaign.name, by=BY_RULE, reason=_why(alarm), since=since).name

    def _written(self, alarm: DriftAlarm) -> str | None:
        """Return the revision that an alarm led to; None while there is none."""
        folder = self.bound.bench.folder
        for _, path in revisions(folder, self.bound.twin.name):
            name = f"./{path.relative_to(folder).as_posix()}"
            content = read_twin_file(name, folder).content
            if isinstance(content, RevisionFile) and content.learned is not None and _why(alarm) in content.learned.note:
                return name
        return None


def began(history: History, measured: str) -> float:
    """Return the lab time from which a quantity is learned and watched: when its newest drift probably began, or the beginning."""
    return max((history.runs[one.since].started_lab or 0.0 for one in history.campaign.drifts if one.target == measured), default=0.0)


def _why(alarm: DriftAlarm) -> str:
    return f"{alarm.target} drifts, noticed with run {alarm.run_key}"
