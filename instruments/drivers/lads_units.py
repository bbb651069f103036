"""Units and ranges as an OPC-UA server states them (OPC 10000-8: EngineeringUnits, EURange), in our registry's words."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.protocol import Limit
from instruments.transport.base import NodeValue, Structure

_UNECE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
CODES: Final[Mapping[str, str]] = {
    "P1": "percent",
    "59": "ppm",
    "CEL": "degC",
    "FAH": "degF",
    "KEL": "K",
    "BAR": "bar",
    "MBR": "mbar",
    "PAL": "Pa",
    "A97": "hPa",
    "KPA": "kPa",
    "MPA": "MPa",
    "B98": "us",
    "C26": "ms",
    "SEC": "s",
    "MIN": "min",
    "MMT": "mm",
    "CMT": "cm",
    "MTR": "m",
    "CMQ": "cm^3",
    "MTQ": "m^3",
    "GRM": "g",
    "KGM": "kg",
    "HTZ": "Hz",
    "KHZ": "kHz",
    "RPM": "rpm",
    "VLT": "V",
    "AMP": "A",
    "WTT": "W",
    "JOU": "J",
}
"""Common codes of UN/CEFACT Recommendation 20; compared with node-opcua's table in `tests/foreign`."""
_NAMES: Final[Mapping[str, str]] = {"°C": "degC", "°F": "degF", "%": "percent", "1": "", "one": "", "µL": "uL", "μL": "uL", "μs": "us"}
"""Unit names of servers that our registry knows under another name; all others are kept."""


def unit_of(value: NodeValue | None) -> str:
    """Return the unit that an EngineeringUnits property names, empty for a pure number; its code before its name, which is translated."""
    information = value.value if value is not None else None
    if not isinstance(information, Structure):
        return ""
    if information.fields.get("NamespaceUri") == _UNECE and (known := CODES.get(_code(information.fields.get("UnitId")))):
        return known
    shown = str(information.fields.get("DisplayName") or "")
    return _NAMES.get(shown, shown)


def _code(number: object) -> str:
    """Unpack a common code from the number that OPC-UA makes of it: one byte a letter."""
    return number.to_bytes(4, "big").strip(b"\0").decode("ascii", "replace") if isinstance(number, int) and number > 0 else ""


def range_of(value: NodeValue | None) -> Limit | None:
    """Return the range that an EURange property states; None where it states none."""
    found = value.value if value is not None and value.quality == "good" else None
    if not isinstance(found, Structure):
        return None
    low, high = found.fields.get("Low"), found.fields.get("High")
    return Limit(float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) and low < high else None
