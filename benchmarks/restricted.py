"""Searching what a restriction leaves: `python -m benchmarks.restricted --cache DIR [--json OUT] [--resume]`.

A simulated CdSe campaign makes some experiments all over its space; then somebody takes the half of the temperatures
away in which the best of them lies. From there on it is compared with a campaign that had that half from its start, on
the same chemistry, with as many experiments there: both by the campaign's own policy on the open space, in batches.
Looked at are the regret within what is allowed, how far apart the experiments of a batch are, and whether one of the
decision page's alternatives is worth more than the proposal beside which it stands.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

from benchmarks.cdse import prior
from benchmarks.cdse_pools import inside, pool
from benchmarks.cdse_race import INITIAL, Race, seed_of
from benchmarks.metrics import Interval, best_so_far, paired_bootstrap, ratio
from flows.studies.cdse import cdse_space, simulated_task
from flows.studies.emission_noise import EmissionNoise
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.threads import use_threads
from orchestrator.domain.distance import unlike
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.values import Configuration
from orchestrator.ports import Infeasible, Knowledge
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings
from simulators.chemistry.cdse import CdSeOutcome
from simulators.chemistry.family import COMPLETED

SEEDS: Final = 20
TASKS: Final = 4
"""Chemistries; a seed's is its remainder."""
BATCH: Final = 4
BEFORE: Final = 8
"""Experiments before the restriction."""
AFTER: Final = 8
"""Experiments in what is left, the same for both campaigns."""
MIDDLE: Final = 240.0
"""degC; the half of 200 to 280 that does not hold the best is left."""
LEVEL: Final = 0.9
QUICK: Final = {"restarts": 1, "raw_samples": 64, "mc_samples": 64}
"""The example campaign's own settings."""
ARMS: Final = ("fresh-gp", "default")
"""Without and with a prior."""

Row = dict[str, Any]


@dataclass
class Campaign:
    """What has been done on one chemistry."""

    race: Race
    policy: BayesianPolicy
    seed: int
    known: Knowledge = field(default_factory=Knowledge)
    done: list[tuple[Configuration, float]] = field(default_factory=list)
    """Configurations and their scores without noise."""
    alike: int = 0
    """Proposals that the bench cannot tell from another of their batch."""
    below: list[float] = field(default_factory=list)
    """By how much, in log units, an alternative was worth more than its proposal; 0 where none was."""

    def go_on(self, batches: int, *, explained: int = 0) -> None:
        """Propose and carry out batches; the first few of them with their decision page."""
        for number in range(batches):
            seed = seed_of(self.race.name, 100 * self.seed + len(self.done))
            batch = self.policy.propose(self.known, count=BATCH, seed=seed)
            rows = [one.configuration for one in batch]
            self.alike += sum(not unlike(self.policy.space, row, rows[:index]) for index, row in enumerate(rows))
            if number < explained:
                pages = self.policy.explain(self.known, rows, seed=seed)
                pairs = [(one, other) for one, page in zip(batch, pages, strict=False) for other in page.alternatives]
                worth = [(one.acquisition, other.acquisition) for one, other in pairs]
                self.below += [max(0.0, other - own) for own, other in worth if own is not None and other is not None]
            for row in rows:
                self.measure(row)

    def measure(self, row: Configuration) -> None:
        """Carry out one experiment."""
        constants = inside(self.race.number)
        (outcome,) = simulated_task(self.race.name, constants, (dict(row),)).outcomes
        generator = np.random.default_rng([self.race.number, self.seed, len(self.done)])
        self.done.append((row, score(self.race, outcome)))
        asked = (*self.known.excluded, row)
        if outcome.reason == COMPLETED:
            observed = EmissionNoise().observe(row, outcome, generator)
            self.known = replace(self.known, observations=(*self.known.observations, observed), excluded=asked)
        else:
            self.known = replace(self.known, infeasible=(*self.known.infeasible, Infeasible(row, outcome.reason)), excluded=asked)


def score(race: Race, outcome: CdSeOutcome) -> float:
    """Return the objective without noise; 0, the worst, where nothing can be measured."""
    if outcome.reason != COMPLETED:
        return 0.0
    return float(race.objective.score({"wavelength": outcome.emission_nm, "fwhm": outcome.fwhm_nm}))


@lru_cache(maxsize=TASKS)
def _race(number: int, cache: Path) -> Race:
    return Race(pool("inside", number, cache), number)


def compare(arm: str, seed: int, cache: Path) -> Row:
    """Run the restricted campaign and the one that had the space from its start."""
    race = _race(seed % TASKS, cache)
    learner, initial = (GaussianProcessLearner(), INITIAL) if arm == ARMS[0] else (prior(race, arm), 0)
    policy = BayesianPolicy(cdse_space(), race.objective, BayesianSettings(initial=initial, **QUICK), learner)
    late = Campaign(race, policy, seed)
    late.go_on(BEFORE // BATCH)
    best, _ = max(late.done, key=lambda one: one[1])
    restriction = _other_half(float(best["T"]))
    late.known = replace(late.known, restrictions=(restriction,))
    late.go_on(AFTER // BATCH, explained=1)
    early = Campaign(race, policy, 1000 + seed, Knowledge(restrictions=(restriction,)))
    early.go_on(AFTER // BATCH, explained=2 if initial else 1)  # a design has no alternatives
    return _row(arm, seed, Region(cdse_space(), (restriction,)), late, early)


def _other_half(temperature: float) -> Restriction:
    left = Allowed(max=MIDDLE) if temperature > MIDDLE else Allowed(min=MIDDLE)
    return Restriction(restriction_id="1", campaign="benchmark", number=1, author="Ada", columns={"T": left})


def _row(arm: str, seed: int, region: Region, late: Campaign, early: Campaign) -> Row:
    race = late.race
    pairs = zip(race.pool.configurations, race.pool.outcomes, strict=True)
    allowed = [score(race, outcome) for row, outcome in pairs if region.complaint(row) is None]
    inside_before = [value for row, value in late.done[:BEFORE] if region.admits(row)]
    runs = {"late": [value for _, value in late.done[BEFORE:]], "early": [value for _, value in early.done]}
    top = max(*allowed, *inside_before, *runs["late"], *runs["early"])
    start = max(inside_before, default=0.0)
    found = {"late": [max(start, value) for value in best_so_far(runs["late"])], "early": best_so_far(runs["early"])}
    return {
        "surrogate": arm,
        "seed": seed,
        "task": race.name,
        "allowed_T": region.restrictions[0].columns["T"].shown("degC"),
        "regret": {name: round(fmean(top - value for value in one) / top, 5) for name, one in found.items()},
        "last": {name: round((top - one[-1]) / top, 5) for name, one in found.items()},
        "alike": late.alike + early.alike,
        "below": round(max((*late.below, *early.below), default=0.0), 9),
        "alternatives": len(late.below) + len(early.below),
    }


def interval(rows: Sequence[Row], arm: str, what: str) -> Interval:
    """Return mean regret of the restricted campaign over that of the other, with an interval that resamples the seeds."""
    pairs = [(row[what]["late"], row[what]["early"]) for row in rows if row["surrogate"] == arm]
    return paired_bootstrap({arm: pairs}, ratio, level=LEVEL)


def table(rows: Sequence[Row]) -> str:
    """Write one line per arm."""
    heads = ["surrogate", "seeds", "regret, restricted", "from the start", "ratio [90 %]", "ratio after the last", "alike", "below"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for arm in ARMS:
        mine = [row for row in rows if row["surrogate"] == arm]
        if mine:
            late, early = (fmean(row["regret"][name] for row in mine) for name in ("late", "early"))
            worst = max(row["below"] for row in mine)
            cells = [arm, len(mine), f"{late:.3f}", f"{early:.3f}", interval(mine, arm, "regret"), interval(mine, arm, "last")]
            lines.append(f"| {' | '.join(map(str, cells))} | {sum(row['alike'] for row in mine)} | {worst:.2g} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restricted", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the simulated pools; made where they are missing")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/restricted.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    options = parser.parse_args(arguments)
    use_threads(1)
    rows: list[Row] = json.loads(options.json.read_text(encoding="utf-8"))["rows"] if options.resume and options.json.exists() else []
    done = {(row["surrogate"], row["seed"]) for row in rows}
    for arm, seed in itertools.product(ARMS, range(options.seeds)):
        if (arm, seed) not in done:
            rows.append(compare(arm, seed, options.cache))
            body = ",\n".join(json.dumps(row) for row in rows)
            setup = {"before": BEFORE, "after": AFTER, "batch": BATCH, "tasks": TASKS, "settings": QUICK}
            options.json.write_text(f'{{"setup": {json.dumps(setup)},\n"rows": [\n{body}\n]}}\n', encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
