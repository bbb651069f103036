"""The benchmark's JSON rows: making, keeping, resuming."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import models
import policies
from flows.studies.benchmark.judging import Judgement
from flows.studies.benchmark.pools import ReplayPool
from flows.studies.benchmark.replay import Replay, ReplayCourse
from orchestrator.errors import BadInput

ResultRow = dict[str, Any]
ResultKey = tuple[str, str, int, str, int]

KEY: Final = ("surrogate", "task", "seed", "leave", "initial")
"""What makes a row one of its kind."""
MEASURES: Final = ("coverage", "interval_score", "log_score", "width")


def code_version() -> str:
    """Return the package's version and a hash over the sources of models and policies."""
    digest = hashlib.sha256()
    for package in (models, policies):
        assert package.__file__ is not None
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    return f"{version('athanor')}+{digest.hexdigest()[:12]}"


def make_row(
    key: ResultKey, pool: ReplayPool, course: ReplayCourse, found: Replay, on_random: Mapping[int, Judgement], *, sign: float, code: str
) -> ResultRow:
    """Make the row of a replay; `sign` turns scores back into the target's values."""
    scores = [pool.scores[index] for index in found.chosen]
    running = [max(scores[: number + 1]) for number in range(len(scores))]
    regrets = _regrets(running, pool.scores)
    return {
        **dict(zip(KEY, key, strict=True)),
        "budget": course.budget,
        "batch": course.batch,
        "code": code,
        "best_so_far": [sign * value for value in running],
        "regret": [round(value, 6) for value in regrets],
        "regret_area": fmean(regrets[course.initial :]),
        "experiments_to_top_1": _to_top(running, pool.scores, 0.01, course.initial),
        "experiments_to_top_5": _to_top(running, pool.scores, 0.05, course.initial),
        "latency_s": median(found.latencies) if found.latencies else 0.0,
        "latency_worst_s": max(found.latencies, default=0.0),
        "latency_cpu_s": median(found.processor) if found.processor else 0.0,
        **_measures(found.judgements),
        "random_support": _measures(on_random),
    }


def _measures(judgements: Mapping[int, Judgement]) -> dict[str, dict[str, float]]:
    return {name: {str(count): asdict(one)[name] for count, one in judgements.items()} for name in MEASURES}


def _regrets(running: Sequence[float], scores: Sequence[float]) -> list[float]:
    best, worst = max(scores), min(scores)
    return [(best - value) / (best - worst) for value in running]


def _to_top(running: Sequence[float], scores: Sequence[float], part: float, initial: int) -> int | None:
    """Return experiments after the initial ones until the best part of the pool is reached; None: never."""
    wanted = sorted(scores, reverse=True)[max(1, -int(-part * len(scores) // 1)) - 1]
    reached = next((number for number, value in enumerate(running, start=1) if value >= wanted), None)
    return None if reached is None else max(0, reached - initial)


def row_key(row: Mapping[str, Any]) -> ResultKey:
    """Return what makes the row one of its kind."""
    return (str(row["surrogate"]), str(row["task"]), int(row["seed"]), str(row["leave"]), int(row["initial"]))


@dataclass
class Results:
    """A JSON file of rows that grows by one at a time and is whole at any moment."""

    path: Path
    rows: list[ResultRow] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Results":
        """Read what is there.

        Raises:
            BadInput: The file is something else.
        """
        if not path.exists():
            return cls(path)
        try:
            rows = list(json.loads(path.read_text(encoding="utf-8"))["rows"])
            for row in rows:
                row_key(row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"results file {path} holds no benchmark rows ({type(error).__name__}: {error})") from error
        return cls(path, rows, [json.dumps(row) for row in rows])

    def done(self, *, code: str | None) -> set[ResultKey]:
        """Return the keys of the rows that are there, of one version of the code where it is given."""
        return {row_key(row) for row in self.rows if code is None or row["code"] == code}

    def add(self, row: ResultRow) -> None:
        """Append a row; one of the same key and code is replaced."""
        same = [index for index, old in enumerate(self.rows) if row_key(old) == row_key(row) and old["code"] == row["code"]]
        for index in reversed(same):
            del self.rows[index], self._lines[index]
        self.rows.append(row)
        self._lines.append(json.dumps(row))
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text('{"rows": [\n' + ",\n".join(self._lines) + "\n]}\n", encoding="utf-8")
        partial.replace(self.path)


def latest_rows(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Keep of each key the row that was computed last."""
    return list({row_key(row): row for row in rows}.values())
