"""Lipid nanoparticles with and without a prior: `python -m benchmarks.lnp --prior FILE.pt --json OUT [--resume]`.

The chemistry is the example package's (`examples/lnp`), read from there; the prior is the one of its `prior.toml`, made by
`make demo-lnp` or `athanor meta-train`. Judged lipids are draws of hidden constants that the prior has not
seen. Counted are experiments until the noise-free outcome is one of the best candidates of a lipid's pool, censored; compared
are restricted means, with an interval that resamples whole lipids. Seeds come outermost, so that what is there so far has
all lipids.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

PACKAGE: Final = Path(__file__).parents[1] / "examples" / "lnp"
sys.path.insert(0, str(PACKAGE))

from lipid_mixing.family import configurations, draw_lipid, mixtures, observe  # noqa: E402
from lipid_mixing.measuring import SECONDS_PER_DAY, Habits, Seen, room  # noqa: E402
from lipid_mixing.mixing import COMPLETED, Lipid, mix  # noqa: E402

from benchmarks.cdse import Row, kept_rows, ratio_of_means, write_rows  # noqa: E402
from benchmarks.cdse_race import INITIAL, PoolPolicy, seed_of  # noqa: E402
from flows.plans.policy import learner_of  # noqa: E402
from models.base import Learner  # noqa: E402
from models.gaussian_processes.single_task import GaussianProcessLearner  # noqa: E402
from models.meta_learning.checkpoint import load_prior  # noqa: E402
from models.threads import use_threads  # noqa: E402
from orchestrator.domain.campaign import CampaignFile, load_campaign  # noqa: E402
from orchestrator.domain.objective import Objective  # noqa: E402
from orchestrator.domain.space import SearchSpace  # noqa: E402
from orchestrator.domain.values import Configuration  # noqa: E402
from orchestrator.errors import AthanorError, BadInput  # noqa: E402
from orchestrator.ports import Infeasible, Knowledge, Observation, Policy  # noqa: E402

POOL: Final = 1024
BEST: Final = 8
"""Candidates that count as the target: 0.8 % of the pool."""
CENSORED: Final = 30
JUDGED_SEED: Final = 2026
"""Another than the prior's."""
PER_DAY: Final = 6
"""Experiments a day, by which the room's weather and the sizer's drift go on."""
YARDSTICK, PRIOR = "fresh-gp", "prior"


@dataclass(frozen=True)
class LipidPool:
    """One hidden lipid, tried without noise at every candidate."""

    number: int

    @property
    def name(self) -> str:
        """Classes and number."""
        return f"{self.lipid.ionisable}/{self.lipid.anchor}/{self.number}"

    @cached_property
    def lipid(self) -> Lipid:
        """The hidden constants."""
        return draw_lipid(np.random.default_rng([JUDGED_SEED, self.number]))

    @cached_property
    def configurations(self) -> tuple[dict[str, float | str], ...]:
        """All candidates."""
        return tuple({**row} for row in configurations(POOL, JUDGED_SEED + 1009 * self.number))

    def seen(self, row: Configuration, kelvin: float, hold: float) -> Seen | None:
        """Return what is there after one experiment; None where it failed."""
        made = mix(mixtures([{name: float(value) for name, value in row.items()}], kelvin, hold), self.lipid)
        there = made.reason[0] == COMPLETED
        return Seen(float(made.diameter[0]), float(made.pdi[0]), float(made.encapsulation[0])) if there else None


@dataclass(frozen=True)
class LipidRace:
    """A judged lipid: where everything lies, and what is to be found."""

    pool: LipidPool

    @property
    def objective(self) -> Objective:
        """The example campaign's."""
        return Objective(targets=_campaign().spec.targets)

    @cached_property
    def space(self) -> SearchSpace:
        """The pool as a table of candidates."""
        return SearchSpace(parameters=_campaign().spec.parameters, candidates=self.pool.configurations)

    @cached_property
    def index(self) -> dict[object, int]:
        """Key of a configuration -> its place in the pool."""
        return {self.space.key(row): place for place, row in enumerate(self.pool.configurations)}

    @cached_property
    def scores(self) -> list[float]:
        """The objective at each candidate without noise, in a still room; minus infinity where it fails."""
        rows = [{name: float(value) for name, value in row.items()} for row in self.pool.configurations]
        still = room(0, 0.0, still=True)
        made = mix(mixtures(rows, still.kelvin, still.hold), self.pool.lipid)
        values = zip(made.reason, made.diameter, made.pdi, made.encapsulation, strict=True)
        score = self.objective.score
        return [
            float(score({"size": float(size), "pdi": float(pdi), "encapsulation": float(inside)})) if reason == COMPLETED else -np.inf
            for reason, size, pdi, inside in values
        ]

    @cached_property
    def wanted(self) -> float:
        """The score of the worst candidate that counts as the target."""
        return sorted(self.scores, reverse=True)[BEST - 1]


@lru_cache(maxsize=1)
def _campaign() -> CampaignFile:
    return load_campaign(PACKAGE / "bench" / "campaign.toml")


def run(race: LipidRace, policy: Policy, seed: int, most: int = CENSORED) -> int | None:
    """Experiment until the target is reached; return how many experiments it took, None where there are no more than `most`."""
    own = JUDGED_SEED + 31 * race.pool.number + seed
    habits, generator = Habits(own), np.random.default_rng([own, 9])
    asked: list[Configuration] = []
    observed: list[Observation] = []
    infeasible: list[Infeasible] = []
    for number in range(1, most + 1):
        known = Knowledge(observations=tuple(observed), infeasible=tuple(infeasible), excluded=tuple(asked), as_of=number)
        row = policy.propose(known, count=1, seed=seed_of(race.pool.name, seed))[0].configuration
        if race.scores[race.index[race.space.key(row)]] >= race.wanted:
            return number
        asked.append(row)
        lab_s = (number - 1) // PER_DAY * SECONDS_PER_DAY
        day = room(own, lab_s)
        seen = race.pool.seen(row, day.kelvin, day.hold)
        found = None if seen is None else observe({k: float(v) for k, v in row.items()}, seen, lab_s, habits, generator)
        if found is None:
            infeasible.append(Infeasible(row))
        else:
            observed.append(found)
    return None


def races(options: argparse.Namespace) -> list[Row]:
    """Run what is missing; write each row at once."""
    prior, sha256 = _prior(options.prior)
    made = {"pool": POOL, "best": BEST, "censored": CENSORED, "judged_seed": JUDGED_SEED, "prior": sha256}
    rows = kept_rows(options.json, made) if options.resume else []
    done = {(row["surrogate"], row["task"], row["seed"]) for row in rows}
    for seed, number, arm in itertools.product(range(options.seeds), range(options.tasks), (PRIOR, YARDSTICK)):
        if (arm, number, seed) in done:
            continue
        race = LipidRace(LipidPool(number))
        learner: Learner = prior if arm == PRIOR else GaussianProcessLearner()
        began = time.perf_counter()
        count = run(race, PoolPolicy(race, learner, 0 if arm == PRIOR else INITIAL), seed)
        seconds = round((time.perf_counter() - began) / (count or CENSORED), 3)
        told: Row = {"surrogate": arm, "task": number, "name": race.pool.name, "seed": seed, "experiments": count}
        rows.append({**told, "s_per_experiment": seconds})
        write_rows(options.json, made, rows)
    return rows


def _prior(path: Path) -> tuple[Learner, str]:
    if not path.exists():
        raise BadInput(f"there is no prior {path}; `make demo-lnp` makes it, or `athanor meta-train` on the example's prior.toml")
    campaign, file = _campaign(), load_prior(path)
    space = SearchSpace(parameters=campaign.spec.parameters)
    learner = learner_of(space, Objective(targets=campaign.spec.targets), campaign.spec.surrogate, file)
    assert learner is not None
    return learner, file.sha256


def table(rows: Sequence[Row]) -> str:
    """Write restricted means, how many arrived, and the ratio with its interval over lipids."""
    counts = {(row["surrogate"], row["task"], row["seed"]): row["experiments"] or CENSORED for row in rows}
    tasks = sorted({row["task"] for row in rows})
    pairs = [
        [(counts[PRIOR, task, seed], value) for (arm, one, seed), value in counts.items() if (arm, one) == (YARDSTICK, task)]
        for task in tasks
        if any((YARDSTICK, task, seed) in counts for seed in range(100))
    ]
    lines = ["| arm | runs | mean experiments | arrived |", "|---|---|---|---|"]
    for arm in (YARDSTICK, PRIOR):
        own: list[Any] = [row["experiments"] for row in rows if row["surrogate"] == arm]
        lines.append(f"| {arm} | {len(own)} | {fmean(one or CENSORED for one in own):.1f} | {sum(one is not None for one in own)} |")
    return "\n".join([*lines, "", f"ratio of restricted means over {len(pairs)} lipids: {ratio_of_means(pairs)}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lnp", description=__doc__)
    parser.add_argument("--prior", type=Path, required=True, help="made from the example's prior.toml")
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/lnp.json"))
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


if __name__ == "__main__":
    sys.exit(main())
