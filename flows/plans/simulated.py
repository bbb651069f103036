"""The simulated devices of a bench, without a campaign."""

from collections.abc import Mapping
from pathlib import Path

from flows.plans.disk_space import check_room
from flows.plans.lab import Lab, lab_folder, make_lab
from instruments.bench.endpoints import secured_links
from instruments.bench.file import load_bench
from instruments.lab_processes.plant_process import ensure_plant
from orchestrator.errors import BadInput


def start_plant(bench: Path, *, lab: Path | None, rate: float, seed: int) -> tuple[Lab, Mapping[str, str]]:
    """Start the plant of a bench at so many lab seconds per wall second; return its lab and its endpoints by link.

    Raises:
        BadInput: The bench file names no plant.
    """
    file = load_bench(bench.resolve())
    plant = file.spec.simulation.get("plant")
    if plant is None:
        raise BadInput(f"{bench}: simulated devices need [simulation] plant = FILE")
    check_room(lab_folder(lab, beside=file.path, kind="dry"))
    found = make_lab(lab, beside=file.path, kind="dry")
    secured = secured_links(file)
    return found, ensure_plant(found.path, file.path.parent / plant, bench_sha256=file.sha256, seed=seed, rate=rate, secured=secured)
