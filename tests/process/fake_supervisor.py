"""The real supervisor with the fake host and a safe state that only leaves a note.

python -m tests.process.fake_supervisor --lab DIR --bench FILE [--endpoints FILE]
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from instruments.host.stop import Stopped
from instruments.host.watch import Supervisor, Times, start_host


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--endpoints", type=Path)
    chosen = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    command = [sys.executable, "-m", "tests.process.fake_host", "--lab", str(chosen.lab)]
    times = Times(restart_within=30.0, question=0.2)
    supervisor = Supervisor(chosen.lab, lambda: start_host(chosen.lab, command), lambda: Stopped(("oven.off: done",)), times)
    return supervisor.run(stopping, bench=str(chosen.bench))


if __name__ == "__main__":
    sys.exit(main())
