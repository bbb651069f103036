"""Tables as Parquet: real types; unit and meaning with each Arrow field, and in the frame's attrs when pandas reads it."""

import io
import json
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from flows.report.export.columns import Table
from flows.report.export.frames import frame_of

_ATTRS: Final = b"PANDAS_ATTRS"
"""Where pandas 2.1 and later keep a frame's attrs."""


def parquet_of(table: Table) -> bytes:
    """Write a table as a Parquet file; `pd.read_parquet` reads types and attrs back."""
    frame = frame_of(table)
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        arrow.schema.field(column.head).with_metadata({"unit": column.unit, "description": column.meaning}) for column in table.columns
    ]
    kept = {**(arrow.schema.metadata or {}), _ATTRS: json.dumps(frame.attrs).encode()}
    out = io.BytesIO()
    pq.write_table(arrow.cast(pa.schema(fields, metadata=kept)), out)
    return out.getvalue()
