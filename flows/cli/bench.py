"""`athanor simulate`: the simulated devices in the foreground."""

import signal
import threading
from pathlib import Path

from flows.console import console
from flows.plans.disk_space import check_room
from flows.plans.lab import lab_folder, make_lab
from instruments.bench.file import load_bench
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from orchestrator.errors import BadInput


def _until_told() -> None:
    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    try:
        leave.wait()
    except KeyboardInterrupt:
        return


def simulate_bench(bench: Path, *, lab: Path | None, rate: float, seed: int) -> None:
    """Start the plant of a bench and keep it until interrupted."""
    file = load_bench(bench.resolve())
    plant = file.spec.simulation.get("plant")
    if plant is None:
        raise BadInput(f"{bench}: simulated devices need [simulation] plant = FILE")
    check_room(lab_folder(lab, beside=file.path, kind="dry"))
    found = make_lab(lab, beside=file.path, kind="dry")
    endpoints = ensure_plant(found.path, file.path.parent / plant, bench_sha256=file.sha256, seed=seed, rate=rate)
    for link, endpoint in endpoints.items():
        console.print(f"{link}: {endpoint}")
    console.print(f"simulated devices run at {rate:g} lab seconds per second in lab {found.path}; Ctrl-C ends them")
    _until_told()
    shutdown_plant(found.path)
