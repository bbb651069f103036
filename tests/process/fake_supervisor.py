"""The real supervisor with the fake host and a safe state that only leaves a note.

python -m tests.process.fake_supervisor --lab DIR --bench FILE [--endpoints FILE]
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from instruments.lab_processes.stop import Stopped
from instruments.supervisor.supervisor import Supervisor, Times, start_host


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--endpoints", type=Path)
    chosen = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    command = [sys.executable, "-m", "tests.process.fake_host", "--lab", str(chosen.lab)]
    os.chdir(chosen.lab)  # like the real one, it stays in a lab that is moved
    times = Times(restart_within=30.0, question=0.2)
    supervisor = Supervisor(Path(), lambda: start_host(Path(), command), lambda: Stopped(("oven.off: done",)), times)
    return supervisor.run(stopping, bench=str(chosen.bench))


if __name__ == "__main__":
    sys.exit(main())
