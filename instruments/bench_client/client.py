"""The bench, as a campaign sees it: the host's HTTP interface behind the `Bench` port."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic import ValidationError
from typing_extensions import override

from instruments.lab_processes.http import exchange, parse_object, refusal_error
from instruments.lab_processes.state_files import HOST, LATCHED, read_lab_state, read_state_file
from orchestrator.domain.codec import REPORT, REQUEST, read_line
from orchestrator.domain.records import Reading, RunReport, RunRequest
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import AthanorError, BenchLatched, HostError
from orchestrator.ports import Bench

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 15.0
"""Wall seconds for an answer beyond the wait that was asked for: the host journals on a busy disk before it answers."""
RESTART_WITHIN: Final = 10.0
"""Wall seconds for the return of a host whose note does not say how long its bench file allows."""
_BEAT_SECONDS: Final = 2.0
"""Wall seconds of the heartbeat's long-poll: well below any grace time."""
_FENCE_HEADER: Final = "X-Athanor-Fence"
_RETRY_SECONDS: Final = 0.2
_UNWATCHED: Final = 503
"""Status of a host that takes no run because nobody watches it: another supervisor is on its way."""
_NO_RUN: Final = "none"
"""A run key that never arrives anywhere: the question alone is the heartbeat."""


class HostClient(Bench):
    """Talks to one bench host; every request is idempotent and survives a restart of the host."""

    def __init__(
        self,
        socket_path: str | Path,
        fence: int | None = None,
        *,
        campaign: str = "",
        restart_within: float = RESTART_WITHIN,
        lab: Path | None = None,
        beats: bool = True,
        revive: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            socket_path: The host's unix socket.
            fence: The campaign's fencing number; the host refuses an older one.
            campaign: The campaign's name.
            restart_within: Wall seconds during which a host that cannot be reached, or gives no answer, may be on its way back
                or about to be replaced.
            lab: The lab, where it is on this machine: says whether a host that cannot be reached was replaced by the latch.
            beats: Whether a campaign's client (one with a fence) keeps a heartbeat from its first run on.
            revive: Sees to it, before each request, that somebody watches the host.
        """
        self._socket = str(socket_path)
        self._restart_within = restart_within
        self._lab = lab
        self._headers = {} if fence is None else {_FENCE_HEADER: str(fence)}
        self._fence = fence
        self._campaign = campaign
        self._beats = beats and fence is not None
        self._revive = revive or _nobody
        self._heartbeat: Heartbeat | None = None

    @classmethod
    def of_lab(cls, lab: Path, *, campaign: str = "", fence: int | None = None, revive: Callable[[], None] | None = None) -> Self:
        """Talk to the host of a lab, as patiently as its bench file allows. HostError when none was started there."""
        note = read_lab_state(lab, HOST)
        if "socket" not in note:
            raise HostError(f"lab {lab} has no bench host: {lab / HOST} is not there")
        within = max(RESTART_WITHIN, note.get("restart_within", RESTART_WITHIN))
        return cls(note["socket"], fence, campaign=campaign, restart_within=within, lab=lab, revive=revive)

    # ------------------------------------------------------------------ the port

    @override
    def submit(self, request: RunRequest) -> RunReport:
        content = REQUEST.dump_python(request, mode="json")
        answer = self._request("PUT", f"/runs/{request.run_key}", {k: v for k, v in content.items() if k != "run_key"})
        self._beat(request.run_key)
        return _report(self._required(answer, f"run {request.run_key}"))

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        answer = self._request("GET", f"/runs/{run_key}?after={after}&wait={wait:g}", wait=wait)
        if answer is None:
            return None
        self._beat(run_key)
        return _report(answer)

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        answer = self._required(self._request("GET", f"/runs/{run_key}/readings"), f"run {run_key}")
        return tuple(_reading(line) for line in answer.splitlines() if line.strip())

    @override
    def stored(self, run_key: str) -> None:
        self._required(self._request("POST", f"/runs/{run_key}/stored", {}), f"run {run_key}")

    @override
    def abort(self, run_key: str, *, reason: str) -> None:
        self._required(self._request("POST", f"/runs/{run_key}/abort", {"reason": reason}), f"run {run_key}")

    @override
    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        body = {"verdict": verdict, "reason": reason, "by": by}
        return _report(self._required(self._request("POST", f"/runs/{run_key}/resolve", body), f"run {run_key}"))

    @override
    def answer(self, answer: WorkAnswer) -> RunReport:
        said = answer.model_dump(mode="json", include={"answer_id", "values", "outcome", "reason"})
        body = {**said, "by": answer.person}
        text = self._request("POST", f"/runs/{answer.run_key}/steps/{answer.step}/answer", body)
        return _report(self._required(text, f"run {answer.run_key}"))

    @override
    def stop(self, *, reason: str) -> None:
        self._request("POST", "/stop", {"reason": reason, "by": self._campaign or "campaign"})

    # ------------------------------------------------------------------ beyond the port

    def alive(self) -> dict[str, Any]:
        """Ask for the ages of the host's threads; a person's question, no sign of life of anybody."""
        return self._document("GET", "/alive")

    def status(self) -> dict[str, Any]:
        """Ask what the host says of itself."""
        return self._document("GET", "/status")

    def read_channel(self, instrument: str, channel: str) -> str:
        """Let an idle host read one channel of a device; return the reading's JSON form (`instruments.bench.probing`)."""
        return self._required(self._request("GET", f"/channels/{instrument}/{channel}"), f"channel {instrument}.{channel}")

    def unlatch(self, *, by: str, reason: str) -> None:
        """Let the bench work again after a stop."""
        self._request("POST", "/unlatch", {"by": by, "reason": reason})

    def make_safe(self) -> None:
        """Bring an idle bench into its safe state, not latched."""
        self._request("POST", "/safe-state", {})

    @override
    def warm(self) -> bool:
        """Begin to warm a parked bench up, before a run is handed over; return whether there is anything to do."""
        answer = self._required(self._request("POST", "/warm", {"campaign": self._campaign}), "/warm")
        return parse_object(answer).get("warming") is True

    def attend(self) -> None:
        """Keep a heartbeat from now on, also before the first run: a campaign that waits for a person is there."""
        self._beat(_NO_RUN)

    def close(self) -> None:
        """End the heartbeat; may be repeated."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _beat(self, run_key: str) -> None:
        """Keep a heartbeat from the first run on: a long model fit must not look like death."""
        if not self._beats:
            return
        if self._heartbeat is None:
            beating = HostClient(self._socket, self._fence, campaign=self._campaign, restart_within=0.0, beats=False, revive=self._revive)
            self._heartbeat = Heartbeat(beating)
            self._heartbeat.start()
        self._heartbeat.watch(run_key)

    def _document(self, method: str, path: str) -> dict[str, Any]:
        return parse_object(self._required(self._request(method, path), path))

    def _required(self, answer: str | None, what: str) -> str:
        if answer is None:
            raise HostError(f"bench host at {self._socket} does not know {what}")
        return answer

    def _request(self, method: str, path: str, body: Any = None, *, wait: float = 0.0) -> str | None:
        """Send a request, again while the host may be on its way back; None for 404."""
        deadline = time.monotonic() + self._restart_within
        timeout = _ANSWER_SECONDS + wait
        while True:
            self._revive()
            try:
                status, text = exchange(self._socket, method, path, body, timeout=timeout, headers=self._headers)
                if status != _UNWATCHED or self._revive is _nobody or time.monotonic() > deadline:
                    break
                time.sleep(_RETRY_SECONDS)
            except HostError:  # every request is idempotent: it may have arrived
                self._refuse_latched()
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        if status == 404:
            return None
        if status >= 400:
            raise refusal_error(status, text)
        return text

    def _refuse_latched(self) -> None:
        """While latched nobody restarts the host: there is nothing to wait for."""
        if self._lab is not None and (self._lab / LATCHED).exists():
            reason = read_state_file(self._lab / LATCHED).get("reason")
            raise BenchLatched(f"the bench is latched ({reason}) and its host is gone; athanor resume --by NAME --reason TEXT")


class Heartbeat:
    """A thread with a long-poll of its own, so that the host hears from a campaign whose loop is busy with a model."""

    def __init__(self, client: HostClient) -> None:
        """Prepare.

        Args:
            client: Used by this thread alone, and closed by it.
        """
        self._client = client
        self._run_key: str | None = None
        self._revision = -1
        self._failing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def watch(self, run_key: str) -> None:
        """Poll this run from now on."""
        self._run_key = run_key

    def stop(self) -> None:
        """End the thread; may take one long-poll."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            self._beat()
            self._ended.wait(max(0.0, _BEAT_SECONDS - (time.monotonic() - began)))

    def _beat(self) -> None:
        try:
            if self._run_key is not None:
                report = self._client.report(self._run_key, after=self._revision, wait=_BEAT_SECONDS)
                self._revision = -1 if report is None else report.revision
            self._failing = False
        except AthanorError as error:  # the loop meets the same fault and decides; the heartbeat goes on trying
            if not self._failing:
                logger.warning("heartbeat: %s", error)
            self._failing = True


def _nobody() -> None:
    """Revive nobody."""


def _report(answer: str) -> RunReport:
    try:
        return REPORT.validate_json(answer)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HostError(f"bench host sent no run report: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _reading(line: str) -> Reading:
    """Read one line; the raw bytes must have the hash that came with them."""
    try:
        reading = read_line(line)
    except ValueError as error:
        raise HostError(f"bench host sent no reading: {line[:120]}") from error
    if reading.raw and hashlib.sha256(reading.raw).hexdigest() != reading.sha256:
        said = f"its {len(reading.raw)} raw bytes do not have the hash {reading.sha256}"
        raise HostError(f"reading {reading.seq} of {reading.name}: {said}")
    return reading
