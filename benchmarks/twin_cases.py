"""Are the three cases of `examples/twins` understood? `python -m benchmarks.twin_cases [--cases ...] [--only ...] [--seeds N] [--first N]`.

Cases and what is planted are those of `benchmarks.twin_case_plants`. Each seed's result is a line of JSON in a folder; what is
there is not computed again, and counts are of all that is there, so that kinds may have different numbers of seeds. Kinds of rows:

    one, two   one or two factors planted at one noise standard deviation per standard deviation: what is named, and the error of
               fresh predictions, with terms of the acting channel in the library and without
    none       nothing planted: how often anything is named
    power      one factor at 0.5, and at 2
    settled    the seeds of one and none again, the twin told at the constants' most probable deviations
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.twin_case_plants import CASES, RUNS_PER_DAY, Made, make
from benchmarks.twin_plants import RUNS, environment
from benchmarks.twins import NULLS, SEEDS, found_right, named_wrongly, planted
from models.threads import use_threads
from models.twin.analysis import on_scale, settled
from models.twin.factors import Factors, find
from models.twin.groups import CONTROLS
from models.twin.model import Model, Problem
from models.twin.pairs import Pairs
from models.twin.posterior import corrected
from models.twin.terms import taken_up

FRESH: Final = 100
"""New runs on which predictions are judged."""
KINDS: Final = {"one": 11, "two": 12, "none": 13, "power": 14, "settled": 15, "fresh": 16}
"""Keeps the seeds of the kinds apart."""
POWERS: Final = (0.5, 2.0)
RESAMPLES: Final = 4000
Z95: Final = 1.96
Row = dict[str, Any]


def named_row(case: str, kind: str, seed: int, effects: tuple[float, float], folder: Path) -> tuple[Row, Made, Problem, Factors]:
    """Carry out, and name."""
    base = kind if kind != "settled" else "one" if effects[0] else "none"
    made = make(case, seed, folder, effects=effects, apart=KINDS[base])
    problem, _ = on_scale(settled(made.pairs, made.told) if kind == "settled" else made.pairs)
    found = find(problem, seed=seed)
    together = [list(one.together) for one in found.named]
    row: Row = {"case": case, "kind": kind, "seed": seed, "effects": list(effects), "scale": problem.scale, "named": together}
    return row, made, problem, found


def planted_row(case: str, kind: str, seed: int, folder: Path) -> Row:
    """Name, take up terms, and predict new runs."""
    row, made, problem, found = named_row(case, kind, seed, (1.0, 1.0 if kind == "two" else 0.0), folder)
    row |= _judged(made, problem, found, seed)
    return row


def _judged(made: Made, problem: Problem, found: Factors, seed: int) -> Row:
    """Return the error of fresh predictions over the twin's, how much their intervals hold, and the terms taken up."""
    generator = torch.Generator().manual_seed(1_000_000 * KINDS["fresh"] + seed)
    rows, base = made.world.feasible(generator, FRESH)
    Z = environment(generator, FRESH, autocorrelation=0.0).numpy()
    days = (RUNS / RUNS_PER_DAY * torch.rand(FRESH, generator=generator, dtype=torch.float64)).numpy()
    truth, row = torch.from_numpy(made.world.truth(rows, base, Z)), Row()
    for own in (True, False):
        terms = made.terms(own=own)
        pairs = Pairs(made.world.conditions(made.rows, made.Z, made.days, terms), problem.pairs.observed, (), problem.pairs.repeats)
        fitted = taken_up(Problem.of(pairs, problem.scale), found.model.groups)
        row["with terms" if own else "without"] = _error(fitted, made, truth, rows, Z, days, own=own)
    return row


def _error(fitted: Model, made: Made, truth: torch.Tensor, rows: Any, Z: Any, days: Any, *, own: bool) -> Row:
    conditions = made.world.conditions(rows, Z, days, made.terms(own=own))
    found = corrected(fitted, conditions)
    ratio = float((found.median - truth).square().mean().sqrt() / (conditions.mean - truth).square().mean().sqrt())
    held = float(((truth >= found.lower) & (truth <= found.upper)).double().mean())
    terms = [name for name in fitted.coefficients if name not in fitted.problem.constants]
    return {"error": round(ratio, 4), "held": held, "terms": terms, "groups": [group.name for group in fitted.groups]}


# ---------------------------------------------------------------------- counts


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson, J. Am. Stat. Assoc. 22, 209 (1927))."""
    rate, spare = count / of, Z95**2 / of
    middle, half = rate + spare / 2, Z95 * ((rate * (1 - rate) + spare / 4) / of) ** 0.5
    return (middle - half) / (1 + spare), (middle + half) / (1 + spare)


def interval_of_median(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a median, by resampling seeds."""
    drawn = torch.randint(len(values), (RESAMPLES, len(values)), generator=torch.Generator().manual_seed(1))
    medians = torch.tensor(values, dtype=torch.float64)[drawn].quantile(0.5, dim=1)
    low, high = medians.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def _counted(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count} of {of} [{100 * low:.0f}, {100 * high:.0f}]"


def naming_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count seeds by what was named."""
    lines = ["| case | planted | right | alone | channel named wrongly | controls | anything |", "|---|---|---|---|---|---|---|"]
    for case, effects, told_there in dict.fromkeys(map(_cell, rows)):
        mine = [row for row in rows if _cell(row) == (case, effects, told_there)]
        right = sum(all(found_right(row, one) for one in planted(row)) for row in mine)
        alone = sum(all([one] in row["named"] for one in planted(row)) for row in mine)
        wrong, controls = sum(bool(named_wrongly(row)) for row in mine), sum([CONTROLS] in row["named"] for row in mine)
        told = (_counted(right, len(mine)), str(alone)) if any(effects) else ("-", "-")
        anything = _counted(sum(bool(row["named"]) for row in mine), len(mine))
        planted_here = f"{' and '.join(map(str, effects))} sd{', settled' if told_there else ''}"
        lines.append(f"| {case} | {planted_here} | {' | '.join(told)} | {wrong} | {controls} | {anything} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any]) -> tuple[str, tuple[float, ...], bool]:
    return row["case"], tuple(row["effects"]), row["kind"] == "settled"


def prediction_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tell errors over the twin's, median over seeds, and coverage."""
    lines = [
        "| case | planted | library | error over the twin's | 90 % intervals hold | terms of the channel |",
        "|---|---|---|---|---|---|",
    ]
    judged = [row for row in rows if "without" in row]
    for case, kind in dict.fromkeys((row["case"], row["kind"]) for row in judged):
        mine = [row for row in judged if (row["case"], row["kind"]) == (case, kind)]
        for library in ("with terms", "without"):
            errors = [row[library]["error"] for row in mine]
            low, high = interval_of_median(errors)
            held = sum(row[library]["held"] for row in mine) / len(mine)
            own = sum(any(one.endswith("-acting") for one in row[library]["terms"]) for row in mine)
            middle = float(torch.tensor(errors, dtype=torch.float64).quantile(0.5))
            lines.append(
                f"| {case} | {kind} | {library} | {middle:.2f} [{low:.2f}, {high:.2f}] | {100 * held:.0f} % | {own} of {len(mine)} |"
            )
    return "\n".join(lines)


# ---------------------------------------------------------------------- the command line


def wanted(case: str, kinds: Sequence[str], first: int, seeds: int) -> list[tuple[str, str, int, tuple[float, float]]]:
    """List what is to be computed of a case."""
    found: list[tuple[str, str, int, tuple[float, float]]] = []
    for kind in kinds:
        effects = {"one": [(1.0, 0.0)], "two": [(1.0, 1.0)], "none": [(0.0, 0.0)], "power": [(one, 0.0) for one in POWERS]}.get(
            kind, [(1.0, 0.0), (0.0, 0.0)]
        )
        count = NULLS * seeds if kind == "none" else seeds
        found += [(case, kind, seed, effect) for seed in range(first, first + count) for effect in effects]
    return found


def kept(path: Path) -> list[Row]:
    """Read the rows that are there."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def compute(case: str, kinds: Sequence[str], first: int, seeds: int, folder: Path) -> None:
    """Compute what is not there yet, a line each."""
    path = folder / f"{case}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    there = set(map(_key, kept(path)))
    for one in wanted(case, kinds, first, seeds):
        if one not in there:
            _, kind, seed, effects = one
            row = planted_row(case, kind, seed, folder) if kind in ("one", "two") else named_row(case, kind, seed, effects, folder)[0]
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def _key(row: Row) -> tuple[str, str, int, tuple[float, float]]:
    first, second = row["effects"]
    return row["case"], row["kind"], row["seed"], (first, second)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    kinds = [kind for kind in KINDS if kind != "fresh"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.twin_cases", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/twin_cases.json"))
    parser.add_argument("--folder", type=Path, default=Path("build/twin-cases"), help="of what is there already")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args(arguments)
    use_threads(1)
    for case in options.cases:
        compute(case, options.only, options.first, options.seeds, options.folder)
        print(f"{case} done", file=sys.stderr)
    order = [kind for kind in KINDS if kind != "fresh"]
    rows = sorted(
        (row for case in CASES for row in kept(options.folder / f"{case}.jsonl")),
        key=lambda row: (list(CASES).index(row["case"]), order.index(row["kind"]), row["effects"], row["seed"]),
    )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
    print("\n\n".join((naming_table(rows), prediction_table(rows))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
