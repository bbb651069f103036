"""How far stopping advice can be trusted, and what it saves: `python -m benchmarks.stopping --cache DIR --json OUT [--resume]`.

Campaigns on functions whose constants nobody can know from outside (`benchmarks.stopping_families`), each carried to the end
of its budget in batches of four. After each batch the policy says what is left to find, as a campaign with `[stop]` has it said;
counted are how often the 80 % interval holds what really is left, and what a campaign that stops by the advice saves and loses.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.stopping_families import FAMILIES, Case, drawn
from flows.plans.proposing import batch_seed
from models.threads import use_threads
from orchestrator.domain.stop import StopSpec
from orchestrator.ports import Knowledge, Observation
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings

BUDGET: Final = 20
BATCH: Final = 4
LOOKS: Final = range(2 * BATCH, BUDGET + 1, BATCH)
"""After how many experiments the advice is judged: after each batch of the model's."""
CAMPAIGNS: Final = 25
"""Of each family."""
DEVELOPMENT: Final = 1000
"""Functions from this number on were looked at while the advice was made; none of them is judged."""
NOISE_STREAM: Final = 11

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
    return 0


if __name__ == "__main__":
    sys.exit(main())
