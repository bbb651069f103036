"""What each column of the CSV files means, as metadata of CSV on the Web (W3C, https://www.w3.org/TR/tabular-metadata/)."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from flows.report.export.columns import Column, Kind, Table

DESCRIPTION: Final = "csv-metadata.json"
"""Where readers of CSV on the Web look for it by themselves (section 5.3 of its data model)."""
_TYPES: Final[Mapping[Kind, str]] = {
    "text": "string",
    "category": "string",
    "integer": "integer",
    "number": "double",
    "boolean": "boolean",
    "time": "dateTime",
}
_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.]")


def description_of(tables: Iterable[Table], campaign: str) -> str:
    """Describe CSV files: per column its head, meaning, type and unit (`schema:unitText`).

    Args:
        tables: Of which each stands in `NAME.csv`.
        campaign: Whose they are.
    """
    document = {
        "@context": "http://www.w3.org/ns/csvw",
        "dc:title": f"Campaign {campaign}",
        "tables": [_table(table) for table in tables],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {"columns": [_column(column) for column in table.columns]}
    if table.key:
        schema["primaryKey"] = [_name(key) for key in table.key]
    return {"url": f"{table.name}.csv", "dc:description": table.meaning, "tableSchema": schema}


def _column(column: Column) -> dict[str, Any]:
    told = {"name": _name(column.name), "titles": column.head, "dc:description": column.meaning, "datatype": _TYPES[column.kind]}
    return told | ({"schema:unitText": column.unit} if column.head != column.name else {})


def _name(name: str) -> str:
    """Return a name as the standard allows it: what it does not is written in percent."""
    return _PLAIN.sub(lambda found: quote(found.group(), safe=""), name)
