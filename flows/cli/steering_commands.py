"""Commands that change a campaign's course: pause, resume, abort, stop, resolve."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import console
from flows.cli.options import BenchOption, ByOption, CampaignArgument, LabOption, ReasonOption, by_option, commands, the_lab
from orchestrator.commandline import typed
from orchestrator.errors import BadInput, Fault

if TYPE_CHECKING:
    from flows.running.run_operations import Resolved

app = commands()


@app.command()
def pause(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "paused by hand"
) -> None:
    """Let no new experiment begin; the one in hand is finished."""
    from flows.running import operations

    record = operations.pause(the_lab(lab), campaign, by=by, reason=reason)
    console.print(f"campaign {record.name} is paused; the experiment in hand is finished")


@app.command()
def resume(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "resumed by hand"
) -> None:
    """Lift a pause, and unlatch a stopped bench; `run` then goes on."""
    from flows.running import operations

    resumed = operations.resume(the_lab(lab), campaign, by=by, reason=reason)
    record = resumed.campaign
    if record.status.is_over:
        console.print(f"the bench is unlatched; campaign {record.name} stays {record.status}")
        return
    console.print(
        f"campaign {record.name} may go on{' and the bench is unlatched' if resumed.was_latched else ''}"
        f"{f'; {resumed.lapsed} approvals that waited lapse and are decided anew' if resumed.lapsed else ''}; "
        "run it with the same command as before"
    )


@app.command()
def abort(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "aborted by hand"
) -> None:
    """End a campaign for good, and the experiment in hand with it."""
    from flows.running import run_operations

    aborted = run_operations.abort(the_lab(lab), campaign, by=by, reason=reason, tell=console.print)
    if aborted.complaints:
        for complaint in aborted.complaints[:-1]:
            console.print(str(complaint))
        raise aborted.complaints[-1]
    for run in aborted.unknown:
        console.print(f"nobody saw how run {run.run_key} ended: `{typed('resolve', run.run_key)}` settles it")


@app.command()
def stop(lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "stopped by hand", bench: BenchOption = None) -> None:
    """Drive the bench to its safe state now, whatever else is alive, and latch it; exits 4 when anything is not safe."""
    from instruments.lab_processes.stop import stop_bench

    try:
        found = the_lab(lab)
    except BadInput as error:
        raise BadInput(f"nothing was stopped: {error}") from error
    stopped = stop_bench(found.path, reason=reason, by=by, bench=bench)
    for line in stopped.lines:
        console.print(line)
    if stopped.unsafe:
        raise Fault(stopped.verdict)
    unlatch = typed("resume", "--lab", found.path, "--by", "NAME", "--reason", "TEXT")
    console.print(f"the bench is safe and latched; `{unlatch}` unlatches it")


@app.command()
def resolve(
    run_key: Annotated[str, typer.Argument(help="The run whose end nobody saw.")],
    done: Annotated[bool, typer.Option("--done", help="It was carried out; its result is lost.")] = False,
    not_done: Annotated[bool, typer.Option("--not-done", help="It was not carried out: a new attempt may be made.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Whatever happened, do not use it.")] = False,
    by: Annotated[str, by_option("Who says so.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    lab: LabOption = None,
    bench: BenchOption = None,
) -> None:
    """Settle an unknown run by a person's word."""
    verdicts = [name for name, given in (("done", done), ("not-done", not_done), ("discard", discard)) if given]
    if len(verdicts) != 1:
        raise BadInput(f"resolve {run_key}: give exactly one of --done, --not-done, --discard; got {len(verdicts)}")
    if not by.strip() or not reason.strip():
        raise BadInput(f"resolve {run_key}: --by NAME and --reason TEXT are needed; they go into the ledger")
    from flows.running import run_operations

    found, word = the_lab(lab), run_operations.Word(verdicts[0], by, reason)
    resolved = run_operations.resolve(found, run_key, word, bench=bench, tell=console.print)
    run = resolved.run
    became = f"it counts as {run.status}{f' ({run.reason})' if run.reason else ''}"
    console.print(f"run {run_key} is settled: {word.verdict} ({reason}, by {by}); {became}; {_next(resolved, latched=found.is_latched)}")


def _next(resolved: "Resolved", *, latched: bool) -> str:
    """Say what stands between a resolved run and the campaign's going on."""
    from flows.plans.ledger import unknown_runs

    campaign = resolved.history.campaign
    if unknown := unknown_runs(resolved.history):
        return f"nobody saw either how run {unknown[0].run_key} ended: `{typed('resolve', unknown[0].run_key)}` settles it"
    if campaign.status.is_over:
        return f"campaign {campaign.name} has ended: {campaign.status}"
    again = "run the campaign with the same command as before"
    if latched:
        return f"the bench is latched: first `athanor resume --by NAME --reason TEXT`; {again}"
    if campaign.status == "paused":
        return f"campaign {campaign.name} is paused ({campaign.reason}): first `{typed('resume', campaign.name)}`; {again}"
    return again
