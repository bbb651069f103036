"""How long a proposal takes: `python -m benchmarks.latency --json OUT`.

One process, stated threads; the median and the 90 % quantile of repeated calls with different seeds, at 10, 50 and 200
measurements, for a pool of 2,000 candidates and for a continuous space with a constraint.
"""

import argparse
import json
import math
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch

from benchmarks.pictures import Chart, Line, draw
from models.threads import use_threads
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.space import ContinuousParameter, ExpressionConstraint, SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Observation
from policies.initial import SobolPolicy
from policies.registry import build_policy

MEASUREMENTS: Final = (10, 50, 200)
POOL: Final = 2_000
DIMENSIONS: Final = 6
NOISE: Final = 0.02
"""Relative standard deviation of the synthetic measurements: no replicate is exact."""


@dataclass(frozen=True)
class Case:
    """A space, an objective and a quick function that stands for the experiment."""

    name: str
    space: SearchSpace
    objective: Objective
    respond: Callable[[Configuration], dict[str, float]]


def pool_case() -> Case:
    """Return 2,000 random candidates in six dimensions and one target."""
    names = [f"x{number}" for number in range(DIMENSIONS)]
    generator = random.Random(0)
    rows = tuple({name: generator.random() for name in names} for _ in range(POOL))
    space = SearchSpace(parameters=tuple(ContinuousParameter(name=name, min=0, max=1) for name in names), candidates=rows)
    return Case("pool of 2,000, one target", space, Objective(targets=(Target(name="y", goal="maximise"),)), _bump)


def cdse_case() -> Case:
    """Return the continuous space of a CdSe synthesis: four parameters, one constraint, three targets on one scale."""
    space = SearchSpace(
        parameters=(
            ContinuousParameter(name="T", unit="degC", min=200, max=280),
            ContinuousParameter(name="tau", unit="s", min=20, max=180),
            ContinuousParameter(name="c_se", unit="mol/L", min=0.004, max=0.03),
            ContinuousParameter(name="ratio", min=0.8, max=5),
        ),
        constraints=(
            ExpressionConstraint(
                expression="c_se / stock_se + ratio * c_se / stock_cd",
                max=0.95,
                constants={"stock_se": (0.06, "mol/L"), "stock_cd": (0.12, "mol/L")},
            ),
        ),
    )
    targets = (
        Target(name="wavelength", unit="nm", goal="match", value=600, tolerance=5),
        Target(name="fwhm", unit="nm", goal="minimise", low=25, high=60),
        Target(name="quantum_yield", goal="maximise", low=0, high=1),
    )
    return Case("continuous, three targets", space, Objective(targets=targets), _particles)


def _bump(row: Configuration) -> dict[str, float]:
    distance = sum((float(value) - 0.3 - 0.05 * number) ** 2 for number, value in enumerate(row.values()))
    return {"y": math.exp(-2 * distance)}


def _particles(row: Configuration) -> dict[str, float]:
    """Return smooth stand-ins of the right sizes; no chemistry is meant."""
    heat, time_, ratio = (float(row["T"]) - 200) / 80, math.log(float(row["tau"]) / 20), float(row["ratio"])
    width = 28 + 18 * (heat - 0.6) ** 2 + 3 * abs(time_ - 1)
    glow = 0.7 * math.exp(-(((ratio - 3) / 2) ** 2) - (heat - 0.5) ** 2)
    return {"wavelength": 520 + 60 * heat + 25 * time_, "fwhm": width, "quantum_yield": glow}


def measured(case: Case, count: int, *, seed: int = 0) -> Knowledge:
    """Return what a campaign would know after `count` space-filling experiments."""
    rows = [one.configuration for one in SobolPolicy(case.space).propose(Knowledge(), count=count, seed=seed)]
    generator = random.Random(seed)
    found = tuple(
        Observation(row, {name: value * generator.gauss(1.0, NOISE) for name, value in case.respond(row).items()}) for row in rows
    )
    return Knowledge(observations=found, excluded=tuple(rows), as_of=count)


def time_case(case: Case, count: int, *, repeats: int) -> dict[str, Any]:
    """Time proposals after a warm-up call; seconds."""
    policy = build_policy("bayesian", case.space, case.objective, {"initial": 5})
    knowledge = measured(case, count)
    policy.propose(knowledge, count=1, seed=0)
    wall, processor = [], []
    for seed in range(1, repeats + 1):
        began, began_cpu = time.perf_counter(), time.process_time()
        policy.propose(knowledge, count=1, seed=seed)
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_cpu)
    return {
        "case": case.name,
        "policy": policy.name,
        "measurements": count,
        "repeats": repeats,
        "median_s": median(wall),
        "p90_s": quantile(wall, 0.9),
        "median_cpu_s": median(processor),
    }


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least this part of the values does not exceed."""
    return sorted(values)[max(1, math.ceil(part * len(values))) - 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/latency.json"))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--measurements", type=int, nargs="*", default=list(MEASUREMENTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="folder for latency.svg")
    options = parser.parse_args(arguments)
    use_threads(options.threads)
    print(f"{options.threads} thread(s) of {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print("| case | measurements | median s | p90 s | median CPU s |\n|---|---|---|---|---|")
    rows = []
    for case in (pool_case(), cdse_case()):
        for count in options.measurements:
            row = time_case(case, count, repeats=options.repeats)
            rows.append(row)
            shown = f"{row['median_s']:.2f} | {row['p90_s']:.2f} | {row['median_cpu_s']:.2f}"
            print(f"| {case.name} | {count} | {shown} |", flush=True)
    setup = {"threads": options.threads, "cores": os.cpu_count(), "torch": torch.__version__, "python": platform.python_version()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"setup": setup, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        (options.pictures / "latency.svg").write_text(draw(chart(rows, options.threads)), encoding="utf-8")
    return 0


def chart(rows: Sequence[dict[str, Any]], threads: int) -> Chart:
    """Draw the median seconds of a proposal over the number of measurements, up to the 90 % quantile."""
    lines = []
    for name in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == name]
        counts, medians = tuple(float(row["measurements"]) for row in mine), tuple(row["median_s"] for row in mine)
        lines.append(Line(name, counts, medians, medians, tuple(row["p90_s"] for row in mine)))
    return Chart(f"Time of one proposal, {threads} thread(s)", "measurements", "median to 90 % quantile (s)", tuple(lines))


if __name__ == "__main__":
    sys.exit(main())
