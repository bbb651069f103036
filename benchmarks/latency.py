"""How long a proposal takes: `python -m benchmarks.latency --json OUT`.

One process, stated threads; median, 90 % quantile and worst of repeated calls, each with measurements of its own, at 10,
50, 100 and 200 measurements: for a pool of 2,000 candidates and for a continuous space with a constraint, as a campaign's
policy proposes (qLogNEI), with a fresh Gaussian process and with a prior, guard included, whose adaptation is timed apart; for
a batch of eight; for 3,000 categories beside one number; and for the prior alone with LogEI on the pool. `--searches together
apart` times both ways of searching side by side. Peak memory is that of the process so far, the widest case first.
"""

import argparse
import json
import math
import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch

from benchmarks.pictures import Chart, Line, draw
from flows.studies.benchmark.replay import log_improvement
from flows.studies.cdse import cdse_tasks
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import AdaptedLearner
from models.source_basis.guarded import DefaultLearner
from models.tasks import Family, TaskData
from models.threads import use_threads
from orchestrator.domain.constraints import ExpressionConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Observation
from policies.initial import SobolPolicy
from policies.registry import build_policy
from policies.settings import BATCHED

MEASUREMENTS: Final = (10, 50, 100, 200)
POOL: Final = 2_000
DIMENSIONS: Final = 6
SOURCES: Final = 8
SOURCE_ROWS: Final = 200
"""Sources of the pool's prior, and rows of each."""
CDSE_SOURCES: Final = (8, 48, 1)
"""Tasks, rows and seed of the other prior: as the demo's."""
CATEGORIES: Final = 3_000
BATCH: Final = 8
NOISE: Final = 0.02
"""Relative standard deviation of the synthetic measurements: no replicate is exact."""


@dataclass(frozen=True)
class Case:
    """A space, an objective and a quick function that stands for the experiment."""

    name: str
    space: SearchSpace
    objective: Objective
    respond: Callable[[Configuration], dict[str, float]]
    learner: AdaptedLearner | None = None
    """Adapts a prior; None: a fresh Gaussian process."""


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


def wide_case() -> Case:
    """Return 3,000 names beside one number, for one target."""
    names = tuple(f"c{number}" for number in range(CATEGORIES))
    parameters = (CategoricalParameter(name="kind", categories=names), ContinuousParameter(name="x", min=0, max=1))
    return Case("3,000 categories", SearchSpace(parameters=parameters), Objective(targets=(Target(name="y", goal="maximise"),)), _wave)


def _wave(row: Configuration) -> dict[str, float]:
    return {"y": math.sin(int(str(row["kind"])[1:]) / 100) - (float(row["x"]) - 0.3) ** 2}


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


def with_prior(case: Case) -> Case:
    """Return a case with a prior from sources of its own kind: shifted bumps, or the simulated chemistries of the demo."""
    tasks = _shifted(case) if case.space.candidates is not None else cdse_tasks(*CDSE_SOURCES)
    encoding = Encoding(case.space)
    priors = {}
    for target in case.objective.targets:
        family = Family(Features(encoding), target.name, target.unit)
        data = [_task(name, rows, encoding, target.name) for name, rows in tasks]
        priors[target.name] = DefaultLearner().meta_train(data, family, generator=torch.Generator().manual_seed(0))
    learner = AdaptedLearner(priors, lambda X: X, torch.zeros(0, dtype=torch.float64), {"name": "latency"})
    return replace(case, name=f"{case.name}, prior", learner=learner)


def _shifted(case: Case) -> list[tuple[str, tuple[Observation, ...]]]:
    generator, found = random.Random(1), []
    for number in range(SOURCES):
        shift, rows = generator.gauss(0.0, 0.1), generator.sample(case.space.candidates or (), SOURCE_ROWS)
        moved = [{name: float(value) + shift for name, value in row.items()} for row in rows]
        observed = [
            Observation(row, {"y": case.respond(other)["y"] * generator.gauss(1.0, NOISE)}) for row, other in zip(rows, moved, strict=True)
        ]
        found.append((f"source {number}", tuple(observed)))
    return found


def _task(name: str, rows: Sequence[Observation], encoding: Encoding, target: str) -> TaskData:
    X, Y = encoding.encode(row.configuration for row in rows), [row.values[target] for row in rows]
    return TaskData(name, X, torch.tensor(Y, dtype=torch.float64))


def time_case(case: Case, count: int, *, repeats: int, search: str = "together", batch: int = 1) -> dict[str, Any]:
    """Time proposals after a warm-up call, and the adaptation before each; seconds."""
    settings = {"initial": 0 if case.learner else 5, "search": search}
    policy = build_policy("bayesian", case.space, case.objective, settings, case.learner)

    def propose(knowledge: Knowledge, seed: int) -> None:
        policy.propose(knowledge, count=batch, seed=seed)

    named = case if batch == 1 else replace(case, name=f"{case.name}, batch of {batch}")
    return _timed(named, count, repeats, policy.name, propose, policy.adapt)


def time_improvement(case: Case, count: int, *, repeats: int) -> dict[str, Any]:
    """Time adaptation and LogEI on the pool, without a campaign's policy around it; seconds."""
    assert case.learner is not None
    (target,), encoding = case.objective.targets, Encoding(case.space)
    prior, X = case.learner.priors[target.name], encoding.encode(case.space.candidates or ())

    def propose(knowledge: Knowledge, seed: int) -> None:
        data = _task("measured", knowledge.observations, encoding, target.name)
        found = prior.adapt(data, generator=torch.Generator().manual_seed(seed))
        log_improvement(found, X, float(data.Y.max())).argmax()

    return _timed(case, count, repeats, "LogEI", propose)


def _timed(
    case: Case,
    count: int,
    repeats: int,
    policy: str,
    propose: Callable[[Knowledge, int], None],
    adapt: Callable[[Knowledge], object] = lambda _: None,
) -> dict[str, Any]:
    propose(measured(case, count), 0)
    wall, processor, adaptation = [], [], []
    for seed in range(1, repeats + 1):
        knowledge = measured(case, count, seed=seed)
        began_cpu = time.process_time()
        adapt(knowledge)
        adaptation.append(time.process_time() - began_cpu)
        began, began_cpu = time.perf_counter(), time.process_time()
        propose(knowledge, seed)
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_cpu)
    return {
        "case": case.name,
        "policy": policy,
        "measurements": count,
        "repeats": repeats,
        "median_s": median(wall),
        "p90_s": quantile(wall, 0.9),
        "worst_s": max(wall),
        "median_cpu_s": median(processor),
        "worst_cpu_s": max(processor),
        "adaptation_cpu_s": median(adaptation),
        "adaptation_worst_cpu_s": max(adaptation),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least this part of the values does not exceed."""
    return sorted(values)[max(1, math.ceil(part * len(values))) - 1]


DRAWN: Final = {
    "pool of 2,000, one target, prior": "pool, prior",
    "continuous, three targets": "continuous",
    "continuous, three targets, prior": "continuous, prior",
}
"""Case -> what its line in the picture is called; the others have none."""
SHOWN: Final = {
    "median s": "median_s",
    "worst s": "worst_s",
    "median CPU s": "median_cpu_s",
    "worst CPU s": "worst_cpu_s",
    "adaptation, median CPU s": "adaptation_cpu_s",
    "worst": "adaptation_worst_cpu_s",
    "peak MB": "peak_mb",
}
"""Column -> what is shown in it; adaptation is no part of the others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/latency.json"))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--measurements", type=int, nargs="*", default=list(MEASUREMENTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--searches", nargs="*", default=["together"], choices=["together", "apart"])
    parser.add_argument("--pictures", type=Path, help="folder for latency.svg")
    options = parser.parse_args(arguments)
    use_threads(options.threads)
    print(f"{options.threads} thread(s) of {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print("| case | policy | measurements | " + " | ".join(SHOWN) + " |\n|---" + "|---" * (2 + len(SHOWN)) + "|")
    rows = []
    pool, cdse = pool_case(), cdse_case()
    known_pool, known_cdse = with_prior(pool), with_prior(cdse)
    timers: list[Callable[..., dict[str, Any]]] = [partial(time_case, wide_case()), partial(time_improvement, known_pool)]
    timers += [partial(time_case, case, search=search) for case in (pool, known_pool, cdse, known_cdse) for search in options.searches]
    timers.append(partial(time_case, known_cdse, batch=BATCH))
    for timer in timers:
        for count in options.measurements:
            row = timer(count, repeats=options.repeats)
            rows.append(row)
            shown = " | ".join(f"{row[name]:.3f}" for name in SHOWN.values())
            print(f"| {row['case']} | {row['policy']} | {count} | {shown} |", flush=True)
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
    for case, name in DRAWN.items():
        mine = [row for row in rows if (row["case"], row["policy"]) == (case, BATCHED)]
        counts, medians = tuple(float(row["measurements"]) for row in mine), tuple(row["median_s"] for row in mine)
        lines.append(Line(name, counts, medians, medians, tuple(row["p90_s"] for row in mine)))
    return Chart(f"Time of one proposal, {threads} thread(s)", "measurements", "median to 90 % quantile (s)", tuple(lines))


if __name__ == "__main__":
    sys.exit(main())
