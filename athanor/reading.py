"""Reading what people tell: numbers in declared units or text with a unit; whatever does not fit is refused in one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

import pandas as pd

from athanor.asked_and_told import NAME, Outcome, Told, numbered
from flows.review.answering import value_of
from flows.review.by_hand import BY_HAND
from orchestrator.domain.distance import alike, distance
from orchestrator.domain.entered import LARGEST
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.numerals import brief
from orchestrator.suggestions import Suggestion
from orchestrator.units import parse, parse_difference

Experiment = Suggestion | Mapping[str, float | str]
"""What was or is to be carried out: a suggestion, or a value for every column."""
UNCERTAINTY: Final = " uncertainty"
"""Ends the name of a column that holds a target's standard uncertainties."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Knows what is legal."""

    space: SearchSpace
    objective: Objective

    def configuration(self, given: Experiment, *, what: str, listed: bool = True) -> dict[str, float | str]:
        """Read a configuration.

        Args:
            given: It.
            what: What a message calls it.
            listed: Whether it must be one of the candidate table, where there is one.

        Raises:
            BadInput: A name, unit, missing value, bound or constraint.
        """
        values = self.space.completed(self._columns(given.configuration if isinstance(given, Suggestion) else given, what))
        if complaint := self.space.complaint(values, membership=listed):
            raise BadInput(f"{what}: {complaint}")
        return {column: values[column] for column in self.space.columns}

    def _columns(self, given: Mapping[str, float | str], what: str) -> dict[str, float | str]:
        expected = f"a suggestion, or a value for each of {', '.join(self.space.columns)}"
        named = _named(given, what=what, expected=expected)
        return {name: value_of(self.space, name, _plain(value), what=f"{what}, {name}") for name, value in named.items()}

    def told(
        self,
        history: History,
        experiment: Experiment,
        values: Mapping[str, float | str] | None,
        uncertainties: Mapping[str, float | str] | None,
        *,
        measured: Mapping[str, float | str] | None = None,
        infeasible: bool | str = False,
        failed: bool = False,
    ) -> Told:
        """Read what came of an experiment; the arguments are those of `Optimizer.tell`.

        Raises:
            BadInput: Names what does not fit.
        """
        if infeasible == "":
            raise BadInput("infeasible = '': expected True, or the reason in a few words")
        if infeasible and failed:
            raise BadInput("an experiment is infeasible or failed, not both")
        values, uncertainties = self._by_target(values, "values"), self._by_target(uncertainties, "uncertainties")
        outcome: Outcome = "infeasible" if infeasible else "failed" if failed else "measured"
        if outcome != "measured" and (values or uncertainties):
            raise BadInput(f"an experiment that is {outcome} has no values; got {', '.join([*values, *uncertainties])}")
        proposal, is_new = self._proposal(history, experiment)
        carried_out = self._rounded(proposal, experiment) if measured is None else measured
        return Told(
            number=proposal.number,
            proposal=proposal if is_new else None,
            outcome=outcome,
            measured=self._measured(proposal, carried_out),
            values=self._values(values) if outcome == "measured" else {},
            uncertainties=self._uncertainties(uncertainties),
            reason=infeasible if isinstance(infeasible, str) else "",
        )

    def told_row(self, history: History, row: Mapping[str, Any]) -> Told:
        """Read a row of a table: parameters, targets and uncertainties by their names; an empty uncertainty is not known.

        Raises:
            BadInput: Names what does not fit.
        """
        uncertain = {f"{name}{UNCERTAINTY}": name for name in self.objective.names}
        legal = (*self.space.columns, *self.objective.names, *uncertain)
        if unknown := [name for name in row if name not in legal]:
            raise BadInput(f"column {unknown[0]!r} is no parameter, target or uncertainty; expected {', '.join(legal)}")
        return self.told(
            history,
            {name: row[name] for name in self.space.columns if name in row and not self._is_left_out(name, row[name])},
            {name: row[name] for name in self.objective.names if name in row and not _is_empty(row[name])},
            {name: row[column] for column, name in uncertain.items() if column in row and not _is_empty(row[column])},
        )

    # ----------------------------------------------------------------- parts

    def _proposal(self, history: History, experiment: Experiment) -> tuple[Proposal, bool]:
        """Return the proposal that was carried out, and whether nobody had asked for it."""
        if isinstance(experiment, Suggestion) and experiment.number:
            known = history.proposals.get((str(experiment.number), 1))
            if known is None or known.configuration != experiment.configuration:
                raise BadInput(f"suggestion {experiment.number} was not made by this optimizer; tell its configuration instead")
            return known, False
        configuration = self.configuration(experiment, what="configuration")
        key, open_ = self.space.key(configuration), {run.proposal_id for run in history.runs.values() if run.status.is_open}
        same = [one for one in history.newest() if self.space.key(one.configuration) == key]
        if same:
            return next((one for one in same if one.proposal_id in open_), same[-1]), False
        if rounded := self._alike([one for one in history.newest() if one.proposal_id in open_], configuration):
            return rounded, False
        provenance = Provenance(policy=BY_HAND, as_of=history.seq, seed=0, batch=0)
        number = len(history.newest()) + 1
        made = Proposal(proposal_id="", campaign=NAME, number=number, configuration=configuration, steps=(), provenance=provenance)
        return numbered(made), True

    def _alike(self, waiting: Sequence[Proposal], configuration: Configuration) -> Proposal | None:
        """Return the nearest of what waits that no bench tells apart from a configuration: people round what they type."""
        if self.space.candidates is not None:  # whoever lists two rows means two experiments
            return None
        near = [one for one in waiting if alike(self.space, one.configuration, configuration)]
        return min(near, key=lambda one: distance(self.space, one.configuration, configuration), default=None)

    def _rounded(self, proposal: Proposal, experiment: Experiment) -> dict[str, float | str]:
        """Return the configuration that a person gave where it is not quite what was suggested."""
        if isinstance(experiment, Suggestion):
            return {}
        given = self.configuration(experiment, what="configuration")
        return {} if self.space.key(given) == self.space.key(proposal.configuration) else given

    def _measured(self, proposal: Proposal, given: Mapping[str, float | str]) -> dict[str, float | str]:
        """Return the whole configuration that was carried out; a readback may lie beyond a bound, a name must be known."""
        changed = self._columns(given, "measured")
        if not changed:
            return {}
        whole = {**proposal.configuration, **changed}
        gone = self.space.absent(whole)
        for owner in (self.space.owners[column] for column in changed):
            if (owner.name in gone or not owner.units) and (complaint := self.space.complaint_of(owner, whole)):
                raise BadInput(f"measured: {complaint}")
        return whole

    def _is_left_out(self, column: str, value: Any) -> bool:
        """Say whether a cell is empty, as that of a parameter which is absent may be."""
        return bool(self.space.owners[column].when) and _is_empty(value)

    def _by_target(self, given: Mapping[str, float | str] | None, what: str) -> Mapping[str, float | str]:
        expected = ", ".join(f"{name} in {unit or '1'}" for name, unit in self.objective.units.items())
        return {} if given is None else _named(given, what=what, expected=f"a value by target: {expected}")

    def _values(self, given: Mapping[str, float | str]) -> dict[str, float]:
        expected = ", ".join(f"{name} in {unit or '1'}" for name, unit in self.objective.units.items())
        if set(given) != set(self.objective.names):
            raise BadInput(f"values of {', '.join(map(str, given)) or 'no target'}; expected {expected}")
        read = {name: parse(_plain(given[name]), unit, what=f"target {name}") for name, unit in self.objective.units.items()}
        for name, value in read.items():
            if abs(value) > LARGEST:
                raise BadInput(f"target {name}: {value:g} is too large for a model; expected at most {LARGEST:g} either way")
        return read

    def _uncertainties(self, given: Mapping[str, float | str]) -> dict[str, float]:
        read = {}
        for name, value in given.items():
            if name not in self.objective.units:
                raise BadInput(f"uncertainty of {name!r}, which is no target; there are {', '.join(self.objective.names)}")
            read[name] = parse_difference(_plain(value), self.objective.units[name], what=f"uncertainty of {name}")
            if read[name] <= 0:
                raise BadInput(f"uncertainty of {name}: {read[name]:g}; expected above 0, or none where it is not known")
        return read


def _named(given: Any, *, what: str, expected: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise BadInput(f"{what} {brief(given)}: expected {expected}")
    return given


def _plain(value: Any) -> Any:
    """Return numbers of other libraries as Python's own."""
    return float(value) if isinstance(value, Real) and not isinstance(value, int | float) else value


def _is_empty(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
