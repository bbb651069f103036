"""How readings, and a run's request and report, are written: in the host's journal, on its HTTP interface and in the ledger."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from pydantic import TypeAdapter

from orchestrator.domain.records import Reading, RunReport, RunRequest

REQUEST: Final = TypeAdapter(RunRequest)
REPORT: Final = TypeAdapter(RunReport)
_READING: Final = TypeAdapter(Reading)


def write_reading(reading: Reading) -> dict[str, Any]:
    """Return a reading but for its number and the device's bytes, which each place keeps in a way of its own."""
    return {
        "step": reading.step,
        "instrument": reading.instrument,
        "channel": reading.channel,
        "value": reading.value,
        "array": None if reading.array is None else list(reading.array),
        "text": reading.text,
        "unit": reading.unit,
        "quality": reading.quality,
        "wall": reading.wall.astimezone(UTC).isoformat(),
        "lab": reading.lab,
        "sha256": reading.sha256,
    }


def read_reading(document: Mapping[str, Any], *, seq: int, raw: bytes) -> Reading:
    """Read what `write_reading` wrote; infinities and NaN may stand there by name.

    Raises:
        ValidationError: It is none.
    """
    return _READING.validate_python({**document, "seq": seq, "raw": raw})


def write_line(reading: Reading) -> str:
    """Write a reading as the JSON line that travels: lab seconds as `lab_s`, the device's bytes in base64."""
    document = write_reading(reading)
    lab = document.pop("lab")
    return json.dumps({"seq": reading.seq, **document, "lab_s": lab, "raw": base64.b64encode(reading.raw).decode()})


def read_line(line: str) -> Reading:
    """Read what `write_line` wrote.

    Raises:
        ValueError: It is no reading.
    """
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, not {type(document).__name__}")
    raw = base64.b64decode(document.get("raw", ""), validate=True)
    return read_reading({**document, "lab": document.get("lab_s")}, seq=document.get("seq", 0), raw=raw)
