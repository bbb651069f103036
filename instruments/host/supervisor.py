"""The supervisor: keeps one bench host alive, and drives the safe state itself when that cannot be done.

    python -m instruments.host.supervisor --lab DIR --bench FILE [--endpoints FILE]

It loads drivers only: no model, no ledger, no Prefect, so that little can break in it.
"""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from instruments.benchfile import load_bench
from instruments.host.connect import connect
from instruments.host.lastresort import LastResort, line
from instruments.host.notes import HOST_ERROR, leave_word
from instruments.host.watch import Supervisor, Times, start_host
from instruments.notification import Notifier
from orchestrator.errors import AthanorError, Fault

logger = logging.getLogger(__name__)


def host_command(lab: Path, bench: Path, endpoints: Path | None) -> list[str]:
    """Return the command line of a bench host."""
    command = [sys.executable, "-P", "-m", "instruments.host", "--lab", str(lab), "--bench", str(bench)]
    return command if endpoints is None else [*command, "--endpoints", str(endpoints)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the supervisor of one bench until its host leaves."""
    parser = argparse.ArgumentParser(prog="python -m instruments.host.supervisor", description=main.__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--endpoints", type=Path)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncua").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is no reason to leave a bench alone
    lab, bench, endpoints = chosen.lab.absolute(), chosen.bench.absolute(), chosen.endpoints and chosen.endpoints.absolute()
    try:
        return _supervise(lab, bench, endpoints, stopping)
    except (AthanorError, OSError) as error:
        logger.critical("%s", error)
        leave_word(lab / HOST_ERROR, {"error": str(error)})
        return error.exit_code if isinstance(error, AthanorError) else Fault.exit_code


def _supervise(lab: Path, bench: Path, endpoints: Path | None, stopping: threading.Event) -> int:
    safe_state = LastResort.prepare(load_bench(bench), connect, lab=lab, what="supervisor", endpoints=endpoints)
    command = host_command(lab, bench, endpoints)
    times = Times(safe_state.bench.spec.bench.restart_within)
    notifier = Notifier.from_environment(lab)
    supervisor = Supervisor(lab, lambda: start_host(lab, command), lambda: [line(one) for one in safe_state.drive()], times, notifier)
    note = {"bench": str(bench), **({"endpoints": str(endpoints)} if endpoints else {})}
    try:
        return supervisor.run(stopping, **note)
    finally:
        notifier.close()


if __name__ == "__main__":
    sys.exit(main())
