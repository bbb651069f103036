"""Replay campaigns without a history: `python -m benchmarks.cold [--data DIR] [--first SEED] [--seeds N] [--resume] [--json OUT]`.

`plain`: BoTorch's default with normalised inputs. `fresh`: the same model on our inputs, which improves on its largest
mean at a measured point. `beliefs`: the model of `[surrogate] beliefs = "learned"`. All get the same first rows, the same
records and analytic expected improvement. BayBE and Ax, with acquisition functions of their own, get the same rows and
records (`make bench-cold-peers`) and stand beside them. Coverage is that of 90 % intervals of a measurement, after random
rows. `--unseen DIR`: families on which no belief was chosen.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any, Final

import numpy as np
import torch
from botorch.acquisition.analytic import _log_ei_helper

from benchmarks.cold.plain import LEAST_VARIANCE, Array, expected, fit, normalised
from benchmarks.cold.tasks import INITIAL, ColdTask, judged
from benchmarks.cold.unseen import unseen
from benchmarks.metrics import Pairs, best_so_far, floored_ratio, paired_bootstrap, regret_area
from models.gaussian_processes import beliefs as believed
from models.gaussian_processes.beliefs import Beliefs, Lengths
from models.threads import use_threads
from orchestrator.errors import AthanorError

YARDSTICK: Final = "plain"
BELIEVING: Final = "beliefs"
RESULTS: Final = Path("benchmarks/results/cold.json")
PEERS: Final = Path("benchmarks/results/cold_peers.json")
SUPPORTS: Final = (5, 10, 20)
"""Measured rows after which coverage is counted."""
ASKED: Final = 150
"""Other rows that coverage is counted on."""

Row = Mapping[str, Any]
Scorer = Callable[[Sequence[int], Array], Array]
"""(measured rows, values) -> log expected improvement of each row of the pool, up to a constant."""


def standard(y: Array) -> Array:
    """Return values less their mean, over their spread where they have one."""
    spread = float(y.std(ddof=1))
    return np.asarray((y - y.mean()) / (spread if spread > 0 else 1.0))


def log_improvement(mean: Array, variance: Array, best: float) -> Array:
    """Return log expected improvement [Ament2023]."""
    deviation = np.sqrt(variance)
    return np.asarray(_log_ei_helper(torch.from_numpy((mean - best) / deviation)).numpy() + np.log(deviation))


def _single(task: ColdTask, *, plain: bool) -> Scorer:
    X: Array = task.X.numpy()
    X = X[:, np.ptp(X, axis=0) > 0]

    def score(chosen: Sequence[int], values: Array) -> Array:
        y = standard(values)
        measured, pool = normalised(X[list(chosen)], X) if plain else (X[list(chosen)], X)
        mean, variance = expected(fit(measured, y), measured, y, pool)
        return log_improvement(mean, variance, float(y.max() if plain else mean[list(chosen)].max()))

    return score


def foreseen(task: ColdTask, beliefs: Beliefs, chosen: Sequence[int], y: Array, asked: Sequence[int] | slice) -> tuple[Array, Array, float]:
    """Return means and variances of the function at some rows, and the variance of the noise, in standard units."""
    lengths, X = Lengths(task.layout.blocks, task.kinds), task.X.numpy()
    measured = X[list(chosen)]
    squared = lengths.squared(measured, measured)
    numbers = believed.fit(squared, y, task.kinds, beliefs)
    half = np.linalg.inv(np.linalg.cholesky(numbers.covariance(squared) + numbers.noise * np.eye(len(y))))
    across = half @ numbers.covariance(lengths.squared(measured, X[asked]))
    variance = numbers.variance + believed.LEVEL_VARIANCE - (across**2).sum(axis=0)
    return across.T @ (half @ y), np.maximum(variance, LEAST_VARIANCE), numbers.noise


def _believing(task: ColdTask, beliefs: Beliefs) -> Scorer:
    def score(chosen: Sequence[int], values: Array) -> Array:
        mean, variance, _ = foreseen(task, beliefs, chosen, standard(values), slice(None))
        return log_improvement(mean, variance, float(mean[list(chosen)].max()))

    return score


def arms(task: ColdTask, beliefs: Beliefs) -> dict[str, Scorer]:
    """Return what is compared on a task."""
    return {YARDSTICK: _single(task, plain=True), "fresh": _single(task, plain=False), BELIEVING: _believing(task, beliefs)}


def covered(task: ColdTask, beliefs: Beliefs, seed: int, count: int) -> float:
    """Return which part of other rows' measurements 90 % intervals hold after `count` random rows, or half of the pool."""
    generator, values = random.Random(f"{task.name}/{seed}/coverage"), task.measured(seed).numpy()
    order = generator.sample(range(len(values)), len(values))
    count = min(count, len(values) // 2)
    chosen, asked = order[:count], order[count : count + ASKED]
    spread = float(values[chosen].std(ddof=1)) or 1.0
    mean, variance, noise = foreseen(task, beliefs, chosen, standard(values[chosen]), asked)
    off = np.abs((values[asked] - values[chosen].mean()) / spread - mean) / np.sqrt(variance + noise)
    return float(np.mean(off <= NormalDist().inv_cdf(0.95)))


def replay(task: ColdTask, score: Scorer, seed: int) -> list[int]:
    """Return the rows in the order of the experiments."""
    values = task.measured(seed).numpy()
    chosen = task.initial(seed)
    while len(chosen) < task.budget:
        found = score(chosen, values[chosen])
        found[chosen] = -np.inf
        chosen.append(int(found.argmax()))
    return chosen


def run(tasks: Sequence[ColdTask], seed: int, beliefs: Beliefs) -> Iterator[dict[str, Any]]:
    """Replay all tasks with one seed."""
    for task in tasks:
        for name, score in arms(task, beliefs).items():
            running = best_so_far([task.scores[index] for index in replay(task, score, seed)])
            area = regret_area(running, task.scores, initial=INITIAL)
            row: dict[str, Any] = {"surrogate": name, "task": task.name, "seed": seed, "regret_area": round(area, 6)}
            if name == BELIEVING:
                row["coverage"] = [round(covered(task, beliefs, seed, count), 3) for count in SUPPORTS]
            yield row


def pairs_of(rows: Sequence[Row], arm: str, other: str) -> dict[str, Pairs]:
    """Return, by task, the regret areas of two arms on the seeds that both have."""
    found = {(row["surrogate"], row["task"], row["seed"]): float(row["regret_area"]) for row in rows}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name, task, seed in found:
        if name == arm and (other, task, seed) in found:
            pairs.setdefault(task, []).append((found[arm, task, seed], found[other, task, seed]))
    return {**pairs}


def table(rows: Sequence[Row]) -> str:
    """Write each arm's ratio of regret areas to the yardstick's: over all tasks, and the worst task."""
    return _lines("arm", {name: pairs_of(rows, name, YARDSTICK) for name in sorted({row["surrogate"] for row in rows} - {YARDSTICK})})


def peers_table(rows: Sequence[Row], peers: Sequence[Row]) -> str:
    """Write the ratio of regret areas of the arm with beliefs to each peer's, and to what was in hindsight the better peer of each task."""
    found = {name: pairs_of([*rows, *peers], BELIEVING, name) for name in dict.fromkeys(row["surrogate"] for row in peers)}
    shared = [task for task in dict.fromkeys(row["task"] for row in rows) if all(task in pairs for pairs in found.values())]
    better = {task: max((pairs[task] for pairs in found.values()), key=floored_ratio) for task in shared}
    return _lines("beliefs over", {**found, "the better one of each task": better})


def _lines(label: str, arms: Mapping[str, Mapping[str, Pairs]]) -> str:
    lines = [f"| {label} | geometric mean of the ratio | worst task | its ratio | seeds |", "|---|---|---|---|---|"]
    for name, pairs in arms.items():
        if pairs:
            worst = max(pairs, key=lambda task: floored_ratio(pairs[task]))
            whole, last = (paired_bootstrap(some, floored_ratio, geometric=True) for some in (pairs, {worst: pairs[worst]}))
            lines.append(f"| {name} | {whole} | {worst} | {last} | {min(map(len, pairs.values()))} |")
    return "\n".join(lines)


def coverage(rows: Sequence[Row]) -> str:
    """Write the mean coverage after each number of measured rows."""
    known = [row["coverage"] for row in rows if "coverage" in row]
    found = (f"{100 * fmean(one):.0f} % after {count}" for count, one in zip(SUPPORTS, zip(*known, strict=True), strict=True))
    return f"90 % intervals held {', '.join(found)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    parser.add_argument("--first", type=int, default=0, help="first seed; those below 1000 are for development")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--unseen", type=Path, help="folder of recorded tables: replay its families on which no belief was chosen")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep the seeds that the JSON file has")
    parser.add_argument("--peers", type=Path, default=PEERS, help="rows of packaged peers, where there are any")
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        tasks = list(unseen(options.unseen) if options.unseen else judged(options.data))
        rows: list[Row] = json.loads(options.json.read_text(encoding="utf-8")) if options.resume and options.json.exists() else []
        for seed in sorted({*range(options.first, options.first + options.seeds)} - {row["seed"] for row in rows}):
            rows += run(tasks, seed, believed.learned())
            options.json.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
        names = {task.name for task in tasks}
        known = json.loads(options.peers.read_text(encoding="utf-8"))["rows"] if options.peers.exists() else []
        peers = [row for row in known if row["task"] in names]
        print(table([*rows, *peers]), *([peers_table(rows, peers)] if peers else []), coverage(rows), sep="\n\n")
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
