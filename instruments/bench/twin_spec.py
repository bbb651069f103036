"""`[twin]` of a bench file: which simulator predicts what this bench makes, and how its names are those of a campaign."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from orchestrator.domain.drift import DriftSpec
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import UNIT, Flag, Number, Quantity, quantity_schema

_InOwnUnit = Annotated[Quantity, WithJsonSchema(quantity_schema("the constant's", "0.06 1/s"))]
Input = Annotated[str | Number, WithJsonSchema({"type": ["number", "string"], "examples": ["c_se / 2"], UNIT: "the control's"})]


class ConstantKeys(Frozen):
    """What is known of one constant of a twin; what is left out stays as the twin declares it."""

    value: _InOwnUnit | None = None
    """Centre of its prior."""
    prior: Literal["lognormal", "normal"] | None = None
    """Whether the constant or its logarithm is spread normally."""
    sd: Annotated[Number, Field(ge=0)] | None = None
    """Standard deviation of the prior: of the natural logarithm for a log-normal one, in the constant's unit for a normal one."""
    min: _InOwnUnit | None = None
    """Least value at which the formula holds."""
    max: _InOwnUnit | None = None
    """Greatest value at which the formula holds."""
    calibratable: Flag | None = None
    """Whether runs may correct it."""


class TwinSpec(Frozen):
    """The twin of a bench."""

    chemistry: Annotated[str, Field(min_length=1)]
    """The twin: a name, `./FILE.py:NAME` or `module:NAME`, or a `.toml` file beside this one."""
    inputs: dict[str, Input] = Field(default_factory=dict)
    """Control of the twin -> an expression over parameters, constants and stocks, or a number; without one, what has its name."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """What the campaign measures -> the twin's output; without one, what has its name."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Surrounding that the twin knows -> NAME of `[environment.NAME]`; without one, what has its name, else the twin's reference."""
    constants: dict[str, ConstantKeys] = Field(default_factory=dict)
    """Constant -> what is known of it here."""
    drift: DriftSpec | None = None
    """Whether campaigns watch how the bench differs from it; nothing of it is computed where the table is left out."""
