"""What the ledger's events say of each adaptation of a prior."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.events import EventKind
from orchestrator.domain.stop import Advice
from orchestrator.ports import StoredEvent


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One adaptation to what had been measured."""

    experiments: int
    """Experiments it had learned from, infeasible ones included."""
    version: str
    trust: Mapping[str, float]
    """Target -> how far the prior is trusted, 0 to 1; a target whose surrogate says nothing of it is absent."""
    weights: Mapping[str, Mapping[str, float]]
    """Target -> component -> its weight."""
    switched: Mapping[str, tuple[str, str]]
    """Target -> the component that led before and the one that leads now, where they differ."""
    seconds: float


def adaptations(events: Iterable[StoredEvent]) -> tuple[Adaptation, ...]:
    """Read a campaign's adaptations in their order; where a campaign adapts no prior there is none."""
    details = (event.payload["details"] for event in events if event.kind == EventKind.ADAPTED)
    return tuple(_read(one) for one in details if "fit" in one)


def advices(events: Iterable[StoredEvent]) -> tuple[Advice, ...]:
    """Read what was said of further experiments, each time that something had been learned; nothing where nobody asked."""
    details = (event.payload["details"] for event in events if event.kind == EventKind.ADAPTED)
    return tuple(Advice.model_validate(one["advice"]) for one in details if "advice" in one)


def _read(details: Mapping[str, Any]) -> Adaptation:
    fit = details["fit"]
    return Adaptation(
        experiments=details["lessons"],
        version=details["version"],
        trust={target: float(one["trust"]) for target, one in fit.items() if "trust" in one},
        weights={target: {name: float(weight) for name, weight in one.get("weights", {}).items()} for target, one in fit.items()},
        switched={target: (str(before), str(now)) for target, (before, now) in details["switched"].items()},
        seconds=details["seconds"],
    )
