"""`athanor run` and `athanor dry-run`: start what is missing, carry the campaign on, show it, leave cleanly."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import torch

from flows.campaign import Ended
from flows.cli.carrying import carry
from flows.cli.output import console, emit, log_to, program
from flows.cli.progress import progress_table, split_table
from flows.lab import Kind, Lab, make_lab
from flows.reporting import write_report
from flows.server import ServerUse
from flows.steps import Setup, Steps
from flows.wiring import Plan, admit, load_plan, recorded_bench
from instruments.host.client import HostClient
from instruments.host.locks import CampaignLock
from instruments.host.processes import ensure_bench, ensure_plant, lab_clock, shutdown_bench, shutdown_plant
from orchestrator.clock import LiveClock
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import AthanorError, BadInput, NeedsPerson
from orchestrator.loop import History
from orchestrator.ports import Bench, Clock
from orchestrator.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line said."""

    kind: Kind
    lab: Path | None = None
    data: Path | None = None
    take_over: bool = False
    view: bool = True
    as_json: bool = False
    rate: float = 1.0
    plant_seed: int = 0


@dataclass(slots=True)
class _Clockwork:
    """Wall seconds of the phases around the loop."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, what: str) -> None:
        now = time.perf_counter()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - self.began
        self.began = now


def run_campaign(file: Path, options: RunOptions) -> None:
    """Run or resume a campaign; exits the process.

    Raises:
        AthanorError: One clear line.
    """
    laps = _Clockwork()
    plan = load_plan(file, data=options.data)
    if options.kind == "dry" and not plan.needs_wires:
        raise BadInput(f"{file}: a recorded campaign touches no wire; use `athanor run`")
    lab = make_lab(options.lab, beside=plan.file.path, kind=options.kind)
    log_to(lab.path / "campaign.log")
    torch.set_num_threads(1)  # recorded with each proposal; small matrices gain nothing from more
    lock = CampaignLock(lab.path, plan.file.name, take_over=options.take_over)
    with lock, closing(SqlStore.open(lab.ledger, create=True)) as store:
        if lock.displaced is not None:
            console.print(lock.displaced)
        record = _record(store, plan)
        if record is not None and record.status is CampaignStatus.FINISHED:
            console.print(f"campaign {record.name} is finished ({record.reason}); report: {write_report(store, plan, lab)}")
            return
        _refuse_paused(record)
        laps.lap("reading")
        server = ServerUse(lab.prefect_home, wanted=options.view)
        try:
            _carry_on(plan, lab, store, record, options, server, laps)
        finally:
            server.release()


def _record(store: SqlStore, plan: Plan) -> CampaignRecord | None:
    found = [record for record in store.campaigns() if record.name == plan.file.name]
    return admit(found[0] if found else None, plan)


def _refuse_paused(record: CampaignRecord | None) -> None:
    if record is None or record.status in (CampaignStatus.DRAFT, CampaignStatus.RUNNING):
        return
    if record.status is CampaignStatus.ABORTED:
        raise BadInput(f"campaign {record.name} was aborted ({record.reason}); choose another name")
    if record.reason == "unknown":
        raise NeedsPerson(
            f"campaign {record.name} is paused: a run's outcome is unknown; `athanor status` names it, `athanor resolve` settles it"
        )
    raise NeedsPerson(f"campaign {record.name} is paused ({record.reason}); `athanor resume {record.name}` lifts it")


def _carry_on(
    plan: Plan, lab: Lab, store: SqlStore, record: CampaignRecord | None, options: RunOptions, server: ServerUse, laps: _Clockwork
) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="bench-start") as beside:
        starting = beside.submit(_processes, plan, lab, options)
        server.acquire()
        _announce(plan, lab, server)
        clock, bench_sha = starting.result()
    if record is None:
        rate = options.rate if lab.kind == "dry" else 1.0
        record = CampaignRecord(name=plan.file.name, snapshot={**plan.snapshot, "rate": rate})
        store.create_campaign(record, by="command", now=clock.now())
    fence = store.take_up(plan.file.name, by="command", now=clock.now())
    if record.status is CampaignStatus.DRAFT:
        running = store.changes(plan.file.name).campaign.evolve(status=CampaignStatus.RUNNING)
        store.update_campaign(running, kind="running", by="command", now=clock.now())
    with ExitStack() as closing_later:
        bench = _bench(plan, lab, store, fence, closing_later)
        setup = Setup(plan.file.spec.campaign, plan.space, plan.objective, plan.policy, plan.recipe, bench, store, clock, fence, bench_sha)
        laps.lap("starting")
        ended, view_lost = carry(Steps(setup), plan, server, quiet=options.as_json)
        laps.lap("campaign")
    _leave(plan, lab, store, setup, ended, options, server, laps, view_lost=view_lost)


def _announce(plan: Plan, lab: Lab, server: ServerUse) -> None:
    kind = "SIMULATED instruments" if lab.kind == "dry" else "recorded data" if plan.table is not None else "the real bench"
    console.print(f"campaign {plan.file.name} on {kind}; lab {lab.path}")
    if server.ui_url is not None:
        console.print(f"Prefect UI: {server.ui_url}")
    elif server.reason is not None:
        console.print(f"no Prefect view: {server.reason}")


def _processes(plan: Plan, lab: Lab, options: RunOptions) -> tuple[Clock, str]:
    """Start or adopt plant, supervisor and host; return the lab's clock and the bench file's hash."""
    if plan.bench is None:
        return LiveClock(), ""
    if lab.kind == "dry":
        plant = plan.bench.spec.simulation.get("plant")
        if plant is None:
            raise BadInput(f"{plan.bench.path}: a dry run needs [simulation] plant = FILE")
        ensure_plant(lab.path, plan.bench.path.parent / plant, bench_sha256=plan.bench.sha256, seed=options.plant_seed, rate=options.rate)
    ensure_bench(lab.path, plan.bench.path, lab.endpoints)
    return lab_clock(lab.endpoints), plan.bench.sha256


def _bench(plan: Plan, lab: Lab, store: SqlStore, fence: int, closing_later: ExitStack) -> Bench:
    if plan.needs_wires:
        return closing_later.enter_context(HostClient.of_lab(lab.path, campaign=plan.file.name, fence=fence))
    return recorded_bench(plan, store.changes(plan.file.name))


def _leave(
    plan: Plan,
    lab: Lab,
    store: SqlStore,
    setup: Setup,
    ended: Ended | AthanorError,
    options: RunOptions,
    server: ServerUse,
    laps: _Clockwork,
    *,
    view_lost: bool,
) -> None:
    """Close processes, write the report, print what happened; raises what the loop raised."""
    if isinstance(ended, AthanorError):
        raise ended
    over = ended.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED)
    if over and plan.needs_wires:
        shutdown_bench(lab.path)
        if lab.kind == "dry":
            shutdown_plant(lab.path)
    laps.lap("parking")
    report = write_report(store, plan, lab)
    laps.lap("report")
    if view_lost:
        console.print("view lost: Prefect did not take the end of the campaign; the ledger has it all")
    if options.as_json:
        emit(
            {
                "campaign": plan.file.name,
                "status": ended.status,
                "reason": ended.reason,
                "report": str(report),
                "seconds": laps.seconds,
            }
        )
    else:
        _summary(plan, lab, store, setup, ended, report, laps)
    code = 0 if over else NeedsPerson.exit_code
    if view_lost:
        store.close()
        server.release()
        sys.stdout.flush()
        os._exit(code)
    if not over:
        raise NeedsPerson(_what_next(store, plan, ended))


def _summary(plan: Plan, lab: Lab, store: SqlStore, setup: Setup, ended: Ended, report: Path, laps: _Clockwork) -> None:
    history = History.of(store.changes(plan.file.name))
    console.print(progress_table(history, plan.objective, plan.file.spec.campaign.budget))
    console.print(split_table(laps.seconds, setup.timings.seconds))
    seq, head = store.head()
    console.print(f"{ended.status}: {ended.reason}")
    console.print(f"ledger: event {seq}, head {head}")
    console.print(f"report: {report}")
    console.print(f"open the UI again: {program()} serve --lab {lab.path}")


def _what_next(store: SqlStore, plan: Plan, ended: Ended) -> str:
    if ended.reason == "unknown":
        unknown = [run.run_key for run in store.changes(plan.file.name).runs if run.status == "unknown"]
        return (
            f"run {unknown[0]}: nobody saw how it ended; look at the bench, then type: "
            f"athanor resolve {unknown[0]} --done | --not-done | --discard --reason TEXT --by NAME"
        )
    return f"campaign {plan.file.name} is paused ({ended.reason}); `athanor resume {plan.file.name}` lifts it"
