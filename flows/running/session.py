"""A campaign's session: what is missing is started, the campaign carried on, its end recorded and reported, all left cleanly.

Who shows it hands in `Surroundings`: nothing here knows a terminal or Prefect.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flows.plans.admission import admit
from flows.plans.amendment import former_benches
from flows.plans.disk_space import check_room
from flows.plans.lab import Lab, LabKind, Tell, lab_folder, make_lab
from flows.plans.ledger import hold_campaign, open_store, unknown_runs
from flows.plans.plan import Plan, load_plan, means_of, recorded_bench
from flows.plans.policy import policy_of
from flows.plans.sampled_priors import sampled_priors
from flows.plans.simulated import names_of_stand_ins, simulated
from flows.plans.twins.dry import DryTwin, twin_of_session
from flows.prefect_server.server import ServerUse, prepare_prefect
from flows.report.write import write_report_of
from flows.review.desk import Asker, TerminalOnly
from flows.review.page import PageMaker
from flows.running.actions import Setup, Steps
from flows.running.carry import Carried, Carrier
from flows.running.failed_start import Start, failed_start_leaves_nothing, has_begun
from flows.running.log_file import log_to
from flows.running.notices import Teller
from flows.running.run_loop import Ended
from flows.running.stand_in_people import StandInPeople
from flows.running.steering import LEFT_IN_PAGE, Steering
from instruments.bench.endpoints import secured_links
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import ensure_bench, host_alive, revive_bench, shutdown_bench
from instruments.lab_processes.campaign_lock import CampaignLock
from instruments.lab_processes.labtime import lab_clock
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.lab_processes.stop import plant_lives
from instruments.notification import Notifier
from models.threads import use_threads
from orchestrator.clock import LiveClock
from orchestrator.commandline import typed
from orchestrator.domain.events import BY_COMMAND, EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import BEGINS, CampaignRecord
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput, HostError, NeedsPerson
from orchestrator.history import History
from orchestrator.ports import Bench, Clock, DriftWatch, Policy, ReviewStore, Store
from orchestrator.summary import best_configuration, quarantined


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a campaign is to be run."""

    kind: LabKind
    lab: Path | None = None
    data: Path | None = None
    take_over: bool = False
    view: bool = True
    rate: float = 1.0
    plant_seed: int = 0
    twin: str | None = None
    """Of a dry run: the twin that the simulated tube runs, as a bench file would name it; None for the newest revision."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session needs of the place where it is held; the outermost layer makes it."""

    tell: Tell
    busy: Callable[[str], AbstractContextManager[object]]
    """Shows what is being done while it lasts."""
    asker: Callable[[Lab, ReviewStore, str], Asker]
    """Makes what puts a campaign's open requests to people in Prefect's page; called once Prefect's environment is set."""
    carrier: Carrier
    make_prior: Callable[[Plan, Path | None, Tell], object]
    """Makes the prior that a plan lacks, with a folder of recorded tables, where a file beside the campaign's says how."""
    drift_watch: Callable[[Plan, Lab], DriftWatch | None]
    """Makes what looks for drifts of a bench beside its twin; nothing where its file does not ask."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a session has to show of a campaign that it carried on."""

    history: History
    objective: Objective
    budget: int
    phases: Mapping[str, float]
    """Wall seconds of the phases around and of the campaign."""
    parts: Mapping[str, float]
    """Wall seconds of what the campaign itself did."""
    head: tuple[int, str]
    """Of the ledger."""
    space: SearchSpace
    """What was varied."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended."""

    campaign: str
    lab: Path
    status: CampaignStatus
    reason: str | None
    report: Path
    account: Account | None
    """None where the campaign was finished before, and nothing was left to run."""
    complaint: NeedsPerson | None = None
    """What a person must do before the campaign goes on."""

    def lines(self) -> Iterator[str]:
        """Say how it ended."""
        if self.account is None:
            yield f"campaign {self.campaign} is finished ({self.reason}), nothing is left to run; report: {self.report}"
            return
        history, space = self.account.history, self.account.space
        found = (best_configuration(history, self.account.objective, space.units, space.present), quarantined(history))
        yield from filter(None, found)
        yield f"{self.status}: {self.reason}"
        yield "ledger: event {}, head {}".format(*self.account.head)
        yield f"report: {self.report}"


def run_campaign(file: Path, options: RunOptions, surroundings: Surroundings) -> SessionEnd:
    """Run or resume a campaign until its loop ends.

    Raises:
        AthanorError: One clear line.
    """
    laps = _Clockwork()
    plan = _planned(file, options, surroundings, laps)
    lab = make_lab(options.lab, beside=plan.file.path, kind=options.kind)
    log_to(lab.path / "campaign.log")
    use_threads(1)  # recorded with each proposal; small matrices gain nothing from more
    lock = CampaignLock(lab.path, plan.file.name, take_over=options.take_over)
    held = hold_campaign(lab, plan.file.name, take_over=options.take_over)
    with lock, open_store(lab, create=True) as store, held as displaced:
        for line in filter(None, (lock.displaced, displaced)):
            surroundings.tell(line)
        server = ServerUse(lab.prefect_home, wanted=options.view, tell=surroundings.tell)
        try:
            return _Session(plan, lab, store, options, server, laps, surroundings).hold()
        finally:
            server.release()


def _planned(file: Path, options: RunOptions, surroundings: Surroundings, laps: "_Clockwork") -> Plan:
    """Read the files; a prior that is not there yet is made, once nothing else stands against a start."""
    plan = load_plan(file, data=options.data, prior_later=True)
    if options.kind == "dry" and not plan.needs_wires:
        raise BadInput(f"{file}: a recorded campaign touches no wire; use `athanor run`")
    check_room(lab_folder(options.lab, beside=plan.file.path, kind=options.kind))
    if not plan.lacks_prior:
        return plan
    surroundings.make_prior(plan, options.data, surroundings.tell)
    laps.lap("making the prior")
    return load_plan(file, data=options.data)


@dataclass(slots=True)
class _Clockwork:
    """Wall seconds of the phases around the loop."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, what: str) -> None:
        now = time.perf_counter()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - self.began
        self.began = now


def _refuse_paused(record: CampaignRecord | None, store: Store, lab: Path) -> None:
    if record is None or record.status in (CampaignStatus.DRAFT, CampaignStatus.RUNNING):
        return
    if record.status is CampaignStatus.ABORTED:
        raise BadInput(f"campaign {record.name} was aborted ({record.reason}); choose another name")
    raise NeedsPerson(_what_next(History.of(store.changes(record.name)), record.reason, lab))


@dataclass(frozen=True)
class _Session:
    """One run of a campaign, once its lock is held."""

    plan: Plan
    lab: Lab
    store: Store
    options: RunOptions
    server: ServerUse
    laps: _Clockwork
    surroundings: Surroundings

    @property
    def name(self) -> str:
        return self.plan.file.name

    def hold(self) -> SessionEnd:
        """Carry the campaign on from wherever the ledger says it is."""
        found = next((record for record in self.store.campaigns() if record.name == self.name), None)
        record = admit(found, self.plan)
        if record is not None and record.status is CampaignStatus.FINISHED:
            self._end_processes()  # an earlier command may have died between its last event and this
            return SessionEnd(record.name, self.lab.path, record.status, record.reason, write_report_of(self.store, record, self.lab), None)
        _refuse_paused(record, self.store, self.lab.path)
        self.laps.lap("reading")
        with failed_start_leaves_nothing(self.lab.path) if self.plan.needs_wires else nullcontext() as start:
            return self._carry_on(record, start)

    def _carry_on(self, record: CampaignRecord | None, start: Start | None) -> SessionEnd:
        plan = self.plan if record is None else self.plan.as_begun(record)
        policy = policy_of(plan, lab=self.lab.path)  # before anything is started: a prior that nobody can read is refused
        twin = twin_of_session(self.plan.bench, self.lab.kind, record, self.options.twin)
        clock, bench_sha = self._start(twin)
        fence = self._take_up(record, clock, twin)
        with ExitStack() as closing_later:
            steps = Steps(self._setup(policy, clock, fence, bench_sha, self._bench(fence, closing_later)))
            self.laps.lap("starting")
            notifier = Notifier.from_environment(self.lab.path)
            closing_later.callback(notifier.close)
            try:
                ended = self.surroundings.carrier(self._carried(steps, notifier))
            finally:
                self.laps.lap("campaign")
                if start is not None:
                    start.has_begun = has_begun(steps.history, fence)
        return self._conclude(ended, steps)

    def _setup(self, policy: Policy, clock: Clock, fence: int, bench_sha: str, bench: Bench) -> Setup:
        plan = self.plan
        places = (bench, self.store, clock, fence, bench_sha)
        kind = self.lab.kind if plan.needs_wires else "recorded"
        page = PageMaker(plan, policy, kind, self._bench_state, means_of(plan, self.store))
        general, rules, stop = plan.file.spec.campaign, plan.file.spec.review, plan.file.spec.stop
        people = self._stand_in_people(bench, clock)
        known, drift = (general, plan.space, plan.objective, policy, plan.recipe), self.surroundings.drift_watch(plan, self.lab)
        return Setup(*known, *places, rules, self._asker(), page, stand_ins=people, stop=stop, drift=drift)

    def _stand_in_people(self, bench: Bench, clock: Clock) -> StandInPeople | None:
        """Return what answers in people's place in a dry lab; None where nobody is asked for anything."""
        if self.plan.bench is None or self.lab.kind != "dry":
            return None
        made = simulated(self.plan.bench, self.plan.objective.later)
        if not made.stand_ins.people and not made.later:
            return None
        return StandInPeople.of(self.plan, made, seed=self.options.plant_seed, store=self.store, bench=bench, clock=clock)

    def _carried(self, steps: Steps, notifier: Notifier) -> Carried:
        steering = Steering(self.lab, self.name, self.plan.needs_wires)
        teller = Teller(notifier, f"{self.server.ui_url}/runs?state=Paused" if self.server.ui_url else "", self.plan.file.spec.stop)
        return Carried(steps, self.plan, self.server, steering, teller, self.lab.report(self.name))

    # ----------------------------------------------------------------- start

    def _start(self, twin: DryTwin) -> tuple[Clock, str]:
        """Start the view and, beside it, plant and bench; return the lab's clock and the bench file's hash."""
        with ThreadPoolExecutor(1, thread_name_prefix="bench-start") as beside:
            starting = beside.submit(self._processes, twin)
            with self.surroundings.busy("starting Prefect's server and the bench"):
                self.server.acquire()
            self._announce(twin)
            with self.surroundings.busy("starting the bench"):
                return starting.result()

    def _processes(self, twin: DryTwin) -> tuple[Clock, str]:
        plan, lab, options = self.plan, self.lab, self.options
        if plan.bench is None:
            return LiveClock(), ""
        if lab.kind == "dry":
            made = simulated(plan.bench, plan.objective.later)
            ensure_plant(
                lab.path,
                made.plant,
                bench_sha256=plan.bench.sha256,
                seed=options.plant_seed,
                rate=options.rate,
                formerly=former_benches(self.store.events(plan.file.name)),
                secured=secured_links(plan.bench),
                stand_ins=made.declared(sampled_priors(made, options.plant_seed)),
                twin=twin.document,
            )
        ensure_bench(lab.path, plan.bench.path, lab.endpoints, sha256=plan.bench.sha256)
        return lab_clock(lab.endpoints), plan.bench.sha256

    @property
    def _stand_ins(self) -> Mapping[str, str]:
        """What people are told of each stand-in; empty where there is none."""
        return names_of_stand_ins(self.plan, self.lab.kind)

    def _announce(self, twin: DryTwin) -> None:
        tell = self.surroundings.tell
        kind = "SIMULATED instruments" if self.lab.kind == "dry" else "the real bench" if self.plan.needs_wires else "recorded data"
        tell(f"campaign {self.name} on {kind}; lab {self.lab.path}")
        for line in (*(f"{name}: {what}" for name, what in self._stand_ins.items()), *twin.lines):
            tell(line)
        if self.server.ui_url is not None:
            for line in filter(None, (f"Prefect UI: {self.server.ui_url}", self.server.moved)):
                tell(line)
        elif self.server.reason is not None:
            tell(f"no Prefect view: {self.server.reason}")

    def _take_up(self, record: CampaignRecord | None, clock: Clock, twin: DryTwin) -> int:
        """Begin the campaign where it is new, and return this process's fencing number."""
        rate = self.options.rate if self.lab.kind == "dry" else 1.0
        if record is None:
            named = {"stand_ins": told} if (told := self._stand_ins) else {}
            record = CampaignRecord(name=self.name, snapshot={**self.plan.snapshot, "rate": rate, **BEGINS, **named, **twin.snapshot})
            self.store.create_campaign(record, by=BY_COMMAND, now=clock.now())
        fence = self.store.take_up(self.name, by=BY_COMMAND, now=clock.now())
        if record.status is CampaignStatus.DRAFT:
            drafted = self.store.changes(self.name).campaign
            snapshot = drafted.snapshot if drafted.snapshot.get("rate") == rate else {**drafted.snapshot, "rate": rate}
            running = drafted.evolve(status=CampaignStatus.RUNNING, snapshot=snapshot)
            self.store.update_campaign(running, kind=EventKind.RUNNING, by=BY_COMMAND, now=clock.now())
        return fence

    def _bench(self, fence: int, closing_later: ExitStack) -> Bench:
        if self.plan.bench is not None:
            revive = partial(revive_bench, self.lab.path, self.plan.bench.path, self.lab.endpoints)
            client = closing_later.enter_context(HostClient.of_lab(self.lab.path, campaign=self.name, fence=fence, revive=revive))
            client.attend()  # people may look for hours before the first run: the bench must not take that for our death
            return client
        return recorded_bench(self.plan, self.store.changes(self.name))

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
        return {"name": status["bench"], "state": state, "run in hand": status["run"] or "none", **self._stand_ins}

    def _asker(self) -> Asker:
        """Return what puts open requests to people: Prefect's page where there is one."""
        if self.server.url is None:
            return TerminalOnly()
        prepare_prefect(self.server)
        return self.surroundings.asker(self.lab, self.store, self.name)

    # ----------------------------------------------------------------- end

    def _end_processes(self) -> None:
        if self.plan.needs_wires:
            shutdown_bench(self.lab.path)
            if self.lab.kind == "dry":
                shutdown_plant(self.lab.path)

    def _conclude(self, ended: Ended, steps: Steps) -> SessionEnd:
        """End the processes of a campaign that is over, write its report, and account for it."""
        over = ended.status.is_over
        history = History.of(self.store.changes(self.name))
        reason = history.campaign.reason or ended.reason
        if over or reason in LEFT_IN_PAGE:
            self._end_processes()
        self.laps.lap("parking")
        with self.surroundings.busy("writing the report"):
            report = write_report_of(self.store, history.campaign, self.lab)
        self.laps.lap("report")
        budget = self.plan.file.spec.campaign.budget.experiments
        timings = (self.laps.seconds, steps.setup.timings.seconds)
        account = Account(history, self.plan.objective, budget, *timings, self.store.head(), self.plan.space)
        next_acts = (_what_next(history, reason, self.lab.path), self._who_is_asked(steps), self._what_goes_on(reason))
        complaint = None if over else NeedsPerson("".join(next_acts))
        return SessionEnd(self.name, self.lab.path, ended.status, reason, report, account, complaint)

    def _who_is_asked(self, steps: Steps) -> str:
        """Name the runs that wait on the bench for people, paused or not."""
        codes = ", ".join(one.code for one in steps.waiting)
        return f"; waiting for people: {codes}, `{typed('work', '--lab', self.lab.path)}` takes their answers" if codes else ""

    def _what_goes_on(self, reason: str) -> str:
        """Name what a paused campaign leaves running, and what ends it."""
        if not self.plan.needs_wires or reason in LEFT_IN_PAGE or reason == "unknown":
            return ""
        lives = {"the bench host": host_alive(self.lab.path), "simulated devices": self.lab.kind == "dry" and plant_lives(self.lab.path)}
        if not (left := [name for name, is_alive in lives.items() if is_alive]):
            return ""
        goes_on = "still runs" if left == ["the bench host"] else "still run"
        return f"; {' and '.join(left)} {goes_on}, `{typed('abort', self.name, '--lab', self.lab.path)}` ends the campaign and them"


def _what_next(history: History, reason: str | None, lab: Path) -> str:
    """Say why a paused campaign does not go on, and what a person types to lift it."""
    if unknown := unknown_runs(history):
        key = unknown[0].run_key
        return (
            f"run {key}: nobody saw how it ended; look at the bench, then type: "
            f"{typed('resolve', key, '--lab', lab)} --done | --not-done | --discard --reason TEXT --by NAME"
        )
    resume = typed("resume", history.campaign.name, "--lab", lab)
    return f"campaign {history.campaign.name} is paused ({reason}); `{resume}` lifts it"
