"""Replay campaigns without a history: `python -m benchmarks.cold [--data DIR] [--first SEED] [--seeds N] [--json OUT]`.

`plain`: BoTorch's default with normalised inputs. `fresh`: the same model on our inputs, which improves on its largest
mean at a measured point. `beliefs`: the average over draws from beliefs that never saw the task's family. All get the
same first rows, the same records and analytic expected improvement.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from botorch.acquisition.analytic import _log_ei_helper

from benchmarks.cold.averaging import Beliefs, Draws, averaged, normal_draws, standard
from benchmarks.cold.learning import learn_all
from benchmarks.cold.plain import Array, expected, fit, normalised
from benchmarks.cold.tasks import FAMILIES, JUDGED, ColdTask, tasks_of
from benchmarks.metrics import Pairs, best_so_far, floored_ratio, paired_bootstrap, regret_area
from models.threads import use_threads
from orchestrator.errors import AthanorError

INITIAL: Final = 5
BUDGET: Final = 30
"""Experiments of a replay, or half of the pool where that is less."""
DRAWS: Final = 64
DRAWS_SEED: Final = 7
YARDSTICK: Final = "plain"
RESULTS: Final = Path("benchmarks/results/cold.json")

Scorer = Callable[[Sequence[int], torch.Tensor], torch.Tensor]
"""(measured rows, values) -> log expected improvement of each row of the pool, up to a constant."""


def log_improvement(mean: torch.Tensor, variance: torch.Tensor, best: torch.Tensor | float) -> torch.Tensor:
    """Return log expected improvement [Ament2023]."""
    deviation = variance.sqrt()
    found: torch.Tensor = _log_ei_helper((mean - best) / deviation) + deviation.log()
    return found


def _single(task: ColdTask, *, plain: bool) -> Scorer:
    X: Array = task.X.numpy()
    X = X[:, np.ptp(X, axis=0) > 0]

    def score(chosen: Sequence[int], values: torch.Tensor) -> torch.Tensor:
        y = standard(values).numpy()
        measured, pool = normalised(X[list(chosen)], X) if plain else (X[list(chosen)], X)
        mean, variance = expected(fit(measured, y), measured, y, pool)
        best = y.max() if plain else mean[list(chosen)].max()
        return log_improvement(torch.from_numpy(mean), torch.from_numpy(variance), float(best))

    return score


def _believing(task: ColdTask, beliefs: Beliefs) -> Scorer:
    normal, apart = normal_draws(DRAWS, DRAWS_SEED)
    draws = Draws.of(beliefs.means + beliefs.deviations * normal, apart, task.kinds)

    def score(chosen: Sequence[int], values: torch.Tensor) -> torch.Tensor:
        found = averaged(draws, task, chosen, standard(values))
        best = (found.weights @ found.means[:, list(chosen)]).max()
        parts = log_improvement(found.means, found.variances, best)
        return torch.logsumexp(found.weights.log()[:, None] + parts, dim=0)

    return score


def arms(task: ColdTask, beliefs: Mapping[str, Beliefs]) -> dict[str, Scorer]:
    """Return what is compared on a task."""
    return {
        YARDSTICK: _single(task, plain=True),
        "fresh": _single(task, plain=False),
        "beliefs": _believing(task, beliefs[task.family]),
    }


def replay(task: ColdTask, score: Scorer, seed: int) -> list[int]:
    """Return the rows in the order of the experiments."""
    values = task.measured(seed)
    chosen = random.Random(f"{task.name}/{seed}").sample(range(len(task.X)), INITIAL)
    while len(chosen) < min(BUDGET, len(task.X) // 2):
        found = score(chosen, values[chosen])
        found[chosen] = -torch.inf
        chosen.append(int(found.argmax()))
    return chosen


def run(data: Path | None, seeds: Sequence[int], beliefs: Mapping[str, Beliefs], keep: Callable[[list[dict[str, Any]]], None]) -> None:
    """Replay all tasks, seed by seed."""
    tasks = [task for family in FAMILIES for task in tasks_of(family, data) if task.name in JUDGED]
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for task in tasks:
            for name, score in arms(task, beliefs).items():
                running = best_so_far([task.scores[index] for index in replay(task, score, seed)])
                area = regret_area(running, task.scores, initial=INITIAL)
                rows.append({"surrogate": name, "task": task.name, "seed": seed, "regret_area": round(area, 6)})
        keep(rows)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write each arm's ratio of regret areas to the yardstick's: over all tasks, and the worst task."""
    lines = ["| arm | geometric mean of the ratio | worst task | its ratio | seeds |", "|---|---|---|---|---|"]
    found = {(row["surrogate"], row["task"], row["seed"]): float(row["regret_area"]) for row in rows}
    for name in sorted({row["surrogate"] for row in rows} - {YARDSTICK}):
        pairs: dict[str, Pairs] = {}
        for task in dict.fromkeys(row["task"] for row in rows):
            seeds = [seed for who, where, seed in found if (who, where) == (name, task)]
            pairs[task] = [(found[name, task, seed], found[YARDSTICK, task, seed]) for seed in seeds]
        worst = max(pairs, key=lambda task: floored_ratio(pairs[task]))
        whole, last = (paired_bootstrap(some, floored_ratio, geometric=True) for some in (pairs, {worst: pairs[worst]}))
        lines.append(f"| {name} | {whole} | {worst} | {last} | {len(pairs[worst])} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    parser.add_argument("--first", type=int, default=0, help="first seed; those below 1000 are for development")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        beliefs = learn_all(options.data)
        shown = {name: one.written() for name, one in beliefs.items()}

        def keep(rows: list[dict[str, Any]]) -> None:
            body = ",\n".join(json.dumps(row) for row in rows)
            options.json.write_text(f'{{"beliefs": {json.dumps(shown, indent=1)},\n"rows": [\n{body}\n]}}\n', encoding="utf-8")
            print(table(rows), flush=True)

        run(options.data, range(options.first, options.first + options.seeds), beliefs, keep)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
