"""Do campaigns whose surrogate begins from a twin need fewer experiments? `python -m benchmarks.twin_means [--json OUT] [--seeds N] ...`.

The tasks are those of `benchmarks.twin_tasks`. Arms:

    level       no twin: the surrogate of any campaign without a prior, after its space-filling design
    twin        `mean = "twin"`: the twin's prediction and sensitivities, under guard
    inverted    the same with a twin whose prediction is turned around: most where there is least
    permuted    with a twin that takes each control for the next one
    other       with another case's twin, brought to level and spread of the right one

A row is a campaign: how many experiments it carried out up to the first that reached the goal, or `MOST` where none did. Rows that are in
the file already are not computed again.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

import numpy as np
import torch

from benchmarks.twin_tasks import TASKS, Case, Task, example, task
from models.base import Learner
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.meta_learning.twinned import TwinLearner
from models.source_basis.twinned import Predictions
from models.threads import use_threads
from orchestrator.domain.values import digest
from orchestrator.history import Infeasible, Knowledge, Observation
from policies.registry import build_policy
from policies.settings import of_now
from simulators.diary import day_by_day

SEEDS: Final = 10
MOST: Final = 30
FEASIBILITY: Final = {"feasibility": "learned"}
"""In all arms: where many settings give nothing, campaigns without it lose most of their experiments there, with a twin or without."""
RUNS_PER_DAY: Final = 6
ARMS: Final = ("level", "twin", "inverted", "permuted", "other")
OTHERS: Final = {"cdse": "lnp", "lnp": "mos2", "mos2": "cdse", "conversion": "lnp", "corona": "lnp", "quantum": "mos2"}
"""Case -> whose twin takes the place of its own."""
RESAMPLED: Final = 4000
LEVEL: Final = 0.95
Row = dict[str, Any]


# ---------------------------------------------------------------------- arms


def spoiled(arm: str, case: Case, folder: Path) -> Mapping[str, Predictions]:
    """Return what the twin of an arm says."""
    said = case.predictions()
    if arm == "inverted":
        return {name: replace(one, mean=2 * one.mean.nanmean() - one.mean, moved=-one.moved) for name, one in said.items()}
    if arm == "permuted":
        return {name: replace(one, X=one.X.roll(1, dims=-1)) for name, one in said.items()}
    if arm == "other":
        other = example(OTHERS[case.name], folder)
        foreign = list(other.predictions().values())
        return {name: _foreign(one, foreign[index % len(foreign)]) for index, (name, one) in enumerate(said.items())}
    return said


def _foreign(own: Predictions, other: Predictions) -> Predictions:
    """Bring another target's predictions to level and spread of one's own; controls go by their order, those too many are new numbers."""
    rows, width = other.X.shape[0], own.X.shape[-1]
    more = torch.rand(rows, max(0, width - other.X.shape[-1]), generator=torch.Generator().manual_seed(0), dtype=other.X.dtype)
    factor = _spread(own) / _spread(other)
    mean = own.mean.nanmean() + factor * (other.mean - other.mean.nanmean())
    return Predictions(own.target, torch.cat([other.X, more], dim=-1)[:, :width], mean, factor * other.moved, other.constants)


def _spread(one: Predictions) -> torch.Tensor:
    return one.mean[one.mean.isfinite()].std()


@cache  # its functions between rows are fitted once
def learner(arm: str, case: Case, folder: Path) -> Learner:
    """Return what makes an arm's surrogates."""
    if arm == "level":
        return GaussianProcessLearner()
    said = spoiled(arm, case, folder)
    identity = {"name": f"{arm} {case.name}", "sha256": digest([arm, case.name]), "origin": "simulated"}
    return TwinLearner(Encoding(case.space), case.measured, case.measured, identity, lambda: said)


# ---------------------------------------------------------------------- campaigns


def campaign(arm: str, made: Task, seed: int, folder: Path) -> Row:
    """Carry a campaign out until its goal is reached."""
    policy = build_policy("bayesian", made.case.space, made.objective, of_now("bayesian", FEASIBILITY), learner(arm, made.case, folder))
    noise, goal, began = np.random.default_rng([seed, 5]), made.goal, time.process_time()
    known, best, trusts = Knowledge(), float("-inf"), list[float]()
    for number in range(MOST):
        (one,) = policy.propose(known, count=1, seed=1000 * seed + number)
        trusts = [fit["trust"] for fit in one.details.get("fit", {}).values() if "trust" in fit] or trusts
        best = max(best, made.score(made.truth([one.configuration], 0.0)[0]))
        if best >= goal:
            break
        z = day_by_day(number // RUNS_PER_DAY, np.random.default_rng([seed, 1_000_003]))
        (came,) = made.truth([one.configuration], z)
        known = replace(known, excluded=(*known.excluded, one.configuration))
        if isinstance(came, str):
            known = replace(known, infeasible=(*known.infeasible, Infeasible(one.configuration, came)))
            continue
        values = {name: value + made.noise(name, value) * float(noise.standard_normal()) for name, value in came.items()}
        values = {name: value for name, value in values.items() if name in made.case.measured}
        known = replace(known, observations=(*known.observations, Observation(one.configuration, values)))
    return {
        "task": made.name,
        "arm": arm,
        "seed": seed,
        "experiments": number + 1,
        "reached": best >= goal,
        "infeasible": len(known.infeasible),
        "trust": float(np.mean(trusts)) if trusts else None,
        "seconds": round(time.process_time() - began, 1),
    }


# ---------------------------------------------------------------------- figures


def ratio(rows: Sequence[Row], arm: str) -> tuple[float, float, float]:
    """Return experiments of an arm over those without a twin, with an interval by resampling tasks, and seeds within each."""
    counts = {(row["task"], row["seed"], row["arm"]): row["experiments"] for row in rows}
    pairs = {
        task: np.array(
            [
                [counts[task, seed, arm], count]
                for (name, seed, which), count in counts.items()
                if _paired(counts, name, seed, arm) and (name, which) == (task, "level")
            ]
        )
        for task in sorted({row["task"] for row in rows})
    }
    tables = [one for one in pairs.values() if len(one)]
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLED):
        some = [tables[index] for index in generator.integers(len(tables), size=len(tables))]
        sums = np.sum([one[generator.integers(len(one), size=len(one))].mean(axis=0) for one in some], axis=0)
        drawn.append(sums[0] / sums[1])
    whole = np.sum([one.mean(axis=0) for one in tables], axis=0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(whole[0] / whole[1]), float(low), float(high)


def _paired(counts: Mapping[tuple[str, int, str], int], task: str, seed: int, arm: str) -> bool:
    return (task, seed, arm) in counts and (task, seed, "level") in counts


def tables(rows: Sequence[Row]) -> str:
    """Tell ratios and counts."""
    lines = [
        "| arm | experiments over those without | campaigns | goal not reached | infeasible runs | trust at the end |",
        "|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm]
        if not mine:
            continue
        middle, low, high = ratio(rows, arm)
        told = "1" if arm == "level" else f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        trusts = [row["trust"] for row in mine if row["trust"] is not None]
        trust = f"{np.mean(trusts):.2f}" if trusts else "-"
        lost, spoilt = sum(not row["reached"] for row in mine), sum(row["infeasible"] for row in mine)
        lines.append(f"| {arm} | {told} | {len(mine)} | {lost} | {spoilt} | {trust} |")
    lines += ["", "| task | " + " | ".join(ARMS) + " |", "|---|" + "---|" * len(ARMS)]
    for name in dict.fromkeys(row["task"] for row in rows):
        each = [[row["experiments"] for row in rows if (row["task"], row["arm"]) == (name, arm)] for arm in ARMS]
        lines.append(f"| {name} | " + " | ".join(f"{np.mean(one):.1f}" if one else "-" for one in each) + " |")
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write one row a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.twin_means", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/twin_means.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed; from 5000 on the tasks are others, for choosing a method")
    parser.add_argument("--tasks", type=int, nargs="+", choices=range(len(TASKS)), default=range(len(TASKS)))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--tables", type=Path, default=Path(gettempdir()) / "athanor-twin-tables", help="where predictions are kept")
    options = parser.parse_args(arguments)
    use_threads(1)
    rows: list[Row] = json.loads(options.json.read_text()) if options.json.exists() else []
    there = {(row["task"], row["arm"], row["seed"]) for row in rows}
    for seed in range(options.first, options.first + options.seeds):
        for number in options.tasks:
            made = task(number, options.first // 5000, options.tables)
            for arm in options.arms:
                if (made.name, arm, seed) not in there:
                    rows.append(campaign(arm, made, seed, options.tables))
                    print(rows[-1], file=sys.stderr)
                    write(options.json, rows)
    print(tables(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
