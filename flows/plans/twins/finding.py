"""Which twin a name stands for: one that comes with Athanor, of an installed package, of a module or a file, or a revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.plans.twins.files import RecordedFile, RevisionFile, read_twin_file, terms_of
from flows.plans.twins.overriding import with_constants
from flows.plans.twins.recorded import recorded_twin
from orchestrator.errors import BadInput
from orchestrator.plugins import TWINS, Plugin, file_of, find_in_module, find_plugin, installed, is_file
from simulators.twins.built_in import BUILT_IN
from simulators.twins.declaration import Twin
from simulators.twins.terms import with_terms


@dataclass(frozen=True)
class FoundTwin:
    """A twin, and what it was made of."""

    twin: Twin
    files: Mapping[str, str] = field(default_factory=dict)
    """What the ledger keeps of it: text of each file by `./PATH`; identity of each plug-in by its name."""


def find_twin(name: str, folder: Path) -> FoundTwin:
    """Return a twin by its name.

    Args:
        name: As a bench file's `twin.chemistry`, or a revision's `base`.
        folder: Where the bench file lies; all files count from there.

    Raises:
        BadInput: There is none of this name, or what it names is none.
    """
    return _find(name, folder, ())


def bases(name: str, folder: Path) -> tuple[str, ...]:
    """Return a twin's name and the names of all that it revises; the last one revises none.

    Raises:
        BadInput: A file cannot be read, or is its own base.
    """
    found = [name]
    while found[-1].endswith(".toml") and isinstance(content := read_twin_file(found[-1], folder).content, RevisionFile):
        if content.twin.base in found:
            raise BadInput(f"twin {name!r} is its own base: {' of '.join((content.twin.base, *reversed(found)))}")
        found.append(content.twin.base)
    return tuple(found)


def _find(name: str, folder: Path, above: tuple[str, ...]) -> FoundTwin:
    if name in above:
        raise BadInput(f"twin {above[0]!r} is its own base: {' of '.join((name, *reversed(above)))}")
    if name in BUILT_IN:
        return FoundTwin(BUILT_IN[name])
    if name.endswith(".toml"):
        return _from_file(name, folder, above)
    plugin = find_plugin(TWINS, name, folder) if is_file(name) else find_in_module(TWINS, name, folder) or find_plugin(TWINS, name, folder)
    if plugin is None:
        known = ", ".join(sorted({*BUILT_IN, *installed(TWINS)}))
        raise BadInput(f"twin {name!r} is unknown; known: {known}; or ./FILE.py:NAME, module:NAME, a .toml file")
    return FoundTwin(_made(plugin), _kept(plugin))


def _from_file(name: str, folder: Path, above: tuple[str, ...]) -> FoundTwin:
    file = read_twin_file(name, folder)
    match file.content:
        case RevisionFile() as revision:
            base = _find(revision.twin.base, folder, (*above, name))
            version = f"{base.twin.version.partition('-r')[0]}-r{revision.twin.revision}"
            twin = with_constants(with_terms(base.twin, terms_of(revision)), revision.constants, what=file.what)
            return FoundTwin(replace(twin, version=version), {**base.files, **file.texts})
        case RecordedFile() as table:
            return FoundTwin(recorded_twin(table, folder, what=file.what), file.texts)


def _kept(plugin: Plugin) -> dict[str, str]:
    path = file_of(plugin.name)
    if path is None:
        return {plugin.what: plugin.identity}
    return {f"./{path}": Path(plugin.source).read_bytes().decode("utf-8", "backslashreplace")}


def _made(plugin: Plugin) -> Twin:
    thing: Any = plugin.thing
    if callable(thing):
        try:
            thing = thing()
        except Exception as error:  # other people's code
            raise BadInput(f"{plugin.what} ({plugin.source}) cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(thing, Twin):
        raise BadInput(f"{plugin.what} ({plugin.source}) is {thing!r:.80}; expected an athanor.twins.Twin, or a function that makes one")
    return thing
