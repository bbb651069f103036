"""One name per wire, however it is written."""

import re
import socket
from pathlib import Path
from typing import Final

_THIS_MACHINE: Final = re.compile(r"^(localhost|ip6-localhost|\[(0*:)+0*1\])\.?(?=:|$)")
"""The names of the loopback address."""
_BYTES: Final = frozenset({"tcp", "socket", "rfc2217"})
"""Schemes of urls that carry bytes to one port of one machine: it is one device server whichever of them is spoken."""


_RESOURCE: Final = re.compile(r"(?P<bus>gpib|usb|tcpip)(?P<board>[0-9]*)::", re.IGNORECASE)
"""How the name of a VISA resource begins."""


_ITSELF: Final = re.compile(r"inst0|hislip0(,[0-9]+)?")
"""LAN device names of an instrument itself, by VXI-11 and by HiSLIP; other ones are of what hangs behind a gateway."""


def is_url(endpoint: str) -> bool:
    """Whether an endpoint is a url, and not a port's path."""
    return re.match(r"^[a-z][a-z0-9+.-]*://", endpoint, re.IGNORECASE) is not None


def canonical_endpoint(endpoint: str) -> str:
    """Return the one name of a wire: the real path of a port, a url in lower case without its closing slash.

    Where bytes alone are carried, host names are resolved. What `hwgrep://` finds is not looked up here: whoever opens the
    port takes it for itself.
    """
    if _RESOURCE.match(endpoint):
        return _visa(endpoint)
    if is_url(endpoint) and endpoint.partition("://")[0].lower() in _BYTES:
        return f"tcp://{_resolved(endpoint)}"
    if is_url(endpoint):
        scheme, _, rest = endpoint.lower().partition("://")
        host, slash, path_in = rest.partition("?")[0].rstrip("/").partition("/")
        return f"{scheme}://{_THIS_MACHINE.sub('127.0.0.1', host)}{slash}{path_in}"
    path = Path(endpoint)
    real = path.resolve()
    # A pseudo-terminal's number is given anew when its plant has died, while a host may still hold the old lock.
    return str(path.parent.resolve() / path.name if real.is_relative_to("/dev/pts") else real)


def _visa(resource: str) -> str:
    """Write a VISA resource with all that may be left out, numbers in decimals and its host resolved (VPP-4.3, 4.3.1)."""
    begun = _RESOURCE.match(resource)
    assert begun is not None
    bus, board = begun["bus"].lower(), int(begun["board"] or 0)
    parts = resource[begun.end() :].lower().removesuffix("::instr").split("::")
    if bus == "tcpip":
        behind = "" if len(parts) == 1 or _ITSELF.fullmatch(parts[1]) else f"::{parts[1]}"
        return f"visa://tcpip::{_resolved(f'tcp://{parts[0]}:0').rpartition(':')[0]}{behind}"  # the board is this machine's way there
    if bus == "usb" and parts[3:] == ["0"]:
        parts = parts[:3]
    return f"visa://{bus}{board}::{'::'.join(_decimal(one) for one in parts)}"


def _decimal(part: str) -> str:
    try:
        return str(int(part, 16 if part.startswith("0x") else 10))
    except ValueError:
        return part


def _resolved(endpoint: str) -> str:
    """Return address and port of a url; as they are written where the name is not known."""
    place = re.split("[/?]", endpoint.partition("://")[2].lower(), maxsplit=1)[0]
    host, _, port = place.rpartition(":")
    try:
        known = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return place
    address = sorted(known, key=lambda one: one[0] != socket.AF_INET)[0][4][0]
    return f"{'127.0.0.1' if address == '::1' else address}:{port}"
