"""Tables of `athanor benchmark`: `python -m benchmarks.meta RESULT.json [...]`, or `--run DIR` for a reduced table anew.

Everything is compared with the fresh GP in pairs: same task, same seed, same initial rows.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

from benchmarks.metrics import Interval, Pairs, floored_ratio, paired_bootstrap, ratio
from flows.studies.benchmark.rows import Results, latest_rows
from flows.studies.benchmark.running import ANY_SPLIT, COMPARED_LEARNERS, BenchmarkChoice, prepare
from flows.studies.benchmark.spec import load_benchmark
from orchestrator.errors import AthanorError, BadInput

YARDSTICK: Final = "fresh-gp"
COPYING: Final = "copy"
"""Where it beats the yardstick the family is kin: winning there is no evidence of adaptation."""
COUNTS: Final = ("5", "10", "20")
EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "benchmarks"

REDUCED: Final[Mapping[str, Mapping[str, Any]]] = {
    "cn_coupling.toml": {"tasks": ("s6", "s13"), "leave": "group"},
    "suzuki_flow.toml": {"tasks": ("suzuki_i",)},
    "oer_plates.toml": {"tasks": ("oer_plate_3496",)},
}
REDUCED_SEEDS: Final = 2
"""Few: the reduced table is to show that the harness runs, and roughly where everything stands."""

Row = Mapping[str, Any]
Measure = Callable[[Row], float]


def area(row: Row) -> float:
    """Return the regret area."""
    return float(row["regret_area"])


def to_top(row: Row) -> float:
    """Return experiments to the top 5 %; one more than there were for a replay that never got there."""
    reached = row["experiments_to_top_5"]
    return float(row["budget"] - row["initial"] + 1 if reached is None else reached)


def selected(rows: Sequence[Row], *, leave: str, initial: int) -> list[Row]:
    """Return the rows of a split, those that hold for any included."""
    return [row for row in rows if row["leave"] in (leave, ANY_SPLIT) and row["initial"] == initial]


def pairs_of(rows: Sequence[Row], name: str, measure: Measure) -> dict[str, Pairs]:
    """Return task -> (surrogate, yardstick) of the seeds that both have."""
    known = {(row["surrogate"], row["task"], row["seed"]): measure(row) for row in rows}
    found: dict[str, list[tuple[float, float]]] = {}
    for (who, task, seed), value in known.items():
        if who == name and (YARDSTICK, task, seed) in known:
            found.setdefault(task, []).append((value, known[YARDSTICK, task, seed]))
    return dict(found)


def report(rows: Sequence[Row]) -> str:
    """Write all tables as Markdown: one section per split and number of initial rows."""
    kept = latest_rows([dict(row) for row in rows])
    codes = sorted({str(row["code"]) for row in kept})
    sections = [f"Rows: {len(kept)}; code: {', '.join(codes)}"]
    leaves = sorted({row["leave"] for row in kept} - {ANY_SPLIT}) or [ANY_SPLIT]
    for leave in leaves:
        for initial in sorted({row["initial"] for row in kept}, reverse=True):
            chosen = selected(kept, leave=leave, initial=initial)
            sections += [_section(chosen, f"leave {leave}, {initial} initial rows")] if chosen else []
    return "\n\n".join(sections)


def _section(rows: Sequence[Row], title: str) -> str:
    kin = kin_tasks(rows)
    tasks = sorted({row["task"] for row in rows})
    alien = [task for task in tasks if task not in kin]
    parts = [f"## {title}", _per_task(rows, tasks), _ratios(rows, tasks, "all tasks")]
    if kin and alien:
        parts += [_ratios(rows, kin, "kin: copying beats the fresh GP"), _ratios(rows, alien, "not kin")]
    parts += [_calibration(rows, "support chosen by the policy", lambda row: row), _random_calibration(rows), _latencies(rows)]
    return "\n\n".join(part for part in parts if part)


def kin_tasks(rows: Sequence[Row]) -> list[str]:
    """Return the tasks where copying the sources' ranking beats the fresh GP."""
    return sorted(task for task, pairs in pairs_of(rows, COPYING, area).items() if floored_ratio(pairs) < 1)


def _names(rows: Sequence[Row]) -> list[str]:
    return sorted({row["surrogate"] for row in rows})


def _per_task(rows: Sequence[Row], tasks: Sequence[str]) -> str:
    lines = ["| task | surrogate | seeds | regret area | ratio to fresh-gp | to top 5 % | never |", "|---|---|---|---|---|---|---|"]
    for task in tasks:
        for name in _names(rows):
            here = [row for row in rows if row["task"] == task and row["surrogate"] == name]
            if here:
                lines.append(_task_line(task, name, here, pairs_of(rows, name, area).get(task)))
    return "\n".join(lines)


def _task_line(task: str, name: str, here: Sequence[Row], pairs: Pairs | None) -> str:
    against = str(paired_bootstrap({task: pairs}, floored_ratio, geometric=True)) if pairs and name != YARDSTICK else "-"
    never = sum(row["experiments_to_top_5"] is None for row in here)
    return f"| {task} | {name} | {len(here)} | {fmean(map(area, here)):.4f} | {against} | {fmean(map(to_top, here)):.1f} | {never} |"


def _ratios(rows: Sequence[Row], tasks: Sequence[str], label: str) -> str:
    lines = [
        f"Ratios to {YARDSTICK}, geometric means over {label} ({', '.join(tasks)}):\n",
        "| surrogate | tasks | regret area | experiments to top 5 % | worst task |",
        "|---|---|---|---|---|",
    ]
    chosen = [row for row in rows if row["task"] in tasks]
    for name in _names(rows):
        pairs = pairs_of(chosen, name, area)
        lines += [_ratio_line(name, pairs, pairs_of(chosen, name, to_top))] if pairs and name != YARDSTICK else []
    return "\n".join(lines) if len(lines) > 3 else ""


def _ratio_line(name: str, areas: Mapping[str, Pairs], tops: Mapping[str, Pairs]) -> str:
    worst = max(areas, key=lambda task: floored_ratio(areas[task]))
    there = paired_bootstrap({worst: areas[worst]}, floored_ratio, geometric=True)
    return f"| {name} | {len(areas)} | {geometric(areas, floored_ratio)} | {geometric(tops, ratio)} | {worst} {there} |"


def geometric(pairs: Mapping[str, Pairs], statistic: Callable[[Pairs], float]) -> Interval | str:
    """Return the geometric mean over tasks with its interval; a dash where the yardstick is zero on one."""
    if any(not math.isfinite(statistic(found)) or statistic(found) == 0 for found in pairs.values()):
        return "-"
    return paired_bootstrap(pairs, statistic, geometric=True)


def _calibration(rows: Sequence[Row], label: str, part: Callable[[Row], Row]) -> str:
    held = _judged(rows, {"coverage": "coverage", "least": "least task", "width": f"width : {YARDSTICK}"}, part)
    scored = _judged(rows, {"interval_score": f"interval score : {YARDSTICK}", "log_score": f"log score - {YARDSTICK}"}, part)
    return f"Nominal 90 % intervals, {label}:\n\n{held}\n\n{scored}" if held else ""


def _judged(rows: Sequence[Row], whats: Mapping[str, str], part: Callable[[Row], Row]) -> str:
    """Return a table with a column per measure and number of support points; empty where no surrogate was judged."""
    columns = [(what, count) for what in whats for count in COUNTS]
    cells = {name: [_cell(rows, name, what, count, part) for what, count in columns] for name in _names(rows)}
    lines = [f"| {name} | {' | '.join(found)} |" for name, found in cells.items() if any(cell != "-" for cell in found)]
    head = "| surrogate | " + " | ".join(f"{whats[what]}, n = {count}" for what, count in columns) + " |"
    return "\n".join([head, "|---" * (len(columns) + 1) + "|", *lines]) if lines else ""


def _random_calibration(rows: Sequence[Row]) -> str:
    return _calibration([row for row in rows if "random_support" in row], "random support", lambda row: row["random_support"])


def _cell(rows: Sequence[Row], name: str, what: str, count: str, part: Callable[[Row], Row]) -> str:
    """Return coverage (mean or worst task); width and interval score as ratios to the yardstick's, log score as difference.

    Tasks have units of their own, so that only what is compared with the yardstick on the same task may be averaged.
    """
    kind = "coverage" if what == "least" else what
    mine, other = (_means(rows, who, kind, count, part) for who in (name, YARDSTICK))
    tasks = list(mine) if kind == "coverage" else [task for task in mine if task in other]
    if not tasks:
        return "-"
    if kind == "coverage":
        return f"{100 * (min if what == 'least' else fmean)(mine.values()):.0f} %"
    if kind == "log_score":
        return f"{fmean(mine[task] - other[task] for task in tasks):+.3g}"
    return f"{math.exp(fmean(math.log(mine[task] / other[task]) for task in tasks)):.3g}"


def _means(rows: Sequence[Row], name: str, kind: str, count: str, part: Callable[[Row], Row]) -> dict[str, float]:
    """Return task -> mean over seeds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["surrogate"] == name and (value := part(row).get(kind, {}).get(count)) is not None:
            found.setdefault(row["task"], []).append(value)
    return {task: fmean(values) for task, values in found.items()}


def _latencies(rows: Sequence[Row]) -> str:
    lines = ["| surrogate | wall s per proposal, median | worst | processor s, median |", "|---|---|---|---|"]
    for name in _names(rows):
        here = [row for row in rows if row["surrogate"] == name]
        spent = [row["latency_cpu_s"] for row in here if "latency_cpu_s" in row]
        worst = max(row["latency_worst_s"] for row in here)
        lines.append(
            f"| {name} | {median(row['latency_s'] for row in here):.3g} | {worst:.3g} | {format(median(spent), '.3g') if spent else '-'} |"
        )
    return "\n".join(lines)


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """Read result files.

    Raises:
        BadInput: A file is missing or something else.
    """
    for path in paths:
        if not path.is_file():
            raise BadInput(f"results file {path} does not exist")
    return [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def run_reduced(out: Path, data: Path | None) -> None:
    """Compute the rows of the reduced table that are missing."""
    results = Results.open(out)
    for name, choice in REDUCED.items():
        file = load_benchmark(EXAMPLES / name)
        known = prepare(file, data, BenchmarkChoice(**choice, seeds=REDUCED_SEEDS, surrogates=_available(file.spec.run.surrogates)))
        for row in known.run(results):
            print(f"{row['surrogate']} {row['task']} seed {row['seed']}: {row['regret_area']:.4f}", file=sys.stderr)


def _available(wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in COMPARED_LEARNERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meta", description=__doc__)
    parser.add_argument("results", nargs="*", type=Path)
    parser.add_argument("--run", type=Path, help="compute the reduced table's rows into this file first")
    parser.add_argument("--data", type=Path, help="folder of recorded tables; else ATHANOR_DATA names it")
    options = parser.parse_args(arguments)
    try:
        if options.run is not None:
            run_reduced(options.run, options.data)
        print(report(read_rows([*options.results, *([options.run] if options.run else [])])))
    except AthanorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
