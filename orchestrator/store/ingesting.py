"""Ingest: idempotent on (run key, target, replicate, revision) and on (run key, number of the reading)."""

from collections.abc import Sequence

from orchestrator.domain.events import EventKind
from orchestrator.domain.records import ExperimentRun, Measurement, Reading
from orchestrator.errors import StoreError
from orchestrator.store.checks import check_run_step, check_same, content, find_stored, known, name_of
from orchestrator.store.documents import KeptReading, RowKey, document_of, keep_reading, kept_of
from orchestrator.store.event_writer import EventWriter
from orchestrator.store.ledger import Reader


class Incident(StoreError):
    """Other content came under a key that the ledger knows; recorded as an event."""


def ingest(writer: EventWriter, run: ExperimentRun, measurements: Sequence[Measurement], readings: Sequence[Reading]) -> None:
    """Write what is new; nothing, not even an event, when all of it is known.

    Raises:
        Incident: Other content came under a known key.
    """
    stored = known(writer.ledger, run)
    new_readings = _new_readings(writer.ledger, run, readings)
    new_measurements = _new_measurements(writer.ledger, run, measurements)
    same_end = document_of(stored) == document_of(run)
    if stored.ingested and not same_end:
        raise Incident(f"{name_of(run)} came again with another end: {run.status}, {stored.status} expected")
    if same_end and not new_readings and not new_measurements:
        return
    check_run_step(stored, run)
    writer.record(EventKind.INGESTED, run, *new_measurements, readings=new_readings)


def _new_readings(ledger: Reader, run: ExperimentRun, readings: Sequence[Reading]) -> list[tuple[KeptReading, bytes]]:
    present = {kept.seq: kept for kept, _ in ledger.readings(run.run_key)}
    new: list[tuple[KeptReading, bytes]] = []
    for reading in readings:
        kept = keep_reading(run.run_key, reading)
        stored = present.setdefault(kept.seq, kept)
        if stored != kept:
            raise Incident(f"reading {kept.seq} of {name_of(run)} came again with other content")
        if stored is kept:
            new.append((kept, reading.raw))
    return new


def _new_measurements(ledger: Reader, run: ExperimentRun, measurements: Sequence[Measurement]) -> list[Measurement]:
    new: dict[RowKey, Measurement] = {}
    for measurement in measurements:
        what, key = name_of(measurement), kept_of(measurement).key(measurement)
        check_same(f"run of {what}", (run.campaign, run.run_key), (measurement.campaign, measurement.run_key))
        present = new.get(key) or find_stored(ledger, measurement)
        if present is None:
            new[key] = measurement
        elif content(present) != content(measurement):
            raise Incident(f"{what} came again with other content: {content(measurement)}, {content(present)} expected")
    return list(new.values())
