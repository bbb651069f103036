"""Reading a bench's devices without running anything: for `check --connect`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from instruments.bench.connect import connect
from instruments.bench.file import BenchFile
from instruments.bench.link_names import LinkName
from instruments.bench_client.client import HostClient
from instruments.drivers.protocol import Driver
from instruments.lab_processes.bench_process import host_alive
from instruments.lab_processes.endpoint_locks import EndpointLocks
from orchestrator.clock import LiveClock
from orchestrator.errors import AthanorError, BadInput


def read_identities(bench: BenchFile, lab: Path) -> dict[str, str]:
    """Ask every device what it is: through the live host where there is one, else under the wires' locks.

    Raises:
        BadInput: One line: an occupied wire (who holds it), an absent device, or one that is not the one expected.
    """
    if host_alive(lab):
        with HostClient.of_lab(lab) as client:
            return {name: _shown(identity) for name, identity in client.status()["identities"].items()}
    try:
        with EndpointLocks([link.endpoint for link in bench.spec.links.values()], what="check --connect", lab=lab):
            return _ask_all(bench.in_lab(lab))
    except AthanorError as error:
        raise BadInput(f"{bench.path.name}: {error}") from error


def _ask_all(bench: BenchFile) -> dict[str, str]:
    found: dict[str, str] = {}
    for link in dict.fromkeys(spec.link for spec in bench.spec.instruments.values()):
        drivers: Mapping[str, Driver] = connect(bench, link, LiveClock())
        try:
            for name, driver in drivers.items():
                with LinkName(link, bench.spec.links[link].endpoint).prefixing_errors(name):
                    found[name] = _shown(asdict(driver.identify()))
        finally:
            for driver in drivers.values():
                driver.close()
    return {name: found[name] for name in bench.spec.instruments}


def _shown(identity: Mapping[str, Any]) -> str:
    return f"{identity['model']}, serial number {identity['serial_number'] or '-'}, firmware {identity['firmware'] or '-'}"
