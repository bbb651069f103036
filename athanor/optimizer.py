"""Ask and tell: the policies, priors and guard of a campaign, for whoever carries experiments out in their own way."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pydantic import ValidationError
from typing_extensions import override

from athanor.asked_and_told import NAME, Asked, Event, after, history_of, numbered
from athanor.optimizer_file import Basis, PriorName, Saved, read_optimizer, write_optimizer
from athanor.reading import Experiment, Reader
from flows.plans.plan import load_plan
from flows.plans.policy import learner_of
from flows.plans.proposing import Proposer
from flows.plans.recipe import ToldRecipe
from models.meta_learning.checkpoint import PriorFile, load_prior
from models.threads import threads
from orchestrator.attained import front_of
from orchestrator.domain.campaign import PolicySpec
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Proposal
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration, explain
from orchestrator.errors import BadInput
from orchestrator.history import best, knowledge, lessons
from orchestrator.numerals import brief
from orchestrator.suggestions import Explanation, Suggestion
from policies.registry import build_policy
from policies.settings import of_now

_MOST: int = 100_000
"""A campaign's largest budget; an optimizer has none, and asks as often as it is asked."""
_SHOWN = {RunStatus.QUEUED: "pending", RunStatus.COMPLETED: "measured"}
"""What a run's status is called where nothing is queued; the others have their own names."""

_OWN = ("number", "policy", "status")
"""Heads of a frame that are neither parameters nor targets."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best complete measurement so far, or one of a front."""

    number: int
    """Of its suggestion."""
    configuration: Mapping[str, float | str]
    """As it was carried out."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Target -> value, in the target's unit."""
    objective: float = 0.0
    """The number that is maximised; of one of a front the weighted mean of the targets' utilities."""


class Optimizer:
    """Suggests experiments and learns from what is told of them; no bench, no ledger, no process of its own.

    With the same seed and the same results it suggests what a campaign does, bit for bit: ask k draws from the seed and k
    alone. What was asked and not yet told is pending, and kept apart from. Numbers stand in the units that parameters and
    targets declare; text with a unit (`"350 mV"`) is converted.

    Example:
        >>> import athanor
        >>> space = athanor.SearchSpace(parameters=(athanor.ContinuousParameter(name="T", unit="degC", min=200, max=280),))
        >>> objective = athanor.Objective(targets=(athanor.Target(name="yield", unit="percent", goal="maximise"),))
        >>> optimizer = athanor.Optimizer(space, objective, seed=1)
        >>> (suggestion,) = optimizer.ask()
        >>> optimizer.tell(suggestion, {"yield": 41.5})
    """

    def __init__(
        self,
        space: SearchSpace,
        objective: Objective,
        *,
        prior: str | Path | PriorFile | None = None,
        seed: int = 0,
        policy: str = "bayesian",
        settings: Mapping[str, Any] | None = None,
        guard: bool = True,
        task: Mapping[str, float | str] | None = None,
        batch: int = 1,
        replicates: int = 1,
    ) -> None:
        """Build an optimizer in code; `from_file` builds one from a campaign file.

        Args:
            space: What may be varied.
            objective: What is wanted.
            prior: What related tasks taught: the file that `athanor meta-train` wrote, or what `load_prior` made of it.
            seed: Suggestions depend on it, on what was told, and on nothing else that is random.
            policy: `bayesian`, `sobol` or `random`.
            settings: The policy's own, as in `[policy]` of a campaign file, for example `{"initial": 6}`.
            guard: Whether a model that knows no history takes part, so that a prior that does not fit fades.
            task: What is known about this task, by the prior's descriptors.
            batch: How many `ask()` suggests where it is not told.
            replicates: How often each suggestion is to be carried out; it is pending until so many results were told.

        Raises:
            BadInput: One line: a setting, or a prior that does not fit.
        """
        loaded = prior if prior is None or isinstance(prior, PriorFile) else load_prior(Path(prior))
        place = "" if prior is None or isinstance(prior, PriorFile) else str(Path(prior).resolve())
        if loaded is not None and policy != "bayesian":
            raise BadInput(f"a prior belongs to policy 'bayesian'; policy {policy!r} asks no model")
        if loaded is None and not guard:
            raise BadInput("guard = False belongs to a prior; there is none to guard against")
        named = None if loaded is None else PriorName(path=place, sha256=loaded.sha256)
        try:
            basis = Basis.model_validate(
                {
                    "general": {"name": NAME, "budget": _MOST, "seed": seed, "batch": batch, "replicates": replicates},
                    "space": space,
                    "objective": objective,
                    "policy": {"kind": policy, "settings": of_now(policy, settings or {})},
                    "surrogate": _surrogate(named, guard=guard, task=task or {}),
                    "prior": named,
                }
            )
        except ValidationError as error:
            raise explain(error, what=NAME) from error
        self._begin(basis, loaded)

    @classmethod
    def from_file(cls, path: str | Path, *, data: str | Path | None = None) -> Self:
        """Build an optimizer from a campaign file: its space, targets, seed, policy, prior, batch and replicates.

        The space is the campaign's own: the rows of a recorded table or a candidate file, what a bench can reach, or, in a
        file that names neither bench nor table, what it declares. Budget, goal, `[stop]` and review rules are a campaign's affair.
        This stands beside the constructor, and is not a second meaning of its first argument, so that each says what else
        it takes: a file has settings of its own, and may need a data folder.

        Args:
            path: The campaign file.
            data: Folder of recorded tables; without it the one that `ATHANOR_DATA` names.

        Raises:
            BadInput: One line, as `athanor check` says it.
        """
        plan = load_plan(Path(path), data=None if data is None else Path(data), free=True)
        spec = plan.file.spec
        prior = None if plan.prior is None else PriorName(path=str(plan.file.prior_path), sha256=plan.prior.sha256)
        basis = Basis(
            general=spec.campaign,
            space=plan.space,
            objective=plan.objective,
            policy=PolicySpec(kind=spec.policy.kind, settings=of_now(spec.policy.kind, spec.policy.settings)),
            surrogate=spec.surrogate,
            prior=prior,
            path=str(plan.file.path),
            files=plan.snapshot["files"],
        )
        return cls._of(basis, plan.prior)

    @classmethod
    def load(cls, path: str | Path, *, prior: str | Path | PriorFile | None = None) -> Self:
        """Read an optimizer that `save` wrote; its next suggestions are those that the saved one would have made.

        No campaign file, table or bench file is read again, and nothing in the file is executed.

        Args:
            path: The file.
            prior: Where the prior is now, if it is not where it was; it must be the same one.

        Raises:
            BadInput: One line: no such file, another version, damaged, or another prior.
        """
        saved, what = read_optimizer(Path(path)), f"optimizer {path}"
        found = _same_prior(saved.basis, prior, what=what)
        try:
            return cls._of(saved.basis, found, saved.events)
        except BadInput as error:
            raise BadInput(f"{what}: {error}") from error

    @classmethod
    def _of(cls, basis: Basis, prior: PriorFile | None, events: Sequence[Event] = ()) -> Self:
        made = cls.__new__(cls)
        cls._begin(made, basis, prior, events)
        return made

    def _begin(self, basis: Basis, prior: PriorFile | None, events: Sequence[Event] = ()) -> None:
        if both := [name for name in basis.objective.names if name in basis.space.columns]:
            raise BadInput(f"{both[0]} is both a parameter and a target; expected a name of its own for each, as columns of one table")
        learner = learner_of(basis.space, basis.objective, basis.surrogate, prior)
        self._policy = build_policy(basis.policy.kind, basis.space, basis.objective, basis.policy.settings, learner)
        self._basis = basis
        self._reader = Reader(basis.space, basis.objective)
        self._events = tuple(events)
        self._history = history_of(events)

    # ----------------------------------------------------------------- what it goes by

    @property
    def space(self) -> SearchSpace:
        """What may be varied."""
        return self._basis.space

    @property
    def objective(self) -> Objective:
        """What is wanted."""
        return self._basis.objective

    @property
    def seed(self) -> int:
        """What suggestions are drawn from, with the number of the ask."""
        return self._basis.general.seed

    @override
    def __repr__(self) -> str:
        done, pending = lessons(self._history), len(self.pending)
        return f"<Optimizer of {', '.join(self.objective.names)}: {done} experiments told, {pending} pending, seed {self.seed}>"

    # ----------------------------------------------------------------- ask and tell

    def ask(self, n: int | None = None, pending: Iterable[Experiment] = ()) -> list[Suggestion]:
        """Suggest experiments: fewer than asked for only where the space holds no more that can be told apart.

        Args:
            n: How many; the campaign file's `batch`, or 1, where it is left out.
            pending: What is being carried out elsewhere; what was asked here and not told is pending by itself.

        Raises:
            BadInput: A number below 1, a pending configuration that is not of this space, or constraints that leave nothing.
        """
        count = self._basis.general.batch if n is None else n
        if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
            raise BadInput(f"ask for {brief(n)} experiments; expected a whole number, at least 1")
        elsewhere = self._elsewhere(pending)
        with threads(1):  # as a campaign: the last digits depend on it
            proposals = Proposer(self._basis.general, self._policy, ToldRecipe()).batch(self._history, int(count), elsewhere=elsewhere)
        if not proposals:
            return []
        self._add(Asked(proposals=tuple(numbered(one) for one in proposals), pending=elsewhere))
        return [self._suggestion(one) for one in proposals]

    def _elsewhere(self, pending: Iterable[Experiment]) -> tuple[dict[str, float | str], ...]:
        if isinstance(pending, Suggestion | Mapping) or not isinstance(pending, Iterable):
            raise BadInput(f"pending {brief(pending)}: expected a list of suggestions or configurations")
        known = {self.space.key(one) for one in knowledge(self._history).pending}
        given = [self._reader.configuration(one, what="pending") for one in pending]
        return tuple({key: one for one in given if (key := self.space.key(one)) not in known}.values())

    def tell(
        self,
        experiment: Experiment,
        values: Mapping[str, float | str] | None = None,
        uncertainties: Mapping[str, float | str] | None = None,
        *,
        measured: Mapping[str, float | str] | None = None,
        infeasible: bool | str = False,
        failed: bool = False,
    ) -> None:
        """Say what came of an experiment, asked for or not; a second result of the same one is a replicate.

        Args:
            experiment: The suggestion, or a configuration. What waits is recognised by its values; where they are rounded to
                what the bench still takes for the same (`resolution`), those given count as carried out.
            values: A value for every target.
            uncertainties: Standard uncertainties, of those targets where one is known.
            measured: What was carried out where it is not what was suggested: those columns alone. The model learns from it.
            infeasible: The recipe cannot work: there are no values, and what is like it is avoided. A text says why: with
                `feasibility = "learned"` each reason is learned by itself.
            failed: It was spoilt by something else: there are no values and nothing is learned; it is no longer pending.

        Raises:
            BadInput: One line: a name, a unit, a missing value, a configuration that is not of this space. Nothing is told then.
        """
        told = self._reader.told(self._history, experiment, values, uncertainties, measured=measured, infeasible=infeasible, failed=failed)
        self._add(told)

    def tell_frame(self, rows: pd.DataFrame) -> None:
        """Say what came of many experiments: a column per parameter and per target, further ones `TARGET uncertainty`.

        Raises:
            BadInput: One line that names the row; nothing of the frame is told then.
        """
        if twice := [name for name, again in zip(rows.columns, rows.columns.duplicated(), strict=True) if again]:
            raise BadInput(f"column {twice[0]!r} is there twice; expected each once")
        history, events = self._history, []
        for index, row in rows.iterrows():
            try:
                told = self._reader.told_row(history, dict(row))
            except BadInput as error:
                raise BadInput(f"row {index}: {error}") from error
            history = after(history, told)
            events.append(told)
        self._events, self._history = (*self._events, *events), history

    def _add(self, event: Event) -> None:
        self._history = after(self._history, event)
        self._events = (*self._events, event)

    @property
    def pending(self) -> list[Suggestion]:
        """What was asked for and of which not all was told, in order; after `load`, what may still be in somebody's hands."""
        waiting = {run.proposal_id for run in self._history.runs.values() if run.status.is_open}
        return [self._suggestion(one) for one in self._history.newest() if one.proposal_id in waiting]

    def _suggestion(self, proposal: Proposal) -> Suggestion:
        provenance = proposal.provenance
        return Suggestion(
            configuration={column: proposal.configuration[column] for column in self.space.columns},
            policy=provenance.policy,
            acquisition=provenance.acquisition,
            predicted=provenance.predicted,
            details=provenance.details,
            number=proposal.number,
            units=self._units,
        )

    @property
    def _units(self) -> dict[str, str]:
        return {**self.space.units, **self.objective.units}

    # ----------------------------------------------------------------- what it expects, and why

    def predict(self, configurations: Iterable[Experiment] | pd.DataFrame) -> pd.DataFrame:
        """Say what a new measurement would give: a row per configuration and target.

        Columns: `configuration` (its place in what was given), `target`, `unit`, `mean`, `sd` (noise included), `low` and
        `high` (ends of the 90 % interval), `epistemic` (standard deviation that more experiments would take away) and
        `aleatoric` (of one measurement's noise).

        Raises:
            BadInput: A configuration that is not of this space, or no model yet: without a prior every target needs a value.
        """
        given = configurations.to_dict("records") if isinstance(configurations, pd.DataFrame) else configurations
        wanted = [self._reader.configuration(one, what=f"configuration {place}", listed=False) for place, one in enumerate(given)]
        known = knowledge(self._history)
        with threads(1):
            predictions, spreads = self._policy.predict(known, wanted), self._policy.spreads(known, wanted)
        if wanted and not predictions:
            raise BadInput(f"policy {self._policy.name} has no model to predict with; a bayesian one has when each target has a value")
        pairs = enumerate(zip(predictions, spreads, strict=True))
        rows = [
            (place, name, unit, one[name].mean, one[name].sd, one[name].low, one[name].high, parts[name].epistemic, parts[name].aleatoric)
            for place, (one, parts) in pairs
            for name, unit in self.objective.units.items()
        ]
        columns = ("configuration", "target", "unit", "mean", "sd", "low", "high", "epistemic", "aleatoric")
        return pd.DataFrame(rows, columns=columns)

    def explain(self, suggestion: Suggestion) -> Explanation:
        """Say why something was suggested, from what was known then: a decision page's figures.

        Returns:
            Shapley values of the parameters for each target's mean and sd and for the acquisition, the share of the expected
            improvement that exploits what is known, and alternatives.

        Raises:
            BadInput: It was not suggested here, or drawn without a model.
        """
        if (asked := self._asked(suggestion)) is None:
            raise BadInput(f"suggestion {suggestion.number} was not made by this optimizer; it can explain its own")
        index, batch = asked
        if not suggestion.predicted:
            why = suggestion.details.get("why", suggestion.policy)
            raise BadInput(f"suggestion {suggestion.number} was drawn without a model ({why}): there is nothing to explain")
        known = knowledge(history_of(self._events[:index]))
        known = replace(known, pending=(*known.pending, *batch.pending))
        place = next(place for place, one in enumerate(batch.proposals) if one.number == suggestion.number)
        configurations, seed = [one.configuration for one in batch.proposals], batch.proposals[place].provenance.seed
        with threads(1):
            (found,) = self._policy.explain(known, configurations, seed=seed, only=[place])
        return replace(found, alternatives=tuple(replace(one, units=self._units) for one in found.alternatives))

    def _asked(self, suggestion: Suggestion) -> tuple[int, Asked] | None:
        """Return the batch that a suggestion belongs to, and its place among all that was asked and told."""
        for index, event in enumerate(self._events):
            if isinstance(event, Asked) and any(_is(one, suggestion) for one in event.proposals):
                return index, event
        return None

    # ----------------------------------------------------------------- what was told

    def best(self) -> Best | None:
        """Return the measurement with the highest objective; None before the first.

        Raises:
            BadInput: An objective of another kind than `utility`: nothing is best.
        """
        if self.objective.kind != "utility":
            instead = "; ask front()" if self.objective.kind == "pareto" else ""
            raise BadInput(f'objective.kind = "{self.objective.kind}" has no best measurement{instead}')
        found = best(self._history, self.objective)
        return None if found is None else self._told(*found)

    def front(self) -> list[Best]:
        """Return the measurements better than the reference point that no other betters, the best of the first target first.

        Raises:
            BadInput: An objective of another kind than `pareto`.
        """
        if self.objective.kind != "pareto":
            raise BadInput(f'objective.kind = "{self.objective.kind}" has no front; expected "pareto"')
        values = self._history.accepted
        return [self._told(one, float(self.objective.score(values[one.run_key]))) for one in front_of(self._history, self.objective)]

    def _told(self, run: ExperimentRun, score: float) -> Best:
        return Best(self._number(run), self._carried_out(run), self._history.accepted[run.run_key], score)

    def to_frame(self) -> pd.DataFrame:
        """Return all experiments, one row per result or pending replicate.

        Columns: `number` (of the suggestion), `policy`, `status` (`pending`, `measured`, `infeasible`, `failed`), then those
        that `tell_frame` takes: the parameters as carried out (none where one is absent), the targets, and `TARGET uncertainty`
        where any is known. Where a parameter or target is itself called `number`, `policy` or `status`, the first three end in `_`.
        """
        return pd.DataFrame(self._rows())

    def _rows(self) -> Iterator[dict[str, object]]:
        known = {(one.run_key, one.target): one for one in self._history.measurements.values()}
        uncertain = {one.target for one in known.values() if one.uncertainty is not None}
        taken = {*self.space.columns, *self.objective.names}
        number, policy, status = _OWN if taken.isdisjoint(_OWN) else tuple(f"{name}_" for name in _OWN)
        for run in self._history.attempts():
            own = {name: known.get((run.run_key, name)) for name in self.objective.names}
            there = self.space.present(self._carried_out(run))
            yield {
                number: self._number(run),
                policy: self._history.proposals[run.approval].provenance.policy,
                status: _SHOWN.get(run.status, run.status.value),
                **{column: there.get(column) for column in self.space.columns},
                **{name: None if one is None else one.value for name, one in own.items()},
                **{f"{name} uncertainty": None if one is None else one.uncertainty for name, one in own.items() if name in uncertain},
            }

    def _number(self, run: ExperimentRun) -> int:
        return self._history.proposals[run.approval].number

    def _carried_out(self, run: ExperimentRun) -> Configuration:
        return run.measured or self._history.proposals[run.approval].configuration

    def save(self, path: str | Path) -> None:
        """Write all of it as JSON: settings, space, the campaign file's text, the prior by path and sha256, asks and tells.

        Raises:
            BadInput: The file cannot be written.
        """
        write_optimizer(Path(path), Saved(basis=self._basis, events=self._events))


def _is(proposal: Proposal, suggestion: Suggestion) -> bool:
    return (proposal.number, proposal.configuration) == (suggestion.number, suggestion.configuration)


def _surrogate(prior: PriorName | None, *, guard: bool, task: Mapping[str, float | str]) -> dict[str, object]:
    if prior is None:
        return {"kind": "gp", "task": dict(task)}
    return {"kind": "default", "prior": prior.path, "guard": guard, "task": dict(task)}


def _same_prior(basis: Basis, given: str | Path | PriorFile | None, *, what: str) -> PriorFile | None:
    if basis.prior is None:
        if given is not None:
            raise BadInput(f"{what} adapts no prior; leave prior out")
        return None
    found = given if isinstance(given, PriorFile) else load_prior(Path(given or basis.prior.path))
    if found.sha256 != basis.prior.sha256:
        raise BadInput(f"{what}: the prior has sha256 {found.sha256}; expected {basis.prior.sha256}")
    return found
