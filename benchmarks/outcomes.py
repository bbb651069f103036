"""Campaigns with limits on what comes out: `python -m benchmarks.outcomes --data DIR [--seeds N] [--resume]`.

Compared are, in the campaign's own policy without a prior and with the same space-filling first experiments,

- `limits`: the limits as `[[outcomes]]` with their default probability;
- `no switch`: the same with so small a probability that whatever may keep the limits in some draw is improved on from the start;
- `penalty`: one target, the objective less a penalty for what is beyond a limit, as one helps oneself without `[[outcomes]]`;
- `free`: the objective alone.

Judged tasks are pools: simulated CdSe with hidden constants that nothing else here has seen (a wavelength is wanted, the line is
to be narrow), and the measured lipid nanoparticles (a replicate is drawn; judged is the mean). Counted are, after the design, the
share of experiments that keep the limits, and the regret of the best experiment so far that keeps them, both without noise.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Protocol

import numpy as np
from typing_extensions import override

from benchmarks.cdse import Row, kept_rows, write_rows
from benchmarks.cdse_pools import JUDGED_SEED
from benchmarks.metrics import difference, floored_ratio, paired_bootstrap
from benchmarks.replay import proposal_seed
from flows.studies.cdse import cdse_conditions, cdse_configurations, cdse_space
from flows.studies.emission_noise import EmissionNoise
from models.threads import use_threads
from orchestrator.datasets import load_table
from orchestrator.domain.objective import Objective, Outcome, Target
from orchestrator.domain.parameters import CategoricalParameter, DiscreteParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import AthanorError
from orchestrator.ports import Knowledge, Observation
from orchestrator.recorded import RecordedPool, recorded_pool
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings
from simulators.chemistry.cdse import draw_task
from simulators.chemistry.cdse_batch import simulate_many
from simulators.chemistry.family import COMPLETED

LIMITS, NO_SWITCH, PENALTY, FREE = "limits", "no switch", "penalty", "free"
ARMS: Final = (LIMITS, PENALTY, FREE, NO_SWITCH)
INITIAL: Final = 5
EXPERIMENTS: Final = 15
SAMPLES: Final = 64
"""Joint samples of an acquisition function."""
ROWS: Final = 300
"""Candidates of a simulated task."""
CDSE: Final = 2
"""Simulated tasks."""
AMOUNTS: Final = ("drug_input", "solid_lipid_input", "liquid_lipid_input", "surfractant_input")
MEASURED: Final = ("drug_loading", "encap_efficiency", "particle_diameter")
PENALISED: Final = "penalised"
SCORE: Final = "objective"
TIGHT: Final = 0.2
"""Share of the candidates that keeps a limit which stands alone; of two limits each leaves a half."""


class Task(Protocol):
    """A pool with an objective and limits."""

    @property
    def name(self) -> str:
        """Family and what tells it from others."""
        ...

    @property
    def objective(self) -> Objective:
        """What is wanted, and the limits."""
        ...

    @property
    def space(self) -> SearchSpace:
        """The candidates."""
        ...

    def truth(self, place: int) -> Mapping[str, float]:
        """Return what a candidate gives without noise."""
        ...

    def measured(self, place: int, generator: np.random.Generator) -> Mapping[str, float]:
        """Return what it gives with noise."""
        ...


@dataclass(frozen=True, eq=False)
class SimulatedTask(Task):
    """A hidden chemistry; configurations that give nothing are left out."""

    number: int

    @property
    @override
    def name(self) -> str:
        """Its number."""
        return f"cdse/{self.number}"

    @cached_property
    def _made(self) -> tuple[tuple[dict[str, float | str], ...], tuple[Any, ...]]:
        rows = cdse_configurations(ROWS, seed=JUDGED_SEED + 50 + self.number)
        constants = draw_task(np.random.default_rng([JUDGED_SEED, 5, self.number]))
        pairs = zip(rows, simulate_many([cdse_conditions(row) for row in rows], constants), strict=True)
        good = [(row, one) for row, one in pairs if one.reason == COMPLETED]
        return tuple(row for row, _ in good), tuple(one for _, one in good)

    @cached_property
    @override
    def space(self) -> SearchSpace:
        whole = cdse_space()
        return SearchSpace(parameters=whole.parameters, constraints=whole.constraints, candidates=self._made[0])

    @cached_property
    @override
    def objective(self) -> Objective:
        """A wavelength from the middle of what can be made; of the candidates the narrowest lines will do."""
        peaks, widths = ([getattr(one, name) for one in self._made[1]] for name in ("emission_nm", "fwhm_nm"))
        wanted = np.random.default_rng([JUDGED_SEED, 6, self.number]).uniform(*np.quantile(peaks, (0.25, 0.75)))
        wavelength = Target(name="wavelength", unit="nm", goal="match", value=round(float(wanted), 1), tolerance="10 nm")
        return Objective(targets=(wavelength,), outcomes=(Outcome(name="fwhm", unit="nm", max=float(np.quantile(widths, TIGHT))),))

    @override
    def truth(self, place: int) -> Mapping[str, float]:
        made = self._made[1][place]
        return {"wavelength": made.emission_nm, "fwhm": made.fwhm_nm}

    @override
    def measured(self, place: int, generator: np.random.Generator) -> Mapping[str, float]:
        return EmissionNoise().observe(self._made[0][place], self._made[1][place], generator).values


@dataclass(frozen=True, eq=False)
class ParticleTask(Task):
    """The measured lipid nanoparticles."""

    label: str
    pool: RecordedPool
    wanted: str
    limits: Mapping[str, tuple[str, float]]
    """Quantity -> which end is limited, and the share of the candidates that keeps it."""

    @property
    @override
    def name(self) -> str:
        """Its label."""
        return self.label

    @property
    @override
    def space(self) -> SearchSpace:
        return self.pool.space

    @cached_property
    @override
    def objective(self) -> Objective:
        """One quantity is to be large, others within what a share of the candidates keeps."""
        means = [self.pool.mean(row) for row in self.pool.candidates]
        outcomes = []
        for name, (end, share) in self.limits.items():
            level = float(np.quantile([one[name] for one in means], share if end == "max" else 1.0 - share))
            outcomes.append(Outcome.model_validate({"name": name, end: level}))
        return Objective(targets=(Target(name=self.wanted, goal="maximise"),), outcomes=tuple(outcomes))

    @override
    def truth(self, place: int) -> Mapping[str, float]:
        return self.pool.mean(self.pool.candidates[place])

    @override
    def measured(self, place: int, generator: np.random.Generator) -> Mapping[str, float]:
        rows = self.pool.recorded(self.pool.candidates[place])
        return rows[generator.integers(len(rows))].values


def particle_tasks(data: Path) -> list[Task]:
    """Return the tasks on measured data.

    Raises:
        BadInput: There is no such table, or another one.
    """
    table = load_table("lnp", data)
    levels = {name: sorted({float(row.values[name]) for row in table.rows}) for name in AMOUNTS}
    lipids = sorted({str(row.values["solid_lipid"]) for row in table.rows})
    parameters: tuple[Parameter, ...] = (
        CategoricalParameter(name="solid_lipid", categories=tuple(lipids)),
        *(DiscreteParameter(name=name, values=tuple(values)) for name, values in levels.items()),
    )
    pool = recorded_pool(table, parameters, [Outcome(name=name, min=0.0) for name in MEASURED])
    two = {"particle_diameter": ("max", 0.5), "drug_loading": ("min", 0.5)}
    return [
        ParticleTask("lnp/loading of small ones", pool, "drug_loading", {"particle_diameter": ("max", TIGHT)}),
        ParticleTask("lnp/efficiency, two limits", pool, "encap_efficiency", two),
    ]


@dataclass(frozen=True)
class Arm:
    """How a campaign meets the limits of a task."""

    name: str
    task: Task

    @property
    def objective(self) -> Objective:
        """What its policy is told."""
        whole = self.task.objective
        if self.name == LIMITS:
            return whole
        if self.name == NO_SWITCH:
            return Objective(targets=whole.targets, outcomes=tuple(one.model_copy(update={"probability": 1e-6}) for one in whole.outcomes))
        return Objective(targets=whole.targets if self.name == FREE else (Target(name=PENALISED, goal="maximise"),))

    def told(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Return what its policy learns of an experiment."""
        return {**values, PENALISED: penalised(self.task, values, self._scales)} if self.name == PENALTY else values

    @cached_property
    def _scales(self) -> Mapping[str, float]:
        return scales(self.task)


def penalised(task: Task, values: Mapping[str, float], scale: Mapping[str, float]) -> float:
    """Return the objective less what is beyond a limit: a spread of the limited quantity costs all that the objective can bring."""
    cost = 0.0
    for one in task.objective.outcomes:
        low, high = one.band
        beyond = max(0.0 if low is None else low - values[one.name], 0.0 if high is None else values[one.name] - high, 0.0)
        cost += beyond / scale[one.name]
    return float(task.objective.score(values)) - scale[SCORE] * cost


def scales(task: Task) -> Mapping[str, float]:
    """Return the range of the objective over the candidates, and the spread of each limited quantity."""
    truths = [task.truth(place) for place in range(len(task.space.candidates or ()))]
    scores = [float(task.objective.score(one)) for one in truths]
    spreads = {one.name: float(np.std([truth[one.name] for truth in truths])) for one in task.objective.outcomes}
    return {**spreads, SCORE: max(scores) - min(scores)}


def campaign(task: Task, arm: str, seed: int) -> Row:
    """Run one campaign and count."""
    told, generator, began = Arm(arm, task), np.random.default_rng([JUDGED_SEED, seed]), time.perf_counter()
    rows = task.space.candidates or ()
    places, truths = {task.space.key(row): place for place, row in enumerate(rows)}, [task.truth(place) for place in range(len(rows))]
    worth = [float(task.objective.score(one)) for one in truths]
    kept = [bool(task.objective.keeps(one)) for one in truths]
    allowed = [one for one, good in zip(worth, kept, strict=True) if good]
    search = None if told.objective.outcomes else "together"  # so that all arms search alike
    policy = BayesianPolicy(task.space, told.objective, BayesianSettings(initial=INITIAL, search=search, mc_samples=SAMPLES))
    known, asked = Knowledge(), list[int]()
    for number in range(1, EXPERIMENTS + 1):
        (one,) = policy.propose(known, count=1, seed=proposal_seed(task.name, seed, number))
        place = places[task.space.key(one.configuration)]
        asked.append(place)
        observed = Observation(rows[place], told.told(task.measured(place, generator)))
        known = Knowledge(observations=(*known.observations, observed), excluded=(*known.excluded, rows[place]), as_of=known.as_of + 1)
    best = accumulate((worth[place] if kept[place] else min(allowed) for place in asked), max)
    return {
        "arm": arm,
        "task": task.name,
        "seed": seed,
        "allowed": round(fmean(kept), 4),
        "kept": [number for number, place in enumerate(asked, start=1) if kept[place]],
        "regret": [round((max(allowed) - value) / (max(allowed) - min(allowed)), 6) for value in best],
        "s_per_experiment": round((time.perf_counter() - began) / EXPERIMENTS, 3),
    }


def late_share(row: Row) -> float:
    """Return the share of the experiments after the design that keeps the limits."""
    numbers: list[int] = row["kept"]
    return sum(number > INITIAL for number in numbers) / (EXPERIMENTS - INITIAL)


def area(row: Row) -> float:
    """Return the mean regret over the experiments after the design."""
    after: list[float] = row["regret"][INITIAL:]
    return fmean(after)


def pairs_of(rows: Sequence[Row], arm: str, task: str, value: Callable[[Row], float]) -> list[tuple[float, float]]:
    """Return (with limits, another arm) of the seeds that both have run."""
    found = {(row["arm"], row["seed"]): value(row) for row in rows if row["task"] == task}
    return [(found[LIMITS, seed], one) for (name, seed), one in sorted(found.items()) if name == arm and (LIMITS, seed) in found]


def table(rows: Sequence[Row]) -> str:
    """Return what was found, as markdown: by task, then over all with intervals that resample campaigns in pairs."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = ["| task | campaigns an arm | arm | keep the limits | regret | last regret |", "|---|---|---|---|---|---|"]
    for task, arm in itertools.product(tasks, ARMS):
        if own := [row for row in rows if row["task"] == task and row["arm"] == arm]:
            label = f"{task} ({100 * own[0]['allowed']:.0f} % keep them)"
            lines.append(f"| {label} | {len(own)} | {arm} | {' | '.join(_means(own))} |")
    lines += ["", "| against | campaigns | keep the limits, more by | regret, ratio |", "|---|---|---|---|"]
    for arm in ARMS[1:]:
        kept, worth = ([pair for task in tasks for pair in pairs_of(rows, arm, task, value)] for value in (late_share, area))
        if kept:
            cells = (paired_bootstrap({"all": kept}, difference), paired_bootstrap({"all": worth}, floored_ratio))
            lines.append(f"| {arm} | {len(kept)} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _means(rows: Sequence[Row]) -> tuple[str, ...]:
    last = fmean(row["regret"][-1] for row in rows)
    return f"{100 * fmean(map(late_share, rows)):.0f} %", f"{fmean(map(area, rows)):.3f}", f"{last:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outcomes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds lnp/lnp3.csv")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/outcomes.json"))
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
    made = {"experiments": EXPERIMENTS, "initial": INITIAL, "rows": ROWS, "samples": SAMPLES, "tight": TIGHT, "judged_seed": JUDGED_SEED}
    tasks: list[Task] = [*(SimulatedTask(number) for number in range(CDSE)), *particle_tasks(options.data)]
    rows = kept_rows(options.json, made) if options.resume else []
    done = {(row["arm"], row["task"], row["seed"]) for row in rows}
    for seed, task, arm in itertools.product(range(options.seeds), tasks, ARMS):
        if (arm, task.name, seed) not in done:
            rows.append(campaign(task, arm, seed))
            write_rows(options.json, made, rows)
    return rows


if __name__ == "__main__":
    sys.exit(main())
