"""The port of a home's Prefect server: the same at each start where it is free, so that bookmarks hold."""

import hashlib
import socket
from pathlib import Path
from typing import Final

from instruments.lab_processes.state_files import read_state_file, write_state_file
from orchestrator.errors import Fault

NOTE: Final = "port.json"
_LOWEST: Final = 20_000
_COUNT: Final = 10_000
"""Below what Linux gives to outgoing connections (ip_local_port_range, by default 32768 to 60999 [ip(7)]): none takes it by chance."""


def choose_port(home: Path) -> tuple[int, str | None]:
    """Return the home's port, or another one with a line that says so; the first port that a home had stays its own.

    Raises:
        Fault: No port is free.
    """
    known = read_state_file(home / NOTE).get("port")
    wanted = known if isinstance(known, int) and 0 < known < 65_536 else _first(home)
    port = next((one for one in (wanted, *_others(wanted)) if _is_free(one)), None)
    if port is None:
        raise Fault(f"no port from {_LOWEST} to {_LOWEST + _COUNT - 1} is free for the Prefect server")
    if port == wanted or known is None:
        write_state_file(home / NOTE, {"port": port})
        return port, None
    return port, f"port {wanted}, which this lab's Prefect UI has otherwise, is taken by another program: it is at {port} this time"


def _first(home: Path) -> int:
    """Return a port that hardly any other home would choose."""
    return _LOWEST + int.from_bytes(hashlib.sha256(str(home.absolute()).encode()).digest()[:4], "big") % _COUNT


def _others(wanted: int) -> list[int]:
    return [_LOWEST + (wanted - _LOWEST + step) % _COUNT for step in range(1, _COUNT)]


def _is_free(port: int) -> bool:
    """Say whether a server could listen; a connection of an earlier one that is still fading does not count, as for Prefect itself."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
