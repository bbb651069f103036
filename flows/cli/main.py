"""The command line: `athanor COMMAND`.

A command is a function in one of the modules of commands, which parses options, calls an operation and formats what that
returns. They import what they need when they are called, so that `stop`, `status` and `verify` start at once.
"""

import logging
import os
import sys
import tempfile
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

from flows.cli import (
    campaign_commands,
    commissioning_commands,
    file_commands,
    measure_commands,
    measure_import,
    reading_commands,
    review_commands,
    status,
    steering_commands,
    study_commands,
    trust_commands,
    twin_commands,
    work_commands,
)
from flows.cli.console import fail
from orchestrator.errors import AthanorError, Fault

_PACKAGES: Final = ("athanor", "orchestrator", "instruments", "policies", "models", "flows", "simulators")

app = typer.Typer(
    name="athanor",
    help="Autonomous experiment campaigns in materials synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _module in (
    file_commands,
    commissioning_commands,
    campaign_commands,
    status,
    steering_commands,
    review_commands,
    work_commands,
    reading_commands,
    study_commands,
):
    app.add_typer(_module.app)
app.add_typer(study_commands.priors_app, name="priors")
app.add_typer(review_commands.review_app, name="review")
app.add_typer(review_commands.people_app, name="people")
app.add_typer(trust_commands.trust_app, name="trust")
app.add_typer(twin_commands.twin_app, name="twin")
app.add_typer(measure_commands.measure_app, name="measure")
measure_commands.measure_app.command(name="import")(measure_import.import_results)


def check_packages() -> None:
    """Refuse to start when another distribution has overwritten one of our packages, whose names are generic.

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
