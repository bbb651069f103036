"""Campaigns where a third gives nothing: `python -m benchmarks.feasibility --data DIR [--tasks N] [--seeds N] [--resume]`.

Compared are the rule that avoids the surroundings of infeasible configurations and learned feasibility, in the campaign's own
policy, each with the same space-filling first experiments. Judged tasks are

- `cdse/N`: simulated CdSe, hidden constants that nothing else here has seen. The example's ranges are widened far beyond those
  that its formulas were made for (to cold, fast and concentrated, where little forms and tubes clog), and the coldest
  candidates are left out so that 36 % give nothing. Wanted are a wavelength and a narrow line; up to four reasons.
- `sonochemical/WHAT`: the 625 measured syntheses of `nano_assembly/cdse.csv`, of which 36 % do not fluoresce; wanted is the
  brightest one, or one of a given wavelength.

Counted are the infeasible among experiments 16 to 40, and the regret of the best outcome so far, without noise, over all
experiments after the design; intervals resample whole tasks, then seeds. Seeds come outermost, so that what is there so far has
all tasks.
"""

import argparse
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Protocol

import numpy as np
from typing_extensions import override

from benchmarks.cdse import Row, kept_rows, write_rows
from benchmarks.cdse_pools import JUDGED_SEED
from benchmarks.metrics import RESAMPLES, Interval, Pairs, floored_ratio, ratio
from benchmarks.replay import proposal_seed
from flows.studies.cdse import CADMIUM_STOCK, LIGAND_STOCK, SELENIUM_STOCK, cdse_conditions
from flows.studies.emission_noise import EmissionNoise
from models.inputs.encoding import Encoding
from models.threads import use_threads
from orchestrator.domain.constraints import ExpressionConstraint
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import ContinuousParameter, DiscreteParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError, BadInput
from orchestrator.ports import Infeasible, Knowledge, Observation
from orchestrator.tablefile import read_table
from policies.bayesian import BayesianPolicy
from policies.sampling import SobolPoints, feasible
from policies.settings import BayesianSettings
from simulators.chemistry.cdse import CdSeOutcome, draw_task
from simulators.chemistry.cdse_batch import simulate_many
from simulators.chemistry.family import COMPLETED

RULE, LEARNED = "radius rule", "learned"
ARMS: Final[Mapping[str, BayesianSettings]] = {
    RULE: BayesianSettings(),
    LEARNED: BayesianSettings(feasibility="learned"),
}
EXPERIMENTS: Final = 40
COUNTED: Final = 15
"""Experiments before those whose infeasible share is counted."""
INITIAL: Final = 5
"""Of the policy's own design: one more than there are parameters."""
DRAWN: Final = 1024
"""Candidates of a simulated task before the coldest are left out."""
SHARE: Final = 0.36
"""Of the candidates, gives nothing."""
LEAST_POOL: Final = 400
LEAST_LIGAND: Final = 0.05
"""mol/L; the formulas have no tube without any."""
MIDDLE: Final = (0.25, 0.75)
"""Quantiles of what can be made between which a wanted wavelength is drawn."""
SONOCHEMICAL: Final = "08f35dc8290727dda35112a40ac33150d314b6dc7052d2745f1066f04fd6a3ad"
"""SHA-256 of `nano_assembly/cdse.csv`: inputs and outputs of github.com/pozzo-research-group/papers (qdots/data), joined."""
AMOUNTS: Final = ("oleylamine", "cadmium_acetate", "oleic_acid", "selenium")
DARK: Final = "no fluorescence"
WANTED: Final[Mapping[str, float | None]] = {"brightest": None, "450 nm": 450.0, "510 nm": 510.0, "570 nm": 570.0}


class Task(Protocol):
    """A table of candidates and what each would give."""

    @property
    def name(self) -> str:
        """Family and what tells it from others."""
        ...

    @property
    def space(self) -> SearchSpace:
        """The candidates."""
        ...

    @property
    def objective(self) -> Objective:
        """What is wanted."""
        ...

    @property
    def scores(self) -> tuple[float | None, ...]:
        """What each candidate is worth without noise; None where it gives nothing."""
        found = (
            None if self.reason(place) else self.objective.score(self.truth(place)) for place in range(len(self.space.candidates or ()))
        )
        return tuple(None if one is None else float(one) for one in found)

    def reason(self, place: int) -> str | None:
        """Return why a candidate gives nothing; None where it does."""
        ...

    def observe(self, place: int, generator: np.random.Generator) -> Observation:
        """Measure a candidate that gives something."""
        ...

    def truth(self, place: int) -> Mapping[str, float]:
        """Return what it would give without noise."""
        ...


@dataclass(frozen=True, eq=False)
class SimulatedTask(Task):
    """A hidden chemistry at widened conditions."""

    number: int

    @property
    @override
    def name(self) -> str:
        """Its number."""
        return f"cdse/{self.number}"

    @cached_property
    def _made(self) -> tuple[tuple[dict[str, float | str], ...], tuple[CdSeOutcome, ...]]:
        rows = widened_configurations(DRAWN, seed=JUDGED_SEED + self.number)
        constants = draw_task(np.random.default_rng([JUDGED_SEED, 2, self.number]))
        outcomes = simulate_many([cdse_conditions(row) for row in rows], constants)
        warmest = sorted(range(len(rows)), key=lambda place: -float(rows[place]["T"]))
        failed = np.cumsum([outcomes[place].reason != COMPLETED for place in warmest])
        enough = [count for count in range(LEAST_POOL, DRAWN + 1) if failed[count - 1] >= SHARE * count]
        kept = sorted(warmest[: min(enough, default=DRAWN)])
        return tuple(rows[place] for place in kept), tuple(outcomes[place] for place in kept)

    @cached_property
    @override
    def space(self) -> SearchSpace:
        """The candidates, within the range that they span."""
        rows, _ = self._made
        return SearchSpace(parameters=widened(min(float(row["T"]) for row in rows)), candidates=rows)

    @cached_property
    @override
    def objective(self) -> Objective:
        """Match a wavelength that can be made, with a narrow line."""
        peaks = [one.emission_nm for one in self._made[1] if one.reason == COMPLETED]
        centre = np.random.default_rng([JUDGED_SEED, 3, self.number]).uniform(*np.quantile(peaks, MIDDLE))
        wavelength = Target(name="wavelength", unit="nm", goal="match", value=round(float(centre), 1), tolerance="10 nm")
        return Objective(targets=(wavelength, Target(name="fwhm", unit="nm", goal="minimise", low=25, high=80)))

    @override
    def reason(self, place: int) -> str | None:
        found = self._made[1][place].reason
        return None if found == COMPLETED else found

    @override
    def observe(self, place: int, generator: np.random.Generator) -> Observation:
        return EmissionNoise().observe(self._made[0][place], self._made[1][place], generator)

    @override
    def truth(self, place: int) -> Mapping[str, float]:
        made = self._made[1][place]
        return {"wavelength": made.emission_nm, "fwhm": made.fwhm_nm}


def widened(coldest: float) -> tuple[ContinuousParameter, ...]:
    """Return the example's parameters with wider ranges."""
    return (
        ContinuousParameter(name="T", unit="degC", min=coldest, max=300),
        ContinuousParameter(name="tau", unit="s", min=2, max=180),
        ContinuousParameter(name="c_se", unit="mol/L", min=0.002, max=0.045),
        ContinuousParameter(name="ratio", min=0.3, max=6),
    )


def widened_configurations(count: int, *, seed: int) -> tuple[dict[str, float | str], ...]:
    """Return configurations all over the widened space that leave the tube some ligand."""
    room = SELENIUM_STOCK * (1 - LEAST_LIGAND / LIGAND_STOCK)
    ligand = ExpressionConstraint(expression=f"c_se + ratio * c_se * {SELENIUM_STOCK / CADMIUM_STOCK:g}", unit="mol/L", max=room)
    encoding = Encoding(SearchSpace(parameters=widened(40.0), constraints=(ligand,)))
    return tuple(islice(feasible(encoding, SobolPoints(encoding.latent, seed)), count))


@dataclass(frozen=True, eq=False)
class SonochemicalTask(Task):
    """The measured grid, with something wanted of it."""

    wanted: str
    table: tuple[Mapping[str, float | None], ...]

    @property
    @override
    def name(self) -> str:
        """What is wanted."""
        return f"sonochemical/{self.wanted}"

    @cached_property
    @override
    def space(self) -> SearchSpace:
        """The grid; the source states no unit of the amounts."""
        rows: list[dict[str, float | str]] = [{name: _number(row, name) for name in AMOUNTS} for row in self.table]
        parameters = tuple(DiscreteParameter(name=name, values=tuple(sorted({float(row[name]) for row in rows}))) for name in AMOUNTS)
        return SearchSpace(parameters=parameters, candidates=tuple(rows))

    @property
    @override
    def objective(self) -> Objective:
        """The logarithm of the intensity, or a wavelength."""
        value = WANTED[self.wanted]
        if value is None:
            return Objective(targets=(Target(name="log_intensity", goal="maximise"),))
        return Objective(targets=(Target(name="wavelength", unit="nm", goal="match", value=value, tolerance="10 nm"),))

    @override
    def reason(self, place: int) -> str | None:
        return None if self.table[place]["fluoresces"] else DARK

    @override
    def observe(self, place: int, generator: np.random.Generator) -> Observation:
        row: Configuration = {name: _number(self.table[place], name) for name in AMOUNTS}
        return Observation(row, self.truth(place))

    @override
    def truth(self, place: int) -> Mapping[str, float]:
        row = self.table[place]
        if WANTED[self.wanted] is None:
            return {"log_intensity": math.log10(_number(row, "fl_peak_intensity"))}
        return {"wavelength": _number(row, "fl_peak_nm")}


def _number(row: Mapping[str, float | None], name: str) -> float:
    found = row[name]
    assert found is not None, name
    return found


def sonochemical_table(data: Path) -> tuple[Mapping[str, float | None], ...]:
    """Read the measured grid.

    Raises:
        BadInput: There is no such file, or another one.
    """
    path = data / "nano_assembly" / "cdse.csv"
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != SONOCHEMICAL:
        raise BadInput(f"{path} is missing or another file; expected sha256 {SONOCHEMICAL}")
    names = (*AMOUNTS, "fluoresces", "fl_peak_nm", "fl_peak_intensity")
    rows = read_table(path, what=str(path)).rows
    return tuple({name: row[name].number() if str(row[name]) else None for name in names} for row in rows)


def campaign(task: Task, arm: str, seed: int) -> Row:
    """Run one campaign and count."""
    policy, generator = BayesianPolicy(task.space, task.objective, ARMS[arm]), np.random.default_rng([JUDGED_SEED, seed])
    places = {task.space.key(row): place for place, row in enumerate(task.space.candidates or ())}
    known, reasons, regrets, began = Knowledge(), list[str | None](), list[float](), time.perf_counter()
    scores, best = task.scores, -math.inf
    there = [score for score in scores if score is not None]
    for number in range(1, EXPERIMENTS + 1):
        (one,) = policy.propose(known, count=1, seed=proposal_seed(task.name, seed, number))
        place = places[task.space.key(one.configuration)]
        reasons.append(task.reason(place))
        if (score := scores[place]) is not None:
            best = max(best, score)
        regrets.append((max(there) - max(best, min(there))) / (max(there) - min(there)))
        known = _told(known, task, place, generator)
    return {
        "arm": arm,
        "task": task.name,
        "seed": seed,
        "share": round(1 - len(there) / len(places), 4),
        "infeasible": [place for place, reason in enumerate(reasons, start=1) if reason],
        "regret": [round(value, 6) for value in regrets],
        "s_per_experiment": round((time.perf_counter() - began) / EXPERIMENTS, 3),
    }


def _told(known: Knowledge, task: Task, place: int, generator: np.random.Generator) -> Knowledge:
    assert task.space.candidates is not None
    row, reason = task.space.candidates[place], task.reason(place)
    observed = known.observations if reason else (*known.observations, task.observe(place, generator))
    infeasible = (*known.infeasible, Infeasible(row, reason)) if reason else known.infeasible
    return Knowledge(observations=observed, infeasible=infeasible, excluded=(*known.excluded, row), as_of=known.as_of + 1)


def late_share(row: Row) -> float:
    """Return the infeasible share of the experiments that count."""
    numbers: list[int] = row["infeasible"]
    return sum(number > COUNTED for number in numbers) / (EXPERIMENTS - COUNTED)


def area(row: Row) -> float:
    """Return the mean regret over the experiments after the design."""
    after: list[float] = row["regret"][INITIAL:]
    return fmean(after)


def pairs_of(rows: Sequence[Row], family: str, value: Any) -> dict[str, list[tuple[float, float]]]:
    """Return, by task, (learned, rule) of the seeds that both have run."""
    found = {(row["arm"], row["task"], row["seed"]): value(row) for row in rows if row["task"].startswith(family)}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for (arm, task, seed), one in sorted(found.items()):
        if arm == LEARNED and (RULE, task, seed) in found:
            pairs.setdefault(task, []).append((one, found[RULE, task, seed]))
    return pairs


def over_tasks(pairs: Mapping[str, Pairs], statistic: Callable[[Sequence[Pairs]], float]) -> Interval:
    """Return a statistic of all tasks' pairs, with an interval that resamples whole tasks, then pairs within them."""
    generator, tasks = random.Random(0), list(pairs.values())
    drawn = sorted(
        statistic([generator.choices(one, k=len(one)) for one in generator.choices(tasks, k=len(tasks))]) for _ in range(RESAMPLES)
    )
    return Interval(statistic(tasks), drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES) - 1])


def pooled_ratio(tasks: Sequence[Pairs]) -> float:
    """Return mean learned / mean rule over all campaigns."""
    return ratio([pair for one in tasks for pair in one])


def geometric_ratio(tasks: Sequence[Pairs]) -> float:
    """Return the geometric mean over tasks of mean learned / mean rule."""
    return math.exp(fmean(math.log(floored_ratio(one)) for one in tasks))


def table(rows: Sequence[Row]) -> str:
    """Write shares and ratios, one line per family and one for both."""
    lines = [
        "| tasks | campaigns an arm | give nothing | infeasible, 16 to 40: radius rule | learned | ratio | regret, learned / rule |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, label in (("cdse/", "CdSe, widened"), ("sonochemical/", "sonochemical CdSe"), ("", "all")):
        shares, areas = pairs_of(rows, family, late_share), pairs_of(rows, family, area)
        if shares:
            every = [pair for one in shares.values() for pair in one]
            poor = fmean(row["share"] for row in rows if row["task"].startswith(family))
            learned, ruled = (100 * fmean(pair[side] for pair in every) for side in (0, 1))
            ratios = over_tasks(shares, pooled_ratio), over_tasks(areas, geometric_ratio)
            told = [f"{value:.0f} %" for value in (100 * poor, ruled, learned)]
            cells = (f"{label} ({len(shares)})", len(every), *told, *ratios)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feasibility", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds nano_assembly/cdse.csv")
    parser.add_argument("--tasks", type=int, default=6, help="simulated ones; the measured ones are four")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/feasibility.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    options = parser.parse_args(arguments)
    use_threads(1)
    try:
        rows = campaigns(options)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows))
    return 0


def campaigns(options: argparse.Namespace) -> list[Row]:
    """Run what is missing; write each row at once."""
    made = {"experiments": EXPERIMENTS, "drawn": DRAWN, "share": SHARE, "judged_seed": JUDGED_SEED, "sonochemical": SONOCHEMICAL}
    measured = sonochemical_table(options.data)
    tasks: list[Task] = [SimulatedTask(number) for number in range(options.tasks)]
    tasks += [SonochemicalTask(wanted, measured) for wanted in WANTED]
    rows = kept_rows(options.json, made) if options.resume else []
    done = {(row["arm"], row["task"], row["seed"]) for row in rows}
    for seed, task, arm in itertools.product(range(options.seeds), tasks, ARMS):
        if (arm, task.name, seed) not in done:
            rows.append(campaign(task, arm, seed))
            write_rows(options.json, made, rows)
    return rows


if __name__ == "__main__":
    sys.exit(main())
