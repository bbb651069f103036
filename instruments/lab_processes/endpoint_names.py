"""One name per wire, however it is written."""

import re
import socket
from pathlib import Path
from typing import Final

_THIS_MACHINE: Final = re.compile(r"^(localhost|ip6-localhost|\[(0*:)+0*1\])\.?(?=:|$)")
"""The names of the loopback address."""
_BYTES: Final = frozenset({"tcp", "socket", "rfc2217"})
"""Schemes of urls that carry bytes to one port of one machine: it is one device server whichever of them is spoken."""


def is_url(endpoint: str) -> bool:
    """Whether an endpoint is a url, and not a port's path."""
    return re.match(r"^[a-z][a-z0-9+.-]*://", endpoint, re.IGNORECASE) is not None


def canonical_endpoint(endpoint: str) -> str:
    """Return the one name of a wire: the real path of a port, a url in lower case without its closing slash.

    Where bytes alone are carried, host names are resolved. What `hwgrep://` finds is not looked up here: whoever opens the
    port takes it for itself.
    """
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
