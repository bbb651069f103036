"""Which processes of a lab are alive."""

from pathlib import Path
from typing import Any

from instruments.lab_processes.campaign_lock import campaign_holder
from instruments.lab_processes.locks import read_holder
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import ENDPOINTS, PLANT, read_state_file
from instruments.lab_processes.stop import host_of, plant_lives, supervisor_of


def process_table(lab: Path) -> dict[str, dict[str, Any] | None]:
    """Return pid and start of each live process of a lab; None for one that does not run."""
    lab = lab.absolute()
    keeper = read_holder(lab / "prefect" / "keeper.lock")
    found = {
        "campaign": campaign_holder(lab),
        "host": host_of(lab),
        "supervisor": supervisor_of(lab),
        "plant": _plant(lab),
        "prefect": keeper.process if keeper else None,
    }
    return {name: {"pid": one.pid, "started": one.started} if one else None for name, one in found.items()}


def _plant(lab: Path) -> Process | None:
    pid = read_state_file(lab / PLANT / ENDPOINTS).get("pid")
    return Process.of(pid) if isinstance(pid, int) and plant_lives(lab) else None
