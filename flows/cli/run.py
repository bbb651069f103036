"""`athanor run` and `athanor dry-run`: start what is missing, carry the campaign on, show it, leave cleanly."""

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from flows.cli.carry import Carried, Carrier, carry, prepare_prefect
from flows.cli.progress import progress_table, split_table
from flows.console import SPINNER, console, emit, fail, log_to, program
from flows.plans.amendment import former_benches
from flows.plans.disk_space import check_room
from flows.plans.lab import Kind, Lab, lab_folder, make_lab
from flows.plans.plan import Plan, admit, load_plan, recorded_bench
from flows.plans.stocks import StockBook
from flows.prefect_server.server import ServerUse
from flows.report.write import write_report
from flows.review.desk import Asker, TerminalOnly
from flows.review.page import PageMaker
from flows.running.actions import Setup, Steps
from flows.running.failed_start import Start, failed_start_leaves_nothing, has_begun
from flows.running.notices import Teller
from flows.running.run_loop import Ended
from flows.running.steering import LEFT_IN_PAGE, Steering
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import ensure_bench, shutdown_bench
from instruments.lab_processes.campaign_lock import CampaignLock
from instruments.lab_processes.labtime import lab_clock
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.notification import Notifier
from models.threads import use_threads
from orchestrator.clock import LiveClock
from orchestrator.commandline import typed
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import AthanorError, BadInput, HostError, NeedsPerson
from orchestrator.loop import History
from orchestrator.ports import Bench, Clock
from orchestrator.store.sql import SqlStore
from orchestrator.summary import quarantined, values_by_status


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


def run_campaign(file: Path, options: RunOptions, carrier: Carrier = carry) -> None:
    """Run or resume a campaign; exits the process.

    Args:
        file: The campaign file.
        options: What the command line said.
        carrier: Carries the campaign on once everything is started.

    Raises:
        AthanorError: One clear line.
    """
    laps = _Clockwork()
    plan = load_plan(file, data=options.data)
    if options.kind == "dry" and not plan.needs_wires:
        raise BadInput(f"{file}: a recorded campaign touches no wire; use `athanor run`")
    check_room(lab_folder(options.lab, beside=plan.file.path, kind=options.kind))
    lab = make_lab(options.lab, beside=plan.file.path, kind=options.kind)
    log_to(lab.path / "campaign.log")
    use_threads(1)  # recorded with each proposal; small matrices gain nothing from more
    lock = CampaignLock(lab.path, plan.file.name, take_over=options.take_over)
    with lock, closing(SqlStore.open(lab.ledger, create=True)) as store:
        if lock.displaced is not None:
            console.print(lock.displaced)
        server = ServerUse(lab.prefect_home, wanted=options.view, tell=console.print)
        try:
            _Sitting(plan, lab, store, options, server, laps, carrier).hold()
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
    raise NeedsPerson(f"campaign {record.name} is paused ({record.reason}); `{typed('resume', record.name)}` lifts it")


@dataclass(frozen=True)
class _Sitting:
    """One run of the command on one campaign, once its lock is held."""

    plan: Plan
    lab: Lab
    store: SqlStore
    options: RunOptions
    server: ServerUse
    laps: _Clockwork
    carrier: Carrier

    def hold(self) -> None:
        """Carry the campaign on from wherever the ledger says it is."""
        record = _record(self.store, self.plan)
        if record is not None and record.status is CampaignStatus.FINISHED:
            self._end_processes()  # an earlier command may have died between its last event and this
            report = write_report(self.store, self.plan, self.lab)
            if self.options.as_json:
                emit(_ending(record.name, record.status, record.reason, report))
            else:
                console.print(f"campaign {record.name} is finished ({record.reason}), nothing is left to run; report: {report}")
            return
        _refuse_paused(record)
        self.laps.lap("reading")
        with failed_start_leaves_nothing(self.lab.path) if self.plan.needs_wires else nullcontext() as start:
            self._carry_on(record, start)

    def _carry_on(self, record: CampaignRecord | None, start: Start | None) -> None:
        clock, bench_sha = self._start()
        fence = self._take_up(record, clock)
        with ExitStack() as closing_later:
            bench = self._bench(fence, closing_later)
            plan = self.plan
            general, rules = plan.file.spec.campaign, plan.file.spec.review
            places = (bench, self.store, clock, fence, bench_sha)
            kind, stocks = self.lab.kind if plan.needs_wires else "recorded", StockBook(self.store, plan.file.name)
            page = PageMaker(plan, plan.policy, kind, self._bench_state, stocks)
            setup = Setup(general, plan.space, plan.objective, plan.policy, plan.recipe, *places, rules, self._asker(), page)
            self.laps.lap("starting")
            notifier = Notifier.from_environment(self.lab.path)
            closing_later.callback(notifier.close)
            steps = Steps(setup)
            ended, view_lost = self.carrier(self._carried(steps, notifier))
            self.laps.lap("campaign")
        if start is not None:
            start.has_begun = has_begun(steps.history, fence)
        complaint = ended if isinstance(ended, AthanorError) else self._conclude(ended, setup)
        if view_lost:
            self._leave_behind(complaint)
        if complaint is not None:
            raise complaint

    def _carried(self, steps: Steps, notifier: Notifier) -> Carried:
        name = self.plan.file.name
        steering = Steering(self.lab, name, self.plan.needs_wires)
        teller = Teller(notifier, f"{self.server.ui_url}/runs?state=Paused" if self.server.ui_url else "")
        return Carried(steps, self.plan, self.server, steering, teller, self.lab.report(name), self.options.as_json)

    def _start(self) -> tuple[Clock, str]:
        """Start the view and, beside it, plant and bench; return the lab's clock and the bench file's hash."""
        with ThreadPoolExecutor(1, thread_name_prefix="bench-start") as beside:
            starting = beside.submit(self._processes)
            with console.status("starting Prefect's server and the bench", spinner=SPINNER):
                self.server.acquire()
            self._announce()
            with console.status("starting the bench", spinner=SPINNER):
                return starting.result()

    def _processes(self) -> tuple[Clock, str]:
        plan, lab, options = self.plan, self.lab, self.options
        if plan.bench is None:
            return LiveClock(), ""
        if lab.kind == "dry":
            plant = plan.bench.spec.simulation.get("plant")
            if plant is None:
                raise BadInput(f"{plan.bench.path}: a dry run needs [simulation] plant = FILE")
            file = plan.bench.path.parent / plant
            formerly = former_benches(self.store.events(plan.file.name))
            sha256 = plan.bench.sha256
            ensure_plant(lab.path, file, bench_sha256=sha256, seed=options.plant_seed, rate=options.rate, formerly=formerly)
        ensure_bench(lab.path, plan.bench.path, lab.endpoints)
        return lab_clock(lab.endpoints), plan.bench.sha256

    def _end_processes(self) -> None:
        if self.plan.needs_wires:
            shutdown_bench(self.lab.path)
            if self.lab.kind == "dry":
                shutdown_plant(self.lab.path)

    def _announce(self) -> None:
        kind = "SIMULATED instruments" if self.lab.kind == "dry" else "the real bench" if self.plan.needs_wires else "recorded data"
        console.print(f"campaign {self.plan.file.name} on {kind}; lab {self.lab.path}")
        if self.server.ui_url is not None:
            console.print(f"Prefect UI: {self.server.ui_url}")
            if self.server.moved is not None:
                console.print(self.server.moved)
        elif self.server.reason is not None:
            console.print(f"no Prefect view: {self.server.reason}")

    def _take_up(self, record: CampaignRecord | None, clock: Clock) -> int:
        """Begin the campaign where it is new, and return this process's fencing number."""
        name = self.plan.file.name
        if record is None:
            rate = self.options.rate if self.lab.kind == "dry" else 1.0
            record = CampaignRecord(name=name, snapshot={**self.plan.snapshot, "rate": rate})
            self.store.create_campaign(record, by="command", now=clock.now())
        fence = self.store.take_up(name, by="command", now=clock.now())
        if record.status is CampaignStatus.DRAFT:
            running = self.store.changes(name).campaign.evolve(status=CampaignStatus.RUNNING)
            self.store.update_campaign(running, kind="running", by="command", now=clock.now())
        return fence

    def _bench(self, fence: int, closing_later: ExitStack) -> Bench:
        name = self.plan.file.name
        if self.plan.needs_wires:
            client = closing_later.enter_context(HostClient.of_lab(self.lab.path, campaign=name, fence=fence))
            client.attend()  # people may look for hours before the first run: the bench must not take that for our death
            return client
        return recorded_bench(self.plan, self.store.changes(name))

    def _bench_state(self) -> Mapping[str, object]:
        """Say for the decision page how the bench stands."""
        if not self.plan.needs_wires:
            return {}
        try:
            with HostClient.of_lab(self.lab.path) as client:
                status = client.status()
        except HostError as error:
            return {"state": f"cannot be reached ({error})"}
        state = "latched" if status["latched"] else "parked" if status["parked"] else "ready" if status["ready"] else "starting"
        return {"name": status["bench"], "state": state, "run in hand": status["run"] or "none"}

    def _asker(self) -> Asker:
        """Return what puts open requests to people: the Prefect UI where there is one."""
        if self.server.url is None:
            return TerminalOnly()
        prepare_prefect(self.server)
        from flows.ui.review_runs import PrefectAsker  # after the environment is set: importing Prefect reads it

        return PrefectAsker(self.lab, self.store, self.plan.file.name)

    def _conclude(self, ended: Ended, setup: Setup) -> NeedsPerson | None:
        """End the processes of a campaign that is over, write its report, say what happened; return what a person must do."""
        over = ended.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED)
        ended = Ended(ended.status, self.store.changes(self.plan.file.name).campaign.reason or ended.reason)
        if over or ended.reason in LEFT_IN_PAGE:
            self._end_processes()
        self.laps.lap("parking")
        with console.status("writing the report", spinner=SPINNER):
            report = write_report(self.store, self.plan, self.lab)
        self.laps.lap("report")
        if self.options.as_json:
            values = values_by_status(History.of(self.store.changes(self.plan.file.name)))
            emit({**_ending(self.plan.file.name, ended.status, ended.reason, report), "values": values})
        else:
            self._summarise(ended, setup, report)
        return None if over else NeedsPerson(_what_next(self.store, self.plan, ended))

    def _summarise(self, ended: Ended, setup: Setup, report: Path) -> None:
        history = History.of(self.store.changes(self.plan.file.name))
        console.print(progress_table(history, self.plan.objective, self.plan.file.spec.campaign.budget))
        console.print(split_table(self.laps.seconds, setup.timings.seconds))
        seq, head = self.store.head()
        if (line := quarantined(history)) is not None:
            console.print(line, markup=False)
        console.print(f"{ended.status}: {ended.reason}", markup=False)
        console.print(f"ledger: event {seq}, head {head}")
        console.print(f"report: {report}")
        console.print(f"open the UI again: {typed('serve', '--lab', self.lab.path, program=program())}", markup=False)

    def _leave_behind(self, complaint: AthanorError | None) -> None:
        """Leave at once: Prefect, whose server is gone, would hold the process for minutes."""
        console.print("view lost: Prefect did not take the end of the campaign; the ledger has it all")
        if complaint is not None:
            fail(str(complaint))
        self.store.close()
        self.server.release()
        sys.stdout.flush()
        os._exit(0 if complaint is None else complaint.exit_code)


def _ending(campaign: str, status: CampaignStatus, reason: str | None, report: Path) -> dict[str, str | None]:
    return {"campaign": campaign, "status": status, "reason": reason, "report": str(report)}


def _what_next(store: SqlStore, plan: Plan, ended: Ended) -> str:
    if ended.reason == "unknown":
        unknown = [run.run_key for run in store.changes(plan.file.name).runs if run.status == "unknown"]
        return (
            f"run {unknown[0]}: nobody saw how it ended; look at the bench, then type: "
            f"{typed('resolve', unknown[0])} --done | --not-done | --discard --reason TEXT --by NAME"
        )
    return f"campaign {plan.file.name} is paused ({ended.reason}); `{typed('resume', plan.file.name)}` lifts it"
