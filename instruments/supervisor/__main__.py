"""The supervisor: keeps one bench host alive, and drives the safe state itself when that cannot be done.

    python -m instruments.supervisor --lab DIR --bench FILE [--endpoints FILE]

It loads drivers only: no model, no ledger, no Prefect, so that little can break in it.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from instruments.bench.connect import connect_for_safety
from instruments.bench.file import BenchFile, read_bench
from instruments.lab_processes.bench_copies import kept_copy, noted_bench, places, relative_to_lab
from instruments.lab_processes.state_files import HOST_ERROR, record_exit_reason
from instruments.lab_processes.stop import Stopped, stopped_from
from instruments.notification import Notifier
from instruments.supervisor.safe_state_without_host import SafeStateWithoutHost, drive_in_turn
from instruments.supervisor.supervisor import Supervisor, Times, start_host
from orchestrator.errors import AthanorError, Fault

logger = logging.getLogger(__name__)


def host_command(lab: Path, bench: Path, endpoints: Path | None) -> list[str]:
    """Return the command line of a bench host."""
    command = [sys.executable, "-P", "-m", "instruments.host", "--lab", str(lab), "--bench", str(bench)]
    return command if endpoints is None else [*command, "--endpoints", str(endpoints)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the supervisor of one bench until its host leaves."""
    parser = argparse.ArgumentParser(prog="python -m instruments.supervisor", description=main.__doc__)
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
    bench, endpoints = chosen.bench.absolute(), chosen.endpoints and chosen.endpoints.absolute()
    os.chdir(chosen.lab)  # the lab may be moved while we watch: here it stays "."
    try:
        return _supervise(Path(), bench, relative_to_lab(Path(), endpoints), stopping)
    except (AthanorError, OSError) as error:
        logger.critical("%s", error)
        record_exit_reason(Path(HOST_ERROR), {"error": str(error)})
        return error.exit_code if isinstance(error, AthanorError) else Fault.exit_code


def _supervise(lab: Path, bench: Path, endpoints: Path | None, stopping: threading.Event) -> int:
    def prepared(file: BenchFile) -> SafeStateWithoutHost:
        return SafeStateWithoutHost.prepare(file, connect_for_safety, lab=lab, what="supervisor", endpoints=endpoints)

    safe_state = prepared(read_bench(bench))

    def start() -> subprocess.Popen[bytes]:
        file = same_bench(lab, safe_state.bench)
        return start_host(lab, host_command(lab.absolute(), file.absolute(), endpoints and endpoints.absolute()))

    def drive() -> Stopped:
        return stopped_from(drive_in_turn([lambda: safe_state, lambda: prepared(read_bench(noted_bench(lab) or bench))]).document())

    notifier = Notifier.from_environment(lab)
    supervisor = Supervisor(lab, start, drive, Times(safe_state.bench.spec.bench.restart_within), notifier)
    try:
        return supervisor.run(stopping, **places(lab.absolute(), bench, endpoints and endpoints.absolute()))
    finally:
        notifier.close()


def same_bench(lab: Path, bench: BenchFile) -> Path:
    """Return from where a host reads the bench that is supervised: its file, or the copy once that was changed or is gone."""
    try:
        same = read_bench(bench.path).sha256 == bench.sha256
    except AthanorError:
        same = False
    return bench.path if same else kept_copy(lab, bench.path.name, bench.sha256) or bench.path


if __name__ == "__main__":
    sys.exit(main())
