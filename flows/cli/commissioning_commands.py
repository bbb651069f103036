"""Commands for the first meeting with a device: browse what is there, probe what it says."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.console import console
from flows.cli.options import JsonOption, LabOption, by_option, commands
from orchestrator.errors import BadInput

app = commands()

PolicyOption = Annotated[
    Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] | None,
    typer.Option("--policy", help="Of a secured server: its policy; the lab's certificate is shown to it."),
]


@app.command()
def browse(
    target: Annotated[
        str | None,
        typer.Argument(help="opc.tcp://HOST:PORT/PATH, a serial port, or tcp://HOST:PORT; with --bench an instrument; else all ports."),
    ] = None,
    bench: Annotated[Path | None, typer.Option("--bench", help="Browse as this bench file reaches the instrument.")] = None,
    policy: PolicyOption = None,
    mode: Annotated[Literal["SignAndEncrypt", "Sign"], typer.Option("--mode", help="Of a secured server.")] = "SignAndEncrypt",
    user: Annotated[str | None, typer.Option("--user", help="Name of the user at a secured server.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File (mode 0600) with the user's password.")] = None,
    password_env: Annotated[str | None, typer.Option("--password-env", help="Environment variable with it.")] = None,
    driver: Annotated[str | None, typer.Option("--driver", help="Ask the device at a port as this driver or profile does.")] = None,
    address: Annotated[int | None, typer.Option("--address", help="Of the device on its line.")] = None,
    frame: Annotated[str, typer.Option("--frame", help="Of a serial port.")] = "8N1",
    baud: Annotated[int, typer.Option("--baud", help="Of a serial port.")] = 19200,
    lab: LabOption = None,
) -> None:
    """Say what a server offers, as a stub of a bench file; or which serial ports there are; changes nothing."""
    from flows.running import browse_operations as browsing

    named = {"password-file": password_file, "password-env": password_env, "user": user, "policy": policy}
    if bench is not None:
        if target is None or any(one is not None for one in (*named.values(), driver)):
            raise BadInput(
                "browse --bench FILE INSTRUMENT takes security and driver from the file; expected an instrument and --lab at most"
            )
        found = browsing.browse_instrument(bench, target, lab=lab)
    elif target is not None and target.lower().startswith("opc.tcp:"):
        secured = browsing.Secured(policy, mode, user, password_file, password_env)
        found = browsing.browse_server(target, secured, lab=lab)
    else:
        if strangers := [name for name, one in named.items() if one is not None]:
            raise BadInput(f"--{strangers[0]} belongs to a secured OPC-UA server; {target or 'a list of ports'} is none")
        found = browsing.browse_ports(target, driver=driver, address=address, frame=frame, baud=baud)
    console.print(found, end="", markup=False, highlight=False, soft_wrap=True)


@app.command()
def probe(
    bench: Annotated[Path, typer.Argument(help="The bench file.")],
    instrument: Annotated[str, typer.Argument(help="Its name there.")],
    values: Annotated[
        list[str] | None, typer.Option("--set", help="ARGUMENT=VALUE of one setting, sent once you agree; may be given again.")
    ] = None,
    command: Annotated[str | None, typer.Option("--command", help="The setting, where its arguments do not tell it.")] = None,
    by: Annotated[str, by_option("With a setting: who sets it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="With a setting: why.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is sent.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read one device beside its front panel, raw values too; with --set or --command, make one setting by hand."""
    from flows.cli.probe import probe_device, set_device

    if values or command is not None:
        set_device(bench, instrument, values or [], command=command, word=(by, reason), yes=yes, lab=lab, as_json=as_json)
    elif by or reason or yes:
        raise BadInput("--by, --reason and --yes belong to a setting; expected --set ARGUMENT=VALUE or --command NAME beside them")
    else:
        probe_device(bench, instrument, lab=lab, as_json=as_json)
