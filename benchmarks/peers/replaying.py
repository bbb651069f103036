"""Replays of a packaged peer on a case, and its rows in the benchmark's own format; imports nothing of ours.

What is counted is what `flows.studies.benchmark.replay` and `flows.studies.benchmark.rows` count; a test holds both together.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final, Protocol

import numpy as np
import torch

Case = Mapping[str, Any]
Draw = Mapping[str, Any]
"""What a case holds for one seed."""
Row = dict[str, Any]
Key = tuple[str, str, int, str, int]
Measured = Sequence[tuple[int, float]]
"""(candidate, what its experiment gave)."""

KEY: Final = ("surrogate", "task", "seed", "leave", "initial")
"""What makes a row one of its kind."""


class Peer(Protocol):
    """One campaign in a packaged optimiser."""

    def propose(self, new: Measured) -> int:
        """Take in what was measured since the last proposal, and choose a candidate that was not measured."""
        ...


@dataclass(frozen=True, slots=True)
class Entrant:
    """A packaged optimiser."""

    name: str
    code: str
    """The package and its version."""
    start: Callable[[Case, Draw], Peer]


def replay(entrant: Entrant, case: Case, draw: Draw) -> Row:
    """Replay a campaign until its budget is used up; making the peer's search space is not part of a proposal."""
    _seed_globally(f"{case['task']}/{draw['seed']}/{case['leave']}")
    peer = entrant.start(case, draw)
    chosen: list[int] = list(draw["initial"])
    new, walls, processor = [(index, draw["measured"][index]) for index in chosen], [], []
    while len(chosen) < case["budget"]:
        began, began_cpu = time.perf_counter(), time.process_time()
        picked = peer.propose(new)
        walls.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_cpu)
        if picked in chosen:
            raise RuntimeError(f"{entrant.name}: candidate {picked} of {case['task']} was measured already")
        chosen.append(picked)
        new = [(picked, draw["measured"][picked])]
    return make_row(entrant, case, draw["seed"], chosen, walls, processor)


def _seed_globally(what: str) -> None:
    """Seed the generators that the packages draw from: neither takes one."""
    seed = int(hashlib.sha256(what.encode()).hexdigest()[:8], 16)
    torch.manual_seed(seed)
    np.random.seed(seed)  # what the packages draw from
    random.seed(seed)


def make_row(entrant: Entrant, case: Case, seed: int, chosen: Sequence[int], walls: Sequence[float], processor: Sequence[float]) -> Row:
    """Make the row of a replay, judged by each candidate's mean score."""
    pool, initial = case["scores"], case["initial"]
    running = [max(pool[index] for index in chosen[: number + 1]) for number in range(len(chosen))]
    regrets = [(max(pool) - value) / (max(pool) - min(pool)) for value in running]
    return {
        **dict(zip(KEY, (entrant.name, case["task"], seed, case["leave"], initial), strict=True)),
        "budget": case["budget"],
        "batch": 1,
        "code": entrant.code,
        "best_so_far": [case["sign"] * value for value in running],
        "regret": [round(value, 6) for value in regrets],
        "regret_area": fmean(regrets[initial:]),
        "experiments_to_top_1": _to_top(running, pool, 0.01, initial),
        "experiments_to_top_5": _to_top(running, pool, 0.05, initial),
        "latency_s": median(walls),
        "latency_worst_s": max(walls),
        "latency_cpu_s": median(processor),
        "coverage": {},
        "interval_score": {},
        "log_score": {},
        "width": {},
    }


def _to_top(running: Sequence[float], pool: Sequence[float], part: float, initial: int) -> int | None:
    """Return experiments after the initial ones until the best part of the pool is reached; None: never."""
    wanted = sorted(pool, reverse=True)[max(1, math.ceil(part * len(pool))) - 1]
    reached = next((number for number, value in enumerate(running, start=1) if value >= wanted), None)
    return None if reached is None else max(0, reached - initial)


@dataclass
class Kept:
    """A JSON file of rows that grows by one at a time and is whole at any moment."""

    path: Path
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Kept":
        """Read what is there."""
        return cls(path, json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else [])

    def holds(self, entrant: Entrant, case: Case, seed: int) -> bool:
        """Return whether the row is there, from the same version of the package."""
        wanted = (entrant.name, case["task"], seed, case["leave"], case["initial"], entrant.code)
        return any((*(row[name] for name in KEY), row["code"]) == wanted for row in self.rows)

    def add(self, row: Row) -> None:
        """Append a row."""
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text('{"rows": [\n' + ",\n".join(json.dumps(one) for one in self.rows) + "\n]}\n", encoding="utf-8")
        partial.replace(self.path)
