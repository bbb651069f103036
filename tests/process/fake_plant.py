"""A plant without devices: holds its lock, says where its devices would be, and waits for its end.

python -m tests.process.fake_plant --plant FILE --folder DIR --bench-sha256 HEX --seed N --rate R
"""

import argparse
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

from instruments.lab_processes.state_files import write_state_file


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, kind in (("plant", Path), ("folder", Path), ("bench-sha256", str), ("seed", int), ("rate", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    chosen = parser.parse_args()
    if not chosen.plant.exists():
        sys.stderr.write(f"plant file {chosen.plant} does not exist\n")
        return 1
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with (chosen.folder / "plant.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = {"bench_sha256": chosen.bench_sha256, "seed": chosen.seed, "rate": chosen.rate}
        places = {"pumps": {"port": str(chosen.folder / "pumps.tty")}, "platform": {"url": "opc.tcp://127.0.0.1:1/x"}}
        document = {**named, "pid": os.getpid(), "boot_id": str(os.getpid()), "t0_monotonic": time.monotonic(), "endpoints": places}
        write_state_file(chosen.folder / "endpoints.json", document)
        stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
