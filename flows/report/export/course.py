"""The tables of how a campaign went on: its events, and what each adaptation of a prior came to."""

import json
from typing import Any, Final

from flows.report.adaptations import adaptations
from flows.report.export.columns import Column, Table, moment
from flows.report.export.source import Source, wall
from orchestrator.domain.events import EventKind

_EVENTS: Final = (
    Column("seq", "Number of the event in the ledger.", "integer"),
    Column("kind", "What happened.", "category"),
    Column("subject", "Name of what it is about: a proposal, a run, a request, ..."),
    Column("by", "Who or what made it happen.", "category"),
    *moment("recorded", "it was recorded"),
    Column("details", "What no table holds: JSON."),
    Column("sha256", "Hash of the event; it seals all events before it."),
)
_ADAPTATIONS: Final = (
    Column("seq", "Number of the event in the ledger.", "integer"),
    Column("n", "Experiments that it learned from, infeasible ones included.", "integer"),
    Column("target", "Of which surrogate this row tells.", "category"),
    Column("trust", "How far the prior was trusted, 0 to 1; empty where the surrogate says nothing of it.", "number"),
    Column("weights", "Weight of each component of the surrogate: JSON."),
    Column("version", "Version of the adapted surrogate."),
    Column("seconds", "Wall time that the adaptation took.", "number", "s"),
    *moment("recorded", "it was recorded"),
)


def events_table(source: Source) -> Table:
    """Return one row per event of the campaign."""
    rows = tuple(
        {
            "seq": event.seq,
            "kind": event.kind,
            "subject": event.subject,
            "by": str(event.by),
            "recorded": wall(event),
            "recorded_lab": event.lab,
            "details": json.dumps(details, sort_keys=True, ensure_ascii=False) if details else None,
            "sha256": event.digest,
        }
        for event in source.events
        for details in (event.payload.get("details"),)
    )
    return Table("events", "One row per event of the ledger that concerns the campaign.", _EVENTS, rows, ("seq",))


def adaptations_table(source: Source) -> Table:
    """Return one row per adaptation of a prior and target."""
    adapted = [event for event in source.events if event.kind == EventKind.ADAPTED and "fit" in event.payload["details"]]
    rows: list[dict[str, Any]] = []
    for event, one in zip(adapted, adaptations(adapted), strict=True):
        shared = {"seq": event.seq, "n": one.experiments, "version": one.version, "seconds": one.seconds}
        for target, weights in one.weights.items():
            told = {"target": target, "trust": one.trust.get(target), "weights": json.dumps(weights) if weights else None}
            rows.append({**shared, **told, "recorded": wall(event), "recorded_lab": event.lab})
    return Table("adaptations", "One row per adaptation of a prior and target.", _ADAPTATIONS, tuple(rows), ("seq", "target"))
