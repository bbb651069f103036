"""Do explanations name what was planted? `python -m benchmarks.explanations [--json OUT] [--seeds N]`.

    y = 2 x1 + 6 (x2 - 0.5) (x3 - 0.5) + noise of 0.3

over six inputs from 0 to 1, measured at random points where the inert x4 correlates with x1 by 0.8; x5 and x6 are inert too.
The surrogate is the Gaussian process of a campaign without a prior.

Importance: mean |Shapley| of the predicted mean over the measured points, against 64 feasible background points. Counted
is how often x1, x2 and x3 all rank before the inert ones.

Channels: beside the parameters room temperature, humidity, the day (four runs each) and the lot of a stock (used up one
after the other) are recorded. None of them matters, or one moves y by 0.3 per standard deviation of its own. Counted is
which of them the test on residuals names. Day and lot go together, as they do in laboratories, so that one is named for
the other.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.base import Surrogate, TargetData
from models.explanations.attribution import BACKGROUND, importance, players, predicted_moments
from models.explanations.residuals import Channel, associations, residuals
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.training_data import training_data
from models.threads import use_threads
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Observation
from policies.sampling import SobolPoints, feasible

SEEDS: Final = 100
COUNTS: Final = (15, 30, 60)
"""Measurements behind an importance."""
RUNS: Final = 60
"""Measurements behind a test of channels."""
NOISE: Final = 0.3
PLANTED: Final = 3
ENCODING: Final = Encoding(SearchSpace(parameters=tuple(ContinuousParameter(name=f"x{number}", min=0, max=1) for number in range(1, 7))))
OBJECTIVE: Final = Objective(targets=(Target(name="y", goal="maximise"),))
CORRELATION: Final = 2 * math.sin(math.pi * 0.8 / 6)
"""Of normal deviates whose uniform ranks correlate by 0.8."""
RUNS_A_DAY: Final = 4
LOTS: Final = 5
DRIVERS: Final = ("none", "room temperature", "day", "lot")
DESIGNS: Final = 1_000_000
"""Keeps the seeds of designs apart from those of channels."""
PERMUTED: Final = 2_000_000
"""And those of permutations."""


def design(count: int, generator: torch.Generator) -> Float[Tensor, "n 6"]:
    """Draw points of the unit cube, uniform in each input, the fourth following the first."""
    z = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    z[:, 3] = CORRELATION * z[:, 0] + math.sqrt(1 - CORRELATION**2) * z[:, 3]
    X: Tensor = torch.special.ndtr(z)
    return X


def truth(X: Float[Tensor, "n 6"]) -> Float[Tensor, " n"]:
    """Compute y without noise."""
    return 2 * X[:, 0] + 6 * (X[:, 1] - 0.5) * (X[:, 2] - 0.5)


def learn(X: Float[Tensor, "n 6"], y: Float[Tensor, " n"], seed: int) -> tuple[Surrogate, TargetData]:
    """Fit what a campaign would after these measurements."""
    rows = [Observation(ENCODING.decode(x), {"y": value}) for x, value in zip(X, y.tolist(), strict=True)]
    (data,) = training_data(ENCODING, OBJECTIVE, rows)
    return GaussianProcessLearner().fit([data], seed=seed), data


def importance_row(count: int, seed: int) -> dict[str, Any]:
    """Measure, learn and explain; importances in units of y."""
    generator = torch.Generator().manual_seed(DESIGNS + seed)
    X = design(count, generator)
    surrogate, data = learn(X, truth(X) + NOISE * torch.randn(count, generator=generator, dtype=torch.float64), seed)
    points = SobolPoints(ENCODING.latent, seed)
    background = ENCODING.encode(islice(feasible(ENCODING, points), BACKGROUND))
    found = data.unit * importance(predicted_moments(surrogate), data.X, background, players(ENCODING))[:, 0]
    return {"measurements": count, "seed": seed, "importance": [float(f"{value:.4g}") for value in found.tolist()]}


def channels(generator: torch.Generator) -> dict[str, Channel]:
    """Draw what was recorded beside the runs."""
    room, humidity = torch.randn(2, RUNS, generator=generator, dtype=torch.float64).tolist()
    return {
        "room temperature": [21 + value for value in room],
        "humidity": [40 + 5 * value for value in humidity],
        "day": [float(run // RUNS_A_DAY) for run in range(RUNS)],
        "lot": [f"L{run * LOTS // RUNS}" for run in range(RUNS)],
    }


def push(values: Channel, generator: torch.Generator) -> Float[Tensor, " n"]:
    """Return what the channel adds to y: its values, or a random effect of each category, in standard deviations, by the noise."""
    effects = torch.randn(LOTS, generator=generator, dtype=torch.float64).tolist()
    numbers = [effects[int(value[1:])] if isinstance(value, str) else value for value in values]
    moved = torch.tensor(numbers, dtype=torch.float64)
    return NOISE * (moved - moved.mean()) / moved.std()


def channels_row(driver: str, seed: int) -> dict[str, Any]:
    """Measure with one channel driving y, learn, and test all channels."""
    generator = torch.Generator().manual_seed(seed)
    X, recorded = design(RUNS, generator), channels(generator)
    y = truth(X) + NOISE * torch.randn(RUNS, generator=generator, dtype=torch.float64)
    if driver != "none":
        y = y + push(recorded[driver], generator)
    surrogate, data = learn(X, y, seed)
    (left,) = residuals(surrogate, [data])
    found = associations(left, recorded, seed=PERMUTED + seed)
    p_values = {one.channel: round(one.p_value, 4) for one in found}
    return {"driver": driver, "seed": seed, "p": p_values, "named": [one.channel for one in found if one.named]}


def ranked_first(row: Mapping[str, Any]) -> bool:
    """Say whether the planted inputs come before all inert ones."""
    planted, inert = row["importance"][:PLANTED], row["importance"][PLANTED:]
    return bool(min(planted) > max(inert))


def importance_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count the seeds whose planted inputs rank first; importances as means over seeds."""
    lines = [
        "| measurements | planted rank first | aim | x1 | x2 | x3 | x4 (follows x1) | x5 | x6 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for count in COUNTS:
        mine = [row for row in rows if row["measurements"] == count]
        means = [sum(values) / len(mine) for values in zip(*(row["importance"] for row in mine), strict=True)]
        aim = ">= 95 %" if count == COUNTS[-1] else "-"
        right = sum(map(ranked_first, mine))
        lines.append(f"| {count} | {right} of {len(mine)} | {aim} | {' | '.join(f'{value:.2f}' for value in means)} |")
    return "\n".join(lines)


def channels_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count the seeds in which each channel was named, and any that drives nothing."""
    names = (*DRIVERS[1:], "humidity")
    lines = [f"| drives y | {' | '.join(f'{name} named' for name in names)} | any named |", "|" + "---|" * (len(names) + 2)]
    for driver in DRIVERS:
        mine = [row for row in rows if row["driver"] == driver]
        counts = [sum(name in row["named"] for row in mine) for name in names]
        lines.append(f"| {driver} | {' | '.join(map(str, counts))} | {sum(bool(row['named']) for row in mine)} of {len(mine)} |")
    return "\n".join(lines)


def run(seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Compute all rows."""
    found: dict[str, list[dict[str, Any]]] = {"importance": [], "channels": []}
    for seed in range(seeds):
        found["importance"] += [importance_row(count, seed) for count in COUNTS]
        found["channels"] += [channels_row(driver, seed) for driver in DRIVERS]
        print(f"seed {seed} done", file=sys.stderr)
    return found


def write(path: Path, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write one row a line."""
    parts = [f'"{kind}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for kind, rows in found.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/explanations.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args(arguments)
    use_threads(1)
    found = run(options.seeds)
    write(options.json, found)
    print(f"{importance_table(found['importance'])}\n\n{channels_table(found['channels'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
