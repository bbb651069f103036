"""Is the reason why a twin was wrong found? `python -m benchmarks.twins [--json OUT] [--seeds N] [--first SEED] [--only KIND ...]`.

The plants are those of `benchmarks.twin_plants`: 60 runs of which 20 repeat others, one reading each but for shares of the
variance, where each sample is read twice. Kinds of rows:

    one, two   one or two factors planted at one noise standard deviation per standard deviation: what is named, and the error
               of fresh predictions, with the missing term among the candidates and without
    none       nothing planted: how often anything is named
    exact      nor are constants off
    power      one factor at 0.5, 1 and 2
    shares     how the variance splits
    drift      charts on streams that shift, or do not
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.twin_plants import LOTS, RUNS, Made, environment, make
from models.threads import use_threads
from models.twin.analysis import on_scale
from models.twin.drift import watched
from models.twin.factors import Factors, find
from models.twin.groups import CONTROLS
from models.twin.model import Model, Problem
from models.twin.posterior import corrected
from models.twin.sequential import innovations
from models.twin.shares import split
from models.twin.terms import taken_up

SEEDS: Final = 100
NULLS: Final = 4
"""Times as many seeds with nothing planted."""
FRESH: Final = 200
"""New conditions on which predictions are judged."""
NUISANCES: Final = {"acting": "nuisance", "reader": "reader's nuisance"}
POWERS: Final = (0.5, 1.0, 2.0)
READ_TWICE: Final = 2
STREAMS: Final = 4
"""Streams of runs of each kind of drift per seed."""
WATCHED: Final = 60
WITHIN: Final = 15
RAMP: Final = 2.0
"""Standard deviations reached by run `WATCHED`."""
DESIGNED: Final = {"one": 1, "two": 2, "none": 3, "power": 4, "shares": 5, "fresh": 6, "drift": 7, "exact": 8}
"""Keeps the seeds of the kinds apart."""
Row = dict[str, Any]


def named_row(kind: str, seed: int, effects: tuple[float, float]) -> tuple[Row, Made, Problem, Factors]:
    """Carry out, and name."""
    made = make(seed, effects=effects, exact=kind == "exact", apart=DESIGNED[kind])
    problem, _ = on_scale(made.pairs)
    found = find(problem, seed=seed)
    together = [list(one.together) for one in found.named]
    row: Row = {"kind": kind, "seed": seed, "plant": made.world.plant.name, "effects": effects, "scale": problem.scale, "named": together}
    return row, made, problem, found


def planted_row(kind: str, seed: int) -> Row:
    """Name, take up terms, and predict new runs."""
    row, made, problem, found = named_row(kind, seed, (1.0, 1.0 if kind == "two" else 0.0))
    for own in (True, False):
        same = problem if own else Problem.of(made.again(own=False), problem.scale)
        fitted = taken_up(same, found.model.groups)
        row["with term" if own else "without"] = _judged(made, fitted, seed, own=own)
        if own:
            row["watched"] = _watched(made, fitted, seed)
    return row


def _watched(made: Made, fitted: Model, seed: int) -> dict[str, int | None]:
    """Return the first alarm over as many new runs in time, without a shift and with one of one noise standard deviation."""
    generator = torch.Generator().manual_seed(1_000_000 * DESIGNED["drift"] + seed)
    X, Z = torch.rand(WATCHED, 3, generator=generator, dtype=torch.float64), environment(generator, WATCHED)
    conditions, truth = made.world.conditions(X, Z, (f"L{LOTS - 1}",) * WATCHED, own=True), made.world.truth(X, Z)
    sd = made.world.noise(truth)
    y = truth + sd * torch.randn(WATCHED, generator=generator, dtype=torch.float64)
    return {name: _first(innovations(fitted, conditions, y + shift * sd)) for name, shift in (("none", 0.0), ("1 sd", 1.0))}


def _judged(made: Made, fitted: Model, seed: int, *, own: bool) -> Row:
    """Return the error of fresh predictions over the twin's, how much their intervals hold, and the terms taken up."""
    generator = torch.Generator().manual_seed(1_000_000 * DESIGNED["fresh"] + seed)
    X = torch.rand(FRESH, 3, generator=generator, dtype=torch.float64)
    Z = environment(generator, FRESH, autocorrelation=0.0)
    lots = tuple(f"L{number % LOTS}" for number in range(FRESH))
    conditions, truth = made.world.conditions(X, Z, lots, own=own), made.world.truth(X, Z)
    found = corrected(fitted, conditions)
    ratio = float((found.median - truth).square().mean().sqrt() / (conditions.mean - truth).square().mean().sqrt())
    held = float(((truth >= found.lower) & (truth <= found.upper)).double().mean())
    terms = [name for name in fitted.coefficients if name not in fitted.problem.constants]
    return {"error": round(ratio, 4), "held": held, "terms": terms, "groups": [group.name for group in fitted.groups]}


def shares_row(seed: int) -> Row:
    """Split the variance, each sample read twice."""
    made = make(seed, effects=(1.0, 0.0), readings=READ_TWICE, apart=DESIGNED["shares"])
    problem, _ = on_scale(made.pairs)
    truth = made.shares(problem.scale)
    parts = split(find(problem, seed=seed).model, seed=seed).parts
    found = {one.name: [round(value, 4) for value in (truth[one.name], one.median, one.lower, one.upper)] for one in parts}
    return {"kind": "shares", "seed": seed, "plant": made.world.plant.name, "scale": problem.scale, "parts": found}


def drift_row(seed: int) -> Row:
    """Watch streams of standard normal residuals: to the first alarm without a shift, and from a shift on."""
    generator = torch.Generator().manual_seed(1_000_000 * DESIGNED["drift"] + seed)
    z = torch.randn(STREAMS, 4, WATCHED, generator=generator, dtype=torch.float64)
    shifts = {
        "1 sd": torch.full((WATCHED,), 1.0),
        "2 sd": torch.full((WATCHED,), 2.0),
        "ramp": RAMP * torch.arange(1, WATCHED + 1) / WATCHED,
    }
    row: Row = {"kind": "drift", "seed": seed, "none": [_first(stream) for stream in z[:, 0]]}
    for number, (name, shift) in enumerate(shifts.items(), start=1):
        row[name] = [_first(stream + shift) for stream in z[:, number]]
    return row


def _first(z: Float[Tensor, " n"]) -> int | None:
    """Return the run, from one, in which the first alarm comes."""
    alarms = watched(z).alarms
    return alarms[0] + 1 if alarms else None


def found_right(row: Mapping[str, Any], factor: str) -> bool:
    """Say whether a planted factor is named, alone or with its own nuisance."""
    return any(factor in one and set(one) <= {factor, NUISANCES[factor]} for one in row["named"])


def planted(row: Mapping[str, Any]) -> list[str]:
    """Return the factors that were planted."""
    return [name for name, effect in zip(NUISANCES, row["effects"], strict=True) if effect > 0]


def named_wrongly(row: Mapping[str, Any]) -> list[list[str]]:
    """Return what was named of the environment without a planted factor in it."""
    return [one for one in row["named"] if one != [CONTROLS] and not set(planted(row)) & set(one)]


def naming_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count seeds by what was named."""
    lines = [
        "| planted | each found, alone or with its nuisance | each alone | channel or lot named wrongly | controls named | anything |",
        "|---|---|---|---|---|---|",
    ]
    cases = dict.fromkeys((row["kind"], tuple(row["effects"])) for row in rows if "named" in row)
    for kind, effects in cases:
        mine = [row for row in rows if row["kind"] == kind and tuple(row["effects"]) == effects]
        right = sum(all(found_right(row, one) for one in planted(row)) for row in mine) if any(effects) else "-"
        alone = sum(all([one] in row["named"] for one in planted(row)) for row in mine) if any(effects) else "-"
        wrong, controls = sum(bool(named_wrongly(row)) for row in mine), sum([CONTROLS] in row["named"] for row in mine)
        anything = sum(bool(row["named"]) for row in mine)
        exact = ", constants exact" if kind == "exact" else ""
        lines.append(
            f"| {' and '.join(map(str, effects))} sd{exact} | {right} of {len(mine)} | {alone} | {wrong} | {controls} | {anything} |"
        )
    return "\n".join(lines)


def prediction_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tell errors over the twin's, median over seeds, and coverage."""
    lines = [
        "| planted | library | error over the twin's, median [quartiles] | 90 % intervals hold | missing term taken up |",
        "|---|---|---|---|---|",
    ]
    for kind in ("one", "two"):
        mine = [row for row in rows if row["kind"] == kind]
        for library in ("with term", "without") if mine else ():
            errors = torch.tensor([row[library]["error"] for row in mine]).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
            held = sum(row[library]["held"] for row in mine) / len(mine)
            own = sum(f"{row['plant']}'s own" in row[library]["terms"] for row in mine)
            lines.append(
                f"| {kind} | {library} | {errors[1]:.2f} [{errors[0]:.2f}, {errors[2]:.2f}] | {100 * held:.0f} % | {own} of {len(mine)} |"
            )
    return "\n".join(lines)


def shares_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tell errors of shares in points, and coverage."""
    lines = ["| part | true, median | error, median | 90 % intervals hold |", "|---|---|---|---|"]
    mine = [row for row in rows if row["kind"] == "shares"]
    parts = dict.fromkeys(name for row in mine for name in row["parts"])
    every = [(name, *row["parts"][name]) for row in mine for name in row["parts"]]
    for part in [*parts, "all"] if mine else ():
        own = [one for one in every if part in (one[0], "all")]
        held = sum(lower <= true <= upper for _, true, _, lower, upper in own)
        error = 100 * median(abs(middle - true) for _, true, middle, _, _ in own)
        lines.append(f"| {part} | {100 * median(one[1] for one in own):.0f} % | {error:.1f} | {held} of {len(own)} |")
    return "\n".join(lines)


def drift_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tell alarms."""
    mine = [row for row in rows if row["kind"] == "drift"]
    after = [row["watched"] for row in rows if "watched" in row]
    lines = ["| stream | within | alarm |", "|---|---|---|"]
    for name, within in (("none", WATCHED), ("1 sd", WITHIN), ("2 sd", WITHIN), ("ramp", WATCHED)) if mine else ():
        firsts = [first for row in mine for first in row[name]]
        count = sum(first is not None and first <= within for first in firsts)
        lines.append(f"| {name} | {within} runs | {count} of {len(firsts)} |")
    for name, within in (("none", WATCHED), ("1 sd", WITHIN)) if after else ():
        count = sum(row[name] is not None and row[name] <= within for row in after)
        lines.append(f"| {name}, predicted after {RUNS} runs | {within} runs | {count} of {len(after)} |")
    return "\n".join(lines)


def run(kind: str, seed: int) -> list[Row]:
    """Compute a kind's rows of a seed."""
    if kind in ("none", "exact"):
        return [named_row(kind, NULLS * seed + number, (0.0, 0.0))[0] for number in range(NULLS)]
    if kind == "power":
        return [named_row(kind, seed, (effect, 0.0))[0] for effect in POWERS]
    kinds: dict[str, Callable[[int], Row]] = {"shares": shares_row, "drift": drift_row}
    return [kinds[kind](seed) if kind in kinds else planted_row(kind, seed)]


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write one row a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    kinds = [kind for kind in DESIGNED if kind != "fresh"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.twins", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/twins.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args(arguments)
    use_threads(1)
    rows = list[Row]()
    for kind in options.only:
        for seed in range(options.first, options.first + options.seeds):
            rows += run(kind, seed)
        write(options.json, rows)
        print(f"{kind} done", file=sys.stderr)
    print("\n\n".join((naming_table(rows), prediction_table(rows), shares_table(rows), drift_table(rows))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
