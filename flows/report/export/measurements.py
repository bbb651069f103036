"""The table of measurements: one row per revision."""

from typing import Any, Final

from flows.report.export.columns import Column, Table, moment
from flows.report.export.source import Source, when
from orchestrator.domain.records import Measurement

_COLUMNS: Final = (
    Column("run_key", "The attempt that was measured."),
    Column("run_id", "What all attempts of one replicate share."),
    Column("measurement_id", "Name of the measurement."),
    Column("target", "What was measured.", "category"),
    Column("value", "The value, in the unit of its row.", "number"),
    Column("uncertainty", "Standard uncertainty, in the unit of its row (a difference, where that has a zero of its own).", "number"),
    Column("unit", "Unit of value and uncertainty; empty for a pure number.", "category"),
    Column("replicate", "Number of the measurement of this target in this run, from 1.", "integer"),
    Column("revision", "Number of the revision, from 1; a correction makes the next one.", "integer"),
    Column("superseded", "Whether a correction took its place.", "boolean"),
    Column("status", "Only an accepted value reaches a model.", "category"),
    Column("reason", "Why it is quarantined or retracted, or why it was added or corrected."),
    Column("recorded_by", "Who or what recorded this revision.", "category"),
    Column("reduction", "Name and version of what reduced it from the readings.", "category"),
    Column("raw_sha256", "Hashes of the raw readings it was reduced from, with spaces between."),
    *moment("measured", "it was measured, as was said, else the run ended of which it is"),
    *moment("recorded", "this revision was recorded"),
    Column("by", "The person who told this revision; empty for what was reduced from a run.", "category"),
    Column("retracted_by", "The person who took it back.", "category"),
    *moment("changed", "its status was last changed"),
    Column("evidence", "Name of the file that it was taken from."),
    Column("evidence_sha256", "Hash of that file."),
)


def measurements_table(source: Source) -> Table:
    """Return one row per revision of a measurement."""
    ordered = sorted(source.changes.measurements, key=lambda one: (one.run_key, one.target, one.replicate, one.revision))
    last = {(one.run_key, one.target, one.replicate): one.revision for one in ordered}
    rows = tuple(_row(source, one, superseded=one.revision < last[one.run_key, one.target, one.replicate]) for one in ordered)
    key = ("run_key", "target", "replicate", "revision")
    return Table("measurements", "One row per revision of a measurement.", _COLUMNS, rows, key)


def _row(source: Source, measurement: Measurement, *, superseded: bool) -> dict[str, Any]:
    told = source.told("measurements", measurement.run_key, measurement.target, measurement.replicate, measurement.revision)
    run = source.runs.get(measurement.run_key)
    return {
        **measurement.model_dump(exclude={"campaign", "raw_sha256", "status", "measured_at", "evidence", "known_since"}),
        "status": str(measurement.status),
        "superseded": superseded,
        "run_id": run and run.run_id,
        "unit": source.objective.units.get(measurement.target) or None,
        "recorded_by": told[0][0].by if told else None,
        "raw_sha256": " ".join(measurement.raw_sha256) or None,
        "measured": measurement.measured_at or (source.wall_of(run, run.ended_lab) if run else None),
        "measured_lab": run and run.ended_lab if measurement.measured_at is None else None,
        **when("recorded", told),
        **(when("changed", told, at=-1) if len(told) > 1 else {}),
        "evidence": measurement.evidence and measurement.evidence.name,
        "evidence_sha256": measurement.evidence and measurement.evidence.sha256,
    }
