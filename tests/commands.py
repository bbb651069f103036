"""Commands that tests type: real processes, forked from one that has loaded what a command loads.

A command spends seconds on imports before its first word, and tests type hundreds. `python -m tests.commands FD` loads the
command line once, while nothing of it has a thread, a lock or a setting yet, and forks a process for each command that it
is sent; what is tested is what runs in that process. Fresh interpreters are tested where imports matter
(`tests/process/test_imports.py`) and wherever a test needs one.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

_LOADED: Final = ("flows.running.session", "flows.cli.run", "flows.cli.main", "simulators.plant")
"""Neither Prefect, which reads the environment when it is imported, nor anything that starts a thread."""


@dataclass
class Command:
    """A typed command, with what tests ask of a `subprocess.Popen`."""

    args: list[str]
    pid: int
    _end: socket.socket
    returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, as `subprocess` does; None while it runs."""
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. subprocess.TimeoutExpired when it does not come in so many seconds."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self._read()
        assert self.returncode is not None
        return self.returncode

    def _read(self) -> None:
        self.returncode = int(self._end.recv(16))
        self._end.close()

    def send_signal(self, number: int) -> None:
        """Send a signal to it while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class _Room:
    """The process that has loaded everything, for all tests of this one; it ends when the tests' process does."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-m", "tests.commands", str(theirs.fileno())]
            nobodys = {name: value for name, value in os.environ.items() if name != "ATHANOR_TEST_CASE"}  # of no single test
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=nobodys)
        self._door = ours
        self._lock = threading.Lock()

    def fork(self, order: dict[str, Any], descriptors: Sequence[int]) -> int:
        content = json.dumps(order).encode()
        with self._lock:
            socket.send_fds(self._door, [len(content).to_bytes(4, "big")], descriptors)
            self._door.sendall(content)
            return int.from_bytes(_received(self._door, 4), "big")

    def close(self) -> None:
        self._door.close()
        self._process.wait()


_rooms: list[_Room] = []


def type_command(words: Sequence[str], *, out: IO[Any], err: IO[Any], module: str = "flows.cli.main") -> Command:
    """Type `python -m MODULE WORDS` in today's folder and environment; standard input is empty, and the module has a `main`."""
    if not _rooms:
        _rooms.append(_Room())
    ours, theirs = socket.socketpair()
    with theirs, Path(os.devnull).open() as nothing:
        order = {"module": module, "words": list(words), "folder": str(Path.cwd()), "environment": dict(os.environ)}
        pid = _rooms[0].fork(order, [theirs.fileno(), nothing.fileno(), out.fileno(), err.fileno()])
    return Command([module, *words], pid, ours)


def run_command(words: Sequence[str], *, timeout: float, module: str = "flows.cli.main") -> subprocess.CompletedProcess[str]:
    """Type a command and return what it said at its end; one that is not over in so many seconds is killed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        command = type_command(words, out=out, err=err, module=module)
        try:
            command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command.args, command.wait(), out.read(), err.read())


def leave() -> None:
    """End the process that commands are forked from; a later command begins another."""
    while _rooms:
        _rooms.pop().close()


# ---------------------------------------------------------------------- in the process that forks


def main() -> int:
    """Fork a process for each order; 0 when the tests have left. In a forked one: the command, as `python -m` runs it."""
    for name in _LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    door = socket.socket(fileno=int(sys.argv[1]))
    while True:
        size, descriptors, *_ = socket.recv_fds(door, 4, 4)
        if not size:
            return 0
        order = json.loads(_received(door, int.from_bytes(size, "big")))
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (pid := os.fork()) == 0:
                door.close()
                return _become(order, *descriptors)
            door.sendall(pid.to_bytes(4, "big"))
            _tell_end(pid, *descriptors)
            os._exit(0)
        for one in descriptors:
            os.close(one)


def _become(order: dict[str, Any], end: int, *streams: int) -> int:
    os.close(end)
    for stream, descriptor in enumerate(streams):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    module = importlib.import_module(order["module"])
    sys.modules["__main__"] = module
    sys.argv = [str(module.__file__), *order["words"]]
    return int(module.main() or 0)


def _tell_end(pid: int, end: int, *streams: int) -> None:
    """Wait for a command and say how it ended."""
    for descriptor in streams:
        os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError), socket.socket(fileno=end) as line:
        line.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _received(line: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = line.recv(size - len(content))
        assert more, "the process that commands are forked from has gone"
        content += more
    return content


if __name__ == "__main__":
    sys.exit(main())
