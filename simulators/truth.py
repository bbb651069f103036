"""The ground-truth log: one JSON object per physical event, the oracle of exactly-once tests.

Keys: `t` (lab s), `wall` (UTC, ISO 8601), `device`, `event`, `values` (units in the names) and `run_key` where the wire
carried one. Events: `boot`, `setpoint`, `dose` (start and end), `start`, `start-repeated`, `sample` (what a vial was filled
with), `finish`, `abort`, `safe-state`, `fault`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

TruthValue = str | float | bool | None


@dataclass(frozen=True, slots=True)
class PhysicalEvent:
    """Something that physically happened, or was ordered, at one device."""

    t: float
    """Lab seconds."""

    device: str
    event: str
    values: Mapping[str, TruthValue] = field(default_factory=dict)
    run_key: str | None = None


Record = Callable[[PhysicalEvent], None]
"""Where devices report what they did."""


class GroundTruth:
    """Appends events to a file, each with one write of one line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def record(self, event: PhysicalEvent) -> None:
        """Append one event; an unbuffered single write, so that a killed plant leaves whole lines."""
        line = {
            "t": round(event.t, 6),
            "wall": datetime.now(UTC).isoformat(),
            "device": event.device,
            "event": event.event,
            "values": dict(event.values),
        }
        if event.run_key is not None:
            line["run_key"] = event.run_key
        self._file.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
