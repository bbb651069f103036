"""The bench host's own memory: every arrow of a run's and a step's life cycle is one durable commit.

One SQLite file per lab, in write-ahead mode with `synchronous=FULL`: when `commit` returns, the transition survives a
kill and a power cut. Nothing else in the host remembers anything that matters.
"""

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from instruments.host.journal_records import JournalRun, JournalStep, Transition, content_hash, sample_of
from orchestrator.domain.codec import REQUEST, read_reading, write_reading
from orchestrator.domain.environment import EnvironmentChannel, RunEnvironment, Sample, over_run
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RUN_STEPS, STEP_STEPS, RunStatus, StepStatus, advance
from orchestrator.domain.records import Reading, RunRequest, Step
from orchestrator.domain.values import canonical
from orchestrator.errors import Fault

logger = logging.getLogger(__name__)

_SCHEMA: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, content TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT, evidence TEXT NOT NULL, revision INTEGER NOT NULL, started_lab REAL, ended_lab REAL,
    stored INTEGER NOT NULL DEFAULT 0, abort TEXT) STRICT;
CREATE TABLE IF NOT EXISTS steps (
    run_key TEXT NOT NULL, number INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT, sent TEXT NOT NULL,
    baseline TEXT NOT NULL, started_lab REAL, ended_lab REAL, PRIMARY KEY (run_key, number)) STRICT;
CREATE TABLE IF NOT EXISTS readings (
    run_key TEXT NOT NULL, seq INTEGER NOT NULL, step INTEGER NOT NULL, instrument TEXT NOT NULL, channel TEXT NOT NULL,
    unit TEXT NOT NULL, quality TEXT NOT NULL, wall TEXT NOT NULL, lab REAL NOT NULL, value REAL, numbers TEXT, text TEXT,
    raw BLOB NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (run_key, seq)) STRICT;
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, wall TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS environment (
    run_key TEXT NOT NULL, name TEXT NOT NULL, declared TEXT NOT NULL, PRIMARY KEY (run_key, name)) STRICT;
CREATE TABLE IF NOT EXISTS samples (
    run_key TEXT NOT NULL, name TEXT NOT NULL, lab REAL NOT NULL, value REAL, reason TEXT, PRIMARY KEY (run_key, name, lab)) STRICT;
CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status);
"""


class Journal:
    """Durable state of all runs of one bench host; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal.

        Raises:
            Fault: The file belongs to a newer Athanor, or cannot be put into write-ahead mode.
        """
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._declared: tuple[EnvironmentChannel, ...] = ()
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise Fault(f"journal {path}: SQLite keeps mode {mode!r}; expected 'wal' (is the folder on a network drive?)")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_TABLES)
        self._check_schema(path)

    def _check_schema(self, path: Path) -> None:
        if self.meta("schema") is None:
            with self._transaction():
                self._put_meta("schema", str(_SCHEMA))
                self._put_meta("journal_id", uuid7())
        if self.meta("schema") != str(_SCHEMA):
            raise Fault(f"journal {path}: schema {self.meta('schema')}; this Athanor knows {_SCHEMA}")

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call a function after each commit, from the committing thread."""
        self._listeners.append(listener)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.OperationalError):
                    raise Fault(f"journal {self._path} cannot be written: {error}") from error
                raise

    def _roll_back(self) -> None:
        """End what has failed, unless SQLite has: on a full disk it rolls back by itself (sqlite.org/lang_transaction.html, 4)."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # ----------------------------------------------------------------- life cycles

    def commit(self, transition: Transition) -> None:
        """Make one transition durable.

        Raises:
            Fault: The life cycle does not allow it, or the run is not known.
        """
        with self._transaction():
            if transition.request is not None:
                self._arrive(transition.request, transition)
            elif transition.step is None:
                self._change_run(transition)
            else:
                self._change_step(transition)
            self._add_readings(transition)
        for listener in self._listeners:
            listener()

    def _arrive(self, request: RunRequest, transition: Transition) -> None:
        self._connection.execute(
            "INSERT INTO runs (run_key, request, content, status, evidence, revision) VALUES (?, ?, ?, ?, '{}', 1)",
            (request.run_key, canonical(REQUEST.dump_python(request, mode="json")), content_hash(request), transition.to.value),
        )
        self._connection.executemany(
            "INSERT INTO steps (run_key, number, status, sent, baseline) VALUES (?, ?, ?, '{}', '{}')",
            [(request.run_key, step.index, StepStatus.PLANNED.value) for step in request.steps],
        )
        self._raise_fence(request.campaign, request.fence)

    def _change_run(self, change: Transition) -> None:
        row = self._run_row(change.run_key)
        status = advance(RUN_STEPS, RunStatus(row["status"]), RunStatus(change.to), what=f"run {change.run_key}")
        evidence = json.loads(row["evidence"]) | dict(change.evidence)
        started = change.lab if status is RunStatus.RUNNING else row["started_lab"]
        ended = None if status is RunStatus.RUNNING else change.lab
        if status is RunStatus.RUNNING:
            self._watch(self._declared, change.run_key)
        self._connection.execute(
            "UPDATE runs SET status = ?, reason = ?, evidence = ?, started_lab = ?, ended_lab = ?, revision = revision + 1 "
            "WHERE run_key = ?",
            (status.value, change.reason, canonical(evidence), started, ended, change.run_key),
        )

    def _change_step(self, change: Transition) -> None:
        self._run_row(change.run_key)
        row = self._row("SELECT * FROM steps WHERE run_key = ? AND number = ?", (change.run_key, change.step))
        if row is None:
            raise Fault(f"run {change.run_key} has no step {change.step}")
        what = f"run {change.run_key}, step {change.step}"
        status = advance(STEP_STEPS, StepStatus(row["status"]), StepStatus(change.to), what=what)
        self._connection.execute(
            "UPDATE steps SET status = ?, reason = ?, sent = ?, baseline = ?, started_lab = ?, ended_lab = ? "
            "WHERE run_key = ? AND number = ?",
            (
                status.value,
                change.reason,
                row["sent"] if change.sent is None else canonical(dict(change.sent)),
                row["baseline"] if change.baseline is None else canonical(dict(change.baseline)),
                change.lab if status is StepStatus.INTENT else row["started_lab"],
                change.lab if status in (StepStatus.DONE, StepStatus.FAILED) else None,
                change.run_key,
                change.step,
            ),
        )
        self._connection.execute(
            "UPDATE runs SET revision = revision + 1, evidence = ? WHERE run_key = ?",
            (canonical(json.loads(self._run_row(change.run_key)["evidence"]) | dict(change.evidence)), change.run_key),
        )

    def _add_readings(self, transition: Transition) -> None:
        row = self._row("SELECT COALESCE(MAX(seq), 0) AS last FROM readings WHERE run_key = ?", (transition.run_key,))
        first = 1 + (row["last"] if row is not None else 0)
        self._connection.executemany(
            "INSERT INTO readings VALUES (:run_key, :seq, :step, :instrument, :channel, :unit, :quality, :wall, :lab, :value, :numbers, "
            ":text, :raw, :sha256)",
            [_reading_row(transition.run_key, first + n, one) for n, one in enumerate(transition.readings)],
        )

    # ----------------------------------------------------------------- questions

    def run(self, run_key: str) -> JournalRun | None:
        """Return a run with its steps; None when it never arrived here."""
        with self._lock:
            row = self._row("SELECT * FROM runs WHERE run_key = ?", (run_key,))
            return None if row is None else self._load(row)

    def runs(self, *statuses: RunStatus) -> tuple[JournalRun, ...]:
        """Return all runs in these states, in the order of their arrival."""
        marks = ", ".join("?" * len(statuses))
        with self._lock:
            cursor = self._cursor(f"SELECT * FROM runs WHERE status IN ({marks}) ORDER BY number", [s.value for s in statuses])
            return tuple(self._load(row) for row in cursor.fetchall())

    def latest(self, status: RunStatus) -> JournalRun | None:
        """Return the run in this state that arrived last; None when there is none."""
        with self._lock:
            row = self._row("SELECT * FROM runs WHERE status = ? ORDER BY number DESC LIMIT 1", (status.value,))
            return None if row is None else self._load(row)

    def content(self, run_key: str) -> str | None:
        """Return the hash of what arrived under a key."""
        with self._lock:
            row = self._row("SELECT content FROM runs WHERE run_key = ?", (run_key,))
            return None if row is None else str(row["content"])

    def revision(self, run_key: str) -> int | None:
        """Return a run's revision; cheap, for long-polls."""
        with self._lock:
            row = self._row("SELECT revision FROM runs WHERE run_key = ?", (run_key,))
            return None if row is None else int(row["revision"])

    def readings(self, run_key: str, *, after: int = 0) -> tuple[Reading, ...]:
        """Return a run's readings with a sequence number above `after`."""
        with self._lock:
            cursor = self._cursor("SELECT * FROM readings WHERE run_key = ? AND seq > ? ORDER BY seq", (run_key, after))
            return tuple(_reading(row) for row in cursor.fetchall())

    def stored(self, run_key: str) -> None:
        """Forget what was read of a run and beside it: the ledger has it."""
        with self._transaction():
            self._connection.execute("UPDATE runs SET stored = 1 WHERE run_key = ?", (run_key,))
            for table in ("readings", "samples", "environment"):
                self._connection.execute(f"DELETE FROM {table} WHERE run_key = ?", (run_key,))

    def request_abort(self, run_key: str, *, reason: str) -> None:
        """Remember that a run is to be ended, also through a restart; the first reason stays."""
        with self._transaction():
            self._connection.execute("UPDATE runs SET abort = COALESCE(abort, ?) WHERE run_key = ?", (reason, run_key))

    def abort_reason(self, run_key: str) -> str | None:
        """Return why somebody asked to end a run; cheap, for each turn."""
        with self._lock:
            row = self._row("SELECT abort FROM runs WHERE run_key = ?", (run_key,))
            return None if row is None else row["abort"]

    # ----------------------------------------------------------------- the environment

    def running(self) -> frozenset[str]:
        """Return the keys of all runs that have begun and not ended; cheap, for each turn."""
        with self._lock:
            rows = self._cursor("SELECT run_key FROM runs WHERE status = ?", (RunStatus.RUNNING.value,)).fetchall()
            return frozenset(row["run_key"] for row in rows)

    def declare(self, channels: Sequence[EnvironmentChannel]) -> None:
        """Remember what is recorded beside each run that begins from now on; what was declared when a run began stays."""
        self._declared = tuple(channels)

    def _watch(self, declared: Sequence[EnvironmentChannel], run_key: str) -> None:
        rows = [(run_key, one.name, one.model_dump_json()) for one in declared]
        self._connection.executemany("INSERT OR IGNORE INTO environment VALUES (?, ?, ?)", rows)

    def add_sample(self, name: str, sample: Sample) -> None:
        """Keep what was read of the environment, or why not, with each run that has begun and not ended."""
        values = (name, sample.lab, sample.value, sample.reason, RunStatus.RUNNING.value)
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO samples SELECT run_key, ?, ?, ?, ? FROM runs WHERE status = ?", values)

    def _environment(self, row: sqlite3.Row) -> tuple[RunEnvironment, ...]:
        """Join what was recorded to a run that has ended."""
        begin, end = row["started_lab"], row["ended_lab"]
        if begin is None or end is None:
            return ()
        declared = self._cursor("SELECT declared FROM environment WHERE run_key = ? ORDER BY rowid", (row["run_key"],)).fetchall()
        samples: dict[str, list[Sample]] = {}
        for one in self._cursor("SELECT * FROM samples WHERE run_key = ?", (row["run_key"],)).fetchall() if declared else ():
            samples.setdefault(one["name"], []).append(Sample(lab=one["lab"], value=one["value"], reason=one["reason"]))
        channels = [EnvironmentChannel.model_validate_json(one["declared"]) for one in declared]
        brought = {one.channel: one.name for one in channels if one.brought}
        for reading in self.readings(row["run_key"]) if brought else ():
            if reading.name in brought:
                samples.setdefault(brought[reading.name], []).append(sample_of(reading))
        return tuple(over_run(channel, samples.get(channel.name, ()), begin, end) for channel in channels)

    # ----------------------------------------------------------------- fences, notes, other facts

    def fence(self, campaign: str) -> int:
        """Return the highest fencing number seen of a campaign; 0 when it is new here."""
        return int(self.meta(f"fence:{campaign}") or 0)

    def _raise_fence(self, campaign: str, fence: int) -> None:
        self._put_meta(f"fence:{campaign}", str(max(fence, self.fence(campaign))))

    def raise_fence(self, campaign: str, fence: int) -> None:
        """Remember a campaign's fencing number when it is the highest so far."""
        if fence > self.fence(campaign):
            with self._transaction():
                self._raise_fence(campaign, fence)

    def note(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Record something that happened to the bench as a whole (safe state, latch, resolution)."""
        with self._transaction():
            wall = datetime.now(UTC).isoformat()
            self._connection.execute("INSERT INTO notes (wall, kind, detail) VALUES (?, ?, ?)", (wall, kind, canonical(dict(detail))))

    def notes(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return kind and detail of all notes, oldest first."""
        with self._lock:
            cursor = self._cursor("SELECT kind, detail FROM notes ORDER BY number", ())
            return tuple((row["kind"], json.loads(row["detail"])) for row in cursor.fetchall())

    def meta(self, key: str) -> str | None:
        """Return one remembered fact."""
        with self._lock:
            row = self._row("SELECT value FROM meta WHERE key = ?", (key,))
            return None if row is None else str(row["value"])

    def set_meta(self, key: str, value: str | None) -> None:
        """Remember one fact durably, or forget it."""
        with self._transaction():
            if value is None:
                self._connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            else:
                self._put_meta(key, value)

    def _put_meta(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # ----------------------------------------------------------------- rows

    def _cursor(self, sql: str, values: Any) -> sqlite3.Cursor:
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(sql, values)

    def _row(self, sql: str, values: Any) -> sqlite3.Row | None:
        return cast("sqlite3.Row | None", self._cursor(sql, values).fetchone())

    def _run_row(self, run_key: str) -> sqlite3.Row:
        row = self._row("SELECT * FROM runs WHERE run_key = ?", (run_key,))
        if row is None:
            raise Fault(f"run {run_key} is not in the journal")
        return row

    def _load(self, row: sqlite3.Row) -> JournalRun:
        request = REQUEST.validate_json(row["request"])
        steps = self._cursor("SELECT * FROM steps WHERE run_key = ? ORDER BY number", (row["run_key"],)).fetchall()
        return JournalRun(
            request=request,
            status=RunStatus(row["status"]),
            reason=row["reason"],
            evidence=json.loads(row["evidence"]),
            revision=row["revision"],
            started_lab=row["started_lab"],
            ended_lab=row["ended_lab"],
            abort=row["abort"],
            environment=self._environment(row),
            steps=tuple(_step(step, row) for step, row in zip(request.steps, steps, strict=True)),
        )


def _step(step: Step, row: sqlite3.Row) -> JournalStep:
    return JournalStep(
        step=step,
        status=StepStatus(row["status"]),
        reason=row["reason"],
        sent=json.loads(row["sent"]),
        baseline=json.loads(row["baseline"]),
        started_lab=row["started_lab"],
        ended_lab=row["ended_lab"],
    )


def _reading_row(run_key: str, seq: int, one: Reading) -> dict[str, Any]:
    document = write_reading(one)
    numbers = document.pop("array")
    return {
        **document,
        "run_key": run_key,
        "seq": seq,
        "numbers": None if numbers is None else json.dumps(numbers),
        "raw": one.raw,
        "sha256": one.sha256 or hashlib.sha256(one.raw).hexdigest(),
    }


def _reading(row: sqlite3.Row) -> Reading:
    numbers = row["numbers"]
    return read_reading({**dict(row), "array": None if numbers is None else json.loads(numbers)}, seq=row["seq"], raw=row["raw"])
