"""Run in a fresh interpreter: a machine without a bench's libraries, wires, servers and locks, where nothing may be opened or begun.

`python elsewhere.py FOLDER FILE...` asks, tells, predicts, explains, saves and loads in code and with campaign files.
"""

import sys
import threading
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ABSENT: Final = {
    *("fcntl", "termios", "pty", "tty", "resource", "grp", "pwd", "syslog"),  # neither on Windows nor needed
    *("asyncua", "serial", "prefect", "sqlalchemy", "alembic", "fastapi", "uvicorn", "httpx", "typer", "rich"),
    *("flows.cli", "flows.ui", "flows.running", "instruments.host", "simulators"),
}
FORBIDDEN: Final = {
    *("socket.__new__", "socket.bind", "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"),
    *("_thread.start_new_thread", "subprocess.Popen", "os.fork", "os.posix_spawn", "signal.pthread_kill"),
}
"""Audit events; `socket` itself may be imported, as libraries do for its names."""


class Absent:
    """Stands before all finders."""

    def find_spec(self, name: str, *_: object) -> None:
        if {name, name.partition(".")[0]} & ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r} here", name=name)


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        raise RuntimeError(f"{event} {arguments}")


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError(f"thread {self.name} was to be started")


def work(folder: Path, files: Iterable[Path]) -> None:
    athanor = import_module("athanor")
    continuous = athanor.ContinuousParameter(name="T", unit="degC", min=200, max=280)
    space = athanor.SearchSpace(parameters=(continuous, athanor.CategoricalParameter(name="solvent", categories=("ODE", "DMF"))))
    objective = athanor.Objective(targets=(athanor.Target(name="level", unit="V", goal="maximise"),))
    settings = {"initial": 3, "restarts": 1, "raw_samples": 32}
    built = athanor.Optimizer(space, objective, settings=settings)
    for number, optimizer in enumerate([built, *map(athanor.Optimizer.from_file, files)]):
        turn(athanor, optimizer, folder / f"{number}.json")


def turn(athanor: Any, optimizer: Any, path: Path) -> None:
    for place in range(3):
        (suggestion,) = optimizer.ask()
        optimizer.tell(suggestion, dict.fromkeys(optimizer.objective.names, 0.3 + 0.1 * place))
    (suggestion,) = optimizer.ask(pending=[suggestion])
    assert optimizer.explain(suggestion).players
    assert len(optimizer.predict([suggestion])) == len(optimizer.objective.names)
    optimizer.save(path)
    assert athanor.Optimizer.load(path).ask() == optimizer.ask()
    print(f"{path.name}: {optimizer!r}")


if __name__ == "__main__":
    assert "athanor" not in sys.modules
    for known in [name for name in sys.modules if name.partition(".")[0] in ABSENT]:
        del sys.modules[known]
    sys.meta_path.insert(0, Absent())
    sys.addaudithook(refuse)
    threading.Thread.start = no_thread  # type: ignore[method-assign]
    work(Path(sys.argv[1]), map(Path, sys.argv[2:]))
