"""The functions and commands that a bench file names: looked at before a run, bound like plug-ins, answered for in a dry run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from typing_extensions import override

from instruments.bench.call_spec import CallSpec
from instruments.bench.file import BenchFile
from instruments.bench.spec import InstrumentSpec
from orchestrator.errors import AthanorError, BadInput
from orchestrator.plugins import FUNCTIONS, Plugin


def inspect_calls(bench: BenchFile) -> None:
    """Import what the calls of a bench name, each in the interpreter that is to carry it out, and look at it; nothing is carried out.

    Raises:
        BadInput: One line: it cannot be imported, or not be called as declared.
    """
    for name, spec in bench.spec.instruments.items():
        if spec.calls or spec.object:
            _sources(bench, name)


def functions_of(bench: BenchFile) -> tuple[Plugin, ...]:
    """Return the functions that lie in no file beside the bench file: they are known by their sources' hash, as plug-ins are.

    Raises:
        BadInput: One cannot be imported.
    """
    return tuple(_functions(bench))


def _functions(bench: BenchFile) -> Iterator[Plugin]:
    for name, spec in bench.spec.instruments.items():
        named = [*(one.function for one in spec.calls.values()), spec.object.make if spec.object else None]
        modules = {one.partition(":")[0] for one in named if one is not None}
        if all(_lies_beside(bench, module) for module in modules):
            continue
        for function, (source, sha256) in _sources(bench, name).items():
            if not _lies_beside(bench, function.partition(":")[0]):
                yield Plugin(FUNCTIONS, function, None, source, sha256)


def _lies_beside(bench: BenchFile, module: str) -> bool:
    stem = module.replace(".", "/")
    return f"{stem}.py" in bench.beside or f"{stem}/__init__.py" in bench.beside


def _sources(bench: BenchFile, instrument: str) -> dict[str, tuple[str, str]]:
    return _inspected(_Once(bench, instrument))


class _Once:
    """A bench's instrument as a key: one inspection serves a process as long as the file and all beside it are the same."""

    def __init__(self, bench: BenchFile, instrument: str) -> None:
        self.bench = bench
        self.instrument = instrument
        self._key = (str(bench.path), bench.sha256, instrument)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and self._key == other._key

    @override
    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=256)
def _inspected(one: _Once) -> dict[str, tuple[str, str]]:
    try:
        return dict(one.bench.driver(one.instrument).inspected(one.bench.settings(one.instrument)))
    except AthanorError as error:
        raise BadInput(str(error)) from error


# ---------------------------------------------------------------------- dry runs


def dry_calls(bench: BenchFile) -> BenchFile:
    """Return the bench as a dry run carries it out: harmless calls as they are, the others by the function in their place.

    Instruments that are asked as stand-ins carry nothing out, and stay as they are.

    Raises:
        BadInput: A function or a command that is neither harmless nor has another one in its place.
    """
    instruments = {name: spec if name in bench.by_calls else _dry_instrument(name, spec) for name, spec in bench.spec.instruments.items()}
    return replace(bench, spec=bench.spec.model_copy(update={"instruments": instruments}))  # each was checked when it was made


def refuse_people(bench: BenchFile) -> None:
    """Refuse a dry run of a bench that asks people: nobody says what a simulated person would bring back.

    Raises:
        BadInput: One line that names the call.
    """
    for name, spec in bench.spec.instruments.items():
        for call, one in spec.calls.items():
            if one.instructions is not None:
                raise BadInput(f"{bench.path}: instrument {name}, calls.{call} asks a person, and a dry run has none; use `athanor run`")


def needs_stand_in(spec: InstrumentSpec) -> bool:
    """Say whether none of an instrument's calls may be carried out in a dry run: a stand-in answers then, as for every object."""
    if spec.object is not None:
        return True
    acting = [one for one in spec.calls.values() if one.function or one.command]
    return bool(acting) and not any(one.pure or one.simulated for one in acting)


def _dry_instrument(name: str, spec: InstrumentSpec) -> InstrumentSpec:
    if not any(one.function or one.command for one in spec.calls.values()):
        return spec
    return spec.model_copy(update={"calls": {call: _dry_call(f"instrument {name}, calls.{call}", one) for call, one in spec.calls.items()}})


def _dry_call(what: str, spec: CallSpec) -> CallSpec:
    if spec.simulated is not None:
        return spec.model_copy(update={"function": spec.simulated, "command": None, "output": None})
    if spec.pure or not (spec.function or spec.command):
        return spec
    raise BadInput(
        f"{what}: a dry run cannot carry it out, since it may act on the world; "
        'expected pure = true where it is harmless, or simulated = "module:name", a function in its place'
    )
