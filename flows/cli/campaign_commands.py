"""Commands that carry a campaign on, or have it go on with changed files: run, dry-run, amend."""

from typing import Annotated

import typer

from flows.cli.console import console, emit
from flows.cli.options import DataOption, FileArgument, JsonOption, LabOption, by_option, commands
from orchestrator.errors import BadInput

app = commands()

TakeOverOption = Annotated[bool, typer.Option("--take-over", help="Replace a silent holder: it is killed first.")]
ViewOption = Annotated[bool, typer.Option("--view/--no-view", help="Show the campaign in Prefect.")]


@app.command()
def run(
    file: FileArgument,
    lab: LabOption = None,
    data: DataOption = None,
    take_over: TakeOverOption = False,
    view: ViewOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run or resume a campaign: the same command after a crash goes on."""
    from flows.cli.run import run_in_terminal
    from flows.running.session import RunOptions

    run_in_terminal(file, RunOptions(kind="live", lab=lab, data=data, take_over=take_over, view=view), as_json=as_json)


@app.command(name="dry-run")
def dry_run(
    file: FileArgument,
    lab: LabOption = None,
    rate: Annotated[float, typer.Option("--rate", help="Lab seconds per wall second.")] = 300.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the plant's noise and drift.")] = 0,
    twin: Annotated[
        str | None,
        typer.Option("--twin", help="The twin that the simulated tube runs, or 'declared'; else its newest revision."),
    ] = None,
    take_over: TakeOverOption = False,
    view: ViewOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run a campaign against simulated instruments, with a database of its own."""
    from flows.cli.run import run_in_terminal
    from flows.running.session import RunOptions

    options = RunOptions(kind="dry", lab=lab, take_over=take_over, view=view, rate=rate, plant_seed=seed, twin=twin)
    run_in_terminal(file, options, as_json=as_json)


@app.command()
def amend(
    file: FileArgument,
    by: Annotated[str, by_option("Who accepts the change.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    lab: LabOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept files that were changed under an unfinished campaign: it goes on with them, and approvals of before lapse."""
    from flows.plans.lab import find_lab
    from flows.running import plan_operations

    by = by.strip()
    if not by or not reason.strip():
        raise BadInput("amend: --by NAME and --reason TEXT are needed; they go into the ledger")
    made = plan_operations.amend(find_lab(lab, here=file.resolve().parent), file, data=data, by=by, reason=reason)
    name = made.record.name
    if as_json:
        emit({"campaign": name, "by": by, **made.payload(reason)})
        return
    for line in made.difference:
        console.print(line)
    console.print(
        f"campaign {name} goes on with its changed files ({', '.join(made.hashes)}; {reason}, by {by}): approvals and questions of before "
        f"lapse and are asked anew; {'resume, then ' if made.record.status == 'paused' else ''}run it with the same command as before"
    )
