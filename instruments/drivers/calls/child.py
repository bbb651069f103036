"""The child's side of a called instrument: carries out one call after another and keeps what came of each.

It runs in the interpreter that the bench file names, which needs nothing of Athanor: this file is of the standard library
alone, for Python 3.8 or later. It is never imported by Athanor itself.

Lines of JSON on the socket that it inherits:

    {id, open: {...}}                                  -> {id, opened} | {id, error}
    {id, run_key, step, call, arguments, again, calls} -> {id, begun} -> {id, done} | {id, refused}

A call holds a lock on `RUN_KEY-STEP.lock` and has written in it that it begins before it begins; what came of it is in
`RUN_KEY-STEP.json`, whole and on the disk, before anybody is told. When the socket ends, the call in hand is finished and
written, and the process leaves.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import importlib
import inspect
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import IO, Any

LONGEST_OUTPUT = 1_000_000
"""Bytes that a command may say: its returns are a few numbers."""
LOOKS = 1.0
"""Seconds for which a lock may be held by somebody who only looks whether it is."""
KILL_AFTER = 0.5
"""Seconds that a command has to end once it is asked to."""


class Stopped(BaseException):
    """Somebody has stopped the call in hand; no `except Exception` of a function keeps it from ending."""


class Failed(Exception):
    """A call that ended otherwise than it should, in one word for rules and one line for people."""

    def __init__(self, code: str, line: str) -> None:
        super().__init__(line)
        self.code = code


# ---------------------------------------------------------------------- the disk


def start_ticks(pid: int) -> int:
    """Return field 22 of /proc/PID/stat: pid and start are one process for ever."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        text = file.read()
    return int(text[text.rindex(")") + 2 :].split()[19])


def note_process(descriptor: int, more: dict[str, Any]) -> None:
    """Write into a lock file who holds it."""
    text = json.dumps({"pid": os.getpid(), "start_ticks": start_ticks(os.getpid()), **more}) + "\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
    os.fsync(descriptor)


def sync_folder(folder: str) -> None:
    """Let names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: str, text: str) -> None:
    """Write a file that is there whole or not at all."""
    draft = f"{path}.{os.getpid()}.draft"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_folder(os.path.dirname(path))


def locked(path: str) -> int | None:
    """Open a lock file and lock it; None where another process holds it, and not only to see whether somebody does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + LOOKS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(LOOKS / 50)
        else:
            return descriptor


class Locks:
    """The locks that this process holds; what it forks lets go of them, so that they end with the one that executes."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        os.register_at_fork(after_in_child=self.close)

    def take(self, path: str) -> int | None:
        """Take one; None where another process holds it."""
        descriptor = locked(path)
        if descriptor is not None:
            self.held.add(descriptor)
        return descriptor

    def release(self, descriptor: int) -> None:
        """Give one back."""
        self.held.discard(descriptor)
        os.close(descriptor)

    def close(self) -> None:
        """Let go of all."""
        for descriptor in list(self.held):
            self.release(descriptor)


# ---------------------------------------------------------------------- functions


def find_function(name: str, folder: str) -> tuple[Callable[..., Any], str | None]:
    """Import a function; its module's file comes from the folder of the bench file where there is one."""
    module_name, _, path = name.partition(":")
    beside = beside_file(module_name, folder)
    module = importlib.import_module(module_name)
    found = getattr(module, "__file__", None)
    if beside and not (found and os.path.samefile(found, beside)):
        raise Failed(
            "import", f"{name}: {os.path.basename(beside)} is hidden by {found or 'a module of Python itself'}; give it another name"
        )
    function: Any = module
    for part in path.split("."):
        if not hasattr(function, part):
            offered = sorted(
                key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module_name
            )
            raise Failed("import", f"{name}: module {module_name} has no {path!r}; it has {', '.join(offered) or 'no function'}")
        function = getattr(function, part)
    if not callable(function):
        raise Failed("import", f"{name} is {function!r:.60}; expected a function")
    return function, found


def beside_file(module_name: str, folder: str) -> str | None:
    """Return the file of a module in the bench file's folder; None where there is none."""
    stem = os.path.join(folder, *module_name.split("."))
    return next((path for path in (f"{stem}.py", os.path.join(stem, "__init__.py")) if os.path.isfile(path)), None)


def check_signature(name: str, function: Callable[..., Any], arguments: Sequence[str], *before: Any) -> None:
    """Refuse a function that cannot be called with these arguments by their names, after what it is given before them."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C: only the call itself tells
    try:
        signature.bind(*before, **dict.fromkeys(arguments))
    except TypeError as error:
        raise Failed("signature", f"{name}{signature} cannot be called with {', '.join(arguments) or 'nothing'}: {error}") from error


def sha256_of(path: str | None) -> str:
    """Hash a source file; empty for what has none."""
    if not path or not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def complaint(error: BaseException) -> str:
    """Say in one line what an exception was and where it was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({os.path.basename(error.filename)}, line {error.lineno})"
    said = (str(error).splitlines() or [""])[0]
    ours = os.path.dirname(os.path.abspath(__file__))
    frames = [
        one
        for one in traceback.extract_tb(error.__traceback__)
        if os.path.dirname(os.path.abspath(one.filename)) != ours and "importlib" not in one.filename
    ]
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


# ---------------------------------------------------------------------- values that come back


def plain(value: Any) -> list[Any]:
    """Return [value, unit] as JSON has it; unit is None where the value came alone."""
    if hasattr(value, "magnitude") and hasattr(value, "units"):  # a quantity of pint
        return [plain(value.magnitude)[0], str(value.units)]
    if isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[1], str) and not isinstance(value[0], str):
        return [plain(value[0])[0], value[1]]
    if value is None or isinstance(value, (bool, int, float, str)):
        return [value, None]
    try:
        return [value.item() if hasattr(value, "item") else float(value), None]  # of numpy and its like, a Fraction, a Decimal
    except (TypeError, ValueError, RuntimeError):
        return [{"no value": f"{value!r:.60}"}, None]


def told(value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return what a function gave back by the names of the declared returns."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if len(names) == 1:
        return {names[0]: plain(value)}
    if not names:
        return {}
    raise Failed("wrong returns", f"it returned {value!r:.60}; expected a dict with {', '.join(names)}")


def read_output(text: str, kind: str, what: str) -> dict[str, Any]:
    """Read what a command has written: an object of JSON, or a header and one row of CSV."""
    if kind == "json":
        try:
            document = json.loads(text)
        except ValueError as error:
            raise Failed("no JSON", f"{what} is no JSON: {text.strip()[:60]!r} ({error})") from error
        if not isinstance(document, dict):
            raise Failed("no JSON", f'{what} is {text.strip()[:60]!r}; expected an object of JSON such as {{"mass": 1.5}}')
        return {name: plain(value) for name, value in document.items()}
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        raise Failed("no CSV", f"{what} is {text.strip()[:60]!r}; expected a line of names and a line of as many values")
    return {name.strip(): [value.strip(), None] for name, value in zip(rows[0], rows[1])}  # noqa: B905 - Python 3.8 has no strict


# ---------------------------------------------------------------------- commands


def run_command(call: dict[str, Any], arguments: dict[str, Any], lock: int, place: str) -> tuple[dict[str, Any], str]:
    """Start a command, wait for its end, and return what it gave and said."""
    output = call["output"]
    file = None if output in ("json", "csv") else place + "-output" + os.path.splitext(output)[1]
    values = {**arguments, **({"output": file} if file else {})}
    words = [word.format(**values) for word in call["command"]]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as cried:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=cried, pass_fds=(lock,))
        except OSError as error:
            raise Failed("not started", f"{words[0]} cannot be started: {error.strerror}") from error
        wait_for(process)
        errors = tail(cried)
        sys.stderr.write(errors)
        if process.returncode != 0:
            raise Failed(*ended(process.returncode, words[0], errors))
        if file is None:
            text = whole(said, f"what {words[0]} said")
            return read_output(text, output, f"what {words[0]} said"), text
        sys.stdout.write(tail(said))
        try:
            with open(file, "rb") as written:
                text = whole(written, f"what {words[0]} wrote")
            os.unlink(file)
        except FileNotFoundError:
            raise Failed("no output", f"{words[0]} wrote no file {file}") from None
        return read_output(text, file.rpartition(".")[2], f"what {words[0]} wrote"), text


def wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for a command's end; one that is stopped takes the command with it."""
    try:
        process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def ended(code: int, word: str, errors: str) -> tuple[str, str]:
    """Say how a command ended that should have ended with 0."""
    last = (errors.strip().splitlines() or [""])[-1][:200]
    how = f"exit {code}" if code > 0 else signal.Signals(-code).name
    line = f"{word} ended with exit code {code}" if code > 0 else f"{word} was ended by {how}"
    return how, f"{line}{': ' if last else ''}{last}"


def whole(file: IO[bytes], what: str) -> str:
    """Read an output that is not too long and is UTF-8."""
    file.seek(0)
    content = file.read(LONGEST_OUTPUT + 1)
    if len(content) > LONGEST_OUTPUT:
        raise Failed("too long", f"{what} is longer than {LONGEST_OUTPUT} bytes; expected the returns alone")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failed("no text", f"{what} is no UTF-8 text ({error})") from error


def tail(file: IO[bytes]) -> str:
    """Read the end of what a command has said."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_OUTPUT))
    return file.read().decode("utf-8", "replace")


# ---------------------------------------------------------------------- the process


class Call:
    """One call in hand: it ends once, by itself, by its time limit or because it was stopped."""

    def __init__(self, request: dict[str, Any], place: str) -> None:
        self.request = request
        self.place = place
        self._ended = threading.Lock()
        self.began = time.time()

    def end(self, what: dict[str, Any]) -> bool:
        """Keep how it ended; False where it had ended already."""
        if not self._ended.acquire(blocking=False):
            return False
        kept = {name: self.request[name] for name in ("run_key", "step", "call", "arguments")}
        document = {**kept, "began": self.began, "ended": time.time(), "python": sys.version.split()[0], **what}
        write_whole(f"{self.place}.json", json.dumps(document) + "\n")
        return True


class Child:
    """Serves one instrument."""

    def __init__(self, host: socket.socket) -> None:
        self.host = host
        self.locks = Locks()
        self.instrument = ""
        self.functions: dict[str, Callable[..., Any]] = {}
        self.declared: dict[str, dict[str, Any]] = {}
        signal.signal(signal.SIGTERM, self.stop)

    @staticmethod
    def stop(number: int, frame: Any) -> None:
        """End what is in hand, letting it tidy up."""
        del number, frame
        raise Stopped

    def say(self, message: dict[str, Any]) -> None:
        """Tell the host; it may be gone, and what counts is on the disk."""
        with contextlib.suppress(OSError):
            self.host.sendall(json.dumps(message).encode() + b"\n")

    def serve(self) -> None:
        """Carry out what is asked until nobody is left who asks."""
        with contextlib.suppress(ConnectionError), self.host.makefile("r", encoding="utf-8") as lines:
            while line := self.heard(lines):
                request = json.loads(line)
                if "open" not in request:
                    self.answer(request)
                elif not self.open(request):
                    return

    def heard(self, lines: IO[str]) -> str:
        """Wait for the next line; empty where nobody is left who asks."""
        return lines.readline()

    def answer(self, request: dict[str, Any]) -> None:
        """Do what a request asks."""
        self.carry_out(request)

    def open(self, request: dict[str, Any]) -> bool:
        """Import what is declared and look at it; nothing of it is called."""
        wanted = request["open"]
        self.instrument = wanted["instrument"]
        try:
            self.begin(wanted)
            self.declared = wanted["declared"]
            sources = self.imported(wanted)
        except Failed as error:
            self.say({"id": request["id"], "error": str(error)})
            return False
        except Stopped:
            raise
        except BaseException as error:  # a module may raise anything, and end the process
            traceback.print_exc()
            self.say({"id": request["id"], "error": f"its module cannot be imported by {sys.executable}: {complaint(error)}"})
            return False
        self.say({"id": request["id"], "opened": {"python": sys.version.split()[0], "sources": sources}})
        return True

    def imported(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Import the functions of the calls and look at them; return where each came from, and the hash of that."""
        sources = {}
        for name, call in self.declared.items():
            if call["function"]:
                self.functions[name], path = find_function(call["function"], wanted["folder"])
                self.look_at(call, self.functions[name])
                sources[call["function"]] = [path, sha256_of(path)]
        return sources

    def look_at(self, call: dict[str, Any], function: Callable[..., Any]) -> None:
        """Refuse a function that cannot be called as declared."""
        if inspect.iscoroutinefunction(function):
            raise Failed("signature", f"{call['function']} is asynchronous; expected a plain function")
        check_signature(call["function"], function, call["arguments"])

    def begin(self, wanted: dict[str, Any]) -> None:
        """Stand where the bench file lies, the only process of this instrument."""
        if sys.version_info < (3, 8):
            raise Failed("python", f"{sys.executable} is Python {sys.version.split()[0]}; expected 3.8 or later")
        os.chdir(wanted["programs"])
        here = os.path.dirname(os.path.abspath(__file__))
        sys.path[:] = [wanted["folder"], wanted["programs"], *(one for one in sys.path if os.path.abspath(one or ".") != here)]
        sys.dont_write_bytecode = True
        if wanted["lock"]:
            lock = self.locks.take(wanted["lock"])
            if lock is None:
                raise Failed("busy", "a process of it from before has not left yet")
            note_process(lock, {"instrument": wanted["instrument"]})

    def carry_out(self, request: dict[str, Any]) -> None:
        """Carry out one call, unless it was begun before and may not be carried out again."""
        place = os.path.join(request["calls"], f"{request['run_key']}-{request['step']}")
        lock = self.locks.take(f"{place}.lock")
        if lock is None:
            self.say({"id": request["id"], "refused": "it is being carried out by another process"})
            return
        try:
            if os.path.exists(f"{place}.json"):
                self.say({"id": request["id"], "done": True})
            elif os.fstat(lock).st_size and not request["again"]:
                self.say({"id": request["id"], "refused": "it was begun before, and is not repeatable"})
            else:
                note_process(lock, {"instrument": self.instrument, "call": request["call"], "began": time.time()})
                sync_folder(request["calls"])
                self.say({"id": request["id"], "begun": True})
                self.run(Call(request, place), lock)
                self.say({"id": request["id"], "done": True})
        finally:
            self.locks.release(lock)

    def run(self, call: Call, lock: int) -> None:
        """Run it to its end, whatever that is, and keep what came of it."""
        limit = self.declared[call.request["call"]]["time_limit"]
        clock = threading.Timer(limit or 0.0, expire, (call, limit))
        clock.daemon = True
        if limit is not None:
            clock.start()
        try:
            call.end(self.ending(call, lock))
        except Stopped:
            call.end({"error": {"code": "stopped", "line": "it was stopped"}})
            raise
        finally:
            clock.cancel()

    def value_of(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out a call that is no command, and return what it gives back."""
        return self.functions[name](**arguments)

    def ending(self, call: Call, lock: int) -> dict[str, Any]:
        """Return how it ends: its returns, or its error."""
        declared = self.declared[call.request["call"]]
        try:
            if not declared["command"]:
                value = self.value_of(call.request["call"], call.request["arguments"])
                return {"returns": told(value, declared["returns"])}
            returns, text = run_command(declared, call.request["arguments"], lock, call.place)
        except Failed as error:
            return {"error": {"code": error.code, "line": str(error)}}
        except Stopped:
            raise
        except BaseException as error:  # a function may raise anything, SystemExit and KeyboardInterrupt too
            traceback.print_exc()
            return {"error": {"code": type(error).__name__, "line": complaint(error)}}
        return {"returns": returns, "output": text}


def expire(call: Call, limit: float) -> None:
    """End a call at its time limit, with all that it has started."""
    if call.end({"error": {"code": "time limit", "line": f"it was ended after {limit:g} s, its time limit"}}):
        os.killpg(0, signal.SIGKILL)


def main(child: type[Child]) -> int:
    """Serve on the socket whose descriptor is the first argument, leader of a session of its own."""
    with socket.socket(fileno=int(sys.argv[1])) as host:
        try:
            child(host).serve()
        except Stopped:
            return 1
        finally:
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Child))
