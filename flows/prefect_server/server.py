"""The local Prefect server: one per home, kept by a small process, ended when nobody uses it any more.

    python -m flows.prefect_server.server --home DIR

Each user holds a shared lock on `HOME/users.lock` for as long as it lives; the keeper, the server's parent, ends the
server when it gets that lock exclusively. No counting: the kernel drops the lock of a killed user. Prefect itself is
imported by the server's own process alone.
"""

import argparse
import fcntl
import http.client
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from flows.plans.places import prefect_database
from flows.prefect_server.login import api_login, check_login, client_settings, server_settings, status_of
from flows.prefect_server.server_port import choose_port
from flows.prefect_server.server_users import STOP_SECONDS, lock_is_free, share, tend
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.process_identity import Process, last_line, reap, start_detached
from instruments.lab_processes.state_files import read_state_file, record_exit_reason, write_state_file
from orchestrator.errors import Fault, LockHeld

logger = logging.getLogger(__name__)

_READY_SECONDS: Final = 90.0
"""Wall seconds for a first start with an empty database on a busy machine; 6 to 14 s were measured on an idle one."""
_POLL_SECONDS: Final = 0.2
_USERS_POLL_SECONDS: Final = 1.0
_NEWER: Final = "Can't locate revision identified by"
_OWN_HOME: Final = "ATHANOR_PREFECT_HOME"
"""Marks an environment in which PREFECT_API_URL is our own doing and not the user's."""
_NOTE: Final = "server.json"
_ERROR: Final = "server-error.json"


class ServerUse:
    """The use of a Prefect server, from `with` to its end; without one, `reason` says why and a campaign runs on."""

    def __init__(self, home: Path, *, wanted: bool = True, tell: Callable[[str], object] = logger.warning) -> None:
        """Prepare; nothing is started. `tell` is told in a line what becomes of a server that has died under us."""
        self.home = home.absolute()
        self._wanted = wanted
        self._tell = tell
        self._users: int | None = None
        self._left = threading.Event()
        self._keeper: int | None = None
        self.url: str | None = None
        """Of the API."""
        self.reason: str | None = None
        """Why there is no server."""
        self.moved: str | None = None
        """Why the server is not where it was the last time."""

    @property
    def ui_url(self) -> str | None:
        """Of the page that people open."""
        return self.url.removesuffix("/api") if self.url else None

    def acquire(self) -> None:
        """Use the user's own server where PREFECT_API_URL names one, else ours; never raises for a server.

        Raises:
            BadInput: The login in the environment has another shape than user:password.
        """
        api_login()
        if not self._wanted:
            self.reason = "not wanted"
        elif own := configured_url():
            self.url = own
        else:
            self._use_ours()

    def _use_ours(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._users = share(self.home)
            self.url = self._take()
            check_login(self.url)
        except (Fault, OSError) as error:
            self.reason = str(error)
            self.release()
        else:
            self._left = tend(self.home, self._begin_again, self._tell)

    def _take(self) -> str:
        url, note = ensure_server(self.home), read_state_file(self.home / _NOTE)
        self.moved, self._keeper = note.get("moved"), note.get("keeper")
        return url

    def _begin_again(self) -> str:
        if self._keeper is not None:
            reap(self._keeper)
        self.url = self._take()
        return f"Prefect UI: {self.ui_url} again"

    def release(self) -> None:
        """Let go; the keeper ends the server when this was the last user. May be repeated."""
        self._left.set()
        self.url = None
        if self._users is not None:
            os.close(self._users)
            self._users = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def configured_url() -> str | None:
    """Return the API that the user's environment names; then nothing is started."""
    return None if _OWN_HOME in os.environ else os.environ.get("PREFECT_API_URL") or None


def home_in_use() -> Path | None:
    """Return the home of our own server, where the environment names it: in a process that a user of it has started."""
    home = os.environ.get(_OWN_HOME)
    return Path(home) if home else None


def address_now() -> dict[str, str]:
    """Return where our own server is, as its clients' environment: another command may have begun one in place of a dead one.

    Empty with the user's own server, and while there is none.
    """
    home = home_in_use()
    url = read_state_file(home / _NOTE).get("url") if home else None
    return {"PREFECT_API_URL": url, "PREFECT_UI_URL": url.removesuffix("/api")} if url else {}


def prefect_environment(server: ServerUse) -> dict[str, str]:
    """Return what to put into the environment before the first import of Prefect.

    With the user's own server only what keeps a hidden one from starting; the rest is the user's.
    """
    safe = {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false", "PREFECT_CLI_PROMPT": "false"}
    if server.url is None or configured_url():
        return {**safe, **client_settings()}
    return {**safe, **_settings(server.home, server.url), _OWN_HOME: str(server.home)}


def prepare_prefect(server: ServerUse) -> None:
    """Set the environment that Prefect reads when it is first imported, here and in child processes."""
    os.environ.update({"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING", **prefect_environment(server)})


def _settings(home: Path, url: str) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_URL": url.removesuffix("/api"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        **client_settings(),
    }


def _server_environment(home: Path, url: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **own,
        **_settings(home, url),
        **server_settings(),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_of(home),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # the V2 page asks an outside host at every load
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_CLI_PROMPT": "false",
    }


def database_of(home: Path) -> str:
    """Return the URL of the server's database: the one that the lab has noted, else a file in the home.

    Raises:
        BadInput: What is noted is no such URL.
    """
    return prefect_database(home.parent) or f"sqlite+aiosqlite:///{home / 'prefect.db'}"


# ---------------------------------------------------------------------- the side of the users


def ensure_server(home: Path) -> str:
    """Return the API url of the home's server, started when none is alive; the caller is a user already.

    Raises:
        Fault: It does not come up; one line says why.
    """
    starter = FileLock(home / "start.lock", what="a starting command", lab=home)
    starter.acquire(patience=2 * _READY_SECONDS)
    try:
        if (url := _ready_url(home)) and not lock_is_free(home / "keeper.lock"):
            return url
        (home / _ERROR).unlink(missing_ok=True)
        return _await_server(home, start_detached(["flows.prefect_server.server", "--home", str(home)], home / "keeper.log"))
    finally:
        starter.release()


def _await_server(home: Path, keeper: Process) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if not keeper.alive:
            reap(keeper.pid)
            line = read_state_file(home / _ERROR).get("error") or last_line(home / "keeper.log")
            raise Fault(f"the Prefect server did not start: {line}")
        note = read_state_file(home / _NOTE)
        if note.get("keeper") == keeper.pid and (url := _ready_url(home)):
            return url
        time.sleep(_POLL_SECONDS)
    raise Fault(f"the Prefect server was not ready within {_READY_SECONDS:g} s; see {home / 'server.log'}")


def _ready_url(home: Path) -> str | None:
    note = read_state_file(home / _NOTE)
    process = Process.parse(note)
    if process is None or not process.alive or not _is_ready(str(note.get("url", ""))):
        return None
    return str(note["url"])


def _is_ready(url: str) -> bool:
    try:
        return status_of(url, "/ready", {}, seconds=5.0) == 200
    except (OSError, http.client.HTTPException):
        return False


# ---------------------------------------------------------------------- the keeper


class _Server:
    """The server's process: a child of this keeper, or of one that was killed."""

    def __init__(self, process: Process, url: str, child: subprocess.Popen[bytes] | None, moved: str | None = None) -> None:
        self.process = process
        self.url = url
        self.moved = moved
        """Why it is not where it was the last time."""
        self._child = child

    @property
    def exit_code(self) -> int | None:
        """Its exit code, where it is our child and has ended."""
        return self._child.poll() if self._child else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.exit_code is None if self._child else self.process.alive

    def end(self) -> None:
        """End it: politely, then by force; SQLite survives both."""
        self.process.terminate(STOP_SECONDS)
        if self._child:
            self._child.wait()


class Keeper:
    """Parent of a home's server."""

    def __init__(self, home: Path, stopping: threading.Event) -> None:
        self._home = home
        self._stopping = stopping

    def keep(self) -> None:
        """Start the server, or adopt the one of a killed keeper, and end it when nobody uses it.

        Raises:
            LockHeld: The home has a keeper.
            Fault: The server does not start, or died.
        """
        with FileLock(self._home / "keeper.lock", what="Prefect server keeper", lab=self._home):
            server = self._adopt() or self._start()
            users = os.open(self._home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._await_ready(server, users)
                self._watch(server, users)
            finally:
                (self._home / _NOTE).unlink(missing_ok=True)
                server.end()
                os.close(users)  # last: a new user sees no server any more

    def _adopt(self) -> _Server | None:
        note = read_state_file(self._home / _NOTE)
        process = Process.parse(note)
        if process is None or not process.alive:
            return None
        if _is_ready(str(note.get("url", ""))):
            logger.info("adopting server %d", process.pid)
            return _Server(process, str(note["url"]), None)
        process.terminate(STOP_SECONDS)
        return None

    def _start(self) -> _Server:
        port, moved = choose_port(self._home)
        url = f"http://127.0.0.1:{port}/api"
        command = [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with (self._home / "server.log").open("wb") as log:
            child = subprocess.Popen(
                command,
                env=_server_environment(self._home, url),
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = Process.of(child.pid)
        if process is None:
            raise AssertionError(f"child {child.pid} vanished before it was waited for")
        return _Server(process, url, child, moved)

    def _await_ready(self, server: _Server, users: int) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not _is_ready(server.url):
            if not server.alive:
                raise Fault(self._why(server))
            if self._is_over(users) or time.monotonic() > deadline:
                raise Fault("the server was not ready in time, or nobody waited for it any more")
            self._stopping.wait(_POLL_SECONDS)
        write_state_file(self._home / _NOTE, {**server.process.document(), "url": server.url, "keeper": os.getpid(), "moved": server.moved})

    def _watch(self, server: _Server, users: int) -> None:
        while not self._is_over(users):
            if not server.alive:
                raise Fault(self._why(server))
            self._stopping.wait(_USERS_POLL_SECONDS)
        logger.info("nobody uses the server any more")

    def _is_over(self, users: int) -> bool:
        if self._stopping.is_set():
            return True
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _why(self, server: _Server) -> str:
        log = self._home / "server.log"
        if _NEWER in log.read_text(encoding="utf-8", errors="replace"):
            database = database_of(self._home)
            return f"{database} was written by a newer Prefect; upgrade Prefect, or remove that database (it holds nothing but the view)"
        return f"the server ended with code {server.exit_code}: {last_line(log)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the Prefect server of one home until nobody uses it."""
    parser = argparse.ArgumentParser(prog="python -m flows.prefect_server.server", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args(arguments).home.absolute()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Keeper(home, stopping).keep()
    except LockHeld as error:
        logger.info("%s", error)
        return 0
    except (Fault, OSError) as error:
        logger.error("%s", error)
        record_exit_reason(home / _ERROR, {"error": str(error)})
        return Fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
