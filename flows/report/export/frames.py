"""Tables as pandas frames: heads as in the CSV files, real types, units in `frame.attrs["units"]`."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from flows.report.export.columns import Kind, Table

_TYPES: Final[Mapping[Kind, Callable[[list[Any]], Any]]] = {
    "text": lambda values: pd.array(values, dtype="str"),
    "category": lambda values: pd.Categorical(values, categories=pd.Index(_different(values), dtype="str")),
    "integer": lambda values: pd.array(values, dtype="Int64"),
    "number": lambda values: np.array([math.nan if one is None else one for one in values], dtype=np.float64),
    "boolean": lambda values: pd.array(values, dtype="boolean"),
    "time": lambda values: pd.DatetimeIndex(values, dtype="datetime64[us, UTC]"),
}


def frame_of(table: Table) -> pd.DataFrame:
    """Make a frame of a table.

    Returns:
        One column per head: text, category, Int64, float64, boolean, or datetime64[us, UTC]. Its `attrs` hold `name`,
        `meaning`, `units` (unit by head, where there is one) and `meanings` (by head).
    """
    frame = pd.DataFrame({column.head: _TYPES[column.kind]([row.get(column.name) for row in table.rows]) for column in table.columns})
    frame.attrs = {
        "name": table.name,
        "meaning": table.meaning,
        "units": table.units,
        "meanings": {column.head: column.meaning for column in table.columns},
    }
    return frame


def _different(values: list[Any]) -> list[str]:
    return list(dict.fromkeys(str(one) for one in values if one is not None))
