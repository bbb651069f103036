"""Judged tasks for packaged peers: `python -m benchmarks.peers.cases OUT.json [--cold] [--first SEED] [--seeds 4] [--data DIR]`.

Each with what its split allows to be known; with `--cold` the tasks of `benchmarks.cold`, of which nothing is known.
The file holds everything that a replay needs, so that the other side imports nothing of ours. Scores are to be made large.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.cold.tasks import INITIAL, ColdTask, judged
from flows.studies.benchmark.loading import Suite, load_suite
from flows.studies.benchmark.pools import ReplayPool
from flows.studies.benchmark.replay import initial_candidates
from flows.studies.benchmark.spec import BenchmarkFile, Leave, load_benchmark
from flows.studies.benchmark.split import sources_for
from models.inputs.encoding import Encoding
from models.tasks import TaskData
from orchestrator.domain.parameters import CategoricalParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError, BadInput

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "benchmarks"
ASKED: Final[Sequence[tuple[str, Leave, tuple[str, ...]]]] = (
    ("cn_coupling.toml", "group", ("s4", "s6", "s10", "s13")),
    ("cn_coupling.toml", "task", ("s4", "s6", "s10")),
    ("suzuki_flow.toml", "task", ("suzuki_i",)),
    ("oer_plates.toml", "task", ("oer_plate_3496", "oer_plate_3860", "oer_plate_4098")),
)
"""Benchmark file, what is left out, judged tasks."""
SEEDS: Final = 4
SOURCE_ROWS: Final = 300
"""Of all sources together: an exact multi-task GP over some thousands of rows takes minutes a proposal."""
DECIMALS: Final = 9
"""Of numbers: encoded and decoded again, one fraction must not become two values."""

NOTHING_KNOWN: Final = "all"
"""What is left out of a cold start, beside a benchmark's `task` and `group`."""

Case = dict[str, Any]


def cases_of(file: BenchmarkFile, suite: Suite, *, leave: Leave, tasks: Sequence[str], seeds: int) -> Iterator[Case]:
    """Make the cases of one benchmark file."""
    for task in tasks:
        sources = sources_for(suite.pools, task, leave=leave, identical=file.spec.split.identical)
        yield case_of(file, suite.pools[task], sources, leave=leave, seeds=seeds)


def case_of(file: BenchmarkFile, pool: ReplayPool, sources: Sequence[TaskData], *, leave: Leave, seeds: int) -> Case:
    """Make the case of one judged task; per seed what is drawn: first experiments, measured values, source rows."""
    run, encoding = file.spec.run, Encoding(file.space)
    return {
        "task": pool.name,
        "leave": leave,
        "initial": run.initial,
        "budget": run.experiments(pool.name),
        "sign": _sign(file),
        **_pool(file.space, pool.candidates, pool.scores),
        "seeds": [
            {
                "seed": seed,
                "initial": initial_candidates(pool.name, seed, of=len(pool.candidates), count=run.initial),
                "measured": pool.measured(seed).tolist(),
                "sources": [
                    {"task": one.name, "rows": _table(file.space, [encoding.decode(x) for x in one.X]), "scores": one.Y.tolist()}
                    for one in drawn(sources, SOURCE_ROWS, random.Random(f"{pool.name}/{seed}/sources"))
                ],
            }
            for seed in range(seeds)
        ],
    }


def cold_case(task: ColdTask, seeds: Sequence[int]) -> Case:
    """Make the case of a task of which nothing is known.

    Raises:
        BadInput: The task has no configurations.
    """
    if task.space is None or task.space.candidates is None:
        raise BadInput(f"cold task {task.name!r} has no configurations; expected a task of the catalogue")
    return {
        "task": task.name,
        "leave": NOTHING_KNOWN,
        "initial": INITIAL,
        "budget": task.budget,
        "sign": 1.0,
        **_pool(task.space, task.space.candidates, task.scores),
        "seeds": [{"seed": seed, "initial": task.initial(seed), "measured": task.measured(seed).tolist(), "sources": []} for seed in seeds],
    }


def drawn(sources: Sequence[TaskData], most: int, generator: random.Random) -> list[TaskData]:
    """Draw at most so many rows, equally many of each source; what small sources leave goes to the larger ones."""
    left, counts = most, {}
    for number, source in enumerate(sorted(sources, key=lambda one: len(one.Y))):
        counts[source.name] = min(len(source.Y), left // (len(sources) - number))
        left -= counts[source.name]
    return [source.rows(sorted(generator.sample(range(len(source.Y)), counts[source.name]))) for source in sources if counts[source.name]]


def _sign(file: BenchmarkFile) -> float:
    """Return what turns scores back into the target's values, as the benchmark's own rows do."""
    targets = file.spec.targets
    return -1.0 if len(targets) == 1 and targets[0].goal == "minimise" and not targets[0].scaled else 1.0


def _pool(space: SearchSpace, candidates: Sequence[Configuration], scores: Sequence[float]) -> Case:
    return {
        "parameters": [one for parameter in space.parameters for one in _columns(parameter)],
        "candidates": _table(space, candidates),
        "scores": list(scores),
    }


def _columns(parameter: Parameter) -> list[dict[str, Any]]:
    if isinstance(parameter, CategoricalParameter):
        return [{"name": parameter.name, "categories": list(parameter.categories)}]
    return [{"name": column, "categories": None} for column in parameter.columns]


def _table(space: SearchSpace, rows: Sequence[Configuration]) -> Mapping[str, list[float | str]]:
    columns = [column for parameter in space.parameters for column in parameter.columns]
    return {column: [_plain(row[column]) for row in rows] for column in columns}


def _plain(value: float | str) -> float | str:
    return value if isinstance(value, str) else round(float(value), DECIMALS)


def asked(data: Path | None, seeds: int) -> Iterator[Case]:
    """Make the cases that are asked for."""
    for name, leave, tasks in ASKED:
        file = load_benchmark(EXAMPLES / name)
        yield from cases_of(file, load_suite(file, data), leave=leave, tasks=tasks, seeds=seeds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.cases", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cold", action="store_true", help="the tasks of benchmarks.cold, without sources")
    parser.add_argument("--first", type=int, default=0, help="first seed of the cold tasks")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    options = parser.parse_args(arguments)
    try:
        seeds = range(options.first, options.first + options.seeds)
        found = [cold_case(task, seeds) for task in judged(options.data)] if options.cold else list(asked(options.data, options.seeds))
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    options.out.write_text(json.dumps({"cases": found}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
