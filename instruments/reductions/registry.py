"""Readings to measurements: versioned, pure, each value with its standard uncertainty.

A reduction that is changed in any way that changes a number gets a new version; the old one stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instruments.reductions.emission import EMISSION_TARGETS, reduce_emission
from instruments.reductions.reduced import Reduced, finite
from orchestrator import plugins
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput
from orchestrator.plugins import Plugin, find_plugin


@dataclass(frozen=True, slots=True)
class Reduction:
    """One version of a way from readings to measurements."""

    name: str
    targets: frozenset[str] | None
    """What it measures; None: whatever the readings are named."""
    apply: Callable[[Sequence[Reading]], tuple[Reduced, ...]]


def _identity(readings: Sequence[Reading]) -> tuple[Reduced, ...]:
    """Take each reading as the measurement of the target that has the channel's name."""
    return tuple(
        Reduced(
            target=reading.channel,
            value=reading.value,
            unit=reading.unit,
            uncertainty=None,
            reason=None if reading.quality == "good" else f"{reading.name} is of {reading.quality} quality",
            raw_sha256=(reading.sha256,),
        )
        for reading in readings
        if reading.value is not None
    )


REDUCTIONS: Final[Mapping[str, Reduction]] = {
    "cdse-emission/1": Reduction("cdse-emission/1", EMISSION_TARGETS, reduce_emission),
    "identity/1": Reduction("identity/1", None, _identity),
    "recorded/1": Reduction("recorded/1", None, _identity),  # its name in earlier releases
}


def find_reduction(name: str, folder: Path) -> Reduction:
    """Return a reduction by its name.

    Args:
        name: Of one that comes with Athanor or with an installed package, with its version; or `./FILE.py:NAME`.
        folder: Where the bench file lies.

    Raises:
        BadInput: There is none of this name, or the plug-in cannot be loaded or is none.
    """
    plugin = reduction_plugin(name, folder)
    if plugin is not None:
        found: Reduction = plugin.thing
        return found
    if name not in REDUCTIONS:
        known = ", ".join(sorted({*REDUCTIONS, *plugins.installed(plugins.REDUCTIONS)}))
        raise BadInput(f"unknown reduction {name!r}; known: {known}")
    return REDUCTIONS[name]


def reduction_plugin(name: str, folder: Path) -> Plugin | None:
    """Return the plug-in that a reduction's name stands for; None for one that comes with Athanor, and for none.

    Raises:
        BadInput: The plug-in cannot be loaded, or is no reduction.
    """
    found = None if name in REDUCTIONS else find_plugin(plugins.REDUCTIONS, name, folder)
    if found is not None and not isinstance(found.thing, Reduction):
        raise BadInput(f"{found.what} ({found.source}) is {found.thing!r:.80}; expected an athanor.reductions.Reduction")
    return found


def reduce(name: str, readings: Sequence[Reading], folder: Path = Path()) -> tuple[Reduced, ...]:
    """Reduce the readings of one run.

    Args:
        name: Reduction and version.
        readings: All of the run; where a channel was read more than once the last one counts.
        folder: Where the bench file lies.

    Raises:
        BadInput: No reduction of this name, or the code of a plug-in fails.
    """
    reduction = find_reduction(name, folder)
    try:
        return tuple(map(finite, reduction.apply(readings)))
    except Exception as error:  # a plug-in may raise anything; the readings are kept
        if name in REDUCTIONS:
            raise
        raise BadInput(f"reduction {name!r} failed: {type(error).__name__}: {error}; mend it and go on: the readings are kept") from error
