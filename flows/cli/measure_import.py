"""`athanor measure import`: results from a file that somebody has, first shown, then brought."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.console import console, emit
from flows.cli.measure_commands import follows, resting_lines
from flows.cli.options import JsonOption, LabOption, ReasonOption, by_option
from orchestrator.commandline import typed
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.domain.entered import Entered, Entry
    from orchestrator.importing.preview import Preview

_SHOWN: Final = 12
"""So many lines of one sort a preview prints; the rest is counted (`--json` has all)."""


def import_results(
    file: Annotated[Path, typer.Argument(help="The table: text (CSV, TSV, ...) or an Excel file (.xlsx).")],
    campaign: Annotated[Path, typer.Option("--campaign", help="The campaign file whose parameters and targets these are.")],
    mapping: Annotated[Path | None, typer.Option("--mapping", help="How the file is written and what its columns become.")] = None,
    propose_mapping: Annotated[Path | None, typer.Option("--propose-mapping", help="New file for the mapping that is proposed.")] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Sheet of an Excel file, while there is no mapping.")] = None,
    lab: LabOption = None,
    by: Annotated[str, by_option("Who brings them; goes into the ledger, and is needed with --yes.")] = "",
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Bring what is shown; else nothing is written.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would become of a table of results; with --yes, and a mapping, bring them."""
    from flows.running import importing

    if mapping is not None and propose_mapping is not None:
        raise BadInput("--propose-mapping is for a file without a mapping; leave --mapping out")
    seen = importing.look_at(file, campaign, mapping, sheet=sheet)
    if as_json:
        emit(document(seen))
    else:
        show(seen)
    if propose_mapping is not None:
        importing.keep_proposal(seen, propose_mapping)
        console.print(f"the proposed mapping is in {propose_mapping}: look at each line, decide what is `?`, then name it by --mapping")
    if yes:
        brought = importing.bring_results(seen, campaign, lab=lab, by=by, reason=reason)
        then = (follows(brought.history),) if brought.added or brought.told else ()
        for line in (brought.line, *then, *resting_lines(brought.dependants)):
            console.print(line)
    elif mapping is not None:
        importing.refuse_problems(seen)
        kept = [*(("--lab", lab) if lab is not None else ()), *(("--reason", reason) if reason else ())]
        again = typed("measure", "import", file, "--campaign", campaign, "--mapping", mapping, *kept, "--yes", "--by", by or "NAME")
        console.print(f"nothing was written; to bring {_count(len(seen.entries), 'result')}: {again}")


def show(seen: "Preview") -> None:
    """Print a preview: columns, first results, what a person has to see."""
    by = "a mapping that is only proposed" if seen.mapping_sha256 is None else f"the mapping {seen.mapping_sha256[:12]}"
    console.print(f"{seen.file} ({seen.sha256[:12]}), by {by}")
    table = Table(title="columns", title_justify="left")
    for heading in ("column", "becomes", "unit", "first cells"):
        table.add_column(heading, overflow="fold")
    for one in seen.columns:
        table.add_row(one.name, one.becomes, one.unit, " | ".join(one.first))
    console.print(table)
    for entry in seen.entries[:3]:
        console.print(f"{entry.place}: {_entry_line(entry)}")
    if len(seen.entries) > 3:
        console.print(f"... and {len(seen.entries) - 3} more")
    for title, lines in (("to decide", seen.undecided), ("in the way", seen.problems), ("to be seen", seen.notes)):
        _print_lines(title, lines)
    if seen.mapping_sha256 is None:
        console.print(f"\n{seen.mapping}", end="")


def _print_lines(title: str, lines: tuple[str, ...]) -> None:
    for line in lines[:_SHOWN]:
        console.print(f"{title}: {line}")
    if len(lines) > _SHOWN:
        console.print(f"{title}: ... and {len(lines) - _SHOWN} more (all of them with --json)")


def _entry_line(entry: "Entry") -> str:
    values = ", ".join(f"{name} = {_value(one)}" for name, one in entry.values.items())
    at = f" at {_configuration(entry.configuration)}" if entry.configuration is not None else f" of run {entry.run}"
    return f"{values}{at}{f', measured {entry.measured_at:%Y-%m-%d %H:%M} UTC' if entry.measured_at else ''}"


def _value(one: "Entered") -> str:
    if one.value is None:
        return f"none ({one.reason})"
    return f"{one.value:g}" + (f" +- {one.uncertainty:g}" if one.uncertainty is not None else "")


def _configuration(configuration: Configuration) -> str:
    return ", ".join(f"{name} = {value if isinstance(value, str) else f'{value:g}'}" for name, value in configuration.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def document(seen: "Preview") -> dict[str, Any]:
    """Return a preview for a program to read."""
    return {
        "file": seen.file,
        "sha256": seen.sha256,
        "mapping": seen.mapping,
        "mapping_sha256": seen.mapping_sha256,
        "columns": [{"name": one.name, "becomes": one.becomes, "unit": one.unit, "first": list(one.first)} for one in seen.columns],
        "entries": [_entry_document(one) for one in seen.entries],
        "problems": list(seen.problems),
        "notes": list(seen.notes),
        "undecided": list(seen.undecided),
    }


def _entry_document(entry: "Entry") -> dict[str, Any]:
    return {
        "place": entry.place,
        "run": entry.run,
        "configuration": None if entry.configuration is None else dict(entry.configuration),
        "measured_at": None if entry.measured_at is None else entry.measured_at.isoformat(),
        "values": {name: {"value": one.value, "uncertainty": one.uncertainty, "reason": one.reason} for name, one in entry.values.items()},
    }
