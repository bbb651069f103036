"""What the methods of a driver promise to return: a mistake in one ends the call that it was made in, in one line.

Else it would be met where nobody expects it, in the host's own code, after something has been sent.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from numbers import Real
from typing import Any, Final

from instruments.drivers.protocol import Finding, Identity, Outcome
from orchestrator.errors import DeviceError, Sent

PROMISED: Final[Mapping[str, type]] = {"identify": Identity, "baseline": Mapping, "outcome": Outcome, "reconcile": Finding}
"""Method -> what it returns."""


def keeping(method: Callable[..., Any], promised: type) -> Callable[..., Any]:
    """Return a method that raises a DeviceError where it returns something else."""
    name = method.__name__

    @functools.wraps(method)
    def kept(driver: Any, *given: Any, **named: Any) -> Any:
        value = method(driver, *given, **named)
        wrong = None if isinstance(value, promised) else f"gave {value!r:.80}; expected {promised.__name__}"
        if isinstance(value, Identity):
            wrong = _of_identity(value)
        elif wrong is None and name == "baseline":
            wrong = _of_evidence(value)
        if wrong is not None:
            raise DeviceError(f"{driver.settings.name}: {name} of its driver {wrong}", sent=Sent.MAYBE)
        return driver.expected(value) if isinstance(value, Identity) else value

    return kept


def _of_identity(identity: Identity) -> str | None:
    told: Mapping[str, object] = asdict(identity)
    strange = next((name for name, value in told.items() if value is not None and not isinstance(value, str)), None)
    return None if strange is None else f"gave {strange} = {told[strange]!r:.80}; expected a text"


def _of_evidence(evidence: object) -> str | None:
    try:
        json.dumps(evidence)
    except (TypeError, ValueError) as error:
        return f"gave what the journal cannot keep: {error}"
    return None


def channel_value(value: object, unit: str) -> float | str | tuple[float, ...]:
    """Take what the method of a channel returned.

    Raises:
        ValueError: Neither a number nor a text nor numbers; or a text where there is a unit.
    """
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, str) and not unit:
        return value
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        numbers = tuple(value)
        if all(isinstance(one, Real) for one in numbers):
            return tuple(float(one) for one in numbers)
    expected = f"a number in {unit}, or a tuple of them" if unit else "a number, a text or a tuple of numbers"
    raise ValueError(f"gave {value!r:.80}; expected {expected}, and float('nan') where there is no value")


def sent_value(value: object) -> float | str:
    """Take one of what a command says that it has sent.

    Raises:
        ValueError: Neither a number nor a text.
    """
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, Real):
        return float(value)
    raise ValueError(f"gave {value!r:.80}; expected a number or a text")
