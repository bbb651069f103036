"""A bench answered from a recorded table: the same campaign, no instrument.

It works in the campaign's own process and remembers nothing that matters: what a run gets depends on the campaign's
seed, the configuration, and how many runs measured that configuration before. The ledger knows the latter, so a
campaign that was killed anywhere is answered as if it had never been.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from typing_extensions import override

from orchestrator.clock import Clock, Instant, LiveClock
from orchestrator.datasets import Table
from orchestrator.domain.lifecycle import RunStatus, StepKind, StepStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Reading, RunReport, RunRequest, Step, StepReport
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration, canonical, digest
from orchestrator.errors import BadInput, HostError
from orchestrator.ports import Bench
from orchestrator.recorded import Recorded, recorded_pool

logger = logging.getLogger(__name__)

INSTRUMENT: Final = "recorded"
MEASURE: Final = f"{INSTRUMENT}.measure"


@dataclass(frozen=True, slots=True)
class _Run:
    request: RunRequest
    report: RunReport
    readings: tuple[Reading, ...] = ()


class RecordedBench(Bench):
    """Answers each run at once with a recorded experiment at its configuration.

    Repeated measurements of a configuration draw its recorded replicates without repetition, in an order that the seed
    and the configuration fix; when all are used up, the same order begins again.
    """

    def __init__(
        self,
        table: Table,
        space: SearchSpace,
        objective: Objective,
        *,
        columns: Mapping[str, str] | None = None,
        seed: int,
        clock: Clock | None = None,
        earlier: Iterable[RunRequest] = (),
    ) -> None:
        """Take over a table.

        Args:
            table: The recorded rows.
            space: The campaign's search space.
            objective: Its targets are what is measured.
            columns: Configuration's column or target -> file's column, where the names differ.
            seed: The campaign's seed.
            clock: Stamps readings; the live clock where none is given.
            earlier: The campaign's runs so far, from the ledger, in the order in which they were queued. A resumed
                campaign needs them: they are known again, and the next draw is the one that would have come.

        Raises:
            BadInput: A column is missing or a unit does not fit.
        """
        self._pool = recorded_pool(table, space.parameters, objective.measured, columns=columns, constraints=space.constraints)
        self._seed = seed
        self._clock = clock or LiveClock()
        self._order: dict[str, list[str]] = {}
        self._runs: dict[str, _Run] = {}
        self._latched: str | None = None
        self._lock = Lock()
        for request in earlier:
            self.submit(request)

    @override
    def submit(self, request: RunRequest) -> RunReport:
        """Answer a run; the same run key gets the same answer.

        Raises:
            HostError: The bench is latched, or the run key is known with other content.
            BadInput: The steps are not those of `steps_for`.
        """
        with self._lock:
            known = self._runs.get(request.run_key)
            if known is not None and _content(known.request) != _content(request):
                raise HostError(f"run {request.run_key} is known to the recorded bench with other steps; expected the same")
            if known is None:
                if self._latched is not None:
                    raise HostError(f"the recorded bench is stopped ({self._latched}); it takes no run until it is resumed")
                known = self._runs[request.run_key] = self._measure(request)
            return known.report

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        known = self._runs.get(run_key)
        return None if known is None else known.report

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        """Return a run's readings, one per target.

        Raises:
            HostError: The run key is not known: it was neither submitted nor among the earlier ones.
        """
        if run_key not in self._runs:
            raise HostError(f"run {run_key} is not known to the recorded bench; submit it again, or give it as an earlier one")
        return self._runs[run_key].readings

    @override
    def stored(self, run_key: str) -> None:
        """Do nothing: the table keeps everything."""

    @override
    def abort(self, run_key: str, *, reason: str) -> None:
        """Do nothing: a run has ended when `submit` returns."""

    @override
    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        """Refuse: no run of a table is ever unknown.

        Raises:
            BadInput: Always; names the run's state.
        """
        known = self._runs.get(run_key)
        state = "not known" if known is None else known.report.status.value
        raise BadInput(f"run {run_key} is {state} on the recorded bench; only an unknown run can be resolved")

    @override
    def stop(self, *, reason: str) -> None:
        """Latch: no further run is taken."""
        self._latched = reason

    def _measure(self, request: RunRequest) -> _Run:
        configuration = _configuration(request)
        now = self._clock.now()
        rows = self._pool.drawn(configuration, seed=self._seed)
        if not rows:
            reason = f"{self._pool.table.label} has no row at {canonical(dict(configuration))}: nobody measured it"
            return _Run(request, _report(request, now, RunStatus.FAILED, reason))
        turn = self._turn(request.run_id, configuration)
        row = rows[turn % len(rows)]
        logger.info("campaign %s run %s: row %d of %s", request.campaign, request.run_key, row.number, self._pool.table.label)
        return _Run(request, _report(request, now, RunStatus.COMPLETED), self._readings(row, now))

    def _turn(self, run_id: str, configuration: Configuration) -> int:
        """Count how many runs asked for a configuration before this one, whatever the attempt."""
        order = self._order.setdefault(digest(dict(configuration)), [])
        if run_id not in order:
            order.append(run_id)
        return order.index(run_id)

    def _readings(self, row: Recorded, now: Instant) -> tuple[Reading, ...]:
        units = {target.name: target.unit for target in self._pool.targets}
        return tuple(
            _reading(self._pool.table.dataset.sha256, row.number, name, value, units[name], now, seq)
            for seq, (name, value) in enumerate(row.values.items(), start=1)
        )


def steps_for(configuration: Configuration, units: Mapping[str, str] | None = None) -> tuple[Step, ...]:
    """Expand a configuration into the one step of a recorded campaign.

    Args:
        configuration: A value for every column of the space.
        units: Unit of each numeric column, as `SearchSpace.units`, to be shown beside the values.
    """
    return (Step(index=0, do=MEASURE, kind=StepKind.PROGRAM, arguments=dict(configuration), units=dict(units or {})),)


def _configuration(request: RunRequest) -> dict[str, float | str]:
    if len(request.steps) != 1 or request.steps[0].do != MEASURE:
        came = ", ".join(step.do for step in request.steps) or "no step"
        raise BadInput(f"run {request.run_key}: a recorded bench carries out one {MEASURE}; {came} came")
    return request.steps[0].arguments


def _content(request: RunRequest) -> str:
    return digest([request.run_id, *(step.model_dump(mode="json") for step in request.steps)])


def _report(request: RunRequest, now: Instant, status: RunStatus, reason: str | None = None) -> RunReport:
    done = StepStatus.DONE if status is RunStatus.COMPLETED else StepStatus.FAILED
    step = request.steps[0]
    sent = dict(step.arguments) if done is StepStatus.DONE else {}
    steps = (StepReport(step.index, step.do, done, reason, sent, now.lab, now.lab),)
    return RunReport(request.run_key, 1, status, reason, steps, started_lab=now.lab, ended_lab=now.lab)


def _reading(sha256: str, number: int, name: str, value: float, unit: str, now: Instant, seq: int) -> Reading:
    raw = canonical({"file": sha256, "row": number, "target": name, "value": value, "unit": unit}).encode()
    return Reading(
        step=0,
        instrument=INSTRUMENT,
        channel=name,
        unit=unit,
        quality="good",
        wall=now.wall,
        lab=now.lab,
        value=value,
        raw=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
        seq=seq,
    )
