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
    """Return what lies in no file beside the bench file: functions, known by their sources' hash as plug-ins are, and objects' packages.

    Raises:
        BadInput: One cannot be imported.
    """
    return tuple(_functions(bench))


def _functions(bench: BenchFile) -> Iterator[Plugin]:
    for name, spec in bench.spec.instruments.items():
        modules = {one.function.partition(":")[0] for one in spec.calls.values() if one.function is not None}
        if spec.object is None and all(_lies_beside(bench, module) for module in modules):
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

    What a stand-in answers stays as it is: nothing of it is carried out.

    Raises:
        BadInput: A function or a command that is neither harmless nor has another one in its place.
    """
    instruments = {name: _dry_instrument(name, spec, answered=name in bench.by_calls) for name, spec in bench.spec.instruments.items()}
    return replace(bench, spec=bench.spec.model_copy(update={"instruments": instruments}))  # each was checked when it was made


def calls_of_people(spec: InstrumentSpec) -> list[str]:
    """Name the calls that a person is asked for."""
    return [name for name, one in spec.calls.items() if one.instructions is not None]


def answered_calls(spec: InstrumentSpec) -> list[str]:
    """Name the calls that a dry run must not carry out: a stand-in answers those."""
    return [name for name, one in spec.calls.items() if _acts(one)]


def needs_stand_in(spec: InstrumentSpec) -> bool:
    """Say whether a stand-in answers for an instrument in a dry run: for every object, and for what must not be carried out."""
    return spec.link is None and (spec.object is not None or bool(answered_calls(spec)))


def _acts(spec: CallSpec) -> bool:
    """Say whether a call may act on the world, and nothing harmless is in its place."""
    return spec.instructions is None and not (spec.pure or spec.simulated)


def _dry_instrument(name: str, spec: InstrumentSpec, *, answered: bool) -> InstrumentSpec:
    calls = {
        call: one if answered and _acts(one) else _dry_call(f"instrument {name}, calls.{call}", one) for call, one in spec.calls.items()
    }
    return spec.model_copy(update={"calls": calls})


def _dry_call(what: str, spec: CallSpec) -> CallSpec:
    if spec.simulated is not None:
        return spec.model_copy(update={"function": spec.simulated, "command": None, "output": None})
    if spec.pure or spec.instructions is not None:
        return spec
    raise BadInput(
        f"{what}: a dry run cannot carry it out, since it may act on the world; "
        'expected pure = true where it is harmless, or simulated = "module:name", a function in its place'
    )
