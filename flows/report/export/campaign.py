"""A campaign exported into a folder: its tables, and what else is asked for."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from flows.report.export.columns import Table
from flows.report.export.csv_files import csv_of
from flows.report.export.description import DESCRIPTION, description_of
from flows.report.export.folder import write_folder
from flows.report.export.source import Source
from flows.report.export.spectra import raw_files, spectra_table
from flows.report.export.tables import tables_of
from orchestrator.errors import BadInput

_ROOM: Final = "flows.report.export"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What an export holds beside the CSV files."""

    parquet: bool = False
    """The same tables as Parquet."""
    spectra: bool = False
    """Array readings, as one more table."""
    raw: bool = False
    """The devices' own bytes, a file per hash."""
    crate: bool = False
    """All of it described as an RO-Crate, with the campaign's files and its report."""
    licence: str | None = None
    """Under which licence the crate is given away: an address, or a text."""

    def __post_init__(self) -> None:
        """Refuse a licence that nothing would hold."""
        if self.licence is not None and not self.crate:
            raise BadInput("a licence stands in an RO-Crate; --licence needs --crate")


def export_campaign(source: Source, out: Path, options: ExportOptions | None = None, *, report: str = "") -> tuple[Path, ...]:
    """Write a campaign's tables into a folder, with a description of their columns and the ledger's head beside.

    Files of an earlier export of the same campaign are replaced.

    Args:
        source: The campaign.
        out: The folder, made where it is not there.
        options: What is written beside the CSV files.
        report: The campaign's report, for an RO-Crate.

    Returns:
        The files, in the order written.

    Raises:
        BadInput: A library that is asked for is missing, or a file of the same name is not from an export of this campaign, or
            was changed since; nothing is written.
    """
    options = options or ExportOptions()
    files = _files(source, options)
    if options.crate:
        crate = optional("crate", "rocrate", "an RO-Crate")
        files = crate.with_crate(source, files, report, options.licence)
    return write_folder(out, files, source.campaign, source.head)


def _files(source: Source, options: ExportOptions) -> dict[str, bytes]:
    tables: tuple[Table, ...] = tables_of(source)
    if options.spectra:
        tables = (*tables, spectra_table(source))
    files = {f"{table.name}.csv": csv_of(table).encode() for table in tables}
    files[DESCRIPTION] = description_of(tables, source.campaign.name).encode()
    if options.parquet:
        parquet = optional("parquet", "pyarrow", "Parquet")
        files |= {f"{table.name}.parquet": parquet.parquet_of(table) for table in tables}
    if options.raw:
        files |= raw_files(source)
    return files


def optional(extra: str, library: str, what: str) -> ModuleType:
    """Return the module that writes something for which a library of an extra is needed.

    Raises:
        BadInput: The library is missing.
    """
    try:
        return importlib.import_module(f"{_ROOM}.{extra}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise BadInput(f"{what} needs {library}, which is not installed; it comes with Athanor's extra `{extra}`") from error
