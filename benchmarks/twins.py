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
    early      charts after a fit to the first 30 runs instead of 60, one factor planted
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from models.twin.pairs import Conditions, Pairs
from models.twin.posterior import corrected
from models.twin.sequential import innovations, predictions, recalibrated
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
STEEP: Final = 4.0
AGED: Final = 2.0
"""Prior standard deviations by which a constant has moved by run `WATCHED`."""
EARLY: Final = 30
"""Runs that charts are begun from, where these are few."""
DESIGNED: Final = {"one": 1, "two": 2, "none": 3, "power": 4, "shares": 5, "fresh": 6, "drift": 7, "exact": 8, "early": 9}
"""Keeps the seeds of the kinds apart."""
LEARNED: Final = {RUNS: ("one", "two"), EARLY: ("early",)}
"""Runs that charts were begun from -> kinds of rows."""
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
            row |= {"watched": _watched(made, fitted, seed), "followed": _followed(made, fitted, seed)}
    return row


def _watched(made: Made, fitted: Model, seed: int) -> dict[str, int | None]:
    """Return the first alarm over as many new runs in time, in which the readings shift, or do not."""
    conditions, _, truth, noise = _new_runs(made, seed)
    y, sd = truth + noise, made.world.noise(truth)
    ramp = torch.arange(1, WATCHED + 1, dtype=torch.float64) / WATCHED
    ones = torch.ones_like(ramp)
    shifts = {"none": 0.0 * ones, "0.5 sd": 0.5 * ones, "1 sd": ones, "2 sd": 2.0 * ones, "ramp": RAMP * ramp}
    streams = innovations(fitted, conditions, torch.stack([y + shift * sd for shift in shifts.values()]))
    return {name: _first(z) for name, z in zip(shifts, streams, strict=True)}


def _new_runs(made: Made, seed: int) -> tuple[Conditions, tuple[Tensor, Tensor], Tensor, Tensor]:
    """Draw new runs in time: their conditions, controls and channels, the truth and the noise."""
    generator = torch.Generator().manual_seed(1_000_000 * DESIGNED["drift"] + seed)
    X, Z = torch.rand(WATCHED, 3, generator=generator, dtype=torch.float64), environment(generator, WATCHED)
    conditions, truth = made.world.conditions(X, Z, (f"L{LOTS - 1}",) * WATCHED, own=True), made.world.truth(X, Z)
    noise = made.world.noise(truth) * torch.randn(WATCHED, generator=generator, dtype=torch.float64)
    return conditions, (X, Z), truth, noise


def _followed(made: Made, fitted: Model, seed: int) -> Row:
    """Return errors against the truth without noise of the twin corrected once and of that recalibrated with each run, by drift."""
    conditions, (X, Z), still, noise = _new_runs(made, seed)
    ramp = torch.arange(1, WATCHED + 1, dtype=torch.float64) / WATCHED
    sd, once, found = made.world.noise(still), predictions(fitted, conditions), {}
    truths = {"none": still, "ramp": still + RAMP * ramp * sd, "steep ramp": still + STEEP * ramp * sd, "constant": _aged(made, X, Z, ramp)}
    for name, truth in truths.items():
        rolling = recalibrated(fitted, conditions, truth + noise)
        found[name] = [round(float((said - truth).square().mean().sqrt()), 5) for said in (once, rolling)]
    return found


def _aged(made: Made, X: Tensor, Z: Tensor, ramp: Tensor) -> Tensor:
    """Return the truth of runs in which the first constant moves away, by so many of its prior's deviations by the last run."""
    world, ways = made.world, AGED * made.world.plant.sds[0] * ramp
    moved = [replace(world, off=world.off + torch.tensor([way, 0.0], dtype=torch.float64)) for way in ways.tolist()]
    return torch.cat([one.truth(X[[row]], Z[[row]]) for row, one in enumerate(moved)])


def early_row(seed: int) -> Row:
    """Watch new runs after a fit to the first half."""
    _, made, problem, _ = named_row("early", seed, (1.0, 0.0))
    pairs = made.pairs
    first = Pairs(pairs.conditions.rows(slice(EARLY)), pairs.observed[:EARLY], (), pairs.repeats[:EARLY])
    half = Problem.of(first, problem.scale)
    return {"kind": "early", "seed": seed, "watched": _watched(made, taken_up(half, find(half, seed=seed).model.groups), seed)}


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
    after = {learned: [row["watched"] for row in rows if "watched" in row and row["kind"] in kinds] for learned, kinds in LEARNED.items()}
    lines = ["| stream | within | alarm |", "|---|---|---|"]
    for name, within in (("none", WATCHED), ("1 sd", WITHIN), ("2 sd", WITHIN), ("ramp", WATCHED)) if mine else ():
        firsts = [first for row in mine for first in row[name]]
        count = sum(first is not None and first <= within for first in firsts)
        lines.append(f"| {name} | {within} runs | {count} of {len(firsts)} |")
    for learned, some in after.items():
        for name in some[0] if some else ():
            within = WATCHED if name in ("none", "ramp") else WITHIN
            count = sum(row[name] is not None and row[name] <= within for row in some)
            lines.append(f"| {name}, predicted after {learned} runs | {within} runs | {count} of {len(some)} |")
    return "\n".join(lines)


def following_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tell errors of the twin recalibrated with each run over those of the twin corrected once, median over seeds."""
    lines = ["| drift | error over that corrected once, median [quartiles] | worse in |", "|---|---|---|"]
    mine = [row["followed"] for row in rows if "followed" in row]
    for name in mine[0] if mine else ():
        ratios = torch.tensor([rolling / once for once, rolling in (row[name] for row in mine)])
        low, middle, high = ratios.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        lines.append(f"| {name} | {middle:.2f} [{low:.2f}, {high:.2f}] | {int((ratios > 1).sum())} of {len(mine)} |")
    return "\n".join(lines)


def run(kind: str, seed: int) -> list[Row]:
    """Compute a kind's rows of a seed."""
    if kind in ("none", "exact"):
        return [named_row(kind, NULLS * seed + number, (0.0, 0.0))[0] for number in range(NULLS)]
    if kind == "power":
        return [named_row(kind, seed, (effect, 0.0))[0] for effect in POWERS]
    kinds: dict[str, Callable[[int], Row]] = {"shares": shares_row, "drift": drift_row, "early": early_row}
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
    print("\n\n".join((naming_table(rows), prediction_table(rows), shares_table(rows), drift_table(rows), following_table(rows))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
