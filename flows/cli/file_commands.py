"""Commands for a lab's files, before anything runs: init, schema, check, drivers, simulate."""

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.console import console
from flows.cli.init import Template, scaffold
from flows.cli.options import DataOption, FileArgument, JsonOption, LabOption, commands
from orchestrator.errors import BadInput

app = commands()


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="A new folder.")],
    template: Annotated[Template, typer.Option(help="What it is for.")] = Template.FLOW,
) -> None:
    """Scaffold a lab folder: a campaign file, a bench file, what they name, README."""
    from orchestrator.commandline import typed

    chosen = scaffold(directory, template)
    console.print(f"{directory}: {', '.join(chosen.files)}")
    console.print("next:")
    for command, name in chosen.then:
        console.print(f"  {typed(command, directory / name)}")


@app.command()
def schema(
    kind: Annotated[Literal["campaign", "bench", "prior", "benchmark", "profile", "mapping"], typer.Argument(help="What the file is for.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output where it is left out.")] = None,
) -> None:
    """Write the JSON Schema of a file, for an editor that completes and checks what is typed."""
    from flows.schemas.files import SCHEMAS

    written = json.dumps(SCHEMAS[kind](), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        console.print(written, end="")
        return
    try:
        out.write_text(written, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror}") from error
    console.print(f"{out}: `#:schema {out.name}` as the first line of a file beside it names it to editors that read TOML")


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
def drivers(
    name: Annotated[str | None, typer.Argument(help="As a bench file names it; all where it is left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the drivers that a bench file can name, or show one with its commands, channels and safe actions."""
    from flows.cli.drivers import list_drivers, show_driver

    if name is None:
        list_drivers(as_json=as_json)
    else:
        show_driver(name, as_json=as_json)


@app.command()
def simulate(
    bench: Annotated[Path, typer.Argument(help="The bench file.")],
    lab: LabOption = None,
    rate: Annotated[float, typer.Option("--rate", help="Lab seconds per wall second.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of noise and drift.")] = 0,
) -> None:
    """Start the simulated devices of a bench, and keep them until interrupted."""
    from flows.plans.sampled_priors import sampled_priors
    from flows.plans.simulated import start_plant
    from instruments.lab_processes.plant_process import shutdown_plant

    started = start_plant(bench, lab=lab, rate=rate, seed=seed, drawing=sampled_priors)
    for link, endpoint in started.endpoints.items():
        console.print(f"{link}: {endpoint}")
    for name, what in started.stand_ins.items():
        console.print(f"{name}: {what}")
    console.print(f"simulated devices run at {rate:g} lab seconds per second in lab {started.lab.path}; Ctrl-C ends them")
    _until_told()
    shutdown_plant(started.lab.path)


def _until_told() -> None:
    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    try:
        leave.wait()
    except KeyboardInterrupt:
        return
