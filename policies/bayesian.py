"""Bayesian optimisation: fit a surrogate to what was measured, ask where improvement is likely."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Learner, Surrogate
from models.feasibility import LearnedFeasibility, learn_feasibility
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.inputs.training_data import training_data
from models.reproducible import repeatable
from orchestrator.domain.front import traded
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Prediction
from orchestrator.domain.region import Region
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import Advice
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.ports import Cost, Knowledge, Observation, Policy
from orchestrator.suggestions import CERTAINTY, COST, FEASIBLE, KEPT, WITHOUT_PRIOR, Explanation, Outlook, Spread, Suggestion
from policies.acquisition import LogImprovement, Question, build_acquisition, predicted, spreads
from policies.batch import beside
from policies.batched import BatchedSearch
from policies.cost import DRAWN, Charge, charge, cheapest
from policies.enumeration import enumerated
from policies.explaining import explain_one
from policies.exploring import LEARNT, REFERENCES, certainty
from policies.initial import SobolPolicy
from policies.limits import kept_at
from policies.optimise import Found, Search
from policies.options import Open, Options, Rows, best_expected, is_hopeless
from policies.outlook import best_measured, outlook
from policies.pareto import chance_to_join
from policies.pool import Pool, candidate_table, done, is_new, used
from policies.score import Score
from policies.settings import BATCHED, POLICY_NAMES, BayesianSettings
from policies.stopping import EVERYWHERE, AllThereIs, advice

_EXPECTED: Final = 8
"""Where nothing allowed is measured: so many allowed configurations that the surrogate expects most of are to be improved on."""


@dataclass(frozen=True)
class BayesianPolicy(Policy):
    """First a space-filling design, then the largest log noisy expected improvement, one after the other within a batch."""

    space: SearchSpace
    objective: Objective
    options: BayesianSettings = field(default_factory=BayesianSettings)
    learner: Learner = field(default_factory=GaussianProcessLearner)
    cost: Cost | None = None

    def __post_init__(self) -> None:
        self.options.refuse_unfit(self.objective)
        if self.options.cost is not None and self.cost is None:
            raise BadInput(f'policy.cost = "{self.options.cost}" belongs to a campaign that a bench carries out; leave it out here')
        object.__setattr__(self, "options", self.options.aimed(self.objective))

    @property
    @override
    def name(self) -> str:
        return POLICY_NAMES["bayesian"] if self._apart else BATCHED

    @property
    def _apart(self) -> bool:
        """Whether each combination has an acquisition function of its own, and starts climb one by one."""
        return not self.options.is_together(self.objective)

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return self.options.shown(self.space, needs_measurements=self.learner.needs_measurements)

    @cached_property
    def initial(self) -> int:
        """Size of the space-filling design."""
        return int(self.settings["initial"])

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        """Propose `count` configurations that the bench tells apart, fewer only where there are no more such.

        Raises:
            BadInput: The constraints leave nothing.
        """
        if missing := self._missing(knowledge):
            why = "space-filling design" if done(knowledge) < self.initial else f"no measurement of {', '.join(missing)} yet"
            return self._design(knowledge, count, seed, why)
        designed = self._design(knowledge, min(count, max(0, self.initial - done(knowledge))), seed, "space-filling design")
        return (*designed, *self._informed(knowledge, designed, count - len(designed), seed))

    @override
    def adapt(self, knowledge: Knowledge) -> Mapping[str, Any]:
        """Adapt the prior to what is known; what comes of it is kept for the next proposal."""
        if self.learner.needs_measurements:
            return {}
        data = training_data(self._encoding, self.objective, knowledge.observations, _impossible(knowledge))
        surrogate = self.learner.fit(data, seed=0)
        return {
            "surrogate": surrogate.name,
            "prior": dict(self.learner.identity),
            "measurements": {target.name: len(target.Y) for target in data},
            "fit": surrogate.description(),
        }

    @override
    def explain(
        self, knowledge: Knowledge, batch: Sequence[Configuration], *, seed: int, only: Collection[int] | None = None
    ) -> tuple[Explanation, ...]:
        """Say what drives predictions, uncertainty and acquisition of a batch; nothing before there is a model."""
        if self._missing(knowledge):
            return ()
        asked, everywhere = self.question(knowledge, seed), self._everywhere(seed)
        encoding = Encoding(self.space, knowledge.restrictions)
        explained = []
        for index in range(len(batch)) if only is None else sorted(only):
            options, one = self._options(beside(self.space, knowledge, batch[:index]), batch[:index]), seed + index
            question = self._asked(asked, knowledge, batch[:index], one).smoothed()
            if isinstance(options, Rows):
                question, _, _ = self._next(question, options)
            explained.append(explain_one(encoding, question, everywhere, options.encoded(one), batch, index))
        return tuple(explained)

    @override
    def predict(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Mapping[str, Prediction], ...]:
        """Say what the surrogate expects at given configurations; nothing before there is a model."""
        if self._missing(knowledge):
            return ()
        surrogate, score = self._fitted(knowledge, seed=0)  # a seed counts only where a fit has to be tried again
        X = self._encoding.encode(batch)
        return tuple(predicted(surrogate, score, X[index : index + 1]) for index in range(len(X)))

    @override
    def spreads(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Mapping[str, Spread], ...]:
        """Say of what the uncertainties of `predict` are made; nothing before there is a model."""
        if self._missing(knowledge):
            return ()
        surrogate, score = self._fitted(knowledge, seed=0)  # as in `predict`
        X = self._encoding.encode(batch)
        return tuple(spreads(surrogate, score, X[index : index + 1]) for index in range(len(X)))

    @override
    def outlook(self, knowledge: Knowledge, batch: Sequence[Configuration]) -> tuple[Outlook, ...]:
        """Say what the surrogate expects of the objective at given configurations; nothing without a model, or where nothing is best."""
        if self._missing(knowledge) or self.objective.kind in LEARNT:
            return ()
        surrogate, score = self._fitted(knowledge, seed=0)  # as in `predict`
        best = best_measured(self.objective, self._counting(knowledge))
        X = self._encoding.encode(batch)
        found = tuple(outlook(surrogate, score, X[index : index + 1], best) for index in range(len(X)))
        if self.objective.kind != "pareto" or best is None:
            return found
        points = [traded(self.objective, one.values) for one in self._counting(knowledge)]
        attained = torch.tensor([point for point in points if point is not None], dtype=X.dtype)
        joining = [chance_to_join(surrogate, score, x.unsqueeze(0), attained) for x in X]
        return tuple(replace(one, better=chance) for one, chance in zip(found, joining, strict=True))

    @override
    def advice(self, knowledge: Knowledge, *, improvement: float, seed: int) -> Advice | None:
        """Say what further experiments may still bring; nothing before the design is done and all targets are measured."""
        measured = self._encoding.encode(one.configuration for one in self._counting(knowledge))
        if self._missing(knowledge) or not len(measured) or len(knowledge.observations) < self.initial:
            return None
        surrogate, score = self._fitted(knowledge, seed=seed)
        return advice(surrogate, score, measured, self._all_there_is(knowledge, seed), improvement=improvement, seed=seed)

    def _all_there_is(self, knowledge: Knowledge, seed: int) -> AllThereIs:
        """Return what may be measured, whether or not it is being measured already, but for what is known to be infeasible."""
        pool = self._pool if self.space.candidates is not None else self._everything
        if pool is None:
            search = replace(self._search(knowledge), raw_samples=EVERYWHERE, taken=_impossible(knowledge))
            return AllThereIs(search.everywhere(seed), partial(search.nearby, seed=seed))
        known = (*_impossible(knowledge), *(one.configuration for one in knowledge.observations))
        return AllThereIs(pool.encoded[pool.legal(pool.without(known), knowledge)])

    def _missing(self, knowledge: Knowledge) -> list[str]:
        if not self.learner.needs_measurements:
            return []
        measured = {name for observation in knowledge.observations for name in observation.values}
        return [name for name in self.objective.names if name not in measured]

    def _design(self, knowledge: Knowledge, count: int, seed: int, why: str) -> tuple[Suggestion, ...]:
        if not count:
            return ()
        chosen = self._filling(knowledge, count, seed)
        return tuple(Suggestion(one.configuration, one.policy, details={"why": why}) for one in chosen)

    def _filling(self, knowledge: Knowledge, count: int, seed: int) -> tuple[Suggestion, ...]:
        design = SobolPolicy(self.space)
        if self.cost is None:
            return design.propose(knowledge, count=count, seed=seed)
        try:
            drawn = design.propose(knowledge, count=DRAWN * count, seed=seed)
        except BadInput:  # there are not so many
            drawn = design.propose(knowledge, count=count, seed=seed)
        if self.space.candidates is None:  # a repeat, however cheap, comes after all that is new
            known = self._encoding.encode(used(knowledge))
            new = tuple(one for one in drawn if is_new(self._encoding, one.configuration, known))
            drawn = new if len(new) >= count else drawn[:count]
        return cheapest(self.cost, drawn, count, number=len(knowledge.excluded) + 1, carried=knowledge.carried)

    def _informed(self, knowledge: Knowledge, designed: Sequence[Suggestion], count: int, seed: int) -> tuple[Suggestion, ...]:
        if count <= 0:
            return ()
        asked = self.question(knowledge, seed)
        taken: list[Configuration] = [one.configuration for one in designed]
        chosen: list[Suggestion] = []
        for _ in range(count):
            question = self._asked(asked, knowledge, taken, seed + len(taken))
            try:
                question, acquisition, found = self._next(question, self._options(beside(self.space, knowledge, taken), taken))
            except BadInput:
                if not (self.space.shared and taken):
                    raise
                break  # what the first has chosen leaves nothing else: the batch is smaller, and that is said
            if found is None:
                break
            chosen.append(self._suggestion(question, acquisition, found))
            taken.append(found.row)
        return tuple(chosen)

    def _asked(self, asked: Question, knowledge: Knowledge, taken: Sequence[Configuration], seed: int) -> Question:
        """Ask for the next experiment of a batch."""
        region = Region(self.space, knowledge.restrictions)
        pending = [one for one in (*knowledge.pending, *taken) if region.admits(one)]
        return replace(asked, pending=self._encoding.encode(pending), seed=seed, charge=self._charge(knowledge, taken, seed))

    def _charge(self, knowledge: Knowledge, taken: Sequence[Configuration], seed: int) -> Charge | None:
        """Return what cost takes off the score of the next experiment of a batch."""
        if self.cost is None:
            return None
        number, carried = len(knowledge.excluded) + len(taken) + 1, (*knowledge.carried, *taken)
        return charge(self.cost, self._encoding, self._everywhere(seed), number=number, carried=carried)

    def _everywhere(self, seed: int) -> Float[Tensor, "n d"]:
        """Return feasible points all over the space."""
        return self._search(Knowledge()).everywhere(seed) if self.space.candidates is None else self._pool.encoded

    def _next(self, question: Question, options: Options) -> tuple[Question, LogImprovement, Found | None]:
        """Answer a question; where no row that is left of a table may be better than what is measured, another one.

        Then what the rows themselves promise is improved on.
        """
        with repeatable(question.seed):
            acquisition = build_acquisition(question)
            found = options.best(question, acquisition)
        if found is None or question.expected is not None or not (isinstance(options, Rows) and self._hopeless(found, acquisition)):
            return question, acquisition, found
        best = best_expected(question.surrogate, question.score, options.encoded(question.seed), question.functions)[:_EXPECTED]
        return self._next(replace(question, expected=best), options)

    def _hopeless(self, found: Found, acquisition: LogImprovement) -> bool:
        return is_hopeless(found, acquisition, self._encoding.encode([found.row]))

    def _fitted(self, knowledge: Knowledge, *, seed: int) -> tuple[Surrogate, Score]:
        data = training_data(self._encoding, self.objective, knowledge.observations, _impossible(knowledge))
        return self.learner.fit(data, seed=seed), Score(self.objective, tuple(target.unit for target in data))

    def question(self, knowledge: Knowledge, seed: int) -> Question:
        """Return what the acquisition function of the first experiment of a batch is built from."""
        surrogate, score = self._fitted(knowledge, seed=seed)
        measured = self._encoding.encode(one.configuration for one in self._counting(knowledge))
        return Question(
            surrogate=surrogate,
            score=score,
            measured=measured,
            pending=self._encoding.encode(()),
            infeasible=self._encoding.encode(one.configuration for one in knowledge.infeasible),
            kind=self.options.acquisition,
            samples=self.options.mc_samples,
            seed=seed,
            expected=None if len(measured) else self._expected(surrogate, score, knowledge, seed),
            functions=None if self._apart else surrogate.functions(),
            apart=self._apart,
            feasibility=self._learned(knowledge),
            everywhere=self._references(knowledge) if self.objective.kind in LEARNT else None,
            listed=self.space.candidates is not None or self._everything is not None,
        )

    def _references(self, knowledge: Knowledge) -> Float[Tensor, "r d"]:
        """Return points that stand for all of what is allowed, the same as long as that is the same.

        Raises:
            BadInput: The restrictions leave nothing.
        """
        pool = self._pool if self.space.candidates is not None else self._everything
        if pool is None:
            return replace(self._search(Knowledge(restrictions=knowledge.restrictions)), raw_samples=REFERENCES).everywhere(0)
        legal = pool.encoded[_allowed(pool, knowledge)]
        return legal[torch.randperm(len(legal), generator=torch.Generator().manual_seed(0))[:REFERENCES]]

    def _learned(self, knowledge: Knowledge) -> LearnedFeasibility | None:
        """Learn what can be made, where that is asked for and something could not; a failed run is the instrument's fault."""
        if self.options.feasibility is None or not knowledge.infeasible:
            return None
        met: dict[str, list[Configuration]] = {}
        for one in knowledge.infeasible:
            met.setdefault(one.reason, []).append(one.configuration)
        completed = self._encoding.encode((*(one.configuration for one in knowledge.observations), *knowledge.spared))
        infeasible = {reason: self._encoding.encode(rows) for reason, rows in met.items()}
        return learn_feasibility(Features(self._encoding), completed, infeasible)

    def _counting(self, knowledge: Knowledge) -> list[Observation]:
        """Return what was measured where proposals may lie: the best of these is to be beaten."""
        region = Region(self.space, knowledge.restrictions)
        return [one for one in knowledge.observations if region.admits(one.configuration)]

    def _expected(self, surrogate: Surrogate, score: Score, knowledge: Knowledge, seed: int) -> Float[Tensor, "k d"]:
        """Return the allowed configurations with the best predicted scores, for want of measured ones.

        Raises:
            BadInput: The restrictions leave nothing.
        """
        pool = self._pool if self.space.candidates is not None else self._everything
        if pool is None:
            return best_expected(surrogate, score, self._search(knowledge).everywhere(seed))[:_EXPECTED]
        return best_expected(surrogate, score, pool.encoded[_allowed(pool, knowledge)])[:_EXPECTED]

    def _options(self, knowledge: Knowledge, taken: Sequence[Configuration]) -> Options:
        """Return what may be proposed next."""
        running = (*knowledge.pending, *taken)
        if self.space.candidates is not None:
            return Rows(self._pool, tuple(self._pool.told_apart(self._pool.left(knowledge, *taken), running)))
        if self._everything is not None:
            return Rows(self._everything, tuple(self._few(self._everything, knowledge, running)))
        search = replace(self._search(knowledge), taken=running)
        if self.options.feasibility is None or not knowledge.infeasible:
            return Open(search)
        return Open(replace(search, taken=(*running, *_impossible(knowledge))), last_resort=search)

    def _few(self, pool: Pool, knowledge: Knowledge, running: Sequence[Configuration]) -> list[int]:
        """Return all configurations but running ones; those known to be infeasible only when there is no other."""
        left = pool.legal(pool.without((*running, *_impossible(knowledge))), knowledge)
        return left or pool.legal(pool.without(running), knowledge)

    def _search(self, knowledge: Knowledge) -> Search:
        kind = Search if self._apart else BatchedSearch
        return kind(Encoding(self.space, knowledge.restrictions), self.options.restarts, self.options.raw_samples)

    def _suggestion(self, question: Question, acquisition: LogImprovement, found: Found) -> Suggestion:
        details: dict[str, Any] = {
            "surrogate": question.surrogate.name,
            "acquisition": acquisition.kind,
            "fit": question.surrogate.description(),
            "units": dict(zip(self.objective.names, question.score.units, strict=True)),
        }
        if self.learner.identity:
            details["prior"] = dict(self.learner.identity)
        x = self._encoding.encode([found.row])
        if (guard := question.surrogate.without_prior()) is not None:
            details[WITHOUT_PRIOR] = {name: one.model_dump() for name, one in predicted(guard, question.score, x).items()}
        if (kept := kept_at(question.surrogate, question.score, x)) is not None:
            details[KEPT] = asdict(kept)
        if question.feasibility is not None:
            spared = {reason: float(chance) for reason, chance in question.feasibility.spared(x).items()}
            details[FEASIBLE] = {"probability": math.prod(spared.values()), "spared": spared}
        if question.everywhere is not None:
            details[CERTAINTY] = certainty(question.surrogate, question.score, question.everywhere)
        if question.charge is not None:
            details[COST] = question.charge.told(found.row)
        return Suggestion(found.row, self.name, acquisition=found.value, predicted=question.predicted(x), details=details)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space)

    @cached_property
    def _pool(self) -> Pool:
        return candidate_table(self._encoding)

    @cached_property
    def _everything(self) -> Pool | None:
        """All configurations where they are few."""
        rows = enumerated(self._encoding)
        return Pool(self._encoding, rows) if rows else None


def _allowed(pool: Pool, knowledge: Knowledge) -> list[int]:
    """Return the rows of a table that keep to the restrictions.

    Raises:
        BadInput: None does.
    """
    legal = pool.legal(range(len(pool.rows)), knowledge)
    if not legal:
        raise BadInput(f"none of {len(pool.rows)} configurations keeps to the restrictions")
    return legal


def _impossible(knowledge: Knowledge) -> tuple[Configuration, ...]:
    return tuple(one.configuration for one in knowledge.infeasible)
