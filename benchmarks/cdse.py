"""Simulated CdSe campaigns with and without a prior: `python -m benchmarks.cdse --cache DIR --learner default --json OUT [--resume]`.

Judged tasks are draws of hidden constants that no prior has seen. Counted are experiments until a noise-free outcome is
within the window, censored at 40; compared are restricted means, with an interval that resamples whole tasks.
Variants: `inside` (the prior's own family), `flow` (single-phase flow under a prior that knows segmented flow),
`nucleation` (another law), `drift` (the precursor ages), `outside` (constants beyond the prior's range).
"""

import argparse
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import torch

from benchmarks.cdse_pools import pool
from benchmarks.cdse_race import CENSORED, INITIAL, PoolPolicy, Race, run
from benchmarks.metrics import Interval
from flows.studies.benchmark.running import COMPARED_LEARNERS
from flows.studies.cdse import base_predictions, cdse_space, task_descriptors, task_group
from flows.studies.families import FAMILIES
from models.base import Learner
from models.explanations.mechanistic import MechanisticLearner
from models.gaussian_processes.single_task import GaussianProcessLearner
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.adapted import AdaptedLearner
from models.meta_learning.randomisation import randomise
from models.tasks import Family, MetaLearner, TaskData
from models.threads import use_threads
from orchestrator.errors import AthanorError, BadInput
from orchestrator.ports import Observation, Policy
from policies.bayesian import BayesianPolicy
from policies.settings import BayesianSettings

PRIOR_TASKS: Final = 16
PRIOR_ROWS: Final = 128
PRIOR_SEED: Final = 1
"""Another than the judged tasks' `JUDGED_SEED`."""
YARDSTICK: Final = "fresh-gp"
TARGETS: Final = ("wavelength", "fwhm")
VARIANTS: Final[Mapping[str, tuple[str, str | None, str]]] = {
    "inside": ("inside", None, "cdse"),
    "flow": ("inside", None, "cdse-segmented"),
    "nucleation": ("nucleation", None, "cdse"),
    "drift": ("inside", "aged", "cdse"),
    "outside": ("outside", None, "cdse"),
}
"""Variant -> pool, pool at the campaign's end, family of the prior."""
RESAMPLES: Final = 5_000

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    use_threads(1)
    try:
        rows = races(options)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows, options.learner))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cdse", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the simulated pools; made where they are missing")
    parser.add_argument("--learner", default="default", help="meta-learner to judge")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--policy", default="pool", choices=["pool", "campaign"], help="how candidates are chosen, in both arms")
    parser.add_argument("--randomise", action="store_true", help="domain randomisation of the prior's tasks")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/cdse.json"))
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    return parser


def races(options: argparse.Namespace) -> list[Row]:
    """Run what is missing, arm by arm on each task; write each row at once.

    Raises:
        BadInput: Unknown learner, or a file to resume from another setup.
    """
    made = {"prior": [PRIOR_TASKS, PRIOR_ROWS, PRIOR_SEED], "policy": options.policy, "randomised": options.randomise}
    rows = kept_rows(options.json, made) if options.resume else []
    done = {(row["surrogate"], row["variant"], row["task"], row["seed"]) for row in rows}
    for variant, number in itertools.product(options.variants, range(options.tasks)):
        wanted = [(arm, seed) for arm in (YARDSTICK, options.learner) for seed in range(options.seeds)]
        open_ = [one for one in wanted if (one[0], variant, number, one[1]) not in done]
        if not open_:
            continue
        race = _race(variant, number, options.cache)
        for arm, seed in open_:
            policy, began = _policy(race, arm, variant, options), time.perf_counter()
            count = run(race, policy, seed=seed)
            rows.append(_row(arm, variant, race, seed, count, time.perf_counter() - began))
            write_rows(options.json, made, rows)
    return rows


def _race(variant: str, number: int, cache: Path) -> Race:
    first, last, _ = VARIANTS[variant]
    return Race(pool(first, number, cache), number, None if last is None else pool(last, number, cache))


def _row(arm: str, variant: str, race: Race, seed: int, count: int | None, seconds: float) -> Row:
    centre, limit = race.window
    return {
        "surrogate": arm,
        "variant": variant,
        "task": race.number,
        "name": race.name,
        "seed": seed,
        "experiments": count,
        "centre_nm": centre,
        "limit_nm": round(limit, 3),
        "s_per_experiment": round(seconds / (count or CENSORED), 4),
    }


def _policy(race: Race, arm: str, variant: str, options: argparse.Namespace) -> Policy:
    learner: Learner = GaussianProcessLearner()
    initial = INITIAL
    if arm != YARDSTICK:
        learner, initial = prior(race, arm, variant, randomised=options.randomise), 0
    if options.policy == "campaign":
        return BayesianPolicy(race.space, race.objective, BayesianSettings(initial=initial), learner)
    return PoolPolicy(race, learner, initial)


def prior(race: Race, learner: str, variant: str = "inside", *, randomised: bool = False) -> Learner:
    """Return a learner that adapts a prior of the variant's family to a judged task."""
    descriptors = torch.tensor(task_descriptors(race.name.partition("/")[2]), dtype=torch.float64)
    priors = _trained(learner, VARIANTS[variant][2], randomised)
    return AdaptedLearner(priors=priors, lift=lambda X: X, task=descriptors, origin={"name": learner, "origin": "simulated"})


@lru_cache(maxsize=4)
def _trained(learner: str, family: str, randomised: bool) -> Mapping[str, Any]:
    tasks = _tasks(family)
    return {target: _train(learner, target, [_task(*one, target, randomised) for one in tasks]) for target in TARGETS}


@lru_cache(maxsize=2)
def _tasks(family: str) -> tuple[tuple[str, tuple[Observation, ...]], ...]:
    return FAMILIES[family].draw(PRIOR_TASKS, PRIOR_ROWS, PRIOR_SEED)


def _train(learner: str, target: str, tasks: Sequence[TaskData]) -> Any:
    family = Family(Features(Encoding(cdse_space())), target, "nm")
    return _learner(learner, target).meta_train(tasks, family, generator=torch.Generator().manual_seed(PRIOR_SEED))


def _learner(name: str, target: str) -> MetaLearner:
    known: dict[str, Callable[[], MetaLearner]] = {
        **COMPARED_LEARNERS,
        "mechanistic": lambda: MechanisticLearner(base_predictions()[target]),
    }
    if name not in known:
        raise BadInput(f"learner {name!r} is unknown; known: {', '.join(known)}")
    return known[name]()


def _task(name: str, rows: Sequence[Observation], target: str, randomised: bool) -> TaskData:
    made = TaskData(
        name=name,
        X=Encoding(cdse_space()).encode(row.configuration for row in rows),
        Y=torch.tensor([row.values[target] for row in rows], dtype=torch.float64),
        Yvar=torch.tensor([row.uncertainties[target] ** 2 for row in rows], dtype=torch.float64),
        group=task_group(name),
        descriptors=torch.tensor(task_descriptors(name), dtype=torch.float64),
        fidelity="simulated",
    )
    seed = int(name.rpartition("/")[2])
    return randomise(made, torch.Generator().manual_seed(seed)) if randomised else made


def kept_rows(path: Path, wanted: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a file that was made under a setup; none where there is no file."""
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["setup"] != wanted:
        raise BadInput(f"{path} was made under {document['setup']}; expected {dict(wanted)}; leave --resume out to begin anew")
    return list(document["rows"])


def write_rows(path: Path, made: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write setup and rows, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    body = ",\n".join(json.dumps(row) for row in rows)
    partial.write_text(f'{{"setup": {json.dumps(made)},\n"rows": [\n{body}\n]}}\n', encoding="utf-8")
    partial.replace(path)


def restricted(count: int | None) -> int:
    """Return the experiments that count: those to the window, or all where it was not reached."""
    return CENSORED if count is None else count


def ratio_of_means(tasks: Sequence[Sequence[tuple[int, int]]], *, seed: int = 0) -> Interval:
    """Return mean candidate / mean yardstick over all pairs, with a bootstrap interval that resamples tasks, then pairs.

    Args:
        tasks: (candidate, yardstick) pairs of each task.
        seed: Of the resampling.
    """
    generator = random.Random(seed)
    drawn = sorted(_ratio([generator.choices(one, k=len(one)) for one in generator.choices(tasks, k=len(tasks))]) for _ in range(RESAMPLES))
    return Interval(_ratio(tasks), drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES) - 1])


def _ratio(tasks: Sequence[Sequence[tuple[int, int]]]) -> float:
    pairs = [pair for one in tasks for pair in one]
    return fmean(one for one, _ in pairs) / fmean(other for _, other in pairs)


def table(rows: Sequence[Row], learner: str) -> str:
    """Write restricted means, how many arrived, and the ratio, one line per variant."""
    lines = [
        f"| variant | tasks | {YARDSTICK} | arrived | {learner} | arrived | ratio of restricted means |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant in VARIANTS:
        tasks = _pairs([row for row in rows if row["variant"] == variant], learner)
        if not tasks:
            continue
        found = {
            arm: [row["experiments"] for row in rows if row["variant"] == variant and row["surrogate"] == arm]
            for arm in (YARDSTICK, learner)
        }
        cells = [f"{fmean(map(restricted, one)):.1f} | {sum(count is not None for count in one)}/{len(one)}" for one in found.values()]
        lines.append(f"| {variant} | {len(tasks)} | {' | '.join(cells)} | {ratio_of_means(tasks)} |")
    return "\n".join(lines)


def _pairs(rows: Sequence[Row], learner: str) -> list[list[tuple[int, int]]]:
    counts = {(row["surrogate"], row["task"], row["seed"]): restricted(row["experiments"]) for row in rows}
    tasks = sorted({row["task"] for row in rows})
    pairs = [
        [(value, counts[(YARDSTICK, task, seed)]) for (arm, one, seed), value in counts.items() if (arm, one) == (learner, task)]
        for task in tasks
    ]
    return [one for one in pairs if one]


if __name__ == "__main__":
    sys.exit(main())
