"""What people do to measured values: tell them after a run, correct them, take them back, bring them from elsewhere.

Each act is one transaction of the ledger, by whoever is named, also beside the campaign's process, which sees it on its next
turn, and after the campaign's end, which it does not undo. These load no model and no instrument library.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_campaign
from flows.plans.snapshots import files_of
from flows.running.typed_values import Told, check_target
from orchestrator.domain.entered import Entry
from orchestrator.domain.events import Actor, person_named
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Evidence, ExperimentRun, Measurement, Proposal
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History, resting_on
from orchestrator.ports import Result, Store
from orchestrator.results import KnownValues, Said, added, check_entered, corrected, find_run, imported, ordinals, retracted


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of an act."""

    measurements: tuple[Measurement, ...]
    """As recorded; none where the ledger had all of it."""
    history: History
    """After it."""
    objective: Objective
    known: tuple[str, ...] = ()
    """Targets whose value the ledger had already."""

    @property
    def dependants(self) -> tuple[Proposal, ...]:
        """Proposals, not executed yet, that rested on what changed."""
        return _dependants(self.history, self.measurements)


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of an import."""

    added: int
    """Runs from elsewhere that are new."""
    told: int
    """Values that are new of runs which the ledger had."""
    known: tuple[str, ...]
    """Places of the rows of which the ledger had everything already."""
    history: History
    """After it."""
    dependants: tuple[Proposal, ...] = ()
    """Proposals, not executed yet, that rested on what changed."""

    @property
    def line(self) -> str:
        """Say it."""
        parts = [f"{self.added} experiment{'' if self.added == 1 else 's'} imported"]
        parts += [f"{self.told} value{'' if self.told == 1 else 's'} of known runs added"] if self.told else []
        parts += [f"{len(self.known)} row{'' if len(self.known) == 1 else 's'} known already, nothing added of them"] if self.known else []
        return "; ".join(parts)


# ---------------------------------------------------------------------- one run


def add(lab: Lab, campaign: str | None, run: str, values: Told, said: Said, *, again: bool = False) -> Changed:
    """Record values of a run, each as the next replicate of its target.

    Args:
        lab: Whose ledger it is.
        campaign: Its name; None for the only one.
        run: Its code, its key, or an unambiguous beginning of that.
        values: What was typed, or read.
        said: Who says it.
        again: Whether a value that the ledger has already was measured once more; else nothing is added of it.

    Raises:
        BadInput: No such run, a run without values, or values that are none.
    """

    def changes(history: History, objective: Objective) -> tuple[list[Measurement], list[str]]:
        found, counted = find_run(history, run), KnownValues(history)
        entered = values(objective)
        known = [target for target, one in entered.items() if not again and counted.take(found, target, one, said.measured_at)]
        return [added(history, found, target, one, said) for target, one in entered.items() if target not in known], known

    return _change(lab, campaign, changes, said)


def correct(lab: Lab, campaign: str | None, run: str, values: Told, said: Said, *, replicate: int | None = None) -> Changed:
    """Record other values of a run, each as the next revision of a measurement; only the highest counts.

    Raises:
        BadInput: No such run or measurement, several to choose from, values that are none or as before.
    """

    def changes(history: History, objective: Objective) -> tuple[list[Measurement], list[str]]:
        found = find_run(history, run)
        return [corrected(history, found, target, one, said, replicate) for target, one in values(objective).items()], []

    return _change(lab, campaign, changes, said)


def retract(lab: Lab, campaign: str | None, run: str, targets: Sequence[str], said: Said, *, replicate: int | None = None) -> Changed:
    """Take values of a run back; without targets, of the only one that was measured.

    Raises:
        BadInput: No such run or value, several to choose from, or no reason.
    """

    def changes(history: History, objective: Objective) -> tuple[list[Measurement], list[str]]:
        found = find_run(history, run)
        named = list(dict.fromkeys(targets)) or _only_target(history, found)
        for target in named:
            check_target(target, objective, what=f"run {run}")
        return [retracted(history, found, target, said, replicate) for target in named], []

    return _change(lab, campaign, changes, said)


_Changes = Callable[[History, Objective], tuple[list[Measurement], list[str]]]


def _change(lab: Lab, campaign: str | None, changes: _Changes, said: Said) -> Changed:
    person_named(said.by)
    with open_campaign(lab, campaign) as (store, history):
        _, objective = files_of(history.campaign)
        measurements, known = changes(history, objective)
        if measurements:
            _record(store, lab, [Result(tuple(measurements))], said)
        return Changed(tuple(measurements), _look(store, history), objective, tuple(known))


def _record(store: Store, lab: Lab, results: Sequence[Result], said: Said) -> None:
    store.record_results(results, by=Actor.person(said.by), now=clock_of(lab, store).now())


def _look(store: Store, history: History) -> History:
    name = history.campaign.name
    return history.updated(store.changes(name, since=history.seq))


def _dependants(history: History, measurements: Iterable[Measurement]) -> tuple[Proposal, ...]:
    found = {one.proposal_id: one for measurement in measurements for one in resting_on(history, measurement)}
    return tuple(sorted(found.values(), key=lambda one: one.number))


def _only_target(history: History, run: ExperimentRun) -> list[str]:
    own = list(dict.fromkeys(one.target for one in history.measurements.values() if one.run_key == run.run_key))
    if len(own) != 1:
        raise BadInput(f"run {run.run_key} has {', '.join(own) or 'no values'}; name what is taken back")
    return own


# ---------------------------------------------------------------------- many rows


def bring(
    lab: Lab,
    campaign: str | None,
    entries: Sequence[Entry],
    *,
    by: str,
    reason: str | None = None,
    evidence: Evidence | None = None,
    outside: bool = False,
) -> Brought:
    """Record rows of results in one transaction: of runs that the ledger has, and of experiments that were done elsewhere.

    What the ledger has already, from an earlier import or as it was told, is not added again; an experiment of elsewhere has a
    key that follows from the campaign, its configuration, its values and its number among equal rows.

    Args:
        lab: Whose ledger it is.
        campaign: Its name; None for the only one.
        entries: The rows.
        by: Who brings them.
        reason: Why.
        evidence: The file that they stand in.
        outside: Whether an experiment may lie outside of the parameters' bounds.

    Raises:
        BadInput: Names the row and what is wrong with it; nothing is recorded then.
    """
    said = Said(person_named(by), reason, evidence=evidence)
    with open_campaign(lab, campaign) as (store, history):
        space, objective = files_of(history.campaign)
        places = _numbered(entries, space, objective, outside=outside)
        results, known = _results(history, places, said)
        if results:
            _record(store, lab, results, said)
        after = _look(store, history)
    measured = [one for result in results if result.run is None for one in result.measurements]
    new = sum(result.run is not None for result in results)
    return Brought(new, len(measured), tuple(known), after, _dependants(after, measured))


def _numbered(entries: Sequence[Entry], space: SearchSpace, objective: Objective, *, outside: bool) -> list[tuple[Entry, int]]:
    """Check all rows, and number equal ones from 1."""
    checked = [_checked(entry, space, objective, outside=outside) for entry in entries]
    rows = [
        [one.run, dict(one.configuration or {}), {name: [said.value, said.uncertainty] for name, said in one.values.items()}]
        for one in checked
    ]
    return list(zip(checked, ordinals(rows), strict=True))


def _results(history: History, entries: Iterable[tuple[Entry, int]], said: Said) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    known: list[str] = []
    counted, folded = KnownValues(history), history
    for entry, ordinal in entries:
        own = replace(said, measured_at=entry.measured_at)
        if entry.configuration is not None:
            name, around = history.campaign.name, entry.recorded
            run, measurements = imported(name, entry.configuration, entry.values, own, ordinal=ordinal, recorded=around)
            new = [] if run.run_key in history.runs else [Result(measurements, run)]
        else:
            try:
                found = _told(folded, entry, own, counted)
            except BadInput as error:
                raise BadInput(f"{entry.place}: {error}") from error
            new = [Result(tuple(found))] if found else []
            folded = _with(folded, found)
        results += new
        known += [] if new else [entry.place]
    return results, known


def _told(history: History, entry: Entry, said: Said, counted: KnownValues) -> list[Measurement]:
    """Return what a row says of a run that the ledger has and does not know yet."""
    run = find_run(history, entry.run or "")
    return [
        added(history, run, target, one, said)
        for target, one in entry.values.items()
        if not counted.take(run, target, one, entry.measured_at)
    ]


def _with(history: History, measurements: Sequence[Measurement]) -> History:
    """Return the history as if these were recorded already, so that the next row of the same run is the next replicate."""
    if not measurements:
        return history
    return replace(
        history,
        measurements={**history.measurements, **{one.key: one for one in measurements}},
        seqs={**history.seqs, **{(*one.key, one.revision): history.seq + 1 for one in measurements}},
    )


def _checked(entry: Entry, space: SearchSpace, objective: Objective, *, outside: bool) -> Entry:
    """Return a row, its configuration in the order of the space; refuse one that says nothing, or nothing that is known here."""
    if (entry.run is None) == (entry.configuration is None):
        raise BadInput(f"{entry.place}: expected either a run's code or key, or a value for each of {', '.join(space.columns)}")
    if not entry.values:
        raise BadInput(f"{entry.place}: there is no value; expected one of {', '.join(objective.names)}")
    for target, one in entry.values.items():
        check_target(target, objective, what=entry.place)
        check_entered(one, what=f"{entry.place}, {target}")
    if entry.configuration is None:
        return entry
    return replace(entry, configuration=_configuration(entry.configuration, space, place=entry.place, outside=outside))


def _configuration(given: Configuration, space: SearchSpace, *, place: str, outside: bool) -> dict[str, float | str]:
    given = space.completed(given)
    if (missing := [name for name in space.columns if name not in given]) or len(given) > len(space.columns):
        wrong = f"no value of {missing[0]}" if missing else f"{next(name for name in given if name not in space.columns)} is no parameter"
        raise BadInput(f"{place}: {wrong}; expected a value for each of {', '.join(space.columns)}")
    values = {name: given[name] for name in space.columns}
    for name in space.units:
        if isinstance(values[name], str) or not isfinite(float(values[name])):
            raise BadInput(f"{place}: {name} = {values[name]!r}; expected a number in {space.units[name] or '1'}")
    gone = space.absent(values)
    for parameter in space.parameters:
        if outside and parameter.name not in gone and parameter.units:
            continue
        if complaint := space.complaint_of(parameter, values):
            raise BadInput(f"{place}: {complaint}{'' if outside else '; --outside takes what lies beyond a bound'}")
    return values
