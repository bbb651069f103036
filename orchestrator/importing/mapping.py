"""The mapping file: how somebody's table is written, and what becomes of each of its columns."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema, field_validator, model_validator

from orchestrator.domain.environment import LAB_TIME, NAME
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Flag, Number, Whole, either, never
from orchestrator.errors import BadInput
from orchestrator.importing.dates import check_format
from orchestrator.tablefile import Dialect
from orchestrator.textfile import parse_toml, read_text
from orchestrator.units import unit

UNDECIDED: Final = "?"
"""What a proposed mapping has where a person must decide; nothing is legal that is called so."""
_ROLES: Final = ("parameter", "target", "uncertainty", "recorded", "run", "date", "ignored")
_MEASURED: Final = ("parameter", "target", "uncertainty", "recorded")


class LayoutSpec(Dialect):
    """How the file is written, and where the table lies in it."""

    sheet: str | None = None
    """Name of the sheet of an Excel file; may be left out where it has only one."""
    header: Annotated[Whole, Field(ge=1)] = 1
    """Line, or row of the sheet, where the header stands; nothing above it is read."""
    units_row: Flag = False
    """Whether the row below the header holds units."""
    comment: str = ""
    """What lines begin with that hold nothing, for example `#`."""
    missing: tuple[str, ...] = ()
    """Texts that stand for an empty cell, for example `NA` or `-`."""
    skip: tuple[str, ...] = ()
    """Rows whose first filled cell is one of these texts hold no experiment, for example `Total`."""
    zone: str | None = None
    """Time zone of dates that name none, for example `Europe/Berlin` or `UTC`."""

    @field_validator("zone")
    @classmethod
    def _zone_known(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"time zone {name!r} is unknown; expected a name of the IANA database, such as Europe/Berlin or UTC"
            ) from error
        return name

    @property
    def clock(self) -> ZoneInfo | None:
        """The time zone."""
        return None if self.zone is None else ZoneInfo(self.zone)


class ColumnSpec(Frozen):
    """What becomes of a column; `[columns]` has one for each, by its name in the header."""

    model_config = ConfigDict(
        json_schema_extra={
            **either(*_ROLES),
            "dependentSchemas": {
                "unit": never("run", "date", "ignored"),
                "names": {"required": ["parameter"]},
                "recorded": {"required": ["unit", "reference"]},
                "reference": {"required": ["recorded"]},
            },
        }
    )

    parameter: str | None = None
    """It holds this column of the search space (`name.component` of a composition)."""
    target: str | None = None
    """It holds values of this target; an empty cell says nothing of it."""
    uncertainty: str | None = None
    """It holds the standard uncertainty of this target's values."""
    recorded: Annotated[str, Field(pattern=NAME)] | None = None
    """It holds what was recorded of the surroundings under this name, as `[environment.NAME]` of a bench file has it; an empty cell says
    nothing of it."""
    reference: Number | None = None
    """Of what was recorded: the value at which the campaign's goals hold, in the unit."""
    run: Literal[True] | None = None
    """It holds the code or key of a run that the ledger has; then no column is a parameter."""
    date: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^(iso|excel)$|%", "examples": ["%d.%m.%Y %H:%M"]})] | None = None
    """It says when it was measured: `iso`, `excel` (days as a spreadsheet counts them), or a pattern such as `%d.%m.%Y %H:%M`."""
    ignored: Literal[True] | None = None
    """Nothing becomes of it."""
    unit: str | None = None
    """Unit of its numbers; where it is left out, that of the parameter or target. What was recorded needs one, `""` for a pure
    number. A unit in the header must be the same."""
    names: dict[str, str] | None = None
    """What a cell says -> category, where it differs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [role for role in _ROLES if getattr(self, role) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(_ROLES)}; this one has {' and '.join(given) or 'none'}")
        if self.unit is not None:
            if given[0] not in _MEASURED:
                raise ValueError(f"unit belongs to {', '.join(_MEASURED)}, not to {given[0]}")
            try:
                unit(self.unit)
            except BadInput as error:
                raise ValueError(str(error)) from error  # so that the message names the column
        if (self.recorded is None) != (self.reference is None) or (self.recorded is not None and self.unit is None):
            raise ValueError("recorded needs a unit and a reference, and nothing else has a reference")
        if self.recorded == LAB_TIME:
            raise ValueError(f"recorded = {LAB_TIME!r} is the name of the lab time since the first run; expected another one")
        if self.names is not None and self.parameter is None:
            raise ValueError(f"names belongs to parameter, not to {given[0]}")
        if self.date is not None:
            check_format(self.date)
        return self

    @property
    def role(self) -> str:
        """What becomes of it, for people."""
        if self.run or self.ignored:
            return "run" if self.run else "ignored"
        if self.date is not None:
            return f"date, {self.date}"
        return next(f"{role} {getattr(self, role)}" for role in _MEASURED if getattr(self, role) is not None)


class CensoredSpec(Frozen):
    """What becomes of target values of which only a bound is known; those of parameters are always refused."""

    below: Literal["refuse", "quarantine"] = "refuse"
    """`<0.1`: refused, or kept as quarantined below detection, without a value."""
    above: Literal["refuse", "quarantine"] = "refuse"
    """`>100`: refused, or kept as quarantined above the range, without a value."""
    words: tuple[str, ...] = ()
    """Texts that say below detection, for example `n.d.` or `LOD`; kept as quarantined."""


class MappingSpec(Frozen):
    """A whole mapping file."""

    table: LayoutSpec = LayoutSpec()
    """How the file is written."""
    columns: Annotated[dict[str, ColumnSpec], Field(min_length=1)]
    """Each column of the file, by its name in the header."""
    constants: dict[str, Number | str] = Field(default_factory=dict)
    """Number, text with unit or category of each column of the search space that the file does not have."""
    censored: CensoredSpec = CensoredSpec()
    """What becomes of values of which only a bound is known."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for role in _MEASURED:
            names = [name for one in self.columns.values() if (name := getattr(one, role)) is not None]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two columns are {role} {twice[0]}")
        for role in ("run", "date"):
            if sum(getattr(one, role) is not None for one in self.columns.values()) > 1:
                raise ValueError(f"two columns are {role}; expected one")
        if self.by("run") and self.by("recorded"):
            raise ValueError("a column is run: the ledger has what was recorded with it, so that no column is recorded")
        if self.by("run") and (self.by("parameter") or self.constants):
            raise ValueError(
                "a column is run: the ledger has its configuration, so that no column is parameter, and there are no constants"
            )
        if not self.by("target"):
            raise ValueError("no column is a target: nothing would be brought")
        for column, one in self.columns.items():
            if one.uncertainty is not None and one.uncertainty not in self.by("target"):
                own = ", ".join(self.by("target"))
                raise ValueError(f"columns.{column}: there is no column of target {one.uncertainty}; columns are of target {own}")
        return self

    def by(self, role: str) -> Mapping[str, str]:
        """Return the columns of a role, by what they hold."""
        return {str(held): column for column, one in self.columns.items() if (held := getattr(one, role)) is not None}


_LEGAL: Final = {
    (): tuple(MappingSpec.model_fields),
    ("table",): (*(name for name in LayoutSpec.model_fields if name not in Dialect.model_fields), *Dialect.model_fields),
    ("columns", "*"): tuple(ColumnSpec.model_fields),
    ("censored",): tuple(CensoredSpec.model_fields),
}


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A checked mapping."""

    what: str
    """What messages call it."""
    text: str
    spec: MappingSpec

    @property
    def sha256(self) -> str:
        """The hash of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse_mapping(text: str, what: str) -> MappingFile:
    """Check the text of a mapping.

    Raises:
        BadInput: Names the key, what came and what is legal.
    """
    document = parse_toml(text, what=what)
    try:
        return MappingFile(what, text, MappingSpec.model_validate(document))
    except ValidationError as error:
        raise explain(error, what=what, legal=_LEGAL) from error
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def load_mapping(path: Path) -> MappingFile:
    """Read and check a mapping file.

    Raises:
        BadInput: It cannot be read, or names a key that is unknown or illegal.
    """
    return parse_mapping(read_text(path, what=f"mapping {path}"), f"mapping {path}")
