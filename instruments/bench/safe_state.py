"""The declared safe state, driven in the order of the bench file, each action as well as it goes."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from instruments.bench.file import BenchFile
from instruments.bench.wires import Wires
from instruments.drivers.calls.kept import END
from instruments.lab_processes.stop import action_line

logger = logging.getLogger(__name__)

ACTION_SECONDS: Final = 5.0
"""Wall seconds that one safe action may take before the next one is tried: a dead device must not shield the others."""


@dataclass(frozen=True, slots=True)
class SafeAction:
    """What became of one safe action."""

    instrument: str
    action: str
    done: bool
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @property
    def line(self) -> str:
        """What became of it, for people."""
        return action_line(self.document())


def declared(bench: BenchFile) -> Iterator[tuple[str, str]]:
    """Iterate over (instrument, safe action) in the order of the bench file.

    What is being called (a function, a command) is ended, whether or not the file says so; of a person nothing more is wanted.
    """
    for instrument, spec in bench.spec.instruments.items():
        for action in (*spec.safe_state, *([END] if (spec.calls or spec.object) and END not in spec.safe_state else [])):
            yield instrument, action


def drive(bench: BenchFile, wires: Wires) -> tuple[SafeAction, ...]:
    """Carry out all safe actions through the urgent lanes; never raises for a device."""
    results = tuple(_attempt(wires, instrument, action) for instrument, action in declared(bench))
    for one in results:
        logger.log(logging.INFO if one.done else logging.ERROR, "safe state: %s.%s: %s", one.instrument, one.action, one.reason or "done")
    return results


def _attempt(wires: Wires, instrument: str, action: str) -> SafeAction:
    try:
        wires.of(instrument).attempt(instrument, lambda driver: driver.make_safe(action), seconds=ACTION_SECONDS)
    except Exception as error:  # whatever a driver raises, the others are still to be made safe
        return SafeAction(instrument, action, done=False, reason=str(error) or type(error).__name__)
    return SafeAction(instrument, action, done=True)
