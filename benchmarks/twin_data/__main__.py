"""`python -m benchmarks.twin_data [--data DIR] [--json OUT] [--seeds N] [--first SEED] [--only KIND ...]`: rows as JSON, then tables.

Kinds: corona, dyes, gaps, ageing, crystals (what was recorded, planted effects, humidities given to other plates).
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.metrics import Interval
from benchmarks.twin_data.ageing import aged, rolling, watched_rounds
from benchmarks.twin_data.cases import Case
from benchmarks.twin_data.corona import corona
from benchmarks.twin_data.crystals import HUMIDITY, crystals, planted, shuffled
from benchmarks.twin_data.dyes import dyes
from benchmarks.twin_data.gaps import gaps
from benchmarks.twin_data.judging import Judged, explained, folds, judge, left_out
from models.threads import use_threads
from models.twin.analysis import on_scale
from models.twin.factors import find
from models.twin.groups import groups
from models.twin.model import Problem, model

SEEDS: Final = 100
"""Of planted effects; of wells as they were recorded a fifth, of draws of dyes and of gaps a part in 33."""
PARTS: Final = 3
"""Parts of the scaffolds, or of the chemical systems, of which each is left out once."""
NAMED: Final = 600
"""Rows from which is named, about."""
SEVERAL: Final = 4
"""Solvents of a dye from which it counts for what the solvent does."""
Row = dict[str, Any]


def judged_row(kind: str, case: Case, found: Judged, seed: int | None = None) -> Row:
    """Tell errors over those of the affine map, and coverage."""
    row: Row = {"kind": kind, "case": case.name, "rows": len(found.measured), "groups": len(set(found.groups)), "seed": seed}
    row |= {f"{who} over affine": _told(found.ratio(who)) for who in ("corrected", "twin")}
    row |= {who: _told(found.error(who)) for who in ("corrected", "affine", "twin")}
    if found.shown:
        row["shown over affine"] = _told(found.ratio("shown"))
    return row | {"held": _told(found.coverage()), "affine held": _told(found.coverage("affine_held"))}


def _told(one: Interval) -> list[float]:
    return [round(one.value, 4), round(one.low, 4), round(one.high, 4)]


def corona_rows(data: Path | None, seeds: Sequence[int]) -> list[Row]:
    """Judge with families left out, and with ligands."""
    del seeds  # there is one way to leave out each family
    made = []
    for proteins in (True, False):
        case = corona(data, proteins=proteins)
        found = judge(case, left_out(case), shown=True)
        made.append(judged_row("corona", case, found))
        made += [judged_row("corona", case, _of(found, family)) | {"family": family} for family in dict.fromkeys(case.groups)]
        made.append({"kind": "corona named", "case": case.name, **explained(case)})
    case = corona(data, by="ligand")
    return [*made, judged_row("corona", case, judge(case, folds(case, PARTS, seed=0), shown=True))]


def _of(found: Judged, group: str) -> Judged:
    at = [row for row, one in enumerate(found.groups) if one == group]
    return Judged(*([values[row] for row in at] for values in vars(found).values() if values))


def drawn_rows(kind: str, draw: Callable[[int], Case], seeds: Sequence[int]) -> list[Row]:
    """Judge draws, all together and each."""
    together, made, case = Judged(), list[Row](), draw(seeds[0])
    for seed in seeds:
        case = draw(seed)
        found = judge(case, folds(case, PARTS, seed=seed))
        made.append(judged_row(kind, case, found, seed))
        for name, values in vars(together).items():
            values += vars(found)[name]
    return [*made, judged_row(f"{kind}, all draws", case, together)]


def dyes_rows(data: Path | None, seeds: Sequence[int]) -> list[Row]:
    """Judge with scaffolds left out, and name what the solvent does to dyes in several."""
    own = _part(seeds, 33)
    named = [(dyes(data, count=NAMED, seed=seed, least=SEVERAL), seed) for seed in own]
    made = [{"kind": "dyes named", "case": case.name, "rows": len(case), "seed": seed, **explained(case)} for case, seed in named]
    return [*drawn_rows("dyes", lambda seed: dyes(data, seed=seed), own), *made]


def gaps_rows(data: Path | None, seeds: Sequence[int]) -> list[Row]:
    """Judge with chemical systems left out, and name."""
    own = _part(seeds, 33)
    made = [{"kind": "gaps named", "seed": seed, **explained(gaps(data, count=NAMED, seed=seed))} for seed in own]
    return [*drawn_rows("gaps", lambda seed: gaps(data, seed=seed), own), *made]


def ageing_rows(data: Path | None, seeds: Sequence[int]) -> list[Row]:
    """Judge with rounds left out, with rounds to come, and watch."""
    del seeds  # nothing is drawn
    case = aged(data)
    made = [judged_row("ageing, each round left out", case, judge(case, left_out(case), shown=True))]
    made.append(judged_row("ageing, the round to come", case, judge(case, rolling(case))))
    made += [{"kind": "ageing watched", **watched_rounds(case, batches=told)} for told in (True, False)]
    return [*made, {"kind": "ageing named", **explained(case)}]


def crystals_rows(data: Path | None, seeds: Sequence[int]) -> list[Row]:
    """Name with what was recorded, with effects planted, and with humidities that other plates had."""
    made = list[Row]()
    for seed in _part(seeds, 5):
        case = crystals(data, seed=seed)
        made.append({"kind": "crystals", "seed": seed, "rows": len(case), "plates": len(set(case.batches)), **explained(case)})
    for seed in seeds:
        case = shuffled(crystals(data, seed=seed), seed=seed)
        noise = well_to_well(case)
        for effect in (2.0, 0.0):
            made.append({"kind": "crystals planted", "seed": seed, "effect": effect, **humidity_of(planted(case, effect, noise), seed)})
    return made


def well_to_well(case: Case) -> float:
    """Return the deviation of wells on a plate beyond what their recipes explain."""
    pairs = case.pairs(range(len(case)), case.predicted(range(len(case))))
    return model(Problem.of(pairs, "additive"), groups(pairs)[:1]).noise ** 0.5


def humidity_of(case: Case, seed: int) -> Row:
    """Say whether humidity is named."""
    every = range(len(case))
    found = find(on_scale(case.pairs(every, case.predicted(every)))[0], seed=seed)
    return {"named": any(HUMIDITY in one.together for one in found.named), "p": found.p_values[HUMIDITY]}


def _part(seeds: Sequence[int], by: int) -> Sequence[int]:
    return seeds[: max(1, len(seeds) // by)]


KINDS: Final[Mapping[str, Callable[[Path | None, Sequence[int]], list[Row]]]] = {
    "corona": corona_rows,
    "ageing": ageing_rows,
    "gaps": gaps_rows,
    "dyes": dyes_rows,
    "crystals": crystals_rows,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.twin_data", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/twin_data.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args(arguments)
    use_threads(1)
    rows = list[Row]()
    for kind in options.only:
        rows += KINDS[kind](options.data, range(options.first, options.first + options.seeds))
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
        print(f"{kind} done", file=sys.stderr, flush=True)
    for row in rows:
        print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
