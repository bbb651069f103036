"""Durations as files have them."""

from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from orchestrator.domain.written import Number, duration_schema
from orchestrator.units import parse


def _lab_seconds(value: object, info: ValidationInfo) -> object:
    return parse(value, "s", what=info.field_name or "a time") if isinstance(value, str) else value


LabSeconds = Annotated[Number, Field(gt=0), BeforeValidator(_lab_seconds), WithJsonSchema(duration_schema("lab"))]
"""A duration in lab time: seconds, or a text such as "12 h"."""
