"""Is what separates runs that came to nothing found, and nothing named where nothing acts?

    python -m benchmarks.twin_failures [--json FILE] [--seeds N] [--first SEED] [--only CASE ...]

60 runs with the six channels of `benchmarks.twin_plants` (AR(1) of 0.8 from run to run, each planted one with a nuisance that correlates
with it by 0.8), three controls, lots and time. A run fails by the law of its case. What is counted over seeds from 0: how often what was
planted is named, alone or with its own nuisance; what else is; and how often the interval holds the threshold.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.twin_plants import CHANNELS, RUNS, environment
from benchmarks.twins import write
from models.threads import use_threads
from models.twin.failures import LEAST_CASES, Separated, Values, separated

SEEDS: Final = 100
NULLS: Final = 4
"""Data sets of a seed where nothing was planted."""
CONTROLS: Final = ("T", "time", "dose")
LOT_RUNS: Final = 10
"""Runs from one lot."""
THRESHOLD: Final = 0.5
"""Standard deviations of the channel."""
Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """What there is of `n` runs."""

    Z: Float[Tensor, "n 6"]
    """Channels."""
    X: Float[Tensor, "n 3"]
    """Controls."""
    lots: Tensor

    @property
    def above(self) -> Float[Tensor, " n"]:
        """One where the channel that acts is above its threshold."""
        return (self.Z[:, 0] > THRESHOLD).double()


Law = Callable[[World], Tensor]
"""Returns the chance of failing, run by run."""
STEPS: Final = ("all above fail", "65 % above fail", "65 % above, 5 % below")
"""Cases whose law is a step."""
SPELLS: Final = "nothing, bad spells"
"""A seventh process that nobody recorded makes them."""
LAWS: Final[Mapping[str, tuple[tuple[str, ...], Law]]] = {
    "all above fail": (("acting",), lambda one: one.above),
    "65 % above fail": (("acting",), lambda one: 0.65 * one.above),
    "65 % above, 5 % below": (("acting",), lambda one: 0.05 + 0.6 * one.above),
    "logistic, 20 to 80 % within 1.4 sd": (("acting",), lambda one: torch.sigmoid(2.0 * (one.Z[:, 0] - 1.0))),
    "all above 0 and hot": (("acting", "T"), lambda one: ((one.Z[:, 0] > 0.0) & (one.X[:, 0] > 0.5)).double()),
    "70 % of one lot": (("lot",), lambda one: 0.7 * (one.lots == 2).double()),
    "nothing, each run by itself": ((), lambda one: 0.2 + 0.0 * one.above),
    SPELLS: ((), lambda one: 0.0 * one.above),
}
"""Case -> what was planted, and its law."""


def made(case: str, seed: int) -> tuple[list[bool], dict[str, Values]]:
    """Return which runs failed, and all factors."""
    generator = torch.Generator().manual_seed(1_000_000 * (20 + list(LAWS).index(case)) + seed)
    Z, X = environment(generator, RUNS), torch.rand(RUNS, len(CONTROLS), generator=generator, dtype=torch.float64)
    lots = torch.arange(RUNS) // LOT_RUNS
    drawn = torch.rand(RUNS, generator=generator, dtype=torch.float64)
    failed = drawn < LAWS[case][1](World(Z, X, lots))
    if case == SPELLS:
        failed = environment(generator, RUNS)[:, 0] > 0.84  # a fifth of the runs
    factors: dict[str, Values] = {name: column.tolist() for name, column in zip(CHANNELS, Z.mT, strict=True)}
    factors |= {name: column.tolist() for name, column in zip(CONTROLS, X.mT, strict=True)}
    factors |= {"lot": [f"L{int(lot)}" for lot in lots], "elapsed": [float(row) for row in range(RUNS)]}
    return [bool(one) for one in failed], factors


def row(case: str, seed: int) -> Row:
    """Compute one data set."""
    failed, factors = made(case, seed)
    count = sum(failed)
    head = {"case": case, "seed": seed, "failed": count}
    if min(count, RUNS - count) < LEAST_CASES:
        return {**head, "tried": False, "named": []}
    found = separated(failed, factors, seed=seed)
    return {**head, "tried": True, "named": [list(one.together) for one in found.named], "holds": _holds(found)}


def _holds(found: Separated) -> bool | None:
    """Say whether the interval of what acts holds its threshold; None where it is not named first of its group."""
    for one in found.named:
        if one.factor == "acting" and one.interval is not None:
            return one.interval[0] <= THRESHOLD <= one.interval[1]
    return None


def right(one: Mapping[str, Any], factor: str) -> bool:
    """Say whether a planted factor is named, alone or together with its own nuisance."""
    allowed = {factor, "nuisance"} if factor == "acting" else {factor}
    return any(factor in names and set(names) <= allowed for names in one["named"])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count seeds."""
    lines = [
        "| law | tried | each found, alone or with its nuisance | each alone | anything else named | interval holds the threshold |",
        "|---|---|---|---|---|---|",
    ]
    for case, (planted, _) in LAWS.items():
        mine = [one for one in rows if one["case"] == case and one["tried"]]
        if not mine:
            continue
        of = sum(one["case"] == case for one in rows)
        hits = sum(all(right(one, factor) for factor in planted) for one in mine) if planted else "-"
        alone = sum(all([factor] in one["named"] for factor in planted) for one in mine) if planted else "-"
        strange = [
            [names for names in one["named"] if not {*planted, *(("nuisance",) if "acting" in planted else ())} & set(names)]
            for one in mine
        ]
        of_time = sum(bool(one) and all(set(names) & {"elapsed", "lot"} for names in one) for one in strange)
        else_ = f"{sum(map(bool, strange))}, {of_time} of them time or lot alone"
        told = [one["holds"] for one in mine if one.get("holds") is not None] if case in STEPS else []
        held = f"{sum(told)} of {len(told)}" if told else "-"
        lines.append(f"| {case} | {len(mine)} of {of} | {hits} | {alone} | {else_} | {held} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.twin_failures", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/twin_failures.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", nargs="+", choices=list(LAWS), default=list(LAWS))
    parser.add_argument("--show", action="store_true", help="show what the file has, and compute nothing")
    options = parser.parse_args(arguments)
    use_threads(1)
    if options.show:
        print(table(json.loads(options.json.read_text(encoding="utf-8"))))
        return 0
    rows = list[Row]()
    for case in options.only:
        times = 1 if LAWS[case][0] else NULLS
        for seed in range(times * options.first, times * (options.first + options.seeds)):
            rows.append(row(case, seed))
        write(options.json, rows)
        print(f"{case} done", file=sys.stderr)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
