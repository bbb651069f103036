"""Plug-ins: what a laboratory adds in Python, by the name of an entry point or as a file beside the file that names it.

A plug-in is other people's code. Only what is named is imported, each in a thread of its own, so that one that raises or
hangs at its import costs nothing but itself, and is told in one line: which plug-in, in which file, what went wrong.
"""

import hashlib
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import walk_tb
from types import FrameType, ModuleType
from typing import Any, Final

from orchestrator.errors import BadInput

LOADING_SECONDS: Final = 10.0
"""Wall seconds that an import may take: a large vendor library needs some, a lost licence server would take for ever."""
_FILE: Final = re.compile(r"\./(?P<path>[^:]+\.py):(?P<thing>[A-Za-z_]\w*)")
"""`./pump.py:Pump`: a class in a file beside the file that names it."""
_MODULE: Final = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<thing>[A-Za-z_]\w*)")
"""`lipids.twin:TWIN`: a thing in a module beside the file that names it, or in one that Python can import."""
_MACHINERY: Final = ("<frozen ", "/importlib/", "/concurrent/futures/")
"""Where Python itself imports."""
_OURS: Final = tuple(str(Path(__file__).parents[1] / name) for name in ("orchestrator", "instruments", "simulators"))
"""Where our own code stands: what it refuses is told with the plug-in's line."""


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of plug-in: its entry points' group, and what messages call it."""

    name: str
    what: str


DRIVERS: Final = Group("athanor.drivers", "driver")
DEVICES: Final = Group("athanor.devices", "simulated device")
REDUCTIONS: Final = Group("athanor.reductions", "reduction")
CHEMISTRIES: Final = Group("athanor.chemistries", "family of chemistries")
TWINS: Final = Group("athanor.twins", "twin")
FUNCTIONS: Final = Group("", "function")
"""What calls of a bench file name; no entry points."""
GROUPS: Final = (DRIVERS, DEVICES, REDUCTIONS, CHEMISTRIES, TWINS, FUNCTIONS)


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plug-in, loaded."""

    group: Group
    name: str
    """As the file names it."""
    thing: Any
    """What the name stands for; of which type, whoever asked for it checks."""
    source: str
    """Where it comes from: `acme-pump 1.2`, or the file's path."""
    sha256: str
    """Over the sources of its top package, or over the file."""

    @property
    def what(self) -> str:
        """What messages and records call it."""
        return f"{self.group.what} {self.name}"

    @property
    def identity(self) -> str:
        """Where it comes from, and what it is made of."""
        return f"{self.source}, sha256 {self.sha256}"


def is_file(name: str) -> bool:
    """Say whether a name is meant for a file beside the file that names it."""
    return name.startswith(("./", "../", "/")) or ".py:" in name


def file_of(name: str) -> str | None:
    """Return the path of the file that a name stands for, beside the file that names it; None for an entry point's name."""
    match = _FILE.fullmatch(name)
    return None if match is None or ".." in Path(match["path"]).parts else Path(match["path"]).as_posix()


def installed(group: Group) -> dict[str, str]:
    """Return the names that installed packages offer, each with the package and its version; nothing is imported."""
    return {one.name: _package(one) for one in sorted(entry_points(group=group.name), key=lambda one: one.name)}


def find_plugin(group: Group, name: str, folder: Path, *, seconds: float = LOADING_SECONDS) -> Plugin | None:
    """Load a plug-in, once per process for each content of its file.

    Args:
        group: What kind of thing it is.
        name: Of an entry point, or `./FILE.py:NAME`.
        folder: Where the file that names it lies.
        seconds: Wall seconds to wait; a later call waits for the same import.

    Returns:
        The plug-in; None where no installed package offers the name.

    Raises:
        BadInput: One line: its file is missing, its import raises or does not end, or it lacks what was named.
    """
    what = f"{group.what} {name!r}"
    if is_file(name):
        relative = file_of(name)
        if relative is None:
            raise BadInput(f"{what}: expected './FILE.py:NAME', a file beside the file that names it or in a folder below")
        path = folder.absolute() / relative
        content = _content(what, path)
        key = (group.name, name, str(path), hashlib.sha256(content).hexdigest())
        return _await(what, key, partial(_load_file, group, name, path, content), str(path), seconds)
    found = [one for one in entry_points(group=group.name) if one.name == name]
    if not found:
        return None
    if len(packages := sorted({_package(one) for one in found})) > 1:
        raise BadInput(f"{what} is offered by {' and '.join(packages)}; expected one of them: uninstall the others")
    place = f"{_package(found[0])}, {found[0].value}"
    return _await(what, (group.name, name), partial(_load_entry, group, name, found[0]), place, seconds)


def find_in_module(group: Group, name: str, folder: Path, *, seconds: float = LOADING_SECONDS) -> Plugin | None:
    """Load a plug-in that is named as `module:NAME`: from a module beside the file that names it, else from one that can be imported.

    Args:
        group: What kind of thing it is.
        name: `module:NAME`, with dots for packages.
        folder: Where the file that names it lies.
        seconds: Wall seconds to wait.

    Returns:
        The plug-in; None where the name is not of this form.

    Raises:
        BadInput: One line, as `find_plugin`.
    """
    match = _MODULE.fullmatch(name)
    if match is None:
        return None
    beside = f"{match['module'].replace('.', '/')}.py"
    if (folder / beside).is_file():
        return find_plugin(group, f"./{beside}:{match['thing']}", folder, seconds=seconds)
    entry = EntryPoint(name, name, group.name)
    return _await(f"{group.what} {name!r}", (group.name, name), partial(_load_entry, group, name, entry), name, seconds)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown package"


# ---------------------------------------------------------------------- files


def _content(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{what}: {path} cannot be read: {error.strerror}") from error


def _load_file(group: Group, name: str, path: Path, content: bytes) -> Plugin:
    sha256 = hashlib.sha256(content).hexdigest()
    module = ModuleType(f"athanor_plugin_{path.stem}_{sha256[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return Plugin(group, name, _member(module, name.rpartition(":")[2]), str(path), sha256)


# ---------------------------------------------------------------------- installed packages


def _load_entry(group: Group, name: str, entry: EntryPoint) -> Plugin:
    thing: Any = import_module(entry.module)
    for attribute in entry.attr.split(".") if entry.attr else ():
        thing = _member(thing, attribute)
    home = str(getattr(thing, "__module__", entry.module))
    return Plugin(group, name, thing, _package(entry), _sources_sha256(home.partition(".")[0]))


def _member(owner: Any, name: str) -> Any:
    if name in vars(owner):
        return vars(owner)[name]
    offered = sorted(key for key, value in vars(owner).items() if isinstance(value, type) and value.__module__ == owner.__name__)
    raise BadInput(f"it has no {name!r}; its classes are {', '.join(offered) or 'none'}")


def _sources_sha256(package: str) -> str:
    """Hash the Python sources of a top package: their paths in it and their contents, in order."""
    module, found = sys.modules[package], hashlib.sha256()
    for root in map(Path, getattr(module, "__path__", ())):
        for path in sorted(root.rglob("*.py")):
            content = path.read_bytes()
            found.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    if not hasattr(module, "__path__") and module.__file__ is not None:
        found.update(Path(module.__file__).read_bytes())
    return found.hexdigest()


# ---------------------------------------------------------------------- importing, each in a thread of its own


class _Import:
    """One import under way."""

    def __init__(self, load: Callable[[], Plugin]) -> None:
        self.result: Future[Plugin] = Future()
        self._load = load
        self._thread = threading.Thread(target=self._run, name="plug-in", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result.set_result(self._load())
        except BaseException as error:  # other people's code: SystemExit too
            self.result.set_exception(error)

    @property
    def stands_at(self) -> str:
        """Where it hangs."""
        frame: FrameType | None = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - public for all its underscore
        while frame is not None and _is_machinery(frame.f_code.co_filename):
            frame = frame.f_back
        return "" if frame is None else f" at {frame.f_code.co_filename}, line {frame.f_lineno}"


_IMPORTS: Final[dict[tuple[str, ...], _Import]] = {}
"""What was imported, or is being; an import that has failed is tried again."""
_GUARD: Final = threading.Lock()


def _await(what: str, key: tuple[str, ...], load: Callable[[], Plugin], place: str, seconds: float) -> Plugin:
    with _GUARD:
        one = _IMPORTS[key] if key in _IMPORTS else _Import(load)
        _IMPORTS[key] = one
    try:
        return one.result.result(seconds)
    except BaseException as error:
        if isinstance(error, NotYet) and not one.result.done():
            raise BadInput(f"{what} ({place}): its import did not end within {seconds:g} s; it stands{one.stands_at}") from error
        with _GUARD:
            _IMPORTS.pop(key, None)
        raise BadInput(f"{what} ({place}) cannot be loaded{_line_of(error)}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    said = (str(error).splitlines() or [""])[0]
    return said if isinstance(error, BadInput) else f"{type(error).__name__}{': ' if said else ''}{said}"


def _line_of(error: BaseException) -> str:
    """Say in which file, at which line, an import went wrong."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}, line {error.lineno}"
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    foreign = [place for place in frames if not _is_machinery(place[0]) and not place[0].startswith(_OURS)]
    return " at {}, line {}".format(*foreign[-1]) if foreign else ""


def _is_machinery(filename: str) -> bool:
    return any(part in filename for part in _MACHINERY)
