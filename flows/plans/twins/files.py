"""Files that are twins: a revision, which corrects constants of another twin, and a table of recorded predictions.

A campaign that has calibrated a twin leaves a revision, `twins/NAME-rN.toml`: base, constants, and from what they were learned.
Old ones are kept; none is ever written over.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import Field, ValidationError

from instruments.bench.twin_spec import ConstantKeys
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Number, Whole
from orchestrator.errors import BadInput
from orchestrator.textfile import parse_toml, read_text
from simulators.twins.declaration import PriorKind
from simulators.twins.terms import Shape, Term

FOLDER: Final = "twins"
"""Where revisions lie, beside the bench file."""
_NUMBER: Final = re.compile(r"-r(\d+)\.toml")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key of TOML that needs no quotes."""


class RevisionHead(Frozen):
    """Which twin a revision corrects."""

    revision: Annotated[Whole, Field(ge=1)]
    """Its number among the twin's."""
    base: Annotated[str, Field(min_length=1)]
    """The twin that it corrects, named as in a bench file."""


class Learned(Frozen):
    """From what a revision was learned."""

    campaign: str
    """Name of the campaign that calibrated it."""
    head: str = ""
    """The ledger's head at that time."""
    runs: Annotated[Whole, Field(ge=0)] = 0
    """Experiments that it rests on."""
    note: str = ""
    """What people should know of it."""


class TermKeys(Frozen):
    """A term that a twin has taken up; its strength stands among the constants."""

    on: Annotated[str, Field(min_length=1)]
    """An output or a control of the twin."""
    shape: Shape
    channel: str = ""
    """NAME of `[environment.NAME]`, or `elapsed`; without one the term is constant."""
    unit: str = ""
    """Of the following numbers."""
    reference: Number = 0.0
    scale: Annotated[Number, Field(gt=0)] = 1.0
    onset: Number = 0.0


class RevisionFile(Frozen):
    """A twin with some constants corrected, and perhaps terms that it lacked."""

    twin: RevisionHead
    """Number and base."""
    terms: dict[str, TermKeys] = Field(default_factory=dict)
    """What the twin lacked: its name is the one of its strength among the constants."""
    constants: dict[str, ConstantKeys] = Field(default_factory=dict)
    """Constant -> what is known of it now."""
    learned: Learned | None = None
    """From what."""


class RecordedHead(Frozen):
    """What a table of recorded predictions is called."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Small letters, digits and hyphens."""
    version: Annotated[str, Field(min_length=1)]
    """Another one for another table."""


class RecordedKeys(Frozen):
    """Where recorded predictions stand, and in which units."""

    file: str
    """A CSV file beside the bench file, or in a folder below."""
    controls: Annotated[dict[str, str], Field(min_length=1)]
    """Column -> unit of what was set."""
    outputs: Annotated[dict[str, str], Field(min_length=1)]
    """Column -> unit of what was predicted."""
    reason: str | None = None
    """Column with why nothing could be predicted; empty where something was."""


class RecordedFile(Frozen):
    """A twin that is a table."""

    twin: RecordedHead
    """Name and version."""
    table: RecordedKeys
    """The table."""


@dataclass(frozen=True, slots=True)
class LearnedConstant:
    """What is known of a constant now, for a revision; what is None stays as the base declares it."""

    name: str
    value: float
    unit: str
    """Of value, low and high."""
    sd: float
    """Standard deviation that is left of its prior."""
    prior: PriorKind | None = None
    low: float | None = None
    high: float | None = None
    calibratable: bool | None = None


@dataclass(frozen=True)
class TwinFile:
    """A file that is a twin."""

    what: str
    """What messages call it."""
    content: RevisionFile | RecordedFile
    texts: Mapping[str, str]
    """Text of all files that it consists of, by `./PATH`."""


def read_twin_file(name: str, folder: Path) -> TwinFile:
    """Read a twin's `.toml` file.

    Args:
        name: Its path from the bench file's folder.
        folder: That folder.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    path = inside(name)
    what = f"twin file {folder / path}"
    text = read_text(folder / path, what=what)
    document = parse_toml(text, what=what)
    try:
        if "table" not in document:
            return TwinFile(what, RevisionFile.model_validate(document), {f"./{path}": text})
        content = RecordedFile.model_validate(document)
        table = inside(content.table.file)
        beside = read_text(folder / table, what=f"{what}: table {folder / table}")
        return TwinFile(what, content, {f"./{path}": text, f"./{table}": beside})
    except ValidationError as error:
        raise explain(error, what=what) from error


def inside(name: str) -> str:
    """Return a path as it counts from the bench file's folder.

    Raises:
        BadInput: It leads out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadInput(f"{name!r}: expected a file beside the bench file, or in a folder below")
    return path.as_posix()


def revision_name(name: str) -> str:
    """Return a revision's name as `write_revision` does, however a person has typed it.

    Raises:
        BadInput: It is no file, or one that lies elsewhere.
    """
    if not name.endswith(".toml"):
        raise BadInput(f"twin {name!r} is no revision; expected its file, like ./{FOLDER}/NAME-r1.toml")
    return f"./{inside(name)}"


def terms_of(revision: RevisionFile) -> tuple[Term, ...]:
    """Return the terms that a revision has taken up.

    Raises:
        BadInput: A shape without its channel, or a name that is not the term's.
    """
    found = tuple(Term(**dict(keys)) for keys in revision.terms.values())
    for name, one in zip(revision.terms, found, strict=True):
        if one.name != name:
            raise BadInput(
                f"terms.{name} acts on {one.on} by a {one.shape} shape of {one.channel or 'nothing'}; expected the name {one.name}"
            )
    return found


def write_revision(
    folder: Path,
    name: str,
    *,
    base: str,
    constants: Sequence[LearnedConstant],
    learned: Learned,
    terms: Sequence[Term] = (),
) -> str:
    """Write the next revision of a twin, whole or not at all; older ones stay.

    Where the newest one says the same already, to the last digit and from the same runs, it is that one: a command that died after it had
    written, and is typed again, has learned nothing new.

    Args:
        folder: Of the bench file.
        name: The twin's.
        base: The twin that it corrects, named as in the bench file.
        constants: What is known of each now.
        learned: From what.
        terms: That it takes up; their strengths are among the constants.

    Returns:
        The file, as a bench file would name it.

    Raises:
        BadInput: It cannot be written.
    """
    place = folder / FOLDER
    for left in place.glob(f".{name}-r*.toml.*"):  # the draft of a command that died
        left.unlink(missing_ok=True)
    number, newest = max(revisions(folder, name), default=(0, None))
    lines = [f"base = {_text(base)}", ""]
    for one in terms:
        said = {"on": one.on, "shape": one.shape, "channel": one.channel, "unit": one.unit}
        numbers = {"reference": one.reference, "scale": one.scale, "onset": one.onset}
        lines += [f"[terms.{_key(one.name)}]", *(f"{key} = {_text(value)}" for key, value in said.items() if value)]
        lines += [*(f"{key} = {float(value)!r}" for key, value in numbers.items()), ""]
    for constant in constants:
        lines += [*_constant(constant), ""]
    told = {"campaign": learned.campaign, "head": learned.head, "note": learned.note}
    lines += ["[learned]", *(f"{key} = {_text(value)}" for key, value in told.items() if value), f"runs = {learned.runs}", ""]
    if newest is not None and read_text(newest, what=f"twin file {newest}") == _revision(number, lines):
        return f"./{FOLDER}/{newest.name}"
    path = place / f"{name}-r{number + 1}.toml"
    try:
        place.mkdir(exist_ok=True)
        _write_new(path, _revision(number + 1, lines))
    except OSError as error:
        raise BadInput(f"revision {path} cannot be written: {error.strerror}; expected a folder that may be written to") from error
    return f"./{FOLDER}/{path.name}"


def _revision(number: int, lines: Sequence[str]) -> str:
    return "\n".join(("[twin]", f"revision = {number}", *lines))


def _write_new(path: Path, content: str) -> None:
    """Write a file that is not there yet: whoever dies meanwhile leaves a draft at most."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.hardlink_to(draft)  # unlike a rename, it refuses a name that somebody has taken meanwhile
    draft.unlink()


def _constant(one: LearnedConstant) -> list[str]:
    numbers = {"value": one.value, "min": one.low, "max": one.high}
    lines = [f"{key} = {_text(f'{number!r} {one.unit}'.rstrip())}" for key, number in numbers.items() if number is not None]
    lines.insert(1, f"sd = {one.sd!r}")
    lines += [f"prior = {_text(one.prior)}"] if one.prior is not None else []
    lines += [f"calibratable = {str(one.calibratable).lower()}"] if one.calibratable is not None else []
    return [f"[constants.{_key(one.name)}]", *lines]


def revisions(folder: Path, name: str) -> list[tuple[int, Path]]:
    """Return number and file of each revision of a twin, the oldest first."""
    beside = ((path.name.removeprefix(name), path) for path in (folder / FOLDER).glob("*.toml") if path.name.startswith(name))
    found = ((_NUMBER.fullmatch(rest), path) for rest, path in beside)
    return sorted((int(one[1]), path) for one, path in found if one is not None)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """Write a text as a basic string of TOML, which is one of JSON."""
    return json.dumps(value, ensure_ascii=False)
