"""Campaigns that count what experiments cost, and such that do not: `python -m benchmarks.cost [--json OUT] [--resume]`.

The bench, its prices and its space are those of `athanor init`, the policy's effort that of its campaign file, without a prior. Each seed
is a simulated chemistry that nobody has seen, with a wavelength of its own to match and a line to be narrow; it is searched over 512
candidates, whose noise-free outcomes say what is good. Counted is what was spent until an outcome is among the best hundredth; what
never arrives counts with the whole budget.

`--drawn N` instead says what the rule saves where the model is right: the same candidates and costs, functions drawn from a known
Gaussian process, closed forms.
"""

import argparse
import itertools
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import norm
from typing_extensions import override

from benchmarks.cdse import kept_rows, write_rows
from benchmarks.cdse_pools import JUDGED_SEED, inside
from benchmarks.cdse_race import seed_of
from benchmarks.metrics import Interval, paired_bootstrap, ratio, threshold
from flows.plans.cost import cost_of
from flows.plans.plan import Plan, load_plan
from flows.plans.policy import policy_of
from flows.studies.cdse import SimulatedTask, cdse_configurations, simulated_task
from flows.studies.emission_noise import EmissionNoise
from models.inputs.encoding import Encoding
from models.threads import use_threads
from orchestrator.domain.objective import Objective
from orchestrator.domain.values import Configuration
from orchestrator.ports import Cost, Infeasible, Knowledge, Policy
from policies.cost import DRAWN, EVERY
from policies.registry import build_policy
from simulators.chemistry.cdse import CdSeOutcome
from simulators.chemistry.family import COMPLETED

SEEDS: Final = 20
CANDIDATES: Final = 512
PART: Final = 0.01
"""Of the candidates: 6 of them are good enough."""
RATE: Final = "45 delta_degC/min"
"""How fast the simulated oven heats and cools between 200 and 280 degC (simulators/oven.py: 450 degC full rise, 300 s)."""
BUDGETS: Final = {"money": 75.0, "time": 4 * 3600.0}
"""EUR and lab seconds: some 25 typical experiments."""
MOST: Final = 60
"""Experiments of a campaign at most."""
QUICK: Final = {"mc_samples": 64, "initial": 5}
UNITS: Final = {"money": "EUR", "time": "s"}
LENGTHS: Final = (0.4, 0.8)
"""Of drawn functions, in parts of the ranges."""
NUGGET: Final = 1e-6
ARMS: Final = ("neither", "money", "time", "flat")
"""What is counted; `flat` counts a cost that is the same everywhere."""

Row = dict[str, Any]
_Array = NDArray[np.float64]
_FILE: Final = """
[campaign]
name = "cost"
bench = "bench.toml"
budget = { experiments = 60, money = "75 EUR", lab_time = "4 h" }

[candidates]
file = "candidates.csv"

%s
[[targets]]
name = "wavelength"
unit = "nm"
goal = "match"
value = %s
tolerance = "2 nm"

[[targets]]
name = "fwhm"
unit = "nm"
goal = "minimise"
low = 25
high = 80

[policy]
kind = "bayesian"
%s
"""


@dataclass(frozen=True)
class Flat(Cost):
    """All experiments cost the same."""

    unit = "EUR"

    @override
    def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
        return (3.0,) * len(batch)

    @override
    def left(self, carried: Sequence[Configuration]) -> float:
        return max(0.0, 1.0 - len(carried) / MOST)


@lru_cache(maxsize=2)
def _chemistry(number: int) -> SimulatedTask:
    return simulated_task("judged", inside(number), cdse_configurations(CANDIDATES, seed=JUDGED_SEED + number))


def plan_of(number: int, folder: Path, **policy: str) -> Plan:
    """Write a chemistry's campaign file beside the example bench's, and load it."""
    scaffold = files("flows.cli").joinpath("scaffold")
    text = scaffold.joinpath("campaign.toml").read_text(encoding="utf-8")
    bench = scaffold.joinpath("bench.toml").read_text(encoding="utf-8")
    waited = 'timeout = "60 min" }'
    assert waited in bench
    (folder / "bench.toml").write_text(bench.replace(waited, f'timeout = "60 min", rate = "{RATE}" }}'), encoding="utf-8")
    rows = _chemistry(number).configurations
    table = [",".join(rows[0]), *(",".join(repr(value) for value in row.values()) for row in rows)]
    (folder / "candidates.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (folder / "platform.password").write_text("x\n", encoding="utf-8")
    parameters = text[text.index("[[parameters]]") : text.index("[[targets]]")]
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in {**QUICK, **policy}.items())
    (folder / "campaign.toml").write_text(_FILE % (parameters, _centre(number), settings), encoding="utf-8")
    return load_plan(folder / "campaign.toml")


def _centre(number: int) -> float:
    """Draw the wavelength to match from the middle half of the candidates'."""
    peaks = [one.emission_nm for one in _chemistry(number).outcomes if one.reason == COMPLETED]
    return round(float(np.random.default_rng([number, CANDIDATES]).uniform(*np.quantile(peaks, (0.25, 0.75)))), 1)


def score(objective: Objective, outcome: CdSeOutcome) -> float:
    """Return the objective without noise; 0, the worst, where nothing can be measured."""
    if outcome.reason != COMPLETED:
        return 0.0
    return float(objective.score({"wavelength": outcome.emission_nm, "fwhm": outcome.fwhm_nm}))


def campaign(number: int, arm: str) -> Row:
    """Carry out a campaign until it is there, or the budget is spent."""
    folder = Path(tempfile.mkdtemp())
    try:
        plan = plan_of(number, folder, **({} if arm in ("neither", "flat") else {"cost": arm}))
    finally:
        shutil.rmtree(folder)
    counts = {kind: cost for kind in BUDGETS if (cost := cost_of(plan, {"cost": kind})) is not None}
    if arm == "flat":
        policy = build_policy("bayesian", plan.space, plan.objective, {**QUICK, "cost": "money"}, cost=Flat())
    else:
        policy = policy_of(plan)
    wanted = threshold([score(plan.objective, one) for one in _chemistry(number).outcomes], PART)
    return {"arm": arm, "seed": number, "wanted": wanted, **_columns(list(_carried_out(number, arm, plan, policy, counts, wanted)))}


def _carried_out(number: int, arm: str, plan: Plan, policy: Policy, counts: dict[str, Cost], wanted: float) -> Iterator[Row]:
    """Yield score and costs of each experiment, until one is good enough or what the arm counts is spent; both where it counts neither."""
    known, noise, total, task = Knowledge(), EmissionNoise(), dict.fromkeys(BUDGETS, 0.0), _chemistry(number)
    found = {plan.space.key(row): outcome for row, outcome in zip(task.configurations, task.outcomes, strict=True)}
    counted = [arm] if arm in BUDGETS else list(BUDGETS)
    for index in range(MOST):
        if all(total[kind] >= BUDGETS[kind] for kind in counted):
            return
        row = policy.propose(known, count=1, seed=seed_of("cost", 1000 * number + index))[0].configuration
        after = known.carried[-1] if known.carried else None
        costs = {kind: cost.amounts([row], after)[0] for kind, cost in counts.items()}
        total = {kind: total[kind] + costs[kind] for kind in BUDGETS}
        outcome = found[plan.space.key(row)]
        made = outcome.reason == COMPLETED
        generator = np.random.default_rng([number, index])
        known = Knowledge(
            observations=(*known.observations, *([noise.observe(row, outcome, generator)] if made else [])),
            infeasible=(*known.infeasible, *([] if made else [Infeasible(row, outcome.reason)])),
            excluded=(*known.excluded, row),
            carried=(*known.carried, row),
        )
        yield {"score": score(plan.objective, outcome), **costs}
        if score(plan.objective, outcome) >= wanted:
            return


def _columns(steps: Sequence[Row]) -> dict[str, list[float]]:
    return {name: [one[name] for one in steps] for name in ("score", *BUDGETS)}


def spent(row: Row, kind: str) -> float:
    """Return what a campaign spent until it was there; the whole budget where it was not."""
    there = row["score"][-1] >= row["wanted"]
    return min(math.fsum(row[kind]), BUDGETS[kind]) if there else BUDGETS[kind]


def compared(rows: Sequence[Row], arm: str, kind: str) -> Interval:
    """Return mean spent over that of the campaigns that count nothing, with a 95 % interval that resamples the pairs."""
    found = {(row["arm"], row["seed"]): row for row in rows}
    pairs = [(spent(row, kind), spent(found["neither", seed], kind)) for (one, seed), row in found.items() if one == arm]
    return paired_bootstrap({arm: pairs}, ratio)


def table(rows: Sequence[Row]) -> str:
    """Write one line per arm and what was spent."""
    lines = ["| counted | spent | pairs | mean where counted | arrived | mean where not | arrived | ratio [95 %] |", "|---" * 8 + "|"]
    for arm, kind in (("money", "money"), ("time", "time"), ("flat", "money")):
        mine = [row for row in rows if row["arm"] == arm]
        others = [row for row in rows if row["arm"] == "neither" and row["seed"] in {one["seed"] for one in mine}]
        if mine:
            columns = [cell for some in (mine, others) for cell in (f"{fmean(spent(row, kind) for row in some):.4g}", _arrived(some, kind))]
            lines.append(f"| {' | '.join(map(str, (arm, f'{kind}, {UNITS[kind]}', len(mine), *columns, compared(rows, arm, kind))))} |")
    return "\n".join(lines)


def drawn(count: int) -> str:
    """Race on functions of a known process over the first chemistry's candidates; write one line per cost and length scale."""
    folder = Path(tempfile.mkdtemp())
    try:
        plan = plan_of(0, folder)
    finally:
        shutil.rmtree(folder)
    rows = _chemistry(0).configurations
    X = Encoding(plan.space).encode(rows).numpy()
    lines = ["| counted | length scale | functions | ratio [95 %] |", "|---" * 4 + "|"]
    for kind, length in itertools.product(BUDGETS, LENGTHS):
        cost = cost_of(plan, {"cost": kind})
        assert cost is not None
        amounts = np.array(cost.amounts(rows, rows[0]))
        scaled = np.sqrt(5.0) * cdist(X, X) / length
        covariance = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)  # Matern, smoothness 5/2
        root = np.linalg.cholesky(covariance + NUGGET * np.eye(len(X)))
        pairs = []
        for seed in range(count):
            generator = np.random.default_rng([seed, CANDIDATES])
            values = root @ generator.standard_normal(len(X))
            looked_at = generator.choice(len(X), (QUICK["initial"], DRAWN), replace=False)
            cheap = [int(some[0 if place % EVERY == 0 else amounts[some].argmin()]) for place, some in enumerate(looked_at, start=1)]
            with_cost = _raced(values, covariance, amounts, cheap, BUDGETS[kind], counts=True)
            pairs.append((with_cost, _raced(values, covariance, amounts, looked_at[:, 0].tolist(), BUDGETS[kind], counts=False)))
        lines.append(f"| {kind} | {length} | {count} | {paired_bootstrap({kind: pairs}, ratio)} |")
    return "\n".join(lines)


def _raced(values: _Array, covariance: _Array, amounts: _Array, asked: list[int], budget: float, *, counts: bool) -> float:
    """Return what was spent until a value is among the best hundredth."""
    wanted, typical = threshold(values.tolist(), PART), np.median(amounts)
    for place, index in enumerate(asked):
        if values[index] >= wanted:
            return float(amounts[asked[: place + 1]].sum())
    while (spent_so_far := float(amounts[asked].sum())) < budget:
        root = np.linalg.cholesky(covariance[np.ix_(asked, asked)] + NUGGET * np.eye(len(asked)))
        half = np.linalg.solve(root, covariance[asked])
        mean, sd = half.T @ np.linalg.solve(root, values[asked]), np.sqrt(np.maximum(1.0 - (half**2).sum(axis=0), NUGGET))
        z = (mean - values[asked].max()) / sd
        worth = np.log(np.maximum(sd * (norm.pdf(z) + z * norm.cdf(z)), sys.float_info.min))
        share = 0.0 if not counts or (len(asked) + 1) % EVERY == 0 else 1.0 - spent_so_far / budget
        score = worth - share * np.log(amounts / typical)
        score[asked] = -np.inf
        asked.append(int(score.argmax()))
        if values[asked[-1]] >= wanted:
            break
    return min(float(amounts[asked].sum()), budget)


def _arrived(rows: Sequence[Row], kind: str) -> int:
    return sum(spent(row, kind) < BUDGETS[kind] for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--flat", type=int, default=3, help="seeds with a flat cost")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/cost.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    parser.add_argument("--drawn", type=int, metavar="N", help="race on N functions of a known process instead")
    options = parser.parse_args(arguments)
    use_threads(1)
    if options.drawn:
        print(drawn(options.drawn))
        return 0
    made = {"budgets": BUDGETS, "candidates": CANDIDATES, "part": PART, "rate": RATE, "settings": QUICK}
    rows = kept_rows(options.json, made) if options.resume else []
    done = {(row["arm"], row["seed"]) for row in rows}
    for number, arm in itertools.product(range(options.seeds), ARMS):
        if (arm, number) not in done and (arm != "flat" or number < options.flat):
            rows.append(campaign(number, arm))
            write_rows(options.json, made, rows)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
