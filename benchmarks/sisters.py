"""Three campaigns, then a sister's, from the ledger alone: `python -m benchmarks.sisters [--json OUT] [--resume]`.

For each seed a lab of its own. Three campaigns on C-N couplings of 2-pyridyl halides run without a prior; `meta-train`
learns from the lab's ledger, and from nothing else; the campaign on a 3-pyridyl halide then runs with that prior and
without. An alien history has the same three campaigns on tables whose yields are permuted. Counted are experiments until
a yield is among the best 5 % of the table, one more than the budget where none was; printed is what `priors match` says
before the first experiment and after five.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from benchmarks.metrics import best_so_far, experiments_to_top, paired_bootstrap, ratio
from flows.plans.lab import Lab, make_lab
from flows.plans.plan import Plan, load_plan, recorded_bench
from flows.plans.policy import policy_of
from flows.running.actions import Setup, Steps
from flows.running.run_loop import plain_cycle, run_loop
from flows.studies.metatraining.trust import Case, PriorVerdict, assess
from flows.studies.priors import make_prior
from models.meta_learning.registry import restore_prior
from models.threads import use_threads
from orchestrator.clock import LiveClock
from orchestrator.datasets import Table
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import AthanorError
from orchestrator.history import History, observations
from orchestrator.ports import Observation
from orchestrator.store.sql import SqlStore

SOURCES: Final = ("s10", "s11", "s12")
"""2-pyridyl halides."""
SISTER: Final = "s13"
"""A 3-pyridyl halide."""
BUDGET: Final = 25
INITIAL: Final = 3
"""Random experiments of a campaign without a prior; one with a prior needs none."""
SOON: Final = 5
"""Experiments after which trust is looked at again."""
TARGET: Final = "yield"
HISTORIES: Final = ("sisters", "alien")
ARMS: Final = ("without", *HISTORIES)

SPACE: Final = """
[[parameters]]
name = "base"
kind = "categorical"
categories = ["P2Et", "BTMG", "MTBD"]

[[parameters]]
name = "ligand"
kind = "categorical"
categories = ["XPhos", "tBuXPhos", "tBuBrettPhos", "AdBrettPhos"]

[[parameters]]
name = "additive"
kind = "categorical"
categories = [{additives}]

[[targets]]
name = "yield"
unit = "percent"
goal = "maximise"
""".format(additives=", ".join(f'"a{number}"' for number in range(1, 21)))

CAMPAIGN: Final = """
[campaign]
name = "{name}"
budget = {budget}
seed = {seed}

[recorded]
table = "cn-coupling"
task = {{ substrate_id = "{task}" }}

[recorded.columns]
base = "base_name"
ligand = "ligand_name"
additive = "additive_id"

[surrogate]
{surrogate}

[policy]
kind = "bayesian"
initial = {initial}
"""

PRIOR: Final = """
[prior]
name = "{history}"

[[sources]]
campaigns = ["*"]
lab = "{history}"
"""


def run_arms(seed: int, data: Path | None) -> list[dict[str, Any]]:
    """Run everything of one seed in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for history in HISTORIES:
            _history(folder, history, seed, data)
        return [_sister(folder, arm, seed, data) for arm in ARMS]


def _history(folder: Path, history: str, seed: int, data: Path | None) -> None:
    """Run the first three campaigns and learn from their ledger."""
    lab = make_lab(folder / history, beside=folder, kind="live")
    for task in SOURCES:
        file = _campaign(folder, f"{history}-{task}", task, seed, 'kind = "gp"', INITIAL)
        plan = load_plan(file, data=data)
        assert plan.table is not None
        _carry(replace(plan, table=permuted(plan.table, seed)) if history == "alien" else plan, lab)
    meta = folder / f"{history}.toml"
    meta.write_text(PRIOR.format(history=history) + SPACE, encoding="utf-8")
    make_prior(meta, data=data, card=True, tell=print)


def _sister(folder: Path, arm: str, seed: int, data: Path | None) -> dict[str, Any]:
    """Run the last campaign; return a row."""
    prior = folder / "priors" / f"{arm}.pt"
    surrogate, initial = ('kind = "gp"', INITIAL) if arm == "without" else (f'kind = "default"\nprior = "priors/{prior.name}"', 0)
    file = _campaign(folder, f"{arm}-{SISTER}", SISTER, seed, surrogate, initial)
    plan = load_plan(file, data=data)
    found = _carry(plan, make_lab(folder / f"{arm}-sister", beside=folder, kind="live"))
    running = best_so_far([row.values[TARGET] for row in found])
    assert plan.table is not None
    reached = experiments_to_top(running, [float(row.values[TARGET]) for row in plan.table.rows], initial=0)
    row: dict[str, Any] = {"arm": arm, "seed": seed, "experiments": BUDGET + 1 if reached is None else reached, "best": running[-1]}
    if arm == "without":
        return row
    verdicts = {count: _verdict(file, plan, found[:count], prior) for count in (0, SOON, 2 * SOON)}
    return row | {
        "trust": {str(count): one.trust[TARGET] for count, one in verdicts.items()},
        "match": [verdicts[0].line, verdicts[SOON].line],
    }


def _verdict(file: Path, plan: Plan, found: Sequence[Observation], prior: Path) -> PriorVerdict:
    return assess(prior, Case(load_campaign(file), plan.space, tuple(found)), restore_prior)


def _campaign(folder: Path, name: str, task: str, seed: int, surrogate: str, initial: int) -> Path:
    path = folder / f"{name}.toml"
    text = CAMPAIGN.format(name=name, budget=BUDGET, seed=seed, task=task, surrogate=surrogate, initial=initial)
    path.write_text(text + SPACE, encoding="utf-8")
    return path


def _carry(plan: Plan, lab: Lab) -> tuple[Observation, ...]:
    """Carry a campaign to its end as `athanor run` does, without view and report; return what the ledger says was measured."""
    clock, spec = LiveClock(), plan.file.spec.campaign
    with closing(SqlStore.open(lab.ledger, create=True)) as store:
        store.create_campaign(CampaignRecord(name=spec.name, snapshot=plan.snapshot), by="benchmark", now=clock.now())
        fence = store.take_up(spec.name, by="benchmark", now=clock.now())
        running = store.changes(spec.name).campaign.evolve(status=CampaignStatus.RUNNING)
        store.update_campaign(running, kind=EventKind.RUNNING, by="benchmark", now=clock.now())
        bench = recorded_bench(plan, store.changes(spec.name))
        steps = Steps(Setup(spec, plan.space, plan.objective, policy_of(plan), plan.recipe, bench, store, clock, fence))
        run_loop(steps, cycle=plain_cycle, observe=lambda _: None, leave=threading.Event())
        return observations(History.of(store.changes(spec.name)))


def permuted(table: Table, seed: int) -> Table:
    """Return a table whose yields belong to other conditions."""
    yields = [row.values[TARGET] for row in table.rows]
    random.Random(seed).shuffle(yields)
    return replace(
        table, rows=tuple(replace(row, values={**row.values, TARGET: value}) for row, value in zip(table.rows, yields, strict=True))
    )


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write experiments, the paired ratio to the arm without a prior, and trust."""
    known = {(row["arm"], row["seed"]): row for row in rows}
    lines = ["| history | seeds | experiments to the top 5 % | ratio to without | trust after 5 | after 10 |", "|---|---|---|---|---|---|"]
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm]
        pairs = [(float(row["experiments"]), float(known["without", row["seed"]]["experiments"])) for row in mine]
        compared = "-" if arm == "without" else str(paired_bootstrap({SISTER: pairs}, ratio))
        trust = ["-", "-"] if arm == "without" else [f"{fmean(row['trust'][count] for row in mine):.2f}" for count in ("5", "10")]
        lines.append(f"| {arm} | {len(mine)} | {fmean(row['experiments'] for row in mine):.1f} | {compared} | {' | '.join(trust)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sisters", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/sisters.json"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    options = parser.parse_args(arguments)
    use_threads(1)
    rows = json.loads(options.json.read_text(encoding="utf-8"))["rows"] if options.resume and options.json.exists() else []
    try:
        for seed in range(options.seeds):
            if all(row["seed"] != seed for row in rows):
                rows += run_arms(seed, options.data)
                options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for row in rows:
        if row["seed"] == 0 and row["arm"] != "without":
            print(*row["match"], sep="\n")
    print(table_of(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
