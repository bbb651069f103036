"""What people say of runs, as changes of the ledger: the next replicate, the next revision, another status, a run of elsewhere.

Pure: each function reads a history and returns what is to be written. A measurement is told apart by run, target and replicate;
only its highest revision counts.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final
from uuid import NAMESPACE_URL

from orchestrator.domain.entered import LARGEST, Entered, Recorded
from orchestrator.domain.environment import RunEnvironment
from orchestrator.domain.identity import uuid7, uuid8
from orchestrator.domain.lifecycle import MeasurementStatus, RunStatus
from orchestrator.domain.records import Evidence, ExperimentRun, Measurement
from orchestrator.domain.run_code import is_code, read_code, run_code
from orchestrator.domain.values import Configuration, canonical
from orchestrator.errors import BadInput
from orchestrator.history import History, known_since
from orchestrator.numerals import shown

ENTERED: Final = "entered/1"
"""What stands for a reduction where a person told the value."""
IMPORTED: Final = "imported/1"
"""The same for an experiment that was done elsewhere."""
_NOWHERE: Final = "its run has no measured configuration"
_LISTED: Final = 5
"""So many runs a message names."""


@dataclass(frozen=True, slots=True)
class Said:
    """Who says something of values, and what it rests on."""

    by: str
    reason: str | None = None
    measured_at: datetime | None = None
    """With its time zone."""
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody could stand for.

        Raises:
            BadInput: No name, or a moment without its zone.
        """
        if not self.by.strip():
            raise BadInput("--by NAME is needed; it goes into the ledger")
        if self.measured_at is not None and self.measured_at.tzinfo is None:
            raise BadInput(f"measured at {self.measured_at.isoformat()}: expected a moment with its zone, like 2026-03-01T14:30+01:00")


# ---------------------------------------------------------------------- which run


def run_name(history: History, run: ExperimentRun) -> str:
    """Return what people call a run: its code on paper; the key of an imported one."""
    number = history.number_of(run)
    return run.run_key if number is None else run_code(number, run.replicate)


def find_run(history: History, text: str) -> ExperimentRun:
    """Return the run that a code, a key or an unambiguous beginning of a key names.

    Raises:
        BadInput: No such run, or several.
    """
    wanted = text.strip()
    if is_code(wanted):
        number, replicate = read_code(wanted)
        found = [run for run in history.attempts() if (history.number_of(run), run.replicate) == (number, replicate)]
        if not found:
            raise BadInput(f"campaign {history.campaign.name} has no run {wanted}: proposal {number} was not carried out, or not so often")
        return max(found, key=lambda run: (run.revision, run.attempt, run.run_key))
    keys = [key for key in history.runs if wanted and key.startswith(wanted.lower())]
    if len(keys) != 1 and wanted.lower() not in keys:
        some = ", ".join(sorted(keys)[:_LISTED]) + (", ..." if len(keys) > _LISTED else "")
        raise BadInput(
            f"campaign {history.campaign.name} has {f'{len(keys)} runs {shown(text)}: {some}' if keys else f'no run {shown(text)}'}; "
            f"expected a run's key, an unambiguous beginning of it, or its code, like {run_code(17)}; `athanor measure list` has them"
        )
    return history.runs[wanted.lower() if wanted.lower() in keys else keys[0]]


def check_measurable(history: History, run: ExperimentRun) -> None:
    """Refuse a run that can have no value.

    Raises:
        BadInput: It was not carried out to its end, or its readings have yet to come.
    """
    called = f"run {run_name(history, run)}"
    if run.status is not RunStatus.COMPLETED:
        raise BadInput(f"{called} is {run.status}{f' ({run.reason})' if run.reason else ''}; only a completed run has values")
    if not run.ingested:
        raise BadInput(f"{called}: its readings are not in the ledger yet; the campaign's process brings them, then say it again")


# ---------------------------------------------------------------------- add, correct, retract


def check_entered(entered: Entered, *, what: str) -> None:
    """Refuse a value that no model could take.

    Raises:
        BadInput: It is not finite or too large, its uncertainty is not above 0, or it is absent without a reason.
    """
    if entered.value is None:
        if not entered.reason:
            raise BadInput(f"{what}: there is no value; expected a reason")
        return
    if not isfinite(entered.value) or abs(entered.value) > LARGEST:
        raise BadInput(f"{what}: {entered.value:g} is too large for a model; expected at most {LARGEST:g} either way")
    if entered.uncertainty is not None and not (0 < entered.uncertainty <= LARGEST):
        raise BadInput(f"{what}: uncertainty {entered.uncertainty:g}; expected above 0, or none where it is not known")


def added(history: History, run: ExperimentRun, target: str, entered: Entered, said: Said) -> Measurement:
    """Return a value of a run as the next replicate of its target.

    Raises:
        BadInput: The run can have no value, or the value is none.
    """
    check_measurable(history, run)
    check_entered(entered, what=f"run {run_name(history, run)}, {target}")
    replicate = max((one.replicate for one in history.measurements.values() if one.key[:2] == (run.run_key, target)), default=0) + 1
    found = _measurement(run, target, entered, said, reduction=ENTERED)
    return found.evolve(replicate=replicate, known_since=known_since(history, run.run_key, target))


def corrected(history: History, run: ExperimentRun, target: str, entered: Entered, said: Said, replicate: int | None = None) -> Measurement:
    """Return another value as the next revision of a measurement; an uncertainty that is not said anew stays.

    Raises:
        BadInput: There is no such measurement, several to choose from, or nothing would change.
    """
    stored = _the_measurement(history, run, target, replicate, among=lambda _: True)
    what = f"run {run_name(history, run)}, {target}"
    check_entered(entered, what=what)
    uncertainty = stored.uncertainty if entered.uncertainty is None and entered.value is not None else entered.uncertainty
    changed = _measurement(run, target, Entered(entered.value, uncertainty, entered.reason), said, reduction=ENTERED)
    if stored.status is changed.status and (stored.value, stored.uncertainty) == (changed.value, changed.uncertainty):
        raise BadInput(f"{what} has that value already, in revision {stored.revision}; nothing is changed")
    since = known_since(history, run.run_key, target)
    at = {"measured_at": said.measured_at or stored.measured_at}
    return changed.evolve(replicate=stored.replicate, revision=stored.revision + 1, known_since=since, **at)


def retracted(history: History, run: ExperimentRun, target: str, said: Said, replicate: int | None = None) -> Measurement:
    """Return a measurement as taken back.

    Raises:
        BadInput: There is no such measurement that stands, several to choose from, or no reason.
    """
    if not said.reason:
        raise BadInput("--reason TEXT is needed: why the value is taken back")
    stored = _the_measurement(history, run, target, replicate, among=lambda one: one.status is not MeasurementStatus.RETRACTED)
    since = known_since(history, run.run_key, target)
    return stored.evolve(status=MeasurementStatus.RETRACTED, reason=said.reason, retracted_by=said.by, known_since=since)


def _the_measurement(
    history: History, run: ExperimentRun, target: str, replicate: int | None, *, among: Callable[[Measurement], bool]
) -> Measurement:
    """Return the newest revision of a target's only measurement, or of a replicate of it."""
    own = [one for one in history.measurements.values() if one.key[:2] == (run.run_key, target)]
    own.sort(key=lambda one: one.replicate)
    found = [one for one in own if (among(one) if replicate is None else one.replicate == replicate)]
    what = f"run {run_name(history, run)}, {target}"
    if not found:
        have = ", ".join(f"replicate {one.replicate} is {one.status}" for one in own) or "nothing was measured of it"
        raise BadInput(f"{what}: there is no such value ({have})")
    if len(found) > 1:
        listed = ", ".join(f"{one.replicate} ({'no value' if one.value is None else format(one.value, '.6g')})" for one in found)
        raise BadInput(f"{what} has {len(found)} replicates: {listed}; name one with --replicate")
    if not among(found[0]):
        raise BadInput(f"{what}, replicate {found[0].replicate} is {found[0].status} already ({found[0].reason})")
    return found[0]


def _measurement(run: ExperimentRun, target: str, entered: Entered, said: Said, *, reduction: str) -> Measurement:
    nowhere = None if run.measured else _NOWHERE
    doubt = entered.reason or nowhere
    return Measurement(
        measurement_id=uuid7(),
        campaign=run.campaign,
        run_key=run.run_key,
        target=target,
        status=MeasurementStatus.ACCEPTED if doubt is None else MeasurementStatus.QUARANTINED,
        value=entered.value,
        uncertainty=None if entered.value is None else entered.uncertainty,
        reduction=reduction,
        reason=doubt or said.reason,
        by=said.by,
        measured_at=said.measured_at,
        evidence=said.evidence,
    )


# ---------------------------------------------------------------------- from elsewhere


def imported(
    campaign: str,
    configuration: Configuration,
    values: Mapping[str, Entered],
    said: Said,
    *,
    ordinal: int,
    recorded: Mapping[str, Recorded] | None = None,
) -> tuple[ExperimentRun, tuple[Measurement, ...]]:
    """Return an experiment that was done elsewhere: the same row gives the same run key.

    Args:
        campaign: Into which it comes.
        configuration: As it was measured: a value for each column.
        values: By target.
        said: Who brings it, and from what.
        ordinal: Its number among equal rows, from 1.
        recorded: What was recorded of its surroundings, by name.
    """
    row = {target: [one.value, one.uncertainty] for target, one in values.items()}
    around = {name: [one.value, one.unit] for name, one in (recorded or {}).items()}
    key = uuid8(
        NAMESPACE_URL, f"athanor:imported:{canonical([campaign, dict(configuration), row, ordinal, *([around] if around else [])])}"
    )
    run = ExperimentRun(
        run_key=key,
        run_id=key,
        campaign=campaign,
        source="imported",
        proposal_id=None,
        revision=0,
        status=RunStatus.COMPLETED,
        measured=dict(configuration),
        ingested=True,
        environment=tuple(_recorded(name, one) for name, one in (recorded or {}).items()),
    )
    return run, tuple(_measurement(run, target, one, said, reduction=IMPORTED) for target, one in values.items())


def _recorded(name: str, one: Recorded) -> RunEnvironment:
    """Return what somebody brings: it counts for all of the run."""
    return RunEnvironment(
        name=name, channel=IMPORTED, unit=one.unit, reference=one.reference, mean=one.value, sd=None, samples=1, coverage=1.0, lag=None
    )


class KnownValues:
    """Tells which of the values that come for a run the ledger has: as often as it has an equal one."""

    def __init__(self, history: History) -> None:
        said = ((one.run_key, one.target, one.value, one.uncertainty, one.measured_at) for one in history.revisions.values())
        self._known = Counter(said)

    def take(self, run: ExperimentRun, target: str, entered: Entered, measured_at: datetime | None) -> bool:
        """Whether the ledger has it; one that it has once is known once."""
        key = (run.run_key, target, entered.value, entered.uncertainty, measured_at)
        if self._known[key] > 0:
            self._known[key] -= 1
            return True
        return False


def ordinals(rows: Sequence[object]) -> list[int]:
    """Number equal rows from 1, in their order."""
    seen: Counter[str] = Counter()
    numbers = []
    for text in map(canonical, rows):
        seen[text] += 1
        numbers.append(seen[text])
    return numbers
