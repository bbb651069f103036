"""Serving a lab: its Prefect server and page, its deployments and a worker, from `with` to its end."""

import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from flows.plans.lab import Lab, Tell
from flows.prefect_server.server import ServerUse, configured_url, prefect_environment
from flows.prefect_server.server_users import await_end
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.process_identity import last_line
from instruments.lab_processes.state_files import read_state_file
from orchestrator.errors import Fault

logger = logging.getLogger(__name__)

_READY_SECONDS: Final = 90.0
"""Wall seconds for the worker to apply its deployments on a busy machine; 5 to 10 s were measured."""
_STOP_SECONDS: Final = 120.0
"""Wall seconds for the worker to wind its runs down and leave: more than it gives them."""
_POOL: Final = "athanor"
_NOTE: Final = "worker.json"
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Offer:
    """What a served lab has to offer."""

    ui_url: str
    deployments: tuple[str, ...]


class ServedLab:
    """Server, deployments and worker of one lab; ended in the order runs, worker, server."""

    def __init__(self, lab: Lab, *, worker: str, tell: Tell = logger.warning) -> None:
        """Prepare; nothing is started. `worker` is the module that works for the lab, as a process of its own."""
        self._lab = lab
        self._module = worker
        self._home = lab.prefect_home
        self._server = ServerUse(self._home, tell=tell)
        self._lock = FileLock(self._home / "serve.lock", what="athanor serve", lab=lab.path)
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._server.acquire()
            if self._server.url is None:
                raise Fault(f"no Prefect server for lab {self._lab.path}: {self._server.reason}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    @property
    def ui_url(self) -> str:
        """Of the page that people open."""
        return self._server.ui_url or ""

    @property
    def moved(self) -> str | None:
        """Why the page is not where it was the last time."""
        return self._server.moved

    def start(self) -> Offer:
        """Start the worker, which applies the deployments; return what can be started.

        Raises:
            Fault: It does not come up; with its own last line.
        """
        (self._home / _NOTE).unlink(missing_ok=True)
        self._worker = self._start_worker()
        deadline = time.monotonic() + _READY_SECONDS
        while (note := read_state_file(self._home / _NOTE)).get("pid") != self._worker.pid:
            self.check()
            if time.monotonic() > deadline:
                raise Fault(f"the worker was not ready within {_READY_SECONDS:g} s; see {self._log}")
            time.sleep(_POLL_SECONDS)
        return Offer(self.ui_url, tuple(note["deployments"]))

    def check(self) -> None:
        """Raise Fault where the worker has ended by itself."""
        if self._worker is not None and (code := self._worker.poll()) is not None:
            raise Fault(f"the worker ended with code {code}: {last_line(self._log)} (all of it in {self._log})")

    @property
    def _log(self) -> Path:
        return self._home / "worker.log"

    def _start_worker(self) -> subprocess.Popen[bytes]:
        places = ["--home", str(self._home), "--lab", str(self._lab.path)]
        own = ["--pool", _POOL, "--own-server"] if configured_url() is None else _names_elsewhere(self._lab)
        environment = {**os.environ, "PREFECT_LOGGING_COLORS": "false", **prefect_environment(self._server)}
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", self._module, *places, *own],
                env=environment,
                cwd=self._home,
                stdin=subprocess.PIPE,  # its end tells the worker that this process is gone
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self) -> None:
        """End worker and server; may be repeated."""
        if self._worker is not None:
            self._end_worker(self._worker)
            self._worker = None
        was_ours = self._server.url is not None and configured_url() is None
        self._server.release()
        if was_ours:
            await_end(self._home)
        self._lock.release()

    def _end_worker(self, worker: subprocess.Popen[bytes]) -> None:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.error("the worker did not end within %g s and is killed", _STOP_SECONDS)
            worker.kill()
            worker.wait()
        if worker.stdin is not None:
            worker.stdin.close()


def _names_elsewhere(lab: Lab) -> list[str]:
    """Return names of the lab's own on a server that it may share with others."""
    mark = hashlib.sha256(str(lab.path).encode()).hexdigest()[:8]
    return ["--pool", f"{_POOL}-{mark}", "--suffix", f"-{mark}"]
