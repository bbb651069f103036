"""The host's HTTP API on its unix socket; thin: every decision is the request handler's."""

import asyncio
import logging
import socket
import threading
import time
from typing import Annotated, Any, Final

import uvicorn
from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from instruments.bench.probing import CHANNEL
from instruments.host.answers import AnswerRefused
from instruments.host.requests import Conflict, Latched, RequestHandler, Unavailable, UnknownKey
from orchestrator.domain.codec import REPORT, REQUEST, write_line
from orchestrator.domain.records import RunReport
from orchestrator.domain.values import explain
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import AthanorError, BadInput, InterlockError, LimitError

logger = logging.getLogger(__name__)

LONGEST_POLL: Final = 60.0
"""Wall seconds that one question may wait for a change."""
REFUSALS: Final[dict[type[AthanorError], int]] = {
    BadInput: 400,
    LimitError: 400,
    InterlockError: 400,
    UnknownKey: 404,
    Conflict: 409,
    AnswerRefused: 409,
    Latched: 423,
    Unavailable: 503,
}
TURN: Final = 1.0
"""Wall seconds after which a long-poll looks by itself: a change between its look and its wait is seen late, not never."""
FENCE_HEADERS: Final = ("X-Athanor-Fence", "Athanor-Fence")
_Document = Annotated[dict[str, Any], Body(default_factory=dict)]


class JournalChanges:
    """Wakes long-polls when the journal changes."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._closed = False

    def notify(self) -> None:
        """Wake all long-polls; from any thread."""
        loop = self._loop
        if loop is not None and self._waiting:
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop has ended meanwhile, and the long-polls with it
                logger.debug("a change came after the service had ended")

    def close(self) -> None:
        """Answer all long-polls at once, now and later."""
        self._closed = True
        self.notify()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the next change; return False when none came, or none will."""
        if self._closed:
            return False
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            await asyncio.wait_for(event.wait(), min(seconds, TURN))
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(event)
        return not self._closed


class Endpoints:
    """What is answered under which path."""

    def __init__(self, handler: RequestHandler, changes: JournalChanges) -> None:
        self._handler = handler
        self._changes = changes
        self.router = APIRouter()
        for method, path, endpoint in (
            ("PUT", "/runs/{run_key}", self._submit),
            ("GET", "/runs/{run_key}", self._run),
            ("GET", "/runs/{run_key}/readings", self._readings),
            ("POST", "/runs/{run_key}/stored", self._stored),
            ("POST", "/runs/{run_key}/abort", self._abort),
            ("POST", "/runs/{run_key}/resolve", self._resolve),
            ("POST", "/runs/{run_key}/steps/{index}/answer", self._answer),
            ("POST", "/stop", self._stop),
            ("POST", "/unlatch", self._unlatch),
            ("POST", "/safe-state", self._make_safe),
            ("POST", "/warm", self._warm),
            ("POST", "/shutdown", self._shut_down),
            ("GET", "/alive", self._alive),
            ("GET", "/status", self._status),
            ("GET", "/channels/{instrument}/{channel}", self._channel),
        ):
            self.router.add_api_route(path, endpoint, methods=[method])

    def _submit(self, run_key: str, document: _Document) -> JSONResponse:
        """Take a run: fence, campaign, run_id, attempt, bench_sha256, steps; a known key is answered with what is known."""
        try:
            request = REQUEST.validate_python({**document, "run_key": run_key})
        except ValidationError as error:
            raise explain(error, what=f"run {run_key}") from error
        return _report(self._handler.submit(request))

    async def _run(self, run_key: str, request: Request, after: int = -1, wait: float = 0.0) -> JSONResponse:
        """Say how a run stands, once its revision is above `after` or `wait` seconds are over; it is also the campaign's heartbeat."""
        number = _fence(request)
        end = time.monotonic() + min(wait, LONGEST_POLL)
        self._handler.heartbeat(run_key, number)
        while (revision := self._handler.revision(run_key)) is not None and revision <= after and (left := end - time.monotonic()) > 0:
            if not await self._changes.wait(left):
                break
            self._handler.heartbeat(run_key, number)
        return _report(self._handler.report(run_key) if number is None else self._handler.report_to_campaign(run_key))

    def _readings(self, run_key: str, after: int = 0) -> PlainTextResponse:
        """Give the run's readings above a sequence number, a JSON object a line."""
        lines = [write_line(one) + "\n" for one in self._handler.readings(run_key, after=after)]
        return PlainTextResponse("".join(lines), media_type="application/x-ndjson")

    def _stored(self, run_key: str, request: Request, document: _Document) -> JSONResponse:
        """Note that the ledger has the run: before that the host deletes nothing of it."""
        self._handler.check_fence(run_key, _fence(request, document))
        self._handler.stored(run_key)
        return JSONResponse({"stored": run_key})

    def _abort(self, run_key: str, request: Request, document: _Document) -> JSONResponse:
        """End a run now; body: reason."""
        self._handler.check_fence(run_key, _fence(request, document))
        return _report(self._handler.abort(run_key, reason=_text(document, "reason")))

    def _resolve(self, run_key: str, document: _Document) -> JSONResponse:
        """Settle a run whose end nobody saw; body: verdict (done, not-done, discard), reason, by."""
        verdict, reason, by = (_text(document, key) for key in ("verdict", "reason", "by"))
        return _report(self._handler.resolve(run_key, verdict=verdict, reason=reason, by=by))

    def _answer(self, run_key: str, index: int, request: Request, document: _Document) -> JSONResponse:
        """Take a person's answer to a step; body: answer_id, by, values (as typed, by name), and where it was not done outcome, reason."""
        if (number := _fence(request)) is not None:
            self._handler.check_fence(run_key, number)
        said = {key: document[key] for key in ("answer_id", "values", "outcome", "reason") if key in document}
        try:
            answer = WorkAnswer(run_key=run_key, step=index, campaign="", person=_text(document, "by"), **said)
        except ValidationError as error:
            raise explain(error, what=f"answer to step {index} of run {run_key}") from error
        return _report(self._handler.answer(answer))

    def _stop(self, document: _Document) -> JSONResponse:
        """Drive the bench to its safe state and latch it; body: reason, by."""
        return JSONResponse(self._handler.stop(reason=str(document.get("reason", "stop")), by=str(document.get("by", "unnamed"))))

    def _unlatch(self, document: _Document) -> JSONResponse:
        """Let a stopped bench take runs again; body: reason, by."""
        self._handler.unlatch(reason=_text(document, "reason"), by=_text(document, "by"))
        return JSONResponse({"latched": None})

    def _make_safe(self) -> JSONResponse:
        """Drive the bench to its safe state, without a latch."""
        return JSONResponse(self._handler.make_safe())

    def _warm(self, request: Request, document: _Document) -> JSONResponse:
        """Make a parked bench ready again; body: campaign."""
        return JSONResponse(self._handler.warm(campaign=str(document.get("campaign", "")), fence=_fence(request, document)))

    def _shut_down(self) -> JSONResponse:
        """Drive the bench to its safe state and leave."""
        return JSONResponse(self._handler.shut_down())

    async def _alive(self, supervisor: bool = False) -> JSONResponse:
        """Say when executor and wire threads last turned; with `supervisor` it is also the supervisor's sign of life."""
        return JSONResponse(self._handler.alive(supervisor=supervisor))

    def _channel(self, instrument: str, channel: str) -> JSONResponse:
        """Read one channel of an idle bench, with what went over the wire."""
        return JSONResponse(CHANNEL.dump_python(self._handler.read_channel(instrument, channel), mode="json"))

    def _status(self) -> JSONResponse:
        """Say what the host does: runs, devices, latch, bench file."""
        return JSONResponse(self._handler.status())


def application(handler: RequestHandler, changes: JournalChanges) -> FastAPI:
    """Return the API."""
    app = FastAPI(title="Athanor bench host", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(Endpoints(handler, changes).router)

    @app.exception_handler(AthanorError)
    def refuse(_: Request, error: AthanorError) -> JSONResponse:
        return JSONResponse({"error": str(error), "kind": type(error).__name__}, REFUSALS.get(type(error), 500))

    return app


def _report(report: RunReport) -> JSONResponse:
    return JSONResponse(REPORT.dump_python(report, mode="json"))


def _fence(request: Request, document: dict[str, Any] | None = None) -> int | None:
    """Return the caller's fencing number from body, query or header; None for a person."""
    given = [(document or {}).get("fence"), request.query_params.get("fence"), *(request.headers.get(name) for name in FENCE_HEADERS)]
    for value in given:
        if value is not None:
            try:
                return int(value)
            except ValueError as error:
                raise BadInput(f"fence = {value!r}; expected a whole number") from error
    return None


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{key} = {value!r}; expected a text")
    return value


class HttpService:
    """Serves the API in a thread of its own until closed."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        """Take a bound socket."""
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._listening])

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer what is being asked, then end."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._listening.close()
