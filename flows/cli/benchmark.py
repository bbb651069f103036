"""`athanor benchmark`: replays surrogates on the tasks of a benchmark file."""

from dataclasses import dataclass
from pathlib import Path

from flows.console import console
from flows.studies.benchmark.rows import Results
from flows.studies.benchmark.running import BenchmarkChoice, prepare
from flows.studies.benchmark.spec import load_benchmark
from models.threads import use_threads
from orchestrator.errors import BadInput


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What the command was given, as text."""

    data: Path | None
    seeds: int | None
    surrogates: str | None
    tasks: str | None
    leave: str | None
    initial: int | None
    fresh: bool


def run_benchmark(file: Path, out: Path, options: BenchmarkOptions) -> None:
    """Compute the rows that are missing; print one line each.

    Raises:
        BadInput: One line that says what is wrong with the file, the data or an option.
    """
    use_threads(1)  # small factorisations: more threads are slower, and results differ with their number
    benchmark = prepare(load_benchmark(file), options.data, _choice(options))
    for line in benchmark.suite.constant:
        console.print(line, markup=False)
    results = Results.open(out)
    missing = benchmark.missing(results)
    stale = sum(row["code"] != benchmark.code for row in results.rows)
    console.print(f"{out}: {len(results.rows)} rows are there, {stale} of them of another version of the code; {len(missing)} to compute")
    for number, row in enumerate(benchmark.run(results), start=1):
        console.print(
            f"{number}/{len(missing)} {row['surrogate']} {row['task']} seed {row['seed']} leave {row['leave']} "
            f"initial {row['initial']}: regret area {row['regret_area']:.4f}, {row['latency_s']:.3f} s per proposal"
        )


def _choice(options: BenchmarkOptions) -> BenchmarkChoice:
    if options.leave not in (None, "task", "group"):
        raise BadInput(f"--leave {options.leave} is unknown; legal: task, group")
    return BenchmarkChoice(
        seeds=options.seeds,
        surrogates=_names(options.surrogates),
        tasks=_names(options.tasks),
        leave="group" if options.leave == "group" else "task" if options.leave == "task" else None,
        initial=options.initial,
        fresh=options.fresh,
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
