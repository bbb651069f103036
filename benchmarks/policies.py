"""Replay policies on recorded tables: `python -m benchmarks.policies --data DIR --seeds 20 --json OUT [--resume]`.

All policies get the same initial rows and the same draws of replicates, so that they are compared in pairs.
"""

import argparse
import itertools
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import torch

from benchmarks.metrics import Pairs, difference, paired_bootstrap, ratio
from benchmarks.pictures import replay_pictures
from benchmarks.plain_botorch import PlainBotorch
from benchmarks.replay import replay, row_of
from benchmarks.tasks import RecordedTask, load_tasks
from models.threads import use_threads
from orchestrator.errors import AthanorError, BadInput
from orchestrator.ports import Policy
from policies.registry import build_policy

INITIAL: Final = 5
YARDSTICK: Final = "plain-botorch"

POLICIES: Final[Mapping[str, Callable[[RecordedTask], Policy]]] = {
    "random": lambda task: build_policy("random", task.pool.space, task.file.objective, {}),
    YARDSTICK: lambda task: PlainBotorch(task.pool.space, task.file.objective),
    "athanor": lambda task: build_policy("bayesian", task.pool.space, task.file.objective, {"initial": INITIAL}),
    "together": lambda task: build_policy("bayesian", task.pool.space, task.file.objective, {"initial": INITIAL, "search": "together"}),
}
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    use_threads(1)
    try:
        run(options)
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=[], help="campaign names; all of examples/recorded where none is given")
    parser.add_argument("--policies", nargs="*", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/policies.json"))
    parser.add_argument("--pictures", type=Path, help="folder for one SVG per task")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the JSON file has")
    return parser


def run(options: argparse.Namespace) -> None:
    """Replay what is missing, then print the table and draw the pictures.

    Raises:
        BadInput: Data are missing, or the file to resume was made under another setup.
    """
    tasks = load_tasks(options.data, options.tasks)
    rows = _kept(options.json, setup()) if options.resume else []
    done = {(row["surrogate"], row["task"], row["seed"]) for row in rows}
    for seed, task, name in itertools.product(range(options.seeds), tasks, options.policies):
        if (name, task.name, seed) in done:
            continue
        budget = task.file.spec.campaign.budget.experiments
        outcome = replay(task, POLICIES[name](task), seed=seed, initial=INITIAL, budget=budget)
        rows.append(row_of(name, task, seed, outcome, initial=INITIAL))
        _write(options.json, setup(), rows)
    print(table(rows))
    if options.pictures is not None:
        replay_pictures(options.pictures, tasks, rows, initial=INITIAL)


def setup() -> dict[str, Any]:
    """Describe what rows must share to stand in one file."""
    return {
        "initial": INITIAL,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("torch", "botorch", "gpytorch")},
    }


def _kept(path: Path, wanted: Mapping[str, Any]) -> list[Row]:
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["setup"] != wanted:
        raise BadInput(f"{path} was made under {document['setup']}; expected {dict(wanted)}; leave --resume out to begin anew")
    return list(document["rows"])


def _write(path: Path, made: Mapping[str, Any], rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows, key=lambda row: (row["task"], row["surrogate"], row["seed"]))
    body = ",\n".join(json.dumps(row) for row in ordered)
    partial = path.with_suffix(".partial")
    partial.write_text(f'{{"setup": {json.dumps(made)},\n"rows": [\n{body}\n]}}\n', encoding="utf-8")
    partial.replace(path)


def table(rows: Sequence[Row]) -> str:
    """Write the figures as a Markdown table, one line per task and policy, and the comparison with the yardstick below."""
    lines = ["| task | policy | regret area | experiments to top 5 % | never | s per proposal | seeds |", "|---|---|---|---|---|---|---|"]
    for task, name in sorted({(row["task"], row["surrogate"]) for row in rows}):
        lines.append(_line(task, name, [row for row in rows if (row["task"], row["surrogate"]) == (task, name)]))
    names = sorted({row["surrogate"] for row in rows} - {YARDSTICK})
    return "\n".join([*lines, *(line for name in names for line in _comparison(rows, name))])


def _line(task: str, name: str, rows: Sequence[Row]) -> str:
    area = fmean(row["regret_area"] for row in rows)
    never = sum(row["experiments_to_top_5"] is None for row in rows)
    latency = median(row["latency_s"] for row in rows)
    return f"| {task} | {name} | {area:.4f} | {fmean(_to_top(row) for row in rows):.1f} | {never} | {latency:.2g} | {len(rows)} |"


def _to_top(row: Row) -> float:
    """Return experiments to the top 5 %; one more than there were for a replay that never got there."""
    reached = row["experiments_to_top_5"]
    return float(len(row["best_so_far"]) - INITIAL + 1 if reached is None else reached)


def _comparison(rows: Sequence[Row], name: str) -> list[str]:
    lines = []
    for label, measure in (("regret area", lambda row: float(row["regret_area"])), ("experiments to top 5 %", _to_top)):
        pairs = {task: found for task in sorted({row["task"] for row in rows}) if (found := _pairs(rows, task, name, measure))}
        if not pairs:
            continue
        lines.append(f"\n{name} against {YARDSTICK}, {label} (95 % paired bootstrap over seeds):")
        for task, found in pairs.items():
            one = {task: found}
            lines.append(f"- {task}: difference {paired_bootstrap(one, difference)}, ratio {paired_bootstrap(one, ratio, geometric=True)}")
        lines.append(f"- all tasks, geometric mean of the ratios: {paired_bootstrap(pairs, ratio, geometric=True)}")
    return lines


def _pairs(rows: Sequence[Row], task: str, name: str, measure: Callable[[Row], float]) -> Pairs:
    found = {(row["surrogate"], row["seed"]): measure(row) for row in rows if row["task"] == task}
    return [(value, found[(YARDSTICK, seed)]) for (who, seed), value in found.items() if who == name and (YARDSTICK, seed) in found]


if __name__ == "__main__":
    sys.exit(main())
