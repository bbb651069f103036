"""A small family of recorded tasks, written as CSV files."""

import csv
import math
from pathlib import Path

from flows.studies.benchmark.loading import Suite, load_suite
from flows.studies.benchmark.spec import BenchmarkFile, load_benchmark

TEXT = """
[data]
files = ["family.csv"]
task = "batch"
{group}
[data.columns]
y = "response"

[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1

[[parameters]]
name = "kind"
kind = "categorical"
categories = ["a", "b"]
{descriptors}

[[targets]]
name = "y"
goal = "{goal}"

[split]
judge = ["one", "two"]
leave = "{leave}"
identical = "{identical}"

[run]
budget = 8
initial = 3
seeds = 2
surrogates = ["random", "fresh-gp", "copy"]
"""


def write_family(folder: Path, rows: int = 12) -> None:
    """Three tasks; `one` and `two` are of one group; the first configuration of each is measured twice."""
    with (folder / "family.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["batch", "team", "x", "kind", "weight", "response"])
        for number, task in enumerate(("one", "two", "three")):
            team = "B" if task == "three" else "A"
            for index in range(rows):
                x, kind = index / rows, "ab"[index % 2]
                value = math.sin(3 * x + 0.2 * number) + 0.1 * (kind == "b")
                writer.writerow([task, team, x, kind, 1.5 if kind == "a" else 2.5, value])
            writer.writerow([task, team, 0.0, "a", 1.5, math.sin(0.2 * number) + 0.5])


def benchmark_file(
    folder: Path,
    *,
    leave: str = "task",
    identical: str = "keep",
    group: str = 'group = "team"',
    goal: str = "maximise",
    descriptors: str = "",
) -> BenchmarkFile:
    path = folder / "bench.toml"
    path.write_text(TEXT.format(leave=leave, identical=identical, group=group, goal=goal, descriptors=descriptors))
    return load_benchmark(path)


def small_suite(folder: Path, **changes: str) -> Suite:
    write_family(folder)
    return load_suite(benchmark_file(folder, **changes), folder)
