"""Whether the search for a proposal finds what the first one found: `python -m benchmarks.questions`.

Fifty questions, each a space, what was measured in it and a seed, with the proposal that `bayesian/1` gave (`--record`).
Today's search is held against it on the same acquisition function, that of `bayesian/1`: the log value that it finds may be
smaller by `SLACK` at most, or larger. Today's whole proposal is held against it under a judge that neither has seen: many
more draws, of another seed.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.latency import Case, cdse_case, measured
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import AdaptedLearner
from models.reproducible import repeatable
from models.source_basis.guarded import DefaultLearner
from models.tasks import Family, TaskData
from models.threads import use_threads
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge
from policies.acquisition import build_acquisition
from policies.batched import BatchedSearch
from policies.bayesian import BayesianPolicy
from policies.initial import SobolPolicy
from policies.options import Open
from policies.registry import build_policy
from policies.settings import BayesianSettings

ANSWERS: Final = Path(__file__).with_name("questions.json")
SLACK: Final = 1e-3
"""Of the log acquisition value."""
JUDGES_SAMPLES: Final = 4096
JUDGES_SEED: Final = 1000
"""Draws of the judge, and what is added to a question's seed for them."""
DEFAULTS: Final = BayesianSettings()
SOURCES: Final = (8, 48)
"""Sources of each prior, and rows of each: responses that are shifted and stretched."""
COUNTS: Final = (3, 10, 25, 60)


@dataclass(frozen=True)
class Question:
    """One proposal that is asked for."""

    case: Case
    measurements: int
    seed: int

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.case.name}; {self.measurements} measured; seed {self.seed}"


def questions() -> Iterator[Question]:
    """Iterate over the fifty."""
    cases = ((box_case(), 2), (cdse_case(), 4), (mixed_case(), 5))
    for case, seeds in cases:
        yield from (Question(case, count, seed) for seed in range(1, seeds + 1) for count in COUNTS)
    known = shifted_prior(cdse_case())
    yield from (Question(known, count, seed) for count in (10, 25, 60) for seed in (1, 2))


def mixed_case() -> Case:
    """Return a time on a log scale, a solvent and a composition of at most two metals, for two targets."""
    space = SearchSpace(
        parameters=(
            ContinuousParameter(name="t", unit="s", min=10, max=90, scale="log"),
            CategoricalParameter(name="solvent", categories=("ODE", "DMF", "THF")),
            CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), step=0.05, max_components=2),
        )
    )
    targets = (Target(name="a", goal="maximise", low=0, high=10), Target(name="b", goal="match", value=4, tolerance=1))
    return Case("mixed, two targets", space, Objective(targets=targets), _alloy)


def box_case() -> Case:
    """Return four numbers that nothing binds, for one target."""
    space = SearchSpace(parameters=tuple(ContinuousParameter(name=f"x{number}", min=0, max=1) for number in range(4)))
    return Case("box, one target", space, Objective(targets=(Target(name="y", goal="maximise"),)), _hill)


def _alloy(row: Configuration) -> dict[str, float]:
    late = math.log(float(row["t"]) / 30)
    return {"a": 5 + 3 * float(row["alloy.Ni"]) - late**2 + (row["solvent"] == "DMF"), "b": 3 + 2 * float(row["alloy.Fe"]) + 0.5 * late}


def _hill(row: Configuration) -> dict[str, float]:
    return {"y": math.exp(-2 * sum((float(value) - 0.3 - 0.1 * number) ** 2 for number, value in enumerate(row.values())))}


def shifted_prior(case: Case) -> Case:
    """Return a case with a prior from responses like its own, each shifted and stretched."""
    encoding, generator, (sources, rows) = Encoding(case.space), random.Random(1), SOURCES
    found: dict[str, list[TaskData]] = {name: [] for name in case.objective.names}
    for number in range(sources):
        drawn = [one.configuration for one in SobolPolicy(case.space).propose(Knowledge(), count=rows, seed=number)]
        X = encoding.encode(drawn)
        for name in case.objective.names:
            stretch, shift, tilt = generator.gauss(1.0, 0.2), generator.gauss(0.0, 0.05), generator.gauss(0.0, 0.1)
            Y = torch.tensor([case.respond(row)[name] for row in drawn], dtype=torch.float64)
            spread, level = float(Y.std()), float(Y.mean())
            scatter = torch.tensor([generator.gauss(0.0, 0.05) for _ in drawn], dtype=torch.float64)
            bent = stretch * (Y - level) + spread * (shift + tilt * (X[:, 0] - 0.5) + scatter)
            found[name].append(TaskData(f"source {number}", X, level + bent))
    priors = {
        target.name: DefaultLearner().meta_train(
            found[target.name], Family(Features(encoding), target.name, target.unit), generator=torch.Generator().manual_seed(0)
        )
        for target in case.objective.targets
    }
    learner = AdaptedLearner(priors, lambda X: X, torch.zeros(0, dtype=torch.float64), {"name": "shifted"})
    return replace(case, name=f"{case.name}, prior", learner=learner)


def policy_of(question: Question, search: str = "apart") -> BayesianPolicy:
    """Return the policy of a question."""
    case = question.case
    made = build_policy("bayesian", case.space, case.objective, {"initial": 0, "search": search}, case.learner)
    assert isinstance(made, BayesianPolicy)
    return made


def recorded(question: Question) -> dict[str, Any]:
    """Return what the first version proposes and the value of its acquisition function there."""
    known = measured(question.case, question.measurements, seed=question.seed)
    (found,) = policy_of(question).propose(known, count=1, seed=question.seed)
    return {"row": dict(found.configuration), "value": found.acquisition}


def compared(question: Question, before: dict[str, Any]) -> dict[str, Any]:
    """Return by how much today's search and today's proposal are better than the first version's."""
    case, seed = question.case, question.seed
    known, encoding = measured(case, question.measurements, seed=seed), Encoding(case.space)
    asked = policy_of(question).question(known, seed)
    with repeatable(seed):
        acquisition = build_acquisition(asked)
        search = Open(BatchedSearch(encoding, DEFAULTS.restarts, DEFAULTS.raw_samples)).best(asked, acquisition)
    (now,) = policy_of(question, "together").propose(known, count=1, seed=seed)
    with repeatable(seed), torch.no_grad():
        judge = build_acquisition(replace(asked, apart=False, samples=JUDGES_SAMPLES, seed=seed + JUDGES_SEED))
        ours, theirs = judge(encoding.encode([now.configuration, before["row"]]).unsqueeze(-2)).tolist()
    return {"search": math.nan if search is None else search.value - before["value"], "proposal": ours - theirs}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.questions", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write down what the first version answers, where that is missing")
    parser.add_argument("--only", default="", help="part of the names of the questions to ask")
    options = parser.parse_args(arguments)
    use_threads(1)
    known = json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.exists() else {}
    worst = []
    for question in (one for one in questions() if options.only in one.name):
        if options.record and question.name not in known:
            known[question.name] = recorded(question)
            ANSWERS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        elif not options.record and question.name in known:
            found = compared(question, known[question.name])
            worst.append(found["search"])
            print(f"| {question.name} | {found['search']:+.5f} | {found['proposal']:+.5f} |", flush=True)
    print(f"{sum(value >= -SLACK for value in worst)} of {len(worst)} searches are within {SLACK:g} of the first version's, or better")
    return 0


if __name__ == "__main__":
    sys.exit(main())
