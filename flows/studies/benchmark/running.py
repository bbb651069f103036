"""Runs what a benchmark file asks for and is not there yet."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flows.studies.benchmark.loading import Suite, load_suite
from flows.studies.benchmark.replay import ReplayCourse, generator_for, judge_random_support, replay_pool
from flows.studies.benchmark.rows import ResultKey, ResultRow, Results, code_version, make_row
from flows.studies.benchmark.spec import BenchmarkFile, Leave
from flows.studies.benchmark.split import sources_for
from models.meta_learning.registry import META_LEARNERS
from models.peers.baselines import BASELINES, WITHOUT_HISTORY
from models.tasks import MetaLearner, Prior
from orchestrator.errors import BadInput

COMPARED_LEARNERS: Final[Mapping[str, Callable[[], MetaLearner]]] = {**BASELINES, **META_LEARNERS}
"""Name -> what makes the learner: the baselines, and whatever learns from history."""
ANY_SPLIT: Final = "any"
"""What stands for the split of a surrogate that uses no history: its rows hold for each."""


@dataclass(frozen=True, slots=True)
class BenchmarkChoice:
    """What the command line changes of a file; None: as the file says."""

    seeds: int | None = None
    surrogates: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    leave: Leave | None = None
    initial: int | None = None
    fresh: bool = False
    """Compute again what another version of the code, or this one, has computed."""


@dataclass
class Benchmark:
    """A benchmark about to run: its tasks, and priors that are trained once for all seeds."""

    file: BenchmarkFile
    suite: Suite
    choice: BenchmarkChoice
    learners: Mapping[str, Callable[[], MetaLearner]] = field(default_factory=lambda: COMPARED_LEARNERS)
    code: str = field(default_factory=code_version)
    _priors: dict[tuple[str, str], Prior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be run before anything is computed."""
        run = self.file.spec.run
        for name in self.surrogates:
            if name not in self.learners:
                raise BadInput(f"surrogate {name!r} is unknown; known: {', '.join(self.learners)}")
        for task in self.tasks:
            if task not in self.suite.judged:
                raise BadInput(f"task {task!r} is not judged by {self.file.path}; judged are {', '.join(self.suite.judged)}")
            if self.initial >= run.experiments(task):
                raise BadInput(f"task {task}: budget {run.experiments(task)} leaves nothing after {self.initial} initial rows")
            sources_for(self.suite.pools, task, leave=self.leave, identical=self.file.spec.split.identical)

    @property
    def surrogates(self) -> tuple[str, ...]:
        """Names of what is compared."""
        return self.choice.surrogates or self.file.spec.run.surrogates

    @property
    def tasks(self) -> tuple[str, ...]:
        """Judged tasks."""
        return self.choice.tasks or self.suite.judged

    @property
    def leave(self) -> Leave:
        """What priors must not have seen beside the judged task."""
        return self.choice.leave or self.file.spec.split.leave

    @property
    def initial(self) -> int:
        """Random rows at the start."""
        return self.file.spec.run.initial if self.choice.initial is None else self.choice.initial

    def keys(self) -> Iterator[ResultKey]:
        """Iterate over all rows that are wanted, seed by seed, so that what is there at any moment is paired."""
        seeds = self.choice.seeds or self.file.spec.run.seeds
        for seed, task, name in itertools.product(range(seeds), self.tasks, self.surrogates):
            yield (name, task, seed, ANY_SPLIT if name in WITHOUT_HISTORY else self.leave, self.initial)

    def missing(self, results: Results) -> list[ResultKey]:
        """Return what is to be computed: a baseline's row holds whatever the code, a learner's for its own code."""
        if self.choice.fresh:
            return list(self.keys())
        whatever, current = results.done(code=None), results.done(code=self.code)
        return [key for key in self.keys() if key not in (whatever if key[0] in BASELINES else current)]

    def run(self, results: Results) -> Iterator[ResultRow]:
        """Compute and keep each missing row."""
        for key in self.missing(results):
            row = self.row(key)
            results.add(row)
            yield row

    def row(self, key: ResultKey) -> ResultRow:
        """Compute one row."""
        name, task, seed, _, initial = key
        pool, prior = self.suite.pools[task], self.prior(name, task)
        run = self.file.spec.run
        course = ReplayCourse(seed=seed, initial=initial, budget=run.experiments(task), batch=run.batch)
        found, on_random = replay_pool(prior, pool, course), judge_random_support(prior, pool, seed=seed)
        targets = self.file.spec.targets
        sign = -1.0 if len(targets) == 1 and targets[0].goal == "minimise" and not targets[0].scaled else 1.0
        return make_row(key, pool, course, found, on_random, sign=sign, code=self.code)

    def prior(self, name: str, task: str) -> Prior:
        """Meta-train without the judged task (and its group), once for all seeds."""
        if (name, task) not in self._priors:
            sources = sources_for(self.suite.pools, task, leave=self.leave, identical=self.file.spec.split.identical)
            generator = generator_for(task, 0, 0, f"meta-train/{name}/{self.leave}")
            self._priors[name, task] = self.learners[name]().meta_train(sources, self.suite.family, generator=generator)
        return self._priors[name, task]


def prepare(file: BenchmarkFile, data: Path | None, choice: BenchmarkChoice) -> Benchmark:
    """Load all tasks and check what is asked for.

    Raises:
        BadInput: One line that says what is wrong with the file, the data or the choice.
    """
    return Benchmark(file, load_suite(file, data), choice)
