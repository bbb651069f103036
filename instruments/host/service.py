"""The host's HTTP API on its unix socket; thin: every decision is the desk's."""

import asyncio
import logging
import socket
import threading
import time
from typing import Annotated, Any, Final

import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from instruments.host.requests import Conflict, Desk, Latched, Unavailable, UnknownKey
from orchestrator.domain.documents import REPORT, REQUEST, write_line
from orchestrator.domain.records import RunReport
from orchestrator.domain.values import explain
from orchestrator.errors import AthanorError, BadInput, InterlockError, LimitError

logger = logging.getLogger(__name__)

LONGEST_POLL: Final = 60.0
"""Wall seconds that one question may wait for a change."""
_STATUS: Final[dict[type[AthanorError], int]] = {
    BadInput: 400,
    LimitError: 400,
    InterlockError: 400,
    UnknownKey: UnknownKey.status,
    Conflict: Conflict.status,
    Latched: Latched.status,
    Unavailable: Unavailable.status,
}
TURN: Final = 1.0
"""Wall seconds after which a long-poll looks by itself: a change between its look and its wait is seen late, not never."""
FENCE_HEADERS: Final = ("X-Athanor-Fence", "Athanor-Fence")
Document = Annotated[dict[str, Any], Body(default_factory=dict)]


class Changes:
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


def build(desk: Desk, changes: Changes) -> FastAPI:
    """Return the API."""
    app = FastAPI(title="Athanor bench host", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(AthanorError)
    def refuse(_: Request, error: AthanorError) -> JSONResponse:
        return JSONResponse({"error": str(error), "kind": type(error).__name__}, _STATUS.get(type(error), 500))

    @app.put("/runs/{run_key}")
    def submit(run_key: str, document: Document) -> JSONResponse:
        try:
            request = REQUEST.validate_python({**document, "run_key": run_key})
        except ValidationError as error:
            raise explain(error, what=f"run {run_key}") from error
        return _report(desk.submit(request))

    @app.get("/runs/{run_key}")
    async def report(run_key: str, request: Request, after: int = -1, wait: float = 0.0) -> JSONResponse:
        number = _fence(request)
        end = time.monotonic() + min(wait, LONGEST_POLL)
        desk.heartbeat(run_key, number)
        while (revision := desk.revision(run_key)) is not None and revision <= after and (left := end - time.monotonic()) > 0:
            if not await changes.wait(left):
                break
            desk.heartbeat(run_key, number)
        return _report(desk.report(run_key))

    @app.get("/runs/{run_key}/readings")
    def readings(run_key: str, after: int = 0) -> PlainTextResponse:
        lines = [write_line(one) + "\n" for one in desk.readings(run_key, after=after)]
        return PlainTextResponse("".join(lines), media_type="application/x-ndjson")

    @app.post("/runs/{run_key}/stored")
    def stored(run_key: str, request: Request, document: Document) -> JSONResponse:
        desk.check_fence(run_key, _fence(request, document))
        desk.stored(run_key)
        return JSONResponse({"stored": run_key})

    @app.post("/runs/{run_key}/abort")
    def abort(run_key: str, request: Request, document: Document) -> JSONResponse:
        desk.check_fence(run_key, _fence(request, document))
        return _report(desk.abort(run_key, reason=_text(document, "reason")))

    @app.post("/runs/{run_key}/resolve")
    def resolve(run_key: str, document: Document) -> JSONResponse:
        verdict, reason, by = (_text(document, key) for key in ("verdict", "reason", "by"))
        return _report(desk.resolve(run_key, verdict=verdict, reason=reason, by=by))

    @app.post("/stop")
    def stop(document: Document) -> JSONResponse:
        return JSONResponse(desk.stop(reason=str(document.get("reason", "stop")), by=str(document.get("by", "unnamed"))))

    @app.post("/unlatch")
    def unlatch(document: Document) -> JSONResponse:
        desk.unlatch(reason=_text(document, "reason"), by=_text(document, "by"))
        return JSONResponse({"latched": None})

    @app.post("/safe-state")
    def make_safe() -> JSONResponse:
        return JSONResponse(desk.make_safe())

    @app.post("/warm")
    def warm(request: Request, document: Document) -> JSONResponse:
        return JSONResponse(desk.warm(campaign=str(document.get("campaign", "")), fence=_fence(request, document)))

    @app.post("/shutdown")
    def shut_down() -> JSONResponse:
        return JSONResponse(desk.shut_down())

    @app.get("/alive")
    async def alive(supervisor: bool = False) -> JSONResponse:
        return JSONResponse(desk.alive(supervisor=supervisor))

    @app.get("/status")
    def status() -> JSONResponse:
        return JSONResponse(desk.status())

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


class Service:
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
