"""One campaign replayed from a table: the policy alone, without ledger and wires."""

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.metrics import best_so_far, experiments_to_top, regret_area, regrets
from benchmarks.tasks import RecordedTask
from instruments.recorded import RecordedBench, steps_for
from orchestrator.domain.records import RunRequest
from orchestrator.domain.values import Configuration
from orchestrator.errors import Fault
from orchestrator.ports import Knowledge, Observation, Policy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay gave; scores are judged on the replicates' means, larger is better."""

    scores: tuple[float, ...]
    """Of each experiment, the initial ones included."""
    latencies: tuple[float, ...] = field(default=())
    """Wall seconds of each proposal."""


def initial_rows(task: RecordedTask, *, seed: int, count: int) -> list[dict[str, float | str]]:
    """Draw the first experiments: a function of task and seed alone, equal for all policies."""
    return random.Random(f"{task.name}/{seed}").sample(task.pool.candidates, count)


def proposal_seed(task: str, seed: int, number: int) -> int:
    """Return the seed of one proposal."""
    return int(hashlib.sha256(f"{task}/{seed}/{number}".encode()).hexdigest()[:7], 16)


def replay(task: RecordedTask, policy: Policy, *, seed: int, initial: int, budget: int) -> Outcome:
    """Run a policy until the budget is used up.

    Raises:
        Fault: The policy proposed nothing, or a configuration that is not in the table.
    """
    bench = task.bench(seed)
    asked: list[Configuration] = list(initial_rows(task, seed=seed, count=initial))
    observations = [_measure(bench, task, number, row) for number, row in enumerate(asked, start=1)]
    latencies = []
    for number in range(initial + 1, budget + 1):
        knowledge = Knowledge(observations=tuple(observations), excluded=tuple(asked), as_of=number)
        began = time.perf_counter()
        (suggestion, *_) = policy.propose(knowledge, count=1, seed=proposal_seed(task.name, seed, number)) or (None,)
        latencies.append(time.perf_counter() - began)
        if suggestion is None:
            raise Fault(f"{policy.name} proposed nothing for experiment {number} of {task.name}")
        asked.append(suggestion.configuration)
        observations.append(_measure(bench, task, number, suggestion.configuration))
    judged = tuple(float(task.file.objective.score(task.pool.mean(row))) for row in asked)
    return Outcome(judged, tuple(latencies))


def _measure(bench: RecordedBench, task: RecordedTask, number: int, row: Configuration) -> Observation:
    key = str(number)
    report = bench.submit(RunRequest(key, key, 1, task.name, 1, "", steps_for(row)))
    if report.reason is not None:
        raise Fault(f"experiment {number} of {task.name}: {report.reason}")
    return Observation(dict(row), {one.channel: one.value for one in bench.readings(key) if one.value is not None})


def row_of(surrogate: str, task: RecordedTask, seed: int, outcome: Outcome, *, initial: int) -> dict[str, object]:
    """Make the benchmark's JSON row of a replay."""
    running = best_so_far(outcome.scores)
    return {
        "surrogate": surrogate,
        "task": task.name,
        "seed": seed,
        "best_so_far": [_value(task, score) for score in running],
        "regret": [round(value, 6) for value in regrets(running, task.scores)],
        "regret_area": regret_area(running, task.scores, initial=initial),
        "experiments_to_top_5": experiments_to_top(running, task.scores, initial=initial),
        "latency_s": _median(outcome.latencies),
    }


def _value(task: RecordedTask, score: float) -> float:
    """Return a score in its target's unit."""
    (target,) = task.file.objective.targets
    return -score if target.goal == "minimise" else score


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
