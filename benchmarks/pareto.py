"""Trade-offs against BoTorch's own: `python -m benchmarks.pareto --data DIR --seeds 20 --json OUT [--resume]`.

Each policy gets the same first experiments and makes 20 proposals; what counts is the part of the attainable hypervolume that
is missing, averaged over them. Nothing is noisy.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

from benchmarks.botorch_fronts import BotorchFront
from benchmarks.metrics import Pairs, paired_bootstrap, ratio
from benchmarks.trade_offs import TradeOff, seed_of, trade_offs
from models.threads import use_threads
from orchestrator.datasets import DATA_VARIABLE
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError
from orchestrator.ports import Knowledge, Observation, Policy
from policies.registry import build_policy

PROPOSALS: Final = 20
YARDSTICK: Final = "botorch"
POLICIES: Final[Mapping[str, Callable[[TradeOff], Policy]]] = {
    "athanor": lambda one: build_policy("bayesian", one.space, one.objective("pareto"), {"initial": one.initial}),
    YARDSTICK: lambda one: BotorchFront(one.space, one.objective("pareto")),
    "weighted-mean": lambda one: build_policy(
        "bayesian", one.space, one.objective("utility"), {"initial": one.initial, "search": "together"}
    ),
    "random": lambda one: build_policy("random", one.space, one.objective("pareto"), {}),
}
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pareto", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get(DATA_VARIABLE), help=f"folder of recorded tables; else {DATA_VARIABLE}")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--problems", nargs="*", default=[])
    parser.add_argument("--policies", nargs="*", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/pareto.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        _run(options)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _run(options: argparse.Namespace) -> None:
    problems = trade_offs(None if options.data is None else Path(options.data))
    rows: list[Row] = json.loads(options.json.read_text()) if options.resume and options.json.exists() else []
    done = {(row["policy"], row["problem"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for name in options.problems or problems:
            for policy in options.policies:
                if (policy, name, seed) not in done:
                    rows.append(race(problems[name], policy, seed))
                    options.json.parent.mkdir(parents=True, exist_ok=True)
                    options.json.write_text(json.dumps(rows, indent=0) + "\n")
    print("\n".join(table(rows)))


def race(problem: TradeOff, policy: str, seed: int) -> Row:
    """Make a policy's proposals on one problem; return what was missing after each experiment."""
    chooses = POLICIES[policy](problem)
    asked: list[Configuration] = _first(problem, seed)
    seconds = []
    for number in range(1, PROPOSALS + 1):
        observations = tuple(Observation(row, problem.answer(row)) for row in asked)
        known = Knowledge(observations=observations, excluded=tuple(asked), as_of=number)
        began = time.perf_counter()
        (found,) = chooses.propose(known, count=1, seed=seed_of(problem.name, seed, number))
        seconds.append(time.perf_counter() - began)
        asked.append(found.configuration)
    missing = problem.missing(asked)[problem.initial - 1 :]
    return {
        "policy": policy,
        "problem": problem.name,
        "seed": seed,
        "missing": [round(value, 6) for value in missing],
        "seconds": round(median(seconds), 3),
    }


def _first(problem: TradeOff, seed: int) -> list[Configuration]:
    """Return the first experiments: a function of problem and seed alone."""
    own = seed_of(problem.name, seed, 0)
    if problem.space.candidates is not None:
        return [*random.Random(own).sample(problem.space.candidates, problem.initial)]
    sobol = build_policy("sobol", problem.space, problem.objective("pareto"), {})
    return [one.configuration for one in sobol.propose(Knowledge(), count=problem.initial, seed=own)]


def table(rows: Sequence[Row]) -> list[str]:
    """Return the figures, one line per problem: what is missing, averaged over the proposals, and its ratio to BoTorch's."""
    lines = [f"problem seeds {' '.join(POLICIES)} athanor/{YARDSTICK}"]
    pairs: dict[str, Pairs] = {}
    for problem in dict.fromkeys(row["problem"] for row in rows):
        found = {policy: _areas(rows, problem, policy) for policy in POLICIES}
        both = sorted(found["athanor"].keys() & found[YARDSTICK].keys())
        if not both:
            continue
        pairs[problem] = [(found["athanor"][seed], found[YARDSTICK][seed]) for seed in both]
        means = [f"{fmean(areas[seed] for seed in both):.3f}" if areas.keys() >= set(both) else "-" for areas in found.values()]
        lines.append(f"{problem} {len(both)} {' '.join(means)} {paired_bootstrap({problem: pairs[problem]}, ratio)}")
    if pairs:
        lines.append(f"all, geometric mean: {paired_bootstrap(pairs, ratio, geometric=True)}")
    return lines


def _areas(rows: Sequence[Row], problem: str, policy: str) -> dict[int, float]:
    """Return by seed what was missing, averaged over the proposals."""
    return {row["seed"]: fmean(row["missing"][1:]) for row in rows if (row["problem"], row["policy"]) == (problem, policy)}


if __name__ == "__main__":
    sys.exit(main())
