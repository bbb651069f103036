"""The host's side of a child process: how it is started, spoken to and left."""

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from instruments.drivers.calls.kept import STOP_SECONDS, end_session
from instruments.drivers.protocol import DeclaredCall, Settings
from instruments.lab_processes.process_identity import Process, reap
from orchestrator.errors import BadInput, DeviceError, Sent

_SIDE: Final = Path(__file__).with_name("child.py")
_OBJECT_SIDE: Final = Path(__file__).with_name("held.py")
"""The same, for an instrument that is an object."""
_SOCKET: Final = 3
"""The descriptor of the child's end."""
_TURN: Final = 0.02
_ANSWER_TURN: Final = 0.002
"""Wall seconds between two looks for an answer that comes as soon as a device has given one."""
LEAVE_SECONDS: Final = 2.0
"""Wall seconds that an idle child may take to leave once its socket has ended."""
_LONGEST_LOG: Final = 5_000_000
"""Bytes of a log; what is older is put aside once, and then forgotten."""


class ChildProcess:
    """One child process, leader of a session of its own."""

    def __init__(self, process: Process, line: socket.socket) -> None:
        self.process = process
        self.started = time.monotonic()
        self._line = line
        self._rest = b""
        self._asked = 0
        self.opened: dict[str, Any] | None = None
        """What it said once its functions were imported."""
        self.refused: str | None = None
        """Why it could not open."""
        self.answers: dict[int, dict[str, Any]] = {}
        """The last word about each request."""

    @classmethod
    def start(cls, settings: Settings, *, lock: Path | None, log: Path | None, made: Mapping[str, Any] | None = None) -> Self:
        """Start it and let it open; nothing of what is declared is called.

        Args:
            settings: Of its instrument.
            lock: What it holds for as long as it lives; None for one that carries out no call.
            log: Where its output goes; None where nobody keeps it.
            made: How its object is made; None for an instrument that is none.

        Raises:
            DeviceError: Its interpreter is gone, or cannot be started.
        """
        try:
            interpreter = interpreter_of(settings)
        except BadInput as error:
            raise DeviceError(str(error), sent=Sent.NO) from error
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(interpreter, _SIDE if made is None else _OBJECT_SIDE, theirs.fileno(), log)
            except OSError as error:
                ours.close()
                raise DeviceError(f"{settings.name}: {interpreter} cannot be started: {error.strerror}", sent=Sent.NO) from error
        ours.setblocking(False)
        child = cls(process, ours)
        declared = {name: _told(one) for name, one in settings.calls.items()}
        child.ask(
            {
                "open": {
                    "folder": str(settings.folder.absolute()),
                    "programs": str(settings.programs.absolute()),
                    "lock": None if lock is None else str(lock.absolute()),
                    "instrument": settings.name,
                    "declared": declared,
                    "object": made,
                }
            }
        )
        return child

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self.process.alive:
            return True
        reap(self.process.pid)
        return False

    def ask(self, request: Mapping[str, Any]) -> int:
        """Send a request and return its number; what becomes of it `listen` hears.

        Raises:
            OSError: It is gone, or takes nothing any more.
        """
        number, self._asked = self._asked, self._asked + 1
        self._line.sendall(json.dumps({"id": number, **request}).encode() + b"\n")
        return number

    def listen(self) -> None:
        """Take in what it has said; never waits."""
        while True:
            try:
                heard = self._line.recv(65536)
            except (BlockingIOError, ConnectionError):
                break
            if not heard:
                break
            self._rest += heard
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.answers[said["id"]] = said
            if "opened" in said:
                self.opened = said["opened"]
            elif said["id"] == 0:
                self.refused = said["error"]

    def await_opened(self, seconds: float) -> bool:
        """Wait until it has opened or refused, or is gone; return whether one of them happened."""
        until = time.monotonic() + seconds
        while True:
            alive = self.alive  # before listening: what it said last is heard
            self.listen()
            if self._has_answered:
                return True
            if not alive:
                self.refused = "its process ended while its module was imported"
            elif time.monotonic() > until:
                return False
            time.sleep(_TURN)

    def await_answer(self, number: int, seconds: float) -> dict[str, Any] | None:
        """Wait for the answer to a request; None where none came in time, or it is gone."""
        until = time.monotonic() + seconds
        while True:
            alive = self.alive  # before listening: what it said last is heard
            self.listen()
            if (answer := self.answers.get(number)) is not None or not alive or time.monotonic() > until:
                return answer
            time.sleep(_ANSWER_TURN)

    @property
    def _has_answered(self) -> bool:
        return self.opened is not None or self.refused is not None

    def leave(self, *, is_busy: bool = False) -> None:
        """Let it go: it finishes the call in hand where it is busy, writes what came of it and leaves."""
        self._line.close()
        self.process.wait(0.0 if is_busy else LEAVE_SECONDS)
        reap(self.process.pid)

    def end(self) -> None:
        """End it now, with all that it has started."""
        end_session(self.process, patience=STOP_SECONDS)
        reap(self.process.pid)
        self._line.close()


def interpreter_of(settings: Settings) -> Path:
    """Return the interpreter that a bench file names, or the one that runs Athanor.

    Raises:
        BadInput: There is none at that path.
    """
    named = settings.options.get("interpreter")
    if named is None:
        return Path(sys.executable)
    path = settings.programs.absolute() / Path(str(named)).expanduser()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise BadInput(f"instrument {settings.name}: options.interpreter = {str(named)!r}; there is no program {path}")
    return path


def _spawn(interpreter: Path, side: Path, line: int, log: Path | None) -> Process:
    """Start it like a detached process; its end of the socket alone is handed on, so that each side sees the other's end."""
    if log is not None and log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    output = (os.POSIX_SPAWN_OPEN, 1, str(log or os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    inputs = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    files = [(os.POSIX_SPAWN_DUP2, line, _SOCKET), inputs, output, (os.POSIX_SPAWN_DUP2, 1, 2)]
    command = [str(interpreter), "-u", str(side), str(_SOCKET)]
    pid = os.posix_spawn(interpreter, command, dict(os.environ), file_actions=files, setsid=True, setsigmask=())
    process = Process.of(pid)
    if process is None:
        raise AssertionError("a child that nobody has waited for has vanished")
    return process


def _told(call: DeclaredCall) -> dict[str, Any]:
    return {
        "function": call.function,
        "set": call.set,
        "value": call.value,
        "readback": call.readback,
        "method": call.method,
        "command": list(call.command),
        "output": call.output,
        "arguments": list(call.arguments),
        "returns": list(call.returns),
        "time_limit": call.time_limit,
    }
