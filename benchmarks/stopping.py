"""How far stopping advice can be trusted, and what it saves: `python -m benchmarks.stopping --cache DIR [--json OUT] [--resume]`.

Campaigns on functions whose constants nobody can know from outside (`benchmarks.stopping_families`), each carried to the end
of its budget in batches of eight. After each batch the policy says what is left to find, as a campaign with `[stop]` has it
said; counted are how often the 80 % interval holds what really is left, and what a campaign that stops by the advice saves and
loses.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

from benchmarks.metrics import difference, paired_bootstrap
from benchmarks.stopping_families import FAMILIES, Case, drawn
from flows.plans.proposing import batch_seed
from models.threads import use_threads
from orchestrator.domain.stop import StopSpec
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings

BUDGET: Final = 32
BATCH: Final = 8
LOOKS: Final = range(BATCH, BUDGET + 1, BATCH)
"""After how many experiments the advice is judged."""
ROUNDING: Final = 1e-6
"""By which an interval may miss what is left: where nothing is, it is one of float noise."""
CAMPAIGNS: Final = 25
"""Of each family."""
DEVELOPMENT: Final = 1000
"""Functions from this number on were looked at while the advice was made; none of them is judged."""
NOISE_STREAM: Final = 11
RESAMPLES: Final = 2000

Row = dict[str, Any]


def policy_for(case: Case) -> BayesianPolicy:
    """Return the policy that carries a campaign on."""
    return BayesianPolicy(
        case.space, case.objective, BayesianSettings(initial=BATCH, search="together", restarts=2, raw_samples=64, mc_samples=128)
    )


def carried(family: str, number: int, cache: Path) -> list[Observation]:
    """Return what a campaign measures until its budget is spent, from the folder where it is there."""
    path = cache / f"{family}-{number}.json"
    if path.exists():
        return [Observation(*one) for one in json.loads(path.read_text(encoding="utf-8"))]
    case = drawn(family, number)
    policy, generator, found = policy_for(case), np.random.default_rng([NOISE_STREAM, number]), list[Observation]()
    while len(found) < BUDGET:
        asked = policy.propose(known(found), count=BATCH, seed=batch_seed(number, len(found) + 1))
        found += [case.measure(one.configuration, generator) for one in asked]
    cache.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([[dict(one.configuration), one.values, one.uncertainties] for one in found]), encoding="utf-8")
    return found


def known(found: Sequence[Observation]) -> Knowledge:
    """Return what a policy knows after some experiments."""
    return Knowledge(observations=tuple(found), excluded=tuple(one.configuration for one in found))


def judged(family: str, number: int, found: Sequence[Observation], looks: Sequence[int] = LOOKS) -> list[Row]:
    """Return what is said of a campaign after some of its experiments, and what is so."""
    case, rows = drawn(family, number), list[Row]()
    policy, rule = policy_for(case), StopSpec()
    truths = [case.truth(one.configuration) for one in found]
    for count in looks:
        said = policy.advice(known(found[:count]), improvement=rule.improvement, seed=batch_seed(number, count + 1))
        if said is not None:
            left = max(0.0, case.best - max(truths[:count]))
            rows.append({"family": family, "number": number, "count": count, "left": left, **said.model_dump()})
    return rows


def table(rows: Sequence[Row]) -> str:
    """Write how often the interval holds what is left, and what is expected and left on average."""
    lines = [
        "| campaigns | looks | 80 % interval holds | above it | below it | expected | left | rule holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    parts = {"all": list(rows)} | {family: [row for row in rows if row["family"] == family] for family in FAMILIES}
    parts |= {f"after {count}": [row for row in rows if row["count"] == count] for count in LOOKS}
    return "\n".join([*lines, *(_line(name, some) for name, some in parts.items() if some)])


def _line(name: str, rows: Sequence[Row]) -> str:
    above = fmean(row["left"] > row["high"] + ROUNDING for row in rows)
    below = fmean(row["left"] < row["low"] - ROUNDING for row in rows)
    means = (f"{fmean(row[column] for row in rows):.3f}" for column in ("expected", "left"))
    holds = fmean(row["chance"] < StopSpec().probability for row in rows)
    return f"| {name} | {len(rows)} | {_shared(rows)} | {above:.0%} | {below:.0%} | {' | '.join(means)} | {holds:.0%} |"


def _shared(rows: Sequence[Row]) -> str:
    """Return the coverage, and its 95 % interval where whole campaigns are resampled."""
    campaigns: dict[tuple[str, int], list[bool]] = {}
    for row in rows:
        held = row["low"] - ROUNDING <= row["left"] <= row["high"] + ROUNDING
        campaigns.setdefault((row["family"], row["number"]), []).append(held)
    generator, groups = random.Random(0), list(campaigns.values())
    drawn_again = sorted(fmean(held for group in generator.choices(groups, k=len(groups)) for held in group) for _ in range(RESAMPLES))
    low, high = drawn_again[int(0.025 * RESAMPLES)], drawn_again[int(0.975 * RESAMPLES)]
    return f"{fmean(held for group in groups for held in group):.0%} [{low:.0%}, {high:.0%}]"


def saved(rows: Sequence[Row]) -> str:
    """Say what a campaign that finishes by the rule saves in experiments and loses in regret, against its whole budget."""
    campaigns: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        campaigns.setdefault((row["family"], row["number"]), []).append(row)
    whole = [sorted(some, key=lambda row: row["count"]) for some in campaigns.values()]
    ends = [(next((row for row in some if row["chance"] < StopSpec().probability), some[-1]), some[-1]) for some in whole]
    pairs = [(float(stopped["count"]), float(last["count"])) for stopped, last in ends]
    lost = [(stopped["left"], last["left"]) for stopped, last in ends]
    early = sum(stopped["count"] < last["count"] for stopped, last in ends)
    experiments, regret = (paired_bootstrap({"all": some}, difference) for some in (pairs, lost))
    return f"{early} of {len(ends)} campaigns end early; experiments {experiments} a campaign, regret {regret}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stopping", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the campaigns; carried out where they are missing")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/stopping.json"))
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS, help="of each family")
    parser.add_argument("--first", type=int, default=0, help=f"number of the first function; {DEVELOPMENT} for those of development")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    parser.add_argument("--carry-only", action="store_true", help="carry the campaigns out and judge nothing")
    options = parser.parse_args(arguments)
    use_threads(1)
    rows: list[Row] = json.loads(options.json.read_text(encoding="utf-8"))["rows"] if options.resume and options.json.exists() else []
    for number in range(options.first, options.first + options.campaigns):
        for family in FAMILIES:
            found = carried(family, number, options.cache)
            if options.carry_only or any((row["family"], row["number"]) == (family, number) for row in rows):
                continue
            rows += judged(family, number, found)
            options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    if rows:
        print(table(rows), saved(rows), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
