"""What stand-ins are made from: each instrument of a bench as its driver or its profile declares it, as a JSON document.

Whoever starts a plant writes it; the plant reads nothing else of the instruments.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import BadInput

Value = int | float | str
Wire = Literal["line", "modbus", "opcua", "calls"]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeclaredArgument(_Declared):
    """One argument of a command."""

    unit: str | None
    """None for a text."""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    """Texts that are legal; empty where any is."""


class DeclaredCommand(_Declared):
    """One command."""

    kind: Literal["state-setting", "dosing", "program"]
    arguments: dict[str, DeclaredArgument] = {}
    shows: dict[str, str] = {}
    """Channel -> the argument that it shows at once."""
    sets: dict[str, Value] = {}
    """Channel -> what it says once the command is carried out."""
    counts: dict[str, str | float] = {}
    """Channel -> the argument, or the number, by which a dose makes it grow."""
    done: dict[str, Value] = {}
    """Channel -> what it says while no dose is under way."""


class DeclaredChannel(_Declared):
    """One channel."""

    unit: str = ""
    text: bool = False
    measured: bool = False
    """Whether the procedure reads it, or a program brings it: it has a response where nothing else says its value."""


class Declaration(_Declared):
    """One instrument."""

    instrument: str
    driver: str
    """Its name in the bench file."""
    link: str
    wire: Wire
    """How the stand-in is asked: as its profile says, or by the calls of its driver."""
    channels: dict[str, DeclaredChannel]
    commands: dict[str, DeclaredCommand] = {}
    safe: dict[str, dict[str, Value]] = {}
    """Safe action -> what channels say once it is carried out, where that is known."""
    watchdog: bool = False
    profile: dict[str, Any] = {}
    """The profile, with the options of the bench file in the place of their names; empty without one."""
    fields: dict[str, Value] = {}
    """What the profile's texts may name beside arguments: the address, options."""
    serial_number: str | None = None
    model: str | None = None


class Declarations(_Declared):
    """All instruments of a bench that nothing else simulates."""

    links: dict[str, Wire]
    """Link -> how its instruments are asked."""
    instruments: dict[str, Declaration] = Field(default_factory=dict)


def read_declarations(path: Path) -> Declarations:
    """Read what was written for a plant.

    Raises:
        BadInput: It cannot be read, or is no such document.
    """
    try:
        return declared_in(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise BadInput(f"declarations {path} cannot be read: {error}") from error


def declared_in(document: Mapping[str, Any]) -> Declarations:
    """Check a document.

    Raises:
        BadInput: Names the place, and what came.
    """
    try:
        return Declarations.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"declarations: {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r:.80}") from error
