"""Types a command whose review runs have a short time-out in Prefect: `python -m tests.reviewing.entry SECONDS WORDS...`.

The product's is a month. It is handed over here, in this process, as soon as Prefect may be imported.
"""

import sys
from functools import partial
from importlib import import_module

from flows.cli import run
from flows.cli.carry import prepare_prefect
from flows.cli.main import main
from flows.prefect_server.server import ServerUse


def shorten(seconds: int) -> None:
    """Have whatever puts requests to people give Prefect this time-out."""

    def prepared(server: ServerUse) -> None:
        prepare_prefect(server)
        asking = import_module("flows.ui.review_runs")
        asking.PrefectAsker = partial(asking.PrefectAsker, timeout=seconds)  # type: ignore[attr-defined]  # a class as a factory

    run.prepare_prefect = prepared  # type: ignore[attr-defined]  # where the command looks it up


if __name__ == "__main__":
    shorten(int(sys.argv.pop(1)))
    main()
