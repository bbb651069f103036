"""What stand-ins are made from: each instrument of a bench as its driver or its profile declares it, as a JSON document.

Whoever starts a plant writes it; the plant reads nothing else of the instruments. How each behaves, a plant file may say.
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
    low: float | None = None
    """Least value that the bench file takes."""
    high: float | None = None
    """Greatest value that it takes."""
    values: tuple[str, ...] = ()
    """Texts that are legal; empty where any is."""
    measured: bool = False
    """Whether the procedure reads it, or a program brings it: it has a response where nothing else says its value."""
    about: float | None = None
    """Its reference, where it is recorded of the laboratory: about it a stand-in's value changes from day to day."""


class Declaration(_Declared):
    """One instrument."""

    instrument: str
    driver: str
    """Its name in the bench file."""
    link: str
    wire: Wire
    """How the stand-in is asked: as its profile says, or by the calls of its driver."""
    carried_out: tuple[str, ...] = ()
    """Calls that a dry run carries out itself: nothing stands in for them."""
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
    people: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Who is asked by the campaign, and what they bring back: the plant has no body of them."""
    sampled: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By channel what was drawn from the prior that its response names (`responses.SampledFunction`)."""


class StandInSection(BaseModel):
    """How one stand-in behaves: `[stand_ins.INSTRUMENT]` of a plant file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    asked: Literal["wire", "calls"] = "wire"
    """Over the wire of its profile, where it has one; or by the calls of its driver."""
    lag_s: float | None = Field(default=None, gt=0.0)
    """Time constant (lab s) with which a value follows its setting; 60 for temperatures and 1 for all else without it."""
    dose_s: float | None = Field(default=None, gt=0.0)
    """Lab s that a dose or a program lasts where no rate is set, 5 without it; or that a person takes to answer, 600 without it."""
    failures: float = Field(default=0.0, ge=0.0, le=1.0)
    """Chance that a dose or a program ends half-way, or that it goes wrong in a person's hands."""
    reason: str = "stand-in-failure"
    """What it then says, where it has a word for it."""


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
