"""Proposals of `search = "together"` beside those of `"apart"`: `python -m benchmarks.searches --cache DIR [--json OUT] [--resume]`.

Simulated CdSe campaigns, noise included, in the continuous space and in a table of it, without history and with the default
prior, with the example campaign's settings. Both arms get the same chemistry, the same noise and the same seeds. Counted is
the mean shortfall of the best score so far, without noise, from the best of the chemistry's 4,096 candidates; compared is the
ratio of mean shortfalls, with an interval that resamples campaigns.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from benchmarks.cdse import kept_rows, prior, write_rows
from benchmarks.cdse_pools import pool
from benchmarks.cdse_race import INITIAL, Race, seed_of
from benchmarks.metrics import Pairs, best_so_far, paired_bootstrap, ratio
from benchmarks.restricted import QUICK, Campaign, score
from flows.studies.cdse import cdse_space
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.threads import use_threads
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import AthanorError
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings

ARMS: Final = ("apart", "together")
CASES: Final = ("continuous", "table")
SURROGATES: Final = ("fresh-gp", "default")
"""Without and with a prior."""
TASKS: Final = 8
EXPERIMENTS: Final = 10
"""Of a campaign that adapts a prior; one without makes a design first."""
ROWS: Final = 512
"""Of the table: the first of the pool."""
SETUP: Final = {"experiments": EXPERIMENTS, "rows": ROWS, "settings": QUICK}

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the simulated pools; made where they are missing")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/searches.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        rows = races(options)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows))
    return 0


def races(options: argparse.Namespace) -> list[Row]:
    """Run what is missing; write each row at once.

    Raises:
        BadInput: The file to resume was made under another setup.
    """
    rows = kept_rows(options.json, SETUP) if options.resume else []
    done = {(row["case"], row["surrogate"], row["task"], row["seed"], row["arm"]) for row in rows}
    for seed, number, case, surrogate, arm in itertools.product(range(options.seeds), range(options.tasks), CASES, SURROGATES, ARMS):
        if (case, surrogate, number, seed, arm) not in done:
            shortfall = campaign(_race(number, options.cache), case, surrogate, arm, seed)
            rows.append({"case": case, "surrogate": surrogate, "task": number, "seed": seed, "arm": arm, "shortfall": shortfall})
            write_rows(options.json, SETUP, rows)
    return rows


def campaign(race: Race, case: str, surrogate: str, arm: str, seed: int) -> float:
    """Return the mean shortfall of one campaign after its design."""
    learner, initial = (GaussianProcessLearner(), INITIAL) if surrogate == SURROGATES[0] else (prior(race, surrogate), 0)
    settings = BayesianSettings(initial=initial, search="together" if arm == "together" else None, **QUICK)
    made = Campaign(race, BayesianPolicy(_space(race, case), race.objective, settings, learner), seed)
    for number in range(initial + EXPERIMENTS):
        (found,) = made.policy.propose(made.known, count=1, seed=seed_of(race.name, 100 * seed + number))
        made.measure(found.configuration)
    best = max(score(race, outcome) for outcome in race.pool.outcomes)
    return fmean(best - reached for reached in best_so_far([value for _, value in made.done])[initial:])


def _space(race: Race, case: str) -> SearchSpace:
    if case == CASES[0]:
        return cdse_space()
    return SearchSpace(parameters=race.space.parameters, candidates=race.pool.configurations[:ROWS])


@lru_cache(maxsize=TASKS)
def _race(number: int, cache: Path) -> Race:
    return Race(pool("inside", number, cache), number)


def table(rows: Sequence[Row]) -> str:
    """Write mean shortfalls and their ratio, one line per case and surrogate, and the ratio over all."""
    lines = ["| space | surrogate | campaigns | apart | together | ratio of shortfalls |", "|---|---|---|---|---|---|"]
    found: dict[str, Pairs] = {}
    for case, surrogate in itertools.product(CASES, SURROGATES):
        pairs = _pairs([row for row in rows if (row["case"], row["surrogate"]) == (case, surrogate)])
        if pairs:
            found[f"{case}, {surrogate}"] = pairs
            together, apart = (fmean(column) for column in zip(*pairs, strict=True))
            interval = paired_bootstrap({case: pairs}, ratio, geometric=True)
            lines.append(f"| {case} | {surrogate} | {len(pairs)} | {apart:.4f} | {together:.4f} | {interval} |")
    return "\n".join([*lines, "", f"all, geometric mean of the ratios: {paired_bootstrap(found, ratio, geometric=True)}"])


def _pairs(rows: Sequence[Row]) -> Pairs:
    known = {(row["task"], row["seed"], row["arm"]): float(row["shortfall"]) for row in rows}
    both = sorted({key[:2] for key in known if all((*key[:2], arm) in known for arm in ARMS)})
    return [(known[*key, "together"], known[*key, "apart"]) for key in both]


if __name__ == "__main__":
    sys.exit(main())
