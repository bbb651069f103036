"""Values of targets as people type them, when they were measured, and the file that they name as evidence."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from orchestrator.domain.entered import Entered
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import Evidence
from orchestrator.errors import BadInput
from orchestrator.numerals import shown
from orchestrator.units import parse, parse_difference

NOTHING: Final = "none"
"""What people type where there is no value: the vial broke."""
Told = Callable[[Objective], Mapping[str, Entered]]
"""Reads what was said, once the campaign's targets are known."""


def typed_values(texts: Sequence[str], uncertainties: Sequence[str] = (), reason: str | None = None) -> Told:
    """Return what reads values as they are typed.

    Args:
        texts: `TARGET=VALUE`, a unit behind it or as the next text; `TARGET=none` with a reason where there is none.
        uncertainties: Standard uncertainties, as `TARGET=VALUE`, or `VALUE` where one target is told.
        reason: Why there is no value.
    """

    def read(objective: Objective) -> Mapping[str, Entered]:
        given = dict(_pairs(_joined(texts), objective, what="value"))
        if not given:
            raise BadInput(f"no value; expected TARGET=VALUE of {_targets(objective)}")
        alone = next(iter(given)) if len(given) == 1 else None
        spread = dict(
            _pairs([one if "=" in one or alone is None else f"{alone}={one}" for one in uncertainties], objective, what="uncertainty")
        )
        if strangers := [target for target in spread if target not in given]:
            raise BadInput(f"uncertainty of {strangers[0]}, of which no value is told")
        return {target: _entered(text, spread.get(target), target, objective.units[target], reason) for target, text in given.items()}

    return read


def _entered(text: str, spread: str | None, target: str, unit: str, reason: str | None) -> Entered:
    if text.strip().lower() == NOTHING:
        if not reason:
            raise BadInput(f"{target}={NOTHING}: --reason TEXT is needed: why there is no value")
        return Entered(None, reason=reason)
    value = parse(text, unit, what=target)
    uncertainty = None if spread is None else parse_difference(spread, unit, what=f"uncertainty of {target}")
    return Entered(value, uncertainty)


def _joined(texts: Sequence[str]) -> Iterator[str]:
    """Put a unit that stands by itself behind the value before it."""
    pending: str | None = None
    for text in texts:
        if pending is not None and "=" not in text:
            pending = f"{pending} {text}"
            continue
        if pending is not None:
            yield pending
        pending = text
    if pending is not None:
        yield pending


def _pairs(texts: Iterable[str], objective: Objective, *, what: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for text in texts:
        target, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise BadInput(f"{what} {shown(text)}: expected TARGET=VALUE of {_targets(objective)}")
        check_target(target, objective, what=what)
        if target in seen:
            raise BadInput(f"{what}: {target} is told twice; a further replicate is told by itself")
        seen.add(target)
        yield target, value


def check_target(target: str, objective: Objective, *, what: str) -> None:
    """Refuse what is no target, with BadInput."""
    if target not in objective.names:
        raise BadInput(f"{what}: there is no target {target!r}; expected {_targets(objective)}")


def _targets(objective: Objective) -> str:
    return ", ".join(f"{name} in {unit or '1'}" for name, unit in objective.units.items())


def moment_of(text: str) -> datetime:
    """Read when something was measured: ISO 8601 with a zone.

    Raises:
        BadInput: It is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(f"measured at {shown(text)}: expected a moment with its zone, like 2026-03-01T14:30+01:00") from error
    return found


def evidence_of(path: Path) -> Evidence:
    """Name a file as evidence; it stays where it is.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return Evidence(name=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise BadInput(f"evidence {path}: {error.strerror}") from error
