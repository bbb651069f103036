"""A lab from Python: its campaigns as pandas frames, and what people do to them.

Nothing is kept between two looks: each frame is read from the ledger when it is asked for. Reading writes nothing, so that
an archive or a read-only folder will do. What loads a model or an instrument library does so when it is called.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Literal

import pandas as pd
from typing_extensions import override

from flows.plans.lab import Lab, find_lab
from flows.plans.ledger import open_campaign, open_store, the_campaign
from flows.report.export.campaign import ExportOptions
from flows.report.export.columns import Table
from flows.report.export.frames import frame_of
from flows.report.export.source import Source
from flows.report.export.spectra import spectra_table
from flows.report.export.tables import TABLES
from flows.running import measuring, operations, report_operations, review_operations
from flows.running.measuring import Changed
from flows.running.operations import LedgerCheck, Resumed, Standing
from flows.running.review_operations import Decided, Decision, EditsByNumber
from flows.running.typed_values import NOTHING, Told, evidence_of, typed_values
from orchestrator.domain.events import person_named
from orchestrator.domain.records import CampaignRecord, Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import BadInput, Fault
from orchestrator.numerals import brief
from orchestrator.results import Said

Value = float | str
"""A number in the parameter's unit, or a text: a name, or a number with a unit."""


def open_lab(path: str | Path = ".") -> "LabHandle":
    """Open a lab, or the only lab of a folder; nothing is written.

    Raises:
        BadInput: There is no lab, or there are two.
    """
    return LabHandle(find_lab(None, here=Path(path)))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where values come from."""

    reason: str = ""
    measured_at: datetime | None = None
    """With its time zone; None for when the run ended."""
    evidence: str | Path | None = None
    """The file they were taken from: its name and sha256 are kept, and it stays where it is."""


@dataclass(frozen=True, slots=True)
class LabHandle:
    """A lab's ledger and its campaigns."""

    lab: Lab

    @property
    def path(self) -> Path:
        """The lab's folder."""
        return self.lab.path

    @property
    def kind(self) -> Literal["live", "dry"]:
        """Whether its devices are real or simulated."""
        return self.lab.kind

    @property
    def campaigns(self) -> tuple[str, ...]:
        """The names of the lab's campaigns."""
        with open_store(self.lab, read_only=True) as store:
            return tuple(record.name for record in store.campaigns())

    def campaign(self, name: str | None = None) -> "CampaignHandle":
        """Return a campaign; without a name the only one.

        Raises:
            BadInput: No such campaign, or several to choose from.
        """
        with open_store(self.lab, read_only=True) as store:
            return CampaignHandle(self.lab, the_campaign(store, self.lab, name).name)

    def verify(self) -> LedgerCheck:
        """Check the ledger: `complaints` is empty where it is sound."""
        return operations.verify(self.lab)

    def stop(self, *, by: str, reason: str) -> tuple[str, ...]:
        """Drive the bench to its safe state now and latch it; return what was done.

        Raises:
            Fault: Something is not safe.
        """
        stop_bench = import_module("instruments.lab_processes.stop").stop_bench
        stopped = stop_bench(self.lab.path, reason=reason, by=person_named(by), bench=None)
        if stopped.unsafe:
            raise Fault(stopped.verdict)
        return (*stopped.lines, stopped.verdict)


class CampaignHandle:
    """A campaign: frames of all that is known of it, and what people do to it.

    Frames have the heads, rows and units of the exported tables (`frame.attrs["units"]`, `frame.attrs["meanings"]`).
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name

    @override
    def __repr__(self) -> str:
        return f"CampaignHandle({str(self.lab.path)!r}, {self.name!r})"

    # ------------------------------------------------------------------ looking

    @property
    def record(self) -> CampaignRecord:
        """The campaign's record: `status`, `reason` and the files that it began with."""
        with open_store(self.lab, read_only=True) as store:
            return the_campaign(store, self.lab, self.name)

    @property
    def status(self) -> str:
        """Where the campaign stands: draft, running, paused, finished or aborted."""
        return str(self.record.status)

    @property
    def standing(self) -> Standing:
        """How it stands: history, trust in the prior, stocks, restrictions, processes."""
        return operations.standing(self.lab, self.name)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the exported tables by name.

        Raises:
            BadInput: There is no such table.
        """
        if name not in TABLES:
            raise BadInput(f"there is no table {name!r}; there are {', '.join(TABLES)}")
        return self._frame(TABLES[name])

    @property
    def experiments(self) -> pd.DataFrame:
        """The wide table, one row per experiment: configurations, results, predictions, decision, times."""
        return self.table("experiments")

    @property
    def runs(self) -> pd.DataFrame:
        """One row per attempt."""
        return self.table("runs")

    @property
    def proposals(self) -> pd.DataFrame:
        """One row per revision of a proposal."""
        return self.table("proposals")

    @property
    def measurements(self) -> pd.DataFrame:
        """One row per revision of a measurement."""
        return self.table("measurements")

    @property
    def decisions(self) -> pd.DataFrame:
        """One row per decision on a proposal."""
        return self.table("decisions")

    @property
    def events(self) -> pd.DataFrame:
        """One row per event of the ledger that concerns the campaign."""
        return self.table("events")

    def spectra(self, run: str | int | None = None) -> pd.DataFrame:
        """Return arrays that instruments sent, one row per point: of a run by its key, of an experiment by its number, or all.

        Raises:
            BadInput: No such run or experiment.
        """
        return self._frame(partial(_spectra, run=run))

    def _frame(self, make: Callable[[Source], Table]) -> pd.DataFrame:
        with open_campaign(self.lab, self.name, read_only=True) as (store, history):
            return frame_of(make(report_operations.source_of(self.lab, store, history.campaign)))

    def verify(self) -> LedgerCheck:
        """Check the lab's ledger: `complaints` is empty where it is sound."""
        return operations.verify(self.lab)

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report, one self-contained HTML page, into the lab or to a file or folder; return its path."""
        return report_operations.report(self.lab, self.name, None if out is None else Path(out))

    def export(self, out: str | Path, options: ExportOptions | None = None) -> tuple[Path, ...]:
        """Write the tables, and what else is asked for, into a folder; return the files' paths."""
        return report_operations.export(self.lab, self.name, Path(out), options)

    # ------------------------------------------------------------------ its course

    def pause(self, *, by: str, reason: str) -> CampaignRecord:
        """Let no new experiment begin; the one in hand is finished."""
        return operations.pause(self.lab, self.name, by=person_named(by), reason=reason)

    def resume(self, *, by: str, reason: str) -> Resumed:
        """Lift a pause, and unlatch a stopped bench; starting the campaign again then goes on."""
        return operations.resume(self.lab, self.name, by=person_named(by), reason=reason)

    def abort(self, *, by: str, reason: str) -> CampaignRecord:
        """End the campaign for good, and the experiment in hand with it.

        Raises:
            AthanorError: Something could not be ended, or not be made safe.
        """
        done = _acts("run").abort(self.lab, self.name, by=person_named(by), reason=reason, tell=_nobody)
        for complaint in done.complaints:
            raise complaint
        record: CampaignRecord = done.campaign
        return record

    def stop(self, *, by: str, reason: str) -> tuple[str, ...]:
        """Drive the lab's bench to its safe state now and latch it; return what was done."""
        return LabHandle(self.lab).stop(by=by, reason=reason)

    # ------------------------------------------------------------------ what people decide

    @property
    def requests(self) -> tuple[ReviewRequest, ...]:
        """The questions that wait for people."""
        return review_operations.look(self.lab, self.name).history.open_requests

    def decide(self, decision: Decision, request: int | None = None, *, edits: Mapping[int, Mapping[str, Value]] | None = None) -> Decided:
        """Answer a request; without a number the only open one.

        Args:
            decision: What a person says of it.
            request: Its number.
            edits: By the proposal's number, other values that are approved in its place.

        Returns:
            The answer as judged: `answer.status` is received, or refused for `answer.reason`.

        Raises:
            BadInput: The answer is not complete, or not legal.
        """
        if not edits:
            return review_operations.decide(self.lab, self.name, request, decision)
        texts = [f"{number}:{text}" for number, values in edits.items() for text in _typed(values)]
        checked = _acts("plan").checked_edits
        return review_operations.decide(self.lab, self.name, request, decision, edits=partial(_edits, checked, texts))

    def approve(self, *proposals: int, by: str, comment: str = "", code: str | None = None) -> Decided:
        """Approve proposals of the only open request by number; without any, all of it."""
        return self.decide(Decision(by=by, approve=proposals, approve_rest=not proposals, comment=comment, code=code))

    def reject(self, *proposals: int, by: str, reason: str, comment: str = "", code: str | None = None) -> Decided:
        """Reject proposals of the only open request by number, and approve the rest of it; without any, reject all of it."""
        reasons = dict.fromkeys(proposals, reason)
        rest = None if proposals else reason
        return self.decide(Decision(by=by, reject=reasons, reject_rest=rest, approve_rest=bool(proposals), comment=comment, code=code))

    def edit(self, proposal: int, values: Mapping[str, Value], *, by: str, comment: str = "", code: str | None = None) -> Decided:
        """Approve a proposal of the only open request with other values, and the rest of it as it is."""
        return self.decide(Decision(by=by, approve_rest=True, comment=comment, code=code), edits={proposal: values})

    def suggest(self, values: Mapping[str, Value], *, by: str, reason: str = "") -> Proposal:
        """Record a proposal of your own, a value for each parameter; it is reviewed as the campaign's file says."""
        made: Proposal = _acts("plan").suggest(self.lab, self.name, _typed(values), by=by, reason=reason)
        return made

    def withdraw(self, proposal: int, *, by: str, reason: str) -> Proposal:
        """Take an approval back before its first run is dispatched."""
        return review_operations.withdraw(self.lab, self.name, proposal, by=by, reason=reason)

    def constrain(self, values: Mapping[str, Value], *, by: str, reason: str = "", batches: int | None = None) -> Restriction:
        """Fix or narrow parameters for later proposals: `{"T": 180}`, `{"T": "150..180 degC"}`, `{"solvent": "water,DMF"}`."""
        made = _acts("plan").restrict(self.lab, self.name, _typed(values), batches=batches, by=by, reason=reason)
        restriction: Restriction = made.restriction
        return restriction

    def lift(self, restriction: int, *, by: str, reason: str = "") -> Restriction:
        """Take a restriction away, by its number."""
        return review_operations.lift_restriction(self.lab, self.name, restriction, by=by, reason=reason)[0]

    # ------------------------------------------------------------------ what people tell of runs

    def add_values(
        self,
        run: str,
        values: Mapping[str, Value | None],
        *,
        by: str,
        uncertainties: Mapping[str, Value] | None = None,
        origin: Origin | None = None,
        again: bool = False,
    ) -> Changed:
        """Tell values of a run that has ended; where it has one already, as a further replicate.

        Args:
            run: Its code on paper, its key, or an unambiguous beginning of that.
            values: By target, in its unit or as a text with one; None where there is no value, which needs a reason.
            by: Who says so.
            uncertainties: Standard uncertainties by target.
            origin: Why, when, and from which file.
            again: Whether it was measured once more and came out as before; else a value that the ledger has is not added.

        Returns:
            The measurements as recorded, and the proposals that rested on what changed.

        Raises:
            BadInput: No such run or target, or values that are none.
        """
        told, said = _told(values, uncertainties, by, origin)
        return measuring.add(self.lab, self.name, run, told, said, again=again)

    def correct_values(
        self,
        run: str,
        values: Mapping[str, Value | None],
        *,
        by: str,
        uncertainties: Mapping[str, Value] | None = None,
        origin: Origin | None = None,
        replicate: int | None = None,
    ) -> Changed:
        """Put other values in the place of ones that were wrong; arguments as `add_values`, and which replicate where there are several.

        Raises:
            BadInput: There is no such value, several to choose from, or nothing would change.
        """
        told, said = _told(values, uncertainties, by, origin)
        return measuring.correct(self.lab, self.name, run, told, said, replicate=replicate)

    def retract_values(self, run: str, *targets: str, by: str, reason: str, replicate: int | None = None) -> Changed:
        """Take values of a run back, without targets its only one: no model learns from them any longer, and the ledger keeps them.

        Raises:
            BadInput: There is no such value that stands, or several to choose from.
        """
        return measuring.retract(self.lab, self.name, run, targets, Said(by, reason), replicate=replicate)


def _acts(which: str) -> ModuleType:
    """Load operations only when they are called: they load a model, or an instrument library."""
    return import_module(f"flows.running.{which}_operations")


def _edits(checked: Callable[..., EditsByNumber], texts: Sequence[str], *asked: object) -> EditsByNumber:
    return checked(*asked, texts)


def _nobody(_: str) -> None:
    """Tell nobody what happens meanwhile."""


def _typed(values: Mapping[str, Value]) -> list[str]:
    """Write values as people type them; a number at full precision.

    Raises:
        BadInput: A value is neither a number nor a text.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | Real):
            raise BadInput(f"{name} = {brief(value)}: expected a number, or a text with a unit")
    return [f"{name}={value if isinstance(value, str) else repr(float(value))}" for name, value in values.items()]


def _told(
    values: Mapping[str, Value | None], uncertainties: Mapping[str, Value] | None, by: str, origin: Origin | None
) -> tuple[Told, Said]:
    """Read values, and what stands behind them, as the command line does."""
    behind = origin or Origin()
    texts = _typed({target: NOTHING if value is None else value for target, value in values.items()})
    evidence = None if behind.evidence is None else evidence_of(Path(behind.evidence))
    said = Said(by, behind.reason or None, behind.measured_at, evidence)
    return typed_values(texts, _typed(uncertainties or {}), said.reason), said


def _spectra(source: Source, *, run: str | int | None) -> Table:
    """Make the table of arrays of some runs."""
    if run is None:
        return spectra_table(source)
    keys = frozenset(each.run_key for one in source.experiments for each in one.attempts if run in (one.index, each.run_key))
    if not keys:
        raise BadInput(
            f"campaign {source.campaign.name} has no run or experiment {run!r}; it has experiments 1 to {len(source.experiments)}"
        )
    return spectra_table(source, keys)
