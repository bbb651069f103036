"""Commands for priors and for judging surrogates: benchmark, meta-train, priors."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.cli.console import console, emit
from flows.cli.options import DataOption, FileArgument, JsonOption, LabOption, commands
from orchestrator.errors import BadInput

app = commands()
priors_app = typer.Typer(help="List, show and match priors.", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


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
    from flows.studies.benchmark.rows import Results
    from flows.studies.benchmark.running import BenchmarkChoice, prepare
    from flows.studies.benchmark.spec import load_benchmark
    from models.threads import use_threads

    use_threads(1)  # small factorisations: more threads are slower, and results differ with their number
    left: Literal["task", "group"] | None = "group" if leave == "group" else "task" if leave == "task" else None
    if left != leave:
        raise BadInput(f"--leave {leave} is unknown; legal: task, group")
    choice = BenchmarkChoice(seeds=seeds, surrogates=_names(surrogates), tasks=_names(tasks), leave=left, initial=initial, fresh=fresh)
    prepared = prepare(load_benchmark(file), data, choice)
    for line in prepared.suite.constant:
        console.print(line)
    results = Results.open(out)
    missing = prepared.missing(results)
    stale = sum(row["code"] != prepared.code for row in results.rows)
    console.print(f"{out}: {len(results.rows)} rows are there, {stale} of them of another version of the code; {len(missing)} to compute")
    for number, row in enumerate(prepared.run(results), start=1):
        console.print(
            f"{number}/{len(missing)} {row['surrogate']} {row['task']} seed {row['seed']} leave {row['leave']} "
            f"initial {row['initial']}: regret area {row['regret_area']:.4f}, {row['latency_s']:.3f} s per proposal"
        )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


@app.command(name="meta-train")
def meta_train(
    file: Annotated[Path, typer.Argument(help="Space aimed at, sources and learners.")],
    data: DataOption = None,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Judge the learners on tasks left out, for the model card.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make a prior from past campaigns, simulated families and tables."""
    from flows.studies.metatraining.card import summary
    from flows.studies.priors import make_prior

    made = make_prior(file, data=data, card=card, tell=(lambda _: None) if as_json else console.print)
    if as_json:
        emit({"out": str(made.out), "card": str(made.card), "seconds": made.seconds, **summary(made.prior)})
        return
    for line in made.lines():
        console.print(line)


@priors_app.command(name="list")
def list_priors(folder: Annotated[Path, typer.Argument(help="Folder of priors.")] = Path("priors"), as_json: JsonOption = False) -> None:
    """List the priors of a folder."""
    from flows.studies.priors import priors_in

    rows = priors_in(folder)
    if as_json:
        emit(rows)
        return
    for row in rows:
        what = row["error"] or "{name}: {origin}, targets {targets}, learners {learners}, {tasks} tasks, {rows} rows".format(**_joined(row))
        console.print(f"{row['path']}: {what}")
    if not rows:
        console.print(f"{folder}: no priors")


def _joined(row: dict[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}


@priors_app.command(name="show")
def show_prior(prior: Annotated[str, typer.Argument(help="A prior's file, or its name in ./priors.")], as_json: JsonOption = False) -> None:
    """Show a prior's model card: sources, audit, calibration, error against measurements, where it hurt."""
    from flows.studies.metatraining.card import card_markdown, summary
    from flows.studies.priors import named_prior

    found = named_prior(prior)
    if as_json:
        emit(summary(found))
    else:
        console.print(card_markdown(found), end="")


@priors_app.command(name="match")
def priors_match(
    file: FileArgument,
    lab: LabOption = None,
    prior: Annotated[list[Path] | None, typer.Option("--prior", help="A prior; may be repeated. Else those of ./priors.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far each known prior is to be trusted for a campaign, and why."""
    from flows.studies import priors

    verdicts = priors.match_priors(file, prior or [], lab=lab)
    if as_json:
        emit([one.document() for one in verdicts])
        return
    for one in verdicts:
        console.print(one.line)
