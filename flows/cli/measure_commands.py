"""`athanor measure`: results that come late, from elsewhere, or were wrong. Each imports what it needs when it is called."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import console, emit
from flows.cli.options import (
    CampaignArgument,
    CampaignOption,
    DataOption,
    FileArgument,
    JsonOption,
    LabOption,
    ReasonOption,
    by_option,
    the_lab,
)
from orchestrator.commandline import typed

if TYPE_CHECKING:
    from flows.running.measuring import Changed
    from orchestrator.domain.records import Measurement, Proposal
    from orchestrator.history import History
    from orchestrator.results import Said

measure_app = typer.Typer(
    help="Values that come late, from elsewhere, or were wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
RunArgument = Annotated[str, typer.Argument(help="The run: its code on paper (17a-I), its key, or the beginning of that.")]
ValuesArgument = Annotated[list[str], typer.Argument(help="TARGET=VALUE [UNIT], one or several; TARGET=none where there is no value.")]
UncertaintyOption = Annotated[
    list[str] | None, typer.Option("--uncertainty", help="Standard uncertainty: VALUE [UNIT], or TARGET=VALUE where several are told.")
]
EvidenceOption = Annotated[Path | None, typer.Option("--evidence", help="The file it was taken from: its name and sha256 are kept.")]
MeasuredAtOption = Annotated[str | None, typer.Option("--measured-at", help="When: ISO 8601 with a zone, like 2026-03-01T14:30+01:00.")]
WhoOption = Annotated[str, by_option("Who says so; goes into the ledger.")]
ReplicateOption = Annotated[int | None, typer.Option("--replicate", min=1, help="Which, where there are several.")]


@measure_app.command(name="list")
def measure_list(campaign: CampaignArgument = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show all values with their history, and those that are still to come."""
    from flows.running.value_list import value_list

    found = value_list(the_lab(lab), campaign)
    if as_json:
        emit({"campaign": found.campaign, "values": [one.document for one in found.values], "awaited": found.awaited})
        return
    for one in found.values:
        console.print(one.line)
    for waiting in found.awaited:
        console.print("{run}  {target}: awaited, {until}".format(**waiting))
    if not found.values and not found.awaited:
        console.print(f"campaign {found.campaign} has no values yet, and awaits none")


@measure_app.command()
def add(
    run: RunArgument,
    values: ValuesArgument,
    by: WhoOption,
    uncertainty: UncertaintyOption = None,
    evidence: EvidenceOption = None,
    measured_at: MeasuredAtOption = None,
    reason: ReasonOption = "",
    again: Annotated[bool, typer.Option("--again", help="It was measured once more and came out as before.")] = False,
    campaign: CampaignOption = None,
    lab: LabOption = None,
) -> None:
    """Tell values of a run that has ended; where it has one already, as a further replicate."""
    from flows.running import measuring
    from flows.running.typed_values import typed_values

    said = _said(by, reason, evidence, measured_at)
    told = typed_values(values, uncertainty or (), said.reason)
    _tell(measuring.add(the_lab(lab), campaign, run, told, said, again=again), known=f"; `{typed('measure', 'add')} ... --again` adds it")


@measure_app.command()
def correct(
    run: RunArgument,
    values: ValuesArgument,
    by: WhoOption,
    uncertainty: UncertaintyOption = None,
    evidence: EvidenceOption = None,
    measured_at: MeasuredAtOption = None,
    reason: ReasonOption = "",
    replicate: ReplicateOption = None,
    campaign: CampaignOption = None,
    lab: LabOption = None,
) -> None:
    """Put another value in the place of one that was wrong; an uncertainty that is not told anew stays."""
    from flows.running import measuring
    from flows.running.typed_values import typed_values

    said = _said(by, reason, evidence, measured_at)
    told = typed_values(values, uncertainty or (), said.reason)
    _tell(measuring.correct(the_lab(lab), campaign, run, told, said, replicate=replicate))


@measure_app.command()
def retract(
    run: RunArgument,
    by: WhoOption,
    reason: ReasonOption,
    targets: Annotated[list[str] | None, typer.Argument(help="Of which targets; may be left out where one was measured.")] = None,
    replicate: ReplicateOption = None,
    campaign: CampaignOption = None,
    lab: LabOption = None,
) -> None:
    """Take values back: no model learns from them any longer, and the ledger keeps them."""
    from flows.running import measuring

    said = _said(by, reason, None, None)
    _tell(measuring.retract(the_lab(lab), campaign, run, targets or (), said, replicate=replicate))


@measure_app.command()
def begin(
    file: FileArgument,
    by: WhoOption,
    dry: Annotated[bool, typer.Option("--dry/--live", help="Of what kind the lab is.")] = False,
    data: DataOption = None,
    lab: LabOption = None,
) -> None:
    """Put a campaign into the ledger without running it: results of past experiments can then come before its first proposal."""
    from flows.running.plan_operations import draft
    from flows.studies.missing_prior import make_missing_prior

    make_prior = partial(make_missing_prior, tell=console.print)
    found, record = draft(file, kind="dry" if dry else "live", folder=lab, data=data, by=by, make_prior=make_prior)
    again = typed("dry-run" if dry else "run", file)
    console.print(f"campaign {record.name} is in the ledger of lab {found.path}; nothing of it runs. Bring what is known, then `{again}`")


# ---------------------------------------------------------------------- parts


def _said(by: str, reason: str, evidence: Path | None, measured_at: str | None) -> "Said":
    from flows.running.typed_values import evidence_of, moment_of
    from orchestrator.results import Said

    return Said(
        by.strip(),
        reason.strip() or None,
        None if measured_at is None else moment_of(measured_at),
        None if evidence is None else evidence_of(evidence),
    )


def _tell(changed: "Changed", known: str = "") -> None:
    """Say what was recorded, what it made of the result, and what rested on the value of before."""
    for target in changed.known:
        console.print(f"{target}: the ledger has this value already; nothing is added{known}")
    for line in _lines(changed, changed.measurements):
        console.print(line)
    if changed.measurements:
        console.print(follows(changed.history))
    for line in resting_lines(changed.dependants):
        console.print(line)


def _lines(changed: "Changed", measurements: Iterable["Measurement"]) -> Iterator[str]:
    from orchestrator.results import run_name

    for one in measurements:
        unit = changed.objective.units[one.target]
        what = "no value" if one.value is None else f"{one.value:.6g} {unit}".rstrip()
        where = f"replicate {one.replicate}" + (f", revision {one.revision}" if one.revision > 1 else "")
        run = run_name(changed.history, changed.history.runs[one.run_key])
        why = f" ({one.reason})" if one.reason else ""
        yield f"run {run}, {one.target}: {what} is {one.status} as {where}{why}; {_counts(changed, one, unit)}"


def _counts(changed: "Changed", one: "Measurement", unit: str) -> str:
    found = changed.history.results.get(one.run_key, {}).get(one.target)
    if found is None:
        return f"no value of {one.target} counts for this run"
    spread = "" if found.uncertainty is None else f" ± {found.uncertainty:.2g}"
    many = "" if found.replicates == 1 else f", the mean of {found.replicates}"
    return f"what counts is {f'{found.value:.6g}{spread} {unit}'.rstrip()}{many}"


def follows(history: "History") -> str:
    """Say what becomes of a change."""
    record = history.campaign
    if record.status.is_over:
        return f"campaign {record.name} has ended ({record.status}) and does not go on by itself; `{typed('report', record.name)}` shows it"
    when = "when it runs" if record.status in ("draft", "paused") else "on its next turn"
    return f"campaign {record.name} learns it {when}"


def resting_lines(proposals: Iterable["Proposal"]) -> Iterator[str]:
    """Name the proposals that wait and rest on a value that is no longer what it was."""
    for one in proposals:
        way = "`athanor review` decides on it" if one.status == "proposed" else f"`{typed('review', 'withdraw', one.number)}` takes it back"
        yield f"proposal {one.number} ({one.status}, not carried out yet) rests on what changed; {way}"


def document_of(proposals: Iterable["Proposal"]) -> list[dict[str, Any]]:
    """Return the same for a program."""
    return [{"proposal": one.number, "status": str(one.status)} for one in proposals]
