"""Priors that do not fit: `python -m benchmarks.unrelated RESULT.json [--json OUT]`; the results hold the fresh GP's rows.

The default learner (`--learner`: one with another guard) is meta-trained on sources that were spoiled, and then judged on
tasks as they are: each source's targets permuted; replaced by one smooth function that all sources share, the worst of its
kind, since they agree; or with the sign turned around. `kin` is the same without spoiling. Noted are regret areas, and the
trust that was recorded when ten measurements were there.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from benchmarks.meta import EXAMPLES, YARDSTICK, area, geometric, pairs_of, read_rows
from benchmarks.metrics import floored_ratio, paired_bootstrap
from flows.studies.benchmark.loading import load_suite
from flows.studies.benchmark.rows import Results
from flows.studies.benchmark.running import Benchmark, BenchmarkChoice
from flows.studies.benchmark.spec import load_benchmark
from models.base import Surrogate
from models.meta_learning.registry import META_LEARNERS
from models.tasks import Family, MetaLearner, Prior, TaskData
from models.threads import use_threads
from orchestrator.errors import AthanorError

SEEDS: Final = 10
LOOKED_AT: Final = 10
"""Measurements at which trust is looked at."""
HALF: Final = 0.5
WAVES: Final = 64
"""Random Fourier features of the smooth function."""
REACH: Final = 1.5
"""Its length scale, in units of the standardised features' typical distance."""
SUITES: Final[Mapping[str, tuple[str, ...]]] = {
    "cn_coupling.toml": ("s4", "s6", "s10", "s13"),
    "suzuki_flow.toml": ("suzuki_i",),
    "oer_plates.toml": ("oer_plate_3496", "oer_plate_3860", "oer_plate_4098"),
}

Spoil = Callable[[Sequence[TaskData], Family, torch.Generator], list[TaskData]]


def untouched(tasks: Sequence[TaskData], _family: Family, _generator: torch.Generator) -> list[TaskData]:
    """Return the sources as they are."""
    return list(tasks)


def permuted(tasks: Sequence[TaskData], _family: Family, generator: torch.Generator) -> list[TaskData]:
    """Give each source's targets to other rows of its own."""
    return [replace(task, Y=task.Y[torch.randperm(len(task.Y), generator=generator)]) for task in tasks]


def smooth(tasks: Sequence[TaskData], family: Family, generator: torch.Generator) -> list[TaskData]:
    """Replace all targets by one random smooth function, at each source's own level and spread."""
    width = family.features(tasks[0].X).shape[-1]
    waves = torch.randn(width, WAVES, generator=generator, dtype=torch.float64) / (REACH * math.sqrt(width))
    phases, heights = (torch.rand(WAVES, generator=generator, dtype=torch.float64) for _ in range(2))

    def function(X: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        F = family.features(X)
        return torch.cos(F / F.std(dim=0).clamp_min(0.1) @ waves + 2 * math.pi * phases) @ (heights - HALF)

    def one(task: TaskData) -> TaskData:
        z = function(task.X)
        return replace(task, Y=task.Y.mean() + task.Y.std() * (z - z.mean()) / z.std())

    return [one(task) for task in tasks]


def flipped(tasks: Sequence[TaskData], _family: Family, _generator: torch.Generator) -> list[TaskData]:
    """Turn each source around its own mean."""
    return [replace(task, Y=2 * task.Y.mean() - task.Y) for task in tasks]


SPOILED: Final[Mapping[str, Spoil]] = {"kin": untouched, "permuted": permuted, "smooth": smooth, "flipped": flipped}
LIMITS: Final[Mapping[str, float]] = {"permuted": 1.10, "smooth": 1.15, "flipped": 1.25}


@dataclass(frozen=True, slots=True)
class Watched(Prior):
    """Notes the trust of each adaptation, by number of measurements: the first time, which is the campaign's."""

    prior: Prior
    trust: dict[int, float] = field(default_factory=dict)

    @override
    def adapt(self, task: TaskData, *, generator: torch.Generator) -> Surrogate:
        found = self.prior.adapt(task, generator=generator)
        self.trust.setdefault(len(task.Y), float(found.description()["trust"]))
        return found

    @override
    def state(self) -> dict[str, Any]:
        return self.prior.state()


@dataclass(frozen=True, slots=True)
class Misled:
    """The default learner on spoiled sources."""

    name: str
    spoil: Spoil
    learner: MetaLearner

    def meta_train(
        self,
        tasks: Sequence[TaskData],
        family: Family,
        *,
        generator: torch.Generator,
        report: Callable[[Any], None] | None = None,
    ) -> Watched:
        """Spoil the sources and learn from them."""
        return Watched(self.learner.meta_train(self.spoil(tasks, family, generator), family, generator=generator, report=report))


def learners(learner: str) -> dict[str, Callable[[], MetaLearner]]:
    """Return what makes each learner from the one of this name."""

    def maker(name: str) -> Callable[[], MetaLearner]:
        return lambda: Misled(name, SPOILED[name], META_LEARNERS[learner]())

    return {name: maker(name) for name in SPOILED}


def run(out: Path, data: Path | None, seeds: int, leave: str, learner: str, spoiled: Sequence[str]) -> None:
    """Compute the rows that are missing."""
    results = Results.open(out)
    for name, tasks in SUITES.items():
        file = load_benchmark(EXAMPLES / name)
        if leave == "group" and file.spec.data.group is None:
            continue
        choice = BenchmarkChoice(seeds=seeds, surrogates=tuple(spoiled), tasks=tasks, leave="group" if leave == "group" else "task")
        bench = Benchmark(file, load_suite(file, data), choice, learners(learner))
        for key in bench.missing(results):
            prior = bench.prior(key[0], key[1])
            assert isinstance(prior, Watched)
            prior.trust.clear()
            results.add({**bench.row(key), "trust": {str(count): round(value, 4) for count, value in prior.trust.items()}})
            print(f"{key[0]} {key[1]} seed {key[2]}: trust {prior.trust.get(LOOKED_AT)}", file=sys.stderr)


def table(rows: Sequence[Mapping[str, Any]], leave: str) -> str:
    """Write ratios to the fresh GP and how often the trust was on the right side of a half."""
    chosen = [row for row in rows if row["leave"] in (leave, "any") and row["initial"] == 3]
    lines = [
        f"Leave {leave}:\n",
        "| sources | tasks | regret area : fresh GP's | aim | worst task | trust < 0.5 after 10 | median trust |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in SPOILED:
        pairs = pairs_of(chosen, name, area)
        if not pairs:
            continue
        worst = max(pairs, key=lambda task: floored_ratio(pairs[task]))
        there = paired_bootstrap({worst: pairs[worst]}, floored_ratio, geometric=True)
        trust = sorted(row["trust"][str(LOOKED_AT)] for row in chosen if row["surrogate"] == name)
        low = sum(value < HALF for value in trust) / len(trust)
        aim = f"<= {LIMITS[name]:.2f}" if name in LIMITS else "-"
        seen = f"{low:.0%} | {trust[len(trust) // 2]:.2f}"
        lines.append(f"| {name} | {len(pairs)} | {geometric(pairs, floored_ratio)} | {aim} | {worst} {there} | {seen} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unrelated", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help=f"rows of {YARDSTICK}")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/unrelated.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--leave", choices=("task", "group"), default="task")
    parser.add_argument("--learner", choices=("default", "default-beliefs"), default="default", help="the guard to judge")
    parser.add_argument("--spoiled", nargs="+", choices=tuple(SPOILED), default=tuple(SPOILED))
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        run(options.json, options.data, options.seeds, options.leave, options.learner, options.spoiled)
        print(table(read_rows([options.json, *options.results]), options.leave))
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
