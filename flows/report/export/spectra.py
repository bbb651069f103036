"""Array readings, such as spectra, as one long table; and the devices' own bytes by their hash."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from flows.report.export.columns import Column, Table
from flows.report.export.source import Source
from flows.report.spectra import AXIS
from orchestrator.domain.records import Reading

_COLUMNS: Final = (
    Column("experiment", "Number of the experiment in experiments.csv.", "integer"),
    Column("run_key", "The attempt in which it was read."),
    Column("instrument", "The instrument.", "category"),
    Column("step", "Number of the step that read it, from 0.", "integer"),
    Column("channel", "The channel.", "category"),
    Column("index", "Place in the array, from 0.", "integer"),
    Column("axis", "Where on the axis it lies; empty where the instrument sent no axis of this length.", "number"),
    Column("axis_unit", "Unit of the axis.", "category"),
    Column("value", "The value, in the unit of its row.", "number"),
    Column("unit", "Unit of the value.", "category"),
    Column("quality", "good, uncertain or bad.", "category"),
    Column("read", "When it was read: wall time, UTC.", "time"),
    Column("read_lab", "When it was read: lab time.", "number", "s"),
    Column("sha256", "Hash of the raw reading."),
)


def spectra_table(source: Source, run_keys: frozenset[str] | None = None) -> Table:
    """Return one row per point of each array that an instrument sent, beside the axis that it sent in the same step.

    Args:
        source: The campaign.
        run_keys: Which attempts; None for all.
    """
    rows = tuple(
        row
        for one in source.experiments
        for run in one.attempts
        if run_keys is None or run.run_key in run_keys
        for row in _rows(one.index, run.run_key, source.readings(run.run_key))
    )
    return Table("spectra", "One row per point of each array that an instrument sent.", _COLUMNS, rows)


def _rows(experiment: int, run_key: str, readings: tuple[Reading, ...]) -> Iterator[Mapping[str, Any]]:
    arrays = sorted((one for one in readings if one.array), key=_place)
    for _, group in groupby(arrays, key=_place):
        together = list(group)
        axis = next((one for one in together if _is_axis(one)), None)
        for one in together:
            if not _is_axis(one):
                yield from _points({"experiment": experiment, "run_key": run_key}, one, axis)


def _place(reading: Reading) -> tuple[str, int]:
    return reading.instrument, reading.step


def _is_axis(reading: Reading) -> bool:
    return reading.channel.rpartition(".")[2].lower() == AXIS


def _points(shared: Mapping[str, Any], reading: Reading, axis: Reading | None) -> Iterator[Mapping[str, Any]]:
    values = reading.array or ()
    fits = axis is not None and len(axis.array or ()) == len(values)
    places = (axis.array or ()) if axis is not None and fits else (None,) * len(values)
    told = {
        **shared,
        "instrument": reading.instrument,
        "step": reading.step,
        "channel": reading.channel,
        "axis_unit": axis.unit if axis is not None and fits else None,
        "unit": reading.unit or None,
        "quality": reading.quality,
        "read": reading.wall,
        "read_lab": reading.lab,
        "sha256": reading.sha256 or None,
    }
    for index, (place, value) in enumerate(zip(places, values, strict=True)):
        yield {**told, "index": index, "axis": place, "value": value}


def raw_files(source: Source) -> dict[str, bytes]:
    """Return the devices' own bytes: `raw/SHA256.bin` by name."""
    readings = (reading for run in source.changes.runs for reading in source.readings(run.run_key))
    return {f"raw/{one.sha256}.bin": one.raw for one in readings if one.raw and one.sha256}
