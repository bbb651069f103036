"""Commands that only read a ledger: report, export, replay, verify; and serve, which shows it in the page."""

import signal
import threading
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.cli.console import console, emit
from flows.cli.options import CampaignArgument, DataOption, JsonOption, KindOption, LabOption, commands, kind_of, the_lab
from orchestrator.errors import BadInput, Fault

app = commands()

TOLERANCE: Final = 1e-6
"""Relative difference that another device class or library version may make."""
_LOOK_SECONDS: Final = 1.0


@app.command()
def report(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder; else the lab's own folder.")] = None,
) -> None:
    """Write a campaign's report, one self-contained HTML page, and print its path."""
    from flows.running import report_operations

    console.print(str(report_operations.report(the_lab(lab), campaign, out)))


@app.command()
def export(
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the tables.")] = None,
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Each table as Parquet too.")] = False,
    spectra: Annotated[bool, typer.Option("--spectra", help="Arrays that instruments sent, as one more table.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The instruments' own bytes, a file per hash.")] = False,
    crate: Annotated[bool, typer.Option("--crate", help="Describe all of it as an RO-Crate 1.1, with the campaign's files.")] = False,
    licence: Annotated[str | None, typer.Option("--licence", help="Of the RO-Crate: an address such as a Creative Commons one.")] = None,
    ledger: Annotated[Path | None, typer.Option("--ledger", help="Write the lab's whole ledger into this new file instead.")] = None,
) -> None:
    """Write a campaign as tables: CSV files, described column by column, and what else is asked for; or a lab's whole ledger."""
    from flows.report.export.campaign import ExportOptions
    from flows.running import ledger_operations, report_operations

    options = ExportOptions(parquet=parquet, spectra=spectra, raw=raw, crate=crate, licence=licence)
    if ledger is not None:
        if out is not None or campaign is not None or options != ExportOptions():
            raise BadInput("--ledger writes all campaigns of a lab as they are; it goes with no campaign and no other option but --lab")
        console.print(ledger_operations.export_ledger(the_lab(lab), ledger).line)
        return
    if out is None:
        raise BadInput("nothing says what to write: --out DIR for a campaign's tables, --ledger FILE for the whole ledger")
    for path in report_operations.export(the_lab(lab), campaign, out, options):
        console.print(str(path))
    if crate:
        from flows.report.export.crate_check import judge_crate

        console.print(judge_crate(out))


@app.command(name="import")
def import_ledger(
    file: Annotated[Path, typer.Argument(help="A ledger that `athanor export --ledger` wrote.")],
    lab: Annotated[Path, typer.Option("--lab", help="Lab folder: a new one, or a lab whose ledger is moved or still empty.")],
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger", help="Its place: postgresql://USER@HOST:PORT/DATABASE, or `file` for the lab's folder; else where the lab has it."
        ),
    ] = None,
) -> None:
    """Make a lab of an exported ledger, or move a lab's ledger, in a file or in PostgreSQL; no event changes."""
    from flows.running import ledger_operations

    console.print(ledger_operations.import_ledger(file, lab, ledger).line)


@app.command()
def replay(
    proposal: Annotated[str, typer.Argument(help="A proposal's id, or its number in the campaign.")],
    campaign: Annotated[str | None, typer.Option("--campaign", help="The campaign, where the lab has several.")] = None,
    lab: LabOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a past proposal again and compare."""
    from flows.running import plan_operations

    found = plan_operations.recompute(the_lab(lab), campaign, proposal, data=data)
    number, largest = found.proposal.number, found.largest_difference
    if as_json:
        emit(
            {
                "proposal": found.proposal.proposal_id,
                "number": number,
                "stored": found.proposal.configuration,
                "computed": dict(found.again),
                "identical": found.identical,
                "largest_relative_difference": largest,
            }
        )
    else:
        console.print(f"proposal {number}: {'identical, bit for bit' if found.identical else f'largest relative difference {largest:.3g}'}")
    if largest > TOLERANCE:
        raise Fault(f"proposal {number} comes out differently: largest relative difference {largest:.3g}; expected at most {TOLERANCE:g}")


@app.command()
def verify(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Check the ledger: any altered, removed, inserted or reordered event, any row that disagrees."""
    from flows.running import operations

    found = operations.verify(the_lab(lab))
    if as_json:
        emit({"ledger": str(found.ledger), "events": found.events, "head": found.head, "complaints": found.complaints})
    else:
        for complaint in found.complaints:
            console.print(complaint)
    found.refuse_damaged()
    if not as_json:
        console.print(f"ledger {found.ledger} is sound: {found.events} events, head {found.head}")


@app.command()
def serve(lab: LabOption = None, dry: KindOption = None) -> None:
    """Serve a lab's Prefect UI, with a worker for what is started there, until interrupted."""
    from flows.plans.lab import find_or_make_lab
    from flows.prefect_server.serving import ServedLab
    from flows.running.log_file import log_to

    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind_of(dry), tell=console.print)
    log_to(found.path / "serve.log")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # also where they were ignored when this command began
        signal.signal(number, lambda *_: leave.set())
    with ServedLab(found, worker="flows.ui.worker", tell=console.print) as service:
        console.print(f"Prefect UI: {service.ui_url}")
        if service.moved is not None:
            console.print(service.moved)
        offer = service.start()
        console.print(f"to be started there: {', '.join(offer.deployments)}  (Ctrl-C cancels what runs, and ends all)")
        while not leave.wait(_LOOK_SECONDS):
            service.check()
        console.print("ending: runs are cancelled, then worker and server leave")
