"""A campaign's runs beside what its twin says of each: as they were measured to be, in the surroundings that were recorded."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import TwinTable, predicted, twin_table
from flows.studies.twins.ended import Ended, ended, said_of
from flows.studies.twins.surroundings import Units, around, as_time, for_twin, lots_of, recorded, recorded_as, surroundings
from models.inputs.encoding import Encoding
from models.twin.pairs import Channel, Coefficient, Columns, Conditions, Pairs
from orchestrator.domain.parameters import CategoricalParameter
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History
from simulators.twins.declaration import Situation
from simulators.twins.terms import DAY, ELAPSED, Recorded, Term, candidates, with_terms

FARTHEST: Final = 10.0
"""Scales that a quantity lies from its reference at most, our own choice: terms of one that hardly varies, far away, were giants."""


@dataclass(frozen=True)
class Row:
    """One run that gave something."""

    run: ExperimentRun
    number: int
    """Of its proposal."""
    configuration: Configuration
    """As it was measured to be."""
    what: str
    """What was set: runs that were asked for the same have the same."""
    environment: Mapping[str, float]
    """Mean over the run of each recorded quantity, in its unit; `ELAPSED` in days since the first run."""
    lots: Mapping[str, str]
    """What it took from, by the name under which it is recorded."""
    values: Mapping[str, tuple[float, ...]]
    """Accepted values by quantity, replicates in their order."""


@dataclass(frozen=True)
class Compared:
    """All rows in the order of time, and the twin's predictions of them."""

    campaign: str
    bound: BoundTwin
    """With every term of the library."""
    terms: tuple[Term, ...]
    """The library's for this twin."""
    rows: tuple[Row, ...]
    channels: tuple[Recorded, ...]
    """What was recorded and varied."""
    table: TwinTable
    situations: tuple[Situation, ...]
    """What the twin was asked about, row by row."""
    left_out: tuple[str, ...]
    """What is not compared, and why; a line each."""
    plain: BoundTwin
    """The twin without the library."""
    units: Units
    ends: Callable[[], tuple[Ended, ...]]
    """Asks the twin about the runs that measured nothing; who does not look at them does not wait for it."""

    @cached_property
    def ended(self) -> tuple[Ended, ...]:
        """All runs that were carried out or failed, in the order of time, with what the twin says of each."""
        return self.ends()

    @cached_property
    def lots(self) -> tuple[str, ...]:
        """Under which names the lots that varied are recorded; `lot` is all of them together."""
        names = sorted(self.rows[0].lots)
        return tuple(name for name in names if len({row.lots[name] for row in self.rows}) > 1)

    def lot_of(self, row: int) -> str:
        """Return from which lots a run took, of those that varied."""
        return " / ".join(self.rows[row].lots[one] for one in self.lots)

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """What was recorded and varied, for people."""
        return (*(one.name for one in self.channels), *(f"lot of {one}" for one in self.lots))

    @cached_property
    def controls(self) -> tuple[tuple[str, ...], torch.Tensor]:
        """Names and coded values of all inputs, n x d."""
        encoding = Encoding(self.bound.space)
        X = encoding.encode(row.configuration for row in self.rows)
        return tuple(_names(encoding)), X

    def conditions(self, measured: str, which: Sequence[int]) -> Conditions:
        """Return what `models.twin` is told of some rows; terms that change nothing of a quantity are left out."""
        place, (names, X) = self.table.measured.index(measured), self.controls
        slopes = np.nan_to_num(self.table.sensitivities[which, place])
        own, calibratable = [one.name for one in self.terms], [one.name for one in self.plain.twin.calibratable]
        sds = dict(zip(self.table.constants, self.table.prior_sds.tolist(), strict=True))
        moves = [name for number, name in enumerate(self.table.constants) if bool((slopes[:, number] != 0.0).any())]
        constants, offered = ([one for one in moves if one in some] for some in (calibratable, own))
        columns = Columns(
            names,
            tuple(Channel(one.name, one.unit) for one in self.channels),
            tuple(Coefficient(one, sds[one]) for one in constants),
            tuple(Coefficient(one, sds[one]) for one in offered),
        )
        at = [self.table.constants.index(one) for one in (*constants, *offered)]
        found = torch.from_numpy(slopes[:, at])
        beside = [[self.rows[row].environment[one.name] for one in self.channels] for row in which]
        return Conditions(
            columns,
            X[list(which)],
            torch.tensor(beside, dtype=torch.float64).reshape(len(which), len(self.channels)),
            torch.from_numpy(self.table.mean[which, place]),
            found[:, : len(constants)],
            found[:, len(constants) :],
            tuple(self.lot_of(row) for row in which) if self.lots else (),
        )

    def without_time(self) -> "Compared":
        """Return the same without time as a factor: what would explain a drift by itself."""
        lasting = tuple(one for one in self.terms if one.channel != ELAPSED)
        return replace(self, terms=lasting, channels=tuple(one for one in self.channels if one.name != ELAPSED))

    def since(self, lab: float) -> "Compared":
        """Return the same of the runs that began at a lab time or later."""
        which = [number for number, row in enumerate(self.rows) if (row.run.started_lab or 0.0) >= lab]
        if len(which) == len(self.rows):
            return self
        table = replace(
            self.table,
            mean=self.table.mean[which],
            sensitivities=self.table.sensitivities[which],
            reasons=tuple(self.table.reasons[row] for row in which),
        )
        rows, situations = tuple(self.rows[row] for row in which), tuple(self.situations[row] for row in which)
        return replace(self, rows=rows, table=table, situations=situations)

    def told(self, measured: str) -> list[int]:
        """Return the rows in which a quantity was measured and is predicted."""
        place = self.table.measured.index(measured)
        return [number for number, row in enumerate(self.rows) if row.values.get(measured) and np.isfinite(self.table.mean[number, place])]

    def pairs(self, measured: str, first: int | None = None) -> Pairs:
        """Return readings beside predictions, one for each accepted replicate, of the first so many runs or of all.

        Raises:
            BadInput: Too few, or all differ by the same.
        """
        readings = [(row, value) for row in self.told(measured)[:first] for value in self.rows[row].values[measured]]
        which = [row for row, _ in readings]
        try:
            return Pairs(
                self.conditions(measured, which),
                torch.tensor([value for _, value in readings], dtype=torch.float64),
                tuple(self.rows[row].run.run_key for row in which),
                tuple(self.rows[row].what for row in which),
            )
        except BadInput as error:
            raise BadInput(f"{measured}: {error}") from error

    def says(self, bound: BoundTwin) -> NDArray[np.float64]:
        """Return what another twin says of all rows, n x m."""
        beside = [surroundings(bound, row.environment, self.units) for row in self.rows]
        return predicted(bound, [row.configuration for row in self.rows], beside)

    def surroundings(self, bound: BoundTwin, count: int) -> list[dict[str, float]]:
        """Return the surroundings of so many runs, spread over the campaign, by another twin's names and in its units."""
        places = np.unique(np.linspace(0, len(self.rows) - 1, count).round().astype(int))
        return [surroundings(bound, self.rows[place].environment, self.units) for place in places]

    def values(self, measured: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean of the accepted values, n x m; NaN where there is none."""
        return np.array([[np.mean(row.values[one]) if row.values.get(one) else np.nan for one in measured] for row in self.rows])

    def means(self, measured: str, which: Sequence[int]) -> NDArray[np.float64]:
        """Return the mean of the accepted values of a quantity in each of some rows."""
        return np.array([np.mean(self.rows[row].values[measured]) for row in which])


def compared(history: History, bound: BoundTwin, *, folder: Path | None = None) -> Compared:
    """Put a campaign's runs beside its twin.

    Args:
        history: Of the campaign.
        bound: Its twin.
        folder: Where tables are kept.

    Raises:
        BadInput: Nothing was measured that the twin predicts.
    """
    values = _values(history, bound)
    runs = sorted((one for one in history.attempts() if one.run_key in values), key=lambda one: (one.started_lab or 0.0, one.run_key))
    left_out = (
        [f"{len(history.imported)} imported runs: nobody knows in what surroundings they were carried out"] if history.imported else []
    )
    units, names, lacking = recorded(runs)
    left_out += [f"{name}: {count} of {len(runs)} runs have none" for name, count in lacking.items()]
    began = [one.started_lab for one in runs if around(one, units, names, 0.0) is not None and one.started_lab is not None]
    if len(began) < len(runs):
        left_out.append(f"{len(runs) - len(began)} runs without {' or '.join(sorted(names)) or 'a time'}")
    if not began:
        raise BadInput(
            f"campaign {history.campaign.name}: no run measured what twin {bound.twin.label} predicts ({', '.join(bound.outputs)})"
        )
    timed = as_time([one for one in runs if around(one, units, names, 0.0) is not None], units, sorted(names))
    left_out += [f"{name}: it went with the time from run to run, and is told by {ELAPSED}" for name in timed]
    names -= set(timed)
    placed = ((one, around(one, units, names, min(began))) for one in runs)
    rows = tuple(_row(history, one, where, values[one.run_key], names) for one, where in placed if where is not None)
    channels = _varied(rows, units)
    span = max(row.environment[ELAPSED] for row in rows)
    library = candidates(bound.twin, tuple(bound.outputs.values()), [for_twin(bound, one) for one in channels], span=span)
    extended = replace(bound, twin=with_terms(bound.twin, library))
    beside = [surroundings(extended, row.environment, units) for row in rows]
    table = twin_table(extended, [row.configuration for row in rows], beside, folder=folder)
    situations = tuple(extended.situation(row.configuration, one) for row, one in zip(rows, beside, strict=True))
    left_out += [
        f"{count} runs in which the twin predicts nothing: {reason}"
        for reason, count in sorted(Counter(filter(None, table.reasons)).items())
    ]
    said = {row.run.run_key: said_of(bound, *one) for row, one in zip(rows, zip(table.reasons, table.mean, strict=True), strict=True)}
    ends = partial(ended, history, bound, partial(around, units=units, names=names, begin=min(began)), units, said)
    found = Compared(history.campaign.name, extended, library, rows, channels, table, situations, tuple(left_out), bound, units, ends)
    never = (f"{one}: no run measured it where the twin predicts it" for one in table.measured if not found.told(one))
    lacking_to = [one for one in bound.twin.environment if recorded_as(bound, one.name) not in rows[0].environment]
    assumed = (f"{one.name}: the twin knows it and nothing tells it; taken as {one.reference:g} {one.unit}".rstrip() for one in lacking_to)
    return replace(found, left_out=(*left_out, *never, *assumed))


def _values(history: History, bound: BoundTwin) -> dict[str, dict[str, tuple[float, ...]]]:
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for (run_key, target, _), one in sorted(history.measurements.items()):
        if one.accepted is not None and target in bound.outputs:
            mine = found.setdefault(run_key, {})
            mine[target] = (*mine.get(target, ()), one.accepted)
    return found


def _row(
    history: History, run: ExperimentRun, environment: Mapping[str, float], values: Mapping[str, tuple[float, ...]], names: set[str]
) -> Row:
    asked, number = history.proposals[run.approval].configuration, history.number_of(run)
    assert number is not None, "imported runs are left out"
    lots = {name: lot for name, lot in lots_of(run).items() if name in names}
    return Row(run, number, history.configuration_of(run), repr(sorted(asked.items())), environment, lots, values)


def _varied(rows: Sequence[Row], units: Units) -> tuple[Recorded, ...]:
    found = []
    for name in (*sorted(set(rows[0].environment) - {ELAPSED}), ELAPSED):
        values = np.array([row.environment[name] for row in rows])
        unit, reference = units.get(name, (DAY, 0.0))
        if np.ptp(values) > 0.0:
            found.append(Recorded(name, unit, reference, max(float(values.std()), float(np.abs(values - reference).max()) / FARTHEST)))
    return tuple(found)


def _names(encoding: Encoding) -> list[str]:
    """Return a name for each input."""
    found = list[str]()
    for parameter in encoding.space.parameters:
        if isinstance(parameter, CategoricalParameter):
            found += [f"{parameter.name}={one}" for one in parameter.categories]
        else:
            found += parameter.columns
    return found
