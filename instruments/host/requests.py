"""What the host answers and refuses, without HTTP: acceptance of runs, fences, stop, latch and signs of life."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

from instruments.bench import safe_state
from instruments.bench.probing import ChannelRead, read_channel
from instruments.host.executor import Executor
from instruments.host.gate import Gate
from instruments.host.heartbeats import SUPERVISOR_SILENCE
from instruments.host.journal_records import JournalRun, Transition, content_hash
from instruments.host.parts import HostParts
from orchestrator.commandline import typed
from orchestrator.domain.codec import REPORT
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import Reading, RunReport, RunRequest
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, HostError, NeedsPerson

logger = logging.getLogger(__name__)

VERDICTS: Final = ("done", "not-done", "discard")
_SHOWN_RUNS: Final = 20
_READ_SECONDS: Final = 10.0
"""Wall seconds that a device may take to have one channel read."""


class Conflict(HostError):
    """Other content under a known key, another bench file, an older fence, or not in this state."""


class UnknownKey(HostError):
    """No such run ever arrived here."""


class Unavailable(HostError):
    """No new run now: an unknown one is open, or nobody supervises the host."""


class Latched(NeedsPerson):
    """The bench was stopped; a person has to resume it."""


class RequestHandler:
    """Answers for the host; safe to call from several threads."""

    def __init__(self, host: HostParts, executor: Executor, *, boot: str, leave: Callable[[], None]) -> None:
        """Prepare; `boot` identifies this life of the host, `leave` ends it."""
        self._host = host
        self._executor = executor
        self._boot = boot
        self._leave = leave
        self._gate = Gate(host.bench)
        self._lock = threading.Lock()

    # ----------------------------------------------------------------- runs

    def submit(self, request: RunRequest) -> RunReport:
        """Accept a run, or return what is known of it when the same one has arrived before.

        Raises:
            Conflict, Latched, Unavailable: See there.
            BadInput, LimitError, InterlockError: The bench does not allow these steps.
        """
        with self._lock:
            self._check_fence(request.campaign, request.fence)
            known = self._host.journal.content(request.run_key)
            if known is None:
                self._check_new(request)
                self._host.journal.commit(Transition(request.run_key, RunStatus.DISPATCHED, request=request))
            elif known != content_hash(request):
                raise Conflict(f"run {request.run_key} arrived before with other content")
            self._host.journal.raise_fence(request.campaign, request.fence)
        self._host.heartbeats.campaign_heard()
        self._host.heartbeats.worked()
        self._executor.wake()
        return self.report(request.run_key)

    def _check_new(self, request: RunRequest) -> None:
        if request.bench_sha256 != self._host.bench.sha256:
            raise Conflict(
                f"run {request.run_key} is for bench file {request.bench_sha256[:12]}; this host has {self._host.bench.sha256[:12]}"
            )
        self._check_free()
        for unknown in self._host.journal.runs(RunStatus.UNKNOWN):
            key = unknown.run_key
            line = f"{typed('resolve', key)} --done | --not-done | --discard --reason TEXT --by NAME"
            raise Unavailable(f"run {key} is unknown ({unknown.reason}); settle it first: {line}")
        self._check_supervised("no new run")
        self._gate.check_run(request.steps)

    def _check_free(self) -> None:
        if self._host.latch.state is not None:
            raise Latched(f"{self._host.latch.reason}; athanor resume --by NAME --reason TEXT")

    def _check_supervised(self, consequence: str) -> None:
        if not self._host.heartbeats.supervised:
            silence = f"no supervisor's question for {self._host.heartbeats.supervisor_silence:.0f} s"
            raise Unavailable(f"{silence}; expected one within {SUPERVISOR_SILENCE:g} s: {consequence}")

    def _check_fence(self, campaign: str, fence: int) -> None:
        if fence < self._host.journal.fence(campaign):
            raise Conflict(
                f"campaign {campaign}: fence {fence} is older than {self._host.journal.fence(campaign)}; another process took over"
            )

    def check_fence(self, run_key: str, fence: int | None) -> None:
        """Refuse an older campaign process; a request without a number comes from a person.

        Raises:
            UnknownKey: No such run.
            Conflict: The number is older than the highest seen.
        """
        campaign = self._known(run_key).request.campaign
        if fence is not None:
            self._check_fence(campaign, fence)
            self._host.journal.raise_fence(campaign, fence)
            self._host.heartbeats.campaign_heard()

    def heartbeat(self, run_key: str, fence: int | None) -> None:
        """Note that a campaign process lives; an older one counts for nothing."""
        run = self._host.journal.run(run_key)
        if fence is not None and (run is None or fence >= self._host.journal.fence(run.request.campaign)):
            self._host.heartbeats.campaign_heard()

    def _known(self, run_key: str) -> JournalRun:
        run = self._host.journal.run(run_key)
        if run is None:
            raise UnknownKey(f"run {run_key} never arrived at this bench host")
        return run

    def report(self, run_key: str) -> RunReport:
        """Return what is known of a run; UnknownKey when it never arrived."""
        return self._known(run_key).report()

    def report_to_campaign(self, run_key: str) -> RunReport:
        """Return what is known of a run to a campaign, which would wait for ever for one that a latched bench does not begin.

        Raises:
            UnknownKey: It never arrived.
            Latched: It waits, and the bench is latched.
        """
        report = self.report(run_key)
        if report.status is RunStatus.DISPATCHED:
            self._check_free()
        return report

    def revision(self, run_key: str) -> int | None:
        """Return a run's revision; None when it never arrived."""
        return self._host.journal.revision(run_key)

    def readings(self, run_key: str, *, after: int) -> tuple[Reading, ...]:
        """Return a run's readings; UnknownKey when it never arrived."""
        self._known(run_key)
        return self._host.journal.readings(run_key, after=after)

    def stored(self, run_key: str) -> None:
        """Forget the readings of a run that has ended: the ledger has them."""
        report = self.report(run_key)
        if not report.status.is_terminal:
            raise Conflict(f"run {run_key} is {report.status}; readings are deleted only after its end")
        self._host.journal.stored(run_key)

    def abort(self, run_key: str, *, reason: str) -> RunReport:
        """End a run now; one that has ended stays as it is."""
        with self._lock:
            if not self.report(run_key).status.is_terminal:
                self._host.journal.request_abort(run_key, reason=reason)
                self._executor.drop(run_key, reason)
        self._executor.wake()
        return self.report(run_key)

    def answer(self, answer: WorkAnswer) -> RunReport:
        """Take what a person says of a step that waits for one; the same answer again changes nothing.

        Raises:
            UnknownKey: No such run.
            AnswerRefused, BadInput: See `Answers.take`; the step waits on.
        """
        self._known(answer.run_key)
        self._executor.answers.take(answer)
        self._executor.wake()
        return self.report(answer.run_key)

    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        """Settle an unknown run as a person says."""
        if verdict not in VERDICTS:
            raise BadInput(f"verdict {verdict!r}; expected {', '.join(VERDICTS)}")
        if not reason.strip() or not by.strip():
            raise BadInput("a verdict needs a reason and the name of who gives it")
        status = self.report(run_key).status
        if status is not RunStatus.UNKNOWN:
            raise Conflict(f"run {run_key} is {status}; only an unknown run can be resolved")
        self._executor.resolve(run_key, verdict=verdict, reason=reason, by=by)
        return self.report(run_key)

    # ----------------------------------------------------------------- the bench

    def stop(self, *, reason: str, by: str) -> dict[str, Any]:
        """Latch, end everything and drive the safe state past all queues; works in every state."""
        self._host.latch.set(reason=reason, by=by)
        self._host.wires.halt()
        self._executor.wake()
        actions = safe_state.drive(self._host.bench, self._host.wires)
        self._host.idle_state.make_safe(self._host.latch.reason, asked=True)
        with self._lock:
            for run in self._host.journal.runs(RunStatus.DISPATCHED, RunStatus.RUNNING):
                self._host.journal.request_abort(run.run_key, reason=self._host.latch.reason)
                self._executor.drop(run.run_key, self._host.latch.reason)
        self._executor.wake()
        documents = [one.document() for one in actions]
        self._host.journal.note("stopped", {"reason": reason, "by": by, "actions": documents})
        return {"latched": self._host.latch.state, "safe_state": documents}

    def unlatch(self, *, reason: str, by: str) -> None:
        """Free a latched bench, by a person with a name and a reason."""
        if not reason.strip() or not by.strip():
            raise BadInput("to resume a latched bench takes a reason and a name")
        self._host.latch.clear(reason=reason, by=by)
        self._host.wires.release()
        self._executor.wake()

    def make_safe(self) -> dict[str, Any]:
        """Drive the safe state of an idle bench; not latched."""
        if self._executor.in_hand is not None:
            raise Conflict(f"run {self._executor.in_hand} is being executed; abort it first, or stop the bench")
        return {"safe_state": [one.document() for one in self._executor.make_idle_bench_safe("asked for")]}

    def warm(self, *, campaign: str, fence: int | None) -> dict[str, Any]:
        """Begin to warm a parked bench up, before a run comes; says whether there is anything to do.

        Raises:
            Conflict: An older campaign process asks.
            Latched, Unavailable: The bench is stopped, or nobody supervises the host.
        """
        if campaign and fence is not None:
            with self._lock:
                self._check_fence(campaign, fence)
                self._host.journal.raise_fence(campaign, fence)
            self._host.heartbeats.campaign_heard()
        self._check_free()
        self._check_supervised("not warmed up")
        return {"warming": self._executor.warm()}

    def shut_down(self) -> dict[str, Any]:
        """End the run in hand, drive the safe state and leave."""
        self._leave()
        return {"leaving": True}

    def alive(self, *, supervisor: bool) -> dict[str, Any]:
        """Return the ages of all threads; the supervisor's question is its own sign of life."""
        if supervisor:
            self._host.heartbeats.supervisor_asked()
        return {
            "boot": self._boot,
            "ready": self._executor.ready.is_set(),
            "latched": self._host.latch.state is not None,
            "run": self._executor.in_hand,
            "attended": self._host.heartbeats.silence <= self._host.bench.spec.bench.grace,
            "parked": self._host.idle_state.is_parked,
            "safe_state": self._host.idle_state.document()["safe"],
            "executor_age_s": self._executor.age,
            "wires": self._host.wires.ages,
        }

    def read_channel(self, instrument: str, channel: str) -> ChannelRead:
        """Read one channel of an idle bench, latched or not, for a person who stands before the device.

        Not beside a run: what a device says of itself once, an alarm for example, is the run's to hear.

        Raises:
            UnknownKey: The bench has no such channel.
            Conflict: A run is being executed.
            LinkError: The wire is busy or lost.
        """
        if f"{instrument}.{channel}" not in self._host.bench.channel_units:
            raise UnknownKey(f"the bench of this host has no channel {instrument}.{channel}")
        if (run := self._executor.in_hand) is not None:
            raise Conflict(f"run {run} is being executed; its devices can be read once it is over")
        wire, latched = self._host.wires.of(instrument), self._host.latch.state is not None
        return wire.attempt(instrument, lambda driver: read_channel(driver, channel), seconds=_READ_SECONDS, urgent=latched)

    def status(self) -> dict[str, Any]:
        """Return what people want to know."""
        runs = self._host.journal.runs(*RunStatus)[-_SHOWN_RUNS:]
        return {
            **self.alive(supervisor=False),
            "pid": os.getpid(),
            "bench": self._host.bench.spec.bench.name,
            "bench_sha256": self._host.bench.sha256,
            "drivers": self._drivers(),
            "latch": self._host.latch.state,
            "supervised": self._host.heartbeats.supervised,
            "parking": self._host.idle_state.document()["parked"],
            "campaign_silence_s": self._host.heartbeats.campaign_silence,
            "identities": {name: asdict(one) for name, one in self._host.wires.identities.items()},
            "runs": [REPORT.dump_python(run.report(), mode="json") for run in runs],
            "notes": [{"kind": kind, **detail} for kind, detail in self._host.journal.notes()[-_SHOWN_RUNS:]],
        }

    def _drivers(self) -> dict[str, dict[str, str]]:
        """Say of each instrument which driver it has, from where."""
        bench, own = self._host.bench, f"athanor {version('athanor')}"
        names = {name: one.driver for name, one in bench.spec.instruments.items()}
        from_where = {name: bench.plugins[driver].identity if driver in bench.plugins else own for name, driver in names.items()}
        return {name: {"driver": driver, "from": from_where[name]} for name, driver in names.items()}
