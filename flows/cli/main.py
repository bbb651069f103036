"""The command line: `athanor COMMAND`.

Commands import what they need when they are called, so that `stop`, `status` and `verify` start at once.
"""

import logging
import os
import sys
import tempfile
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.cli.options import (
    BenchOption,
    ByOption,
    CampaignArgument,
    DataOption,
    FileArgument,
    JsonOption,
    KindOption,
    LabOption,
    ReasonOption,
    kind_of,
)
from flows.cli.review_commands import people_app, review_app
from flows.console import fail
from orchestrator.errors import AthanorError, Fault

_PACKAGES: Final = ("orchestrator", "instruments", "policies", "models", "flows", "simulators")

priors_app = typer.Typer(help="List, show and match priors.", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app = typer.Typer(
    name="athanor",
    help="Autonomous experiment campaigns in materials synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(priors_app, name="priors")
app.add_typer(review_app, name="review")
app.add_typer(people_app, name="people")


@app.command()
def init(directory: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Scaffold a lab folder: campaign.toml, bench.toml, plant.toml, README."""
    from flows.cli.init import scaffold

    scaffold(directory)


@app.command()
def check(
    file: FileArgument,
    connect: Annotated[bool, typer.Option("--connect", help="Read the devices too; write nothing.")] = False,
    lab: LabOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a campaign offline; print what would be done, limits, time, reagents and cost."""
    from flows.cli.check import check_file

    check_file(file, connect=connect, lab=lab, data=data, as_json=as_json)


@app.command()
def simulate(
    bench: Annotated[Path, typer.Argument(help="The bench file.")],
    lab: LabOption = None,
    rate: Annotated[float, typer.Option("--rate", help="Lab seconds per wall second.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of noise, drift and hidden constants.")] = 0,
) -> None:
    """Start the simulated devices of a bench, and keep them until interrupted."""
    from flows.cli.bench import simulate_bench

    simulate_bench(bench, lab=lab, rate=rate, seed=seed)


@app.command()
def run(
    file: FileArgument,
    lab: LabOption = None,
    data: DataOption = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Replace a silent holder: it is killed first.")] = False,
    view: Annotated[bool, typer.Option("--view/--no-view", help="Show the campaign in Prefect.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Run or resume a campaign: the same command after a crash goes on."""
    from flows.cli.run import RunOptions, run_campaign

    run_campaign(file, RunOptions(kind="live", lab=lab, data=data, take_over=take_over, view=view, as_json=as_json))


@app.command(name="dry-run")
def dry_run(
    file: FileArgument,
    lab: LabOption = None,
    rate: Annotated[float, typer.Option("--rate", help="Lab seconds per wall second.")] = 300.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the plant's noise, drift and hidden constants.")] = 0,
    take_over: Annotated[bool, typer.Option("--take-over", help="Replace a silent holder: it is killed first.")] = False,
    view: Annotated[bool, typer.Option("--view/--no-view", help="Show the campaign in Prefect.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Run a campaign against simulated instruments, with a database of its own."""
    from flows.cli.run import RunOptions, run_campaign

    options = RunOptions(kind="dry", lab=lab, take_over=take_over, view=view, as_json=as_json, rate=rate, plant_seed=seed)
    run_campaign(file, options)


@app.command()
def amend(
    file: FileArgument,
    by: Annotated[str, typer.Option("--by", help="Who accepts the change.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    lab: LabOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept files that were changed under an unfinished campaign: it goes on with them, and approvals of before lapse."""
    from flows.cli.amend import amend_campaign

    amend_campaign(file, lab=lab, data=data, by=by, reason=reason, as_json=as_json)


@app.command()
def status(campaign: CampaignArgument = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show a campaign's state, counts and processes."""
    from flows.cli.status import show_status

    show_status(campaign, lab=lab, as_json=as_json)


@app.command()
def pause(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "paused by hand"
) -> None:
    """Let no new experiment begin; the one in hand is finished."""
    from flows.cli.steer import pause_campaign

    pause_campaign(campaign, lab=lab, by=by, reason=reason)


@app.command()
def resume(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "resumed by hand"
) -> None:
    """Lift a pause, and unlatch a stopped bench; `run` then goes on."""
    from flows.cli.steer import resume_campaign

    resume_campaign(campaign, lab=lab, by=by, reason=reason)


@app.command()
def abort(
    campaign: CampaignArgument = None, lab: LabOption = None, by: ByOption = "operator", reason: ReasonOption = "aborted by hand"
) -> None:
    """End a campaign for good, and the experiment in hand with it."""
    from flows.cli.steer import abort_campaign

    abort_campaign(campaign, lab=lab, by=by, reason=reason)


@app.command()
def stop(
    lab: LabOption = None,
    by: ByOption = "operator",
    reason: ReasonOption = "stopped by hand",
    bench: BenchOption = None,
) -> None:
    """Drive the bench to its safe state now, whatever else is alive, and latch it; exits 4 when anything is not safe."""
    from flows.cli.stop import stop_lab

    stop_lab(lab, by=by, reason=reason, bench=bench)


@app.command()
def resolve(
    run_key: Annotated[str, typer.Argument(help="The run whose end nobody saw.")],
    done: Annotated[bool, typer.Option("--done", help="It was carried out; its result is lost.")] = False,
    not_done: Annotated[bool, typer.Option("--not-done", help="It was not carried out: a new attempt may be made.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Whatever happened, do not use it.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who says so.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    lab: LabOption = None,
    bench: BenchOption = None,
) -> None:
    """Settle an unknown run by a person's word."""
    from flows.cli.steer import resolve_run

    verdicts = [name for name, given in (("done", done), ("not-done", not_done), ("discard", discard)) if given]
    resolve_run(run_key, verdicts, lab=lab, by=by, reason=reason, bench=bench)


@app.command()
def suggest(
    values: Annotated[list[str], typer.Option("--set", help="PARAMETER=VALUE, one for each parameter.")],
    by: Annotated[str, typer.Option("--by", help="Who suggests it: they cannot be the only one to approve it.")],
    campaign: CampaignArgument = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    lab: LabOption = None,
) -> None:
    """Record a proposal of your own; it goes through the same review as the policy's."""
    from flows.cli.review import suggest as record

    record(campaign, values, lab=lab, by=by, reason=reason)


@app.command()
def constrain(
    campaign: CampaignArgument = None,
    values: Annotated[list[str] | None, typer.Option("--set", help="PARAMETER=VALUE, =LOW..HIGH or =NAME,NAME.")] = None,
    batches: Annotated[int | None, typer.Option("--batches", min=1, help="For so many batches; else until it is lifted.")] = None,
    lift: Annotated[int | None, typer.Option("--lift", help="Take the restriction of this number away.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who says so.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fix or narrow a parameter for later proposals, lift a restriction, or list them."""
    from flows.cli.constrain import constrain as record

    record(campaign, values or (), batches=batches, lift=lift, lab=lab, by=by, reason=reason, as_json=as_json)


@app.command()
def report(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder; else the lab's own folder.")] = None,
) -> None:
    """Write a campaign's report, one self-contained HTML page, and print its path."""
    from flows.cli.status import write_report

    write_report(campaign, lab=lab, out=out)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder for runs.csv, proposals.csv and measurements.csv.")],
    campaign: CampaignArgument = None,
    lab: LabOption = None,
) -> None:
    """Write a campaign as CSV files."""
    from flows.cli.status import export_tables

    export_tables(campaign, out, lab=lab)


@app.command()
def replay(
    proposal: Annotated[str, typer.Argument(help="A proposal's id, or its number in the campaign.")],
    campaign: Annotated[str | None, typer.Option("--campaign", help="The campaign, where the lab has several.")] = None,
    lab: LabOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a past proposal again and compare."""
    from flows.cli.replay import replay_proposal

    replay_proposal(proposal, campaign, lab=lab, data=data, as_json=as_json)


@app.command()
def verify(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Check the ledger: any altered, removed, inserted or reordered event, any row that disagrees."""
    from flows.cli.status import verify_ledger

    verify_ledger(lab=lab, as_json=as_json)


@app.command()
def serve(lab: LabOption = None, dry: KindOption = None) -> None:
    """Serve a lab's Prefect UI, with a worker for what is started there, until interrupted."""
    from flows.cli.serve import serve_lab

    serve_lab(lab=lab, kind=kind_of(dry))


@app.command()
def benchmark(
    file: Annotated[Path, typer.Argument(help="The benchmark file.")],
    out: Annotated[Path, typer.Option("--json", help="Rows are kept here; what is there is not computed again.")],
    data: DataOption = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="So many seeds, from 0.")] = None,
    surrogates: Annotated[str | None, typer.Option("--surrogates", help="Names with commas between.")] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Judged tasks, with commas between.")] = None,
    leave: Annotated[str | None, typer.Option("--leave", help="What priors must not see: task or group.")] = None,
    initial: Annotated[int | None, typer.Option("--initial", min=0, help="Random rows at the start.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute again what is there.")] = False,
) -> None:
    """Replay surrogates on families of recorded or simulated tasks."""
    from flows.cli.benchmark import BenchmarkOptions, run_benchmark

    run_benchmark(file, out, BenchmarkOptions(data, seeds, surrogates, tasks, leave, initial, fresh))


@app.command(name="meta-train")
def meta_train(
    file: Annotated[Path, typer.Argument(help="Space aimed at, sources and learners.")],
    data: DataOption = None,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Judge the learners on tasks left out, for the model card.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make a prior from past campaigns, simulated families and tables."""
    from flows.cli.priors import make_prior

    make_prior(file, data=data, card=card, as_json=as_json)


@priors_app.command(name="list")
def list_priors(folder: Annotated[Path, typer.Argument(help="Folder of priors.")] = Path("priors"), as_json: JsonOption = False) -> None:
    """List the priors of a folder."""
    from flows.cli.priors import list_folder

    list_folder(folder, as_json=as_json)


@priors_app.command(name="show")
def show_prior(prior: Annotated[str, typer.Argument(help="A prior's file, or its name in ./priors.")], as_json: JsonOption = False) -> None:
    """Show a prior's model card: sources, audit, calibration, error against measurements, where it hurt."""
    from flows.cli.priors import show_card

    show_card(prior, as_json=as_json)


@priors_app.command(name="match")
def match_priors(
    file: FileArgument,
    lab: LabOption = None,
    prior: Annotated[list[Path] | None, typer.Option("--prior", help="A prior; may be repeated. Else those of ./priors.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far each known prior is to be trusted for a campaign, and why."""
    from flows.cli.priors import match_campaign

    match_campaign(file, prior or [], lab=lab, as_json=as_json)


def check_packages() -> None:
    """Refuse to start when another distribution has overwritten one of the six packages, whose names are generic.

    Raises:
        Fault: Names the package and where it comes from.
    """
    ours = Path(__file__).resolve().parents[1].parent
    for name in _PACKAGES:
        spec = find_spec(name)
        place = Path(spec.origin).resolve().parent if spec is not None and spec.origin is not None else Path(name)
        if place.parent != ours:
            raise Fault(f"package {name} comes from {place}, not from Athanor in {ours}; install Athanor into an environment of its own")


def main() -> None:
    """Run the command line; every known failure is one clear line and a non-zero exit."""
    logging.getLogger().addHandler(logging.NullHandler())  # standard error is for the one line that a person needs
    try:
        check_packages()
        app(standalone_mode=True)
    except AthanorError as error:
        fail(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted")
        sys.exit(130)
    except OSError as error:  # a full disk, a folder without permission: the system's own line says what is wrong
        fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
        sys.exit(Fault.exit_code)
    except Exception as error:  # the outermost edge: nobody is to see a traceback, and nothing is to be lost
        fail(f"internal error: {type(error).__name__}: {error} ({_kept_details()})")
        sys.exit(Fault.exit_code)


def _kept_details() -> str:
    """Keep the traceback that is being handled for whoever mends it, where there is room."""
    try:
        path = Path(tempfile.gettempdir()) / f"athanor-error-{os.getpid()}.log"
        path.write_text(traceback.format_exc())
    except OSError as error:
        return f"its details could not be kept: {error.strerror}"
    return f"details in {path}"


if __name__ == "__main__":
    main()
