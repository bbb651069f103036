"""The simulated devices of a bench, without a campaign."""

from collections.abc import Mapping
from pathlib import Path

from flows.plans.disk_space import check_room
from flows.plans.lab import Lab, lab_folder, make_lab
from instruments.bench.endpoints import at_plant, read_endpoints, secured_links
from instruments.bench.file import BenchFile, load_bench
from instruments.lab_processes.plant_process import ensure_plant
from instruments.lab_processes.state_files import ENDPOINTS, LAB, PLANT, read_state_file
from instruments.lab_processes.stop import plant_lives
from orchestrator.commandline import typed
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


def aimed(bench: BenchFile, lab: Path) -> BenchFile:
    """Point a bench to the simulated devices of a dry lab; of a live one, its own wires are its devices.

    Raises:
        BadInput: They do not run, or simulate another bench file: nothing meant for them goes to the file's own wires.
    """
    if read_state_file(lab / LAB).get("kind") != "dry":
        return bench
    if not plant_lives(lab):
        raise BadInput(f"{lab} is a dry lab and its simulated devices do not run; `{typed('simulate', bench.path)}` starts them")
    endpoints = read_endpoints(lab / PLANT / ENDPOINTS)
    if endpoints.get("bench_sha256") != bench.sha256:
        raise BadInput(
            f"{lab} is a dry lab and simulates another bench file than {bench.path}, or this one before it was changed: nothing is sent; "
            f"`{typed('simulate', bench.path, '--lab', 'DIR')}` simulates it in a lab of its own"
        )
    return at_plant(bench, endpoints)
