"""What would become of a file, before anything is written: each column, the first rows, and all that is in the way."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.entered import Entry
from orchestrator.errors import BadInput
from orchestrator.importing.fitting import fit
from orchestrator.importing.mapping import MappingFile, load_mapping, parse_mapping
from orchestrator.importing.opening import Opened, Source, open_table, read_source
from orchestrator.importing.proposing import propose
from orchestrator.importing.reading import read_entries

FIRST_ROWS = 3
"""So many rows of the file a preview shows."""


@dataclass(frozen=True, slots=True)
class PreviewedColumn:
    """One column of the file."""

    name: str
    becomes: str
    """For example `parameter T`, `target yield`, `ignored`; `undecided` where nothing says so yet."""
    unit: str
    """Unit of its numbers, and the campaign's where it is another one."""
    first: tuple[str, ...]
    """Its cells in the first rows, as they are written."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a file."""

    file: str
    sha256: str
    """The hash of the file's bytes."""
    mapping: str
    """The mapping as TOML: the one that was given, else a proposed one."""
    mapping_sha256: str | None
    """The hash of the mapping that was given; None for a proposed one, which is never applied."""
    columns: tuple[PreviewedColumn, ...] = ()
    entries: tuple[Entry, ...] = ()
    """What was read; rows with a problem are not among them."""
    problems: tuple[str, ...] = ()
    """What is in the way, with file, line and column; nothing is brought while there is one."""
    notes: tuple[str, ...] = ()
    """What is legal and yet to be seen: quarantined values, repeats, rows passed over, points outside today's space."""
    undecided: tuple[str, ...] = ()
    """What a person must decide of a proposed mapping."""

    @property
    def may_be_brought(self) -> bool:
        """Whether the entries may go into a ledger: by a mapping that somebody declared, without a problem."""
        return self.mapping_sha256 is not None and not self.problems


def preview(path: Path, campaign: CampaignFile, mapping: Path | None = None, *, sheet: str | None = None) -> Preview:
    """Read a file as it would be brought, and write nothing.

    Args:
        path: The file: text, or an Excel workbook.
        campaign: Whose parameters and targets these are.
        mapping: How the file is written and what becomes of its columns; without it one is proposed.
        sheet: The sheet of a workbook, where no mapping names it.

    Raises:
        BadInput: The file or the mapping cannot be read, or the mapping does not fit the campaign.
    """
    source = read_source(path)
    if mapping is None:
        return _proposed(source, campaign, sheet)
    declared = load_mapping(mapping)
    if sheet is not None and sheet != declared.spec.table.sheet:
        raise BadInput(f"--sheet {sheet!r}: {declared.what} names {declared.spec.table.sheet!r}; say it there")
    try:
        opened = open_table(source, declared.spec.table)
    except BadInput as error:
        return Preview(source.name, source.sha256, declared.text, declared.sha256, problems=(str(error),))
    return _read(source, opened, declared, campaign, mapping_sha256=declared.sha256)


def _proposed(source: Source, campaign: CampaignFile, sheet: str | None) -> Preview:
    proposal, opened = propose(source, campaign, sheet)
    if not proposal.undecided:
        return _read(source, opened, parse_mapping(proposal.text, "the proposed mapping"), campaign, mapping_sha256=None)
    columns = tuple(PreviewedColumn(name, _draft(proposal.columns[name]), "", _first(opened, name)) for name in opened.table.columns)
    return Preview(source.name, source.sha256, proposal.text, None, columns=columns, undecided=tuple(proposal.undecided))


def _read(source: Source, opened: Opened, mapping: MappingFile, campaign: CampaignFile, *, mapping_sha256: str | None) -> Preview:
    fitted = fit(mapping, campaign, opened)
    found = read_entries(opened, fitted)
    columns = tuple(
        PreviewedColumn(name, one.role, _units(fitted.units.get(name), fitted.own.get(name)), _first(opened, name))
        for name, one in fitted.columns.items()
    )
    return Preview(
        source.name,
        source.sha256,
        mapping.text,
        mapping_sha256,
        columns=columns,
        entries=found.entries,
        problems=found.problems,
        notes=found.notes,
    )


def _units(unit: str | None, own: str | None) -> str:
    if unit is None or own is None:
        return ""
    return (unit or "1") if unit == own else f"{unit or '1'} -> {own or '1'}"


def _first(opened: Opened, name: str) -> tuple[str, ...]:
    return tuple(str(row[name]) for row in opened.table.rows[:FIRST_ROWS])


def _draft(table: str) -> str:
    return "undecided" if '"?"' in table else table
