"""One name per wire, however it is written."""

import re
from pathlib import Path
from typing import Final

_THIS_MACHINE: Final = re.compile(r"^(localhost|ip6-localhost|\[(0*:)+0*1\])\.?(?=:|$)")
"""The names of the loopback address."""


def is_url(endpoint: str) -> bool:
    """Whether an endpoint is a url, and not a port's path."""
    return re.match(r"^[a-z][a-z0-9+.-]*://", endpoint, re.IGNORECASE) is not None


def canonical_endpoint(endpoint: str) -> str:
    """Return the one name of a wire: the real path of a port, a url in lower case without its closing slash."""
    if is_url(endpoint):
        scheme, _, rest = endpoint.lower().partition("://")
        host, slash, path_in = rest.partition("?")[0].rstrip("/").partition("/")
        return f"{scheme}://{_THIS_MACHINE.sub('127.0.0.1', host)}{slash}{path_in}"
    path = Path(endpoint)
    real = path.resolve()
    # A pseudo-terminal's number is given anew when its plant has died, while a host may still hold the old lock.
    return str(path.parent.resolve() / path.name if real.is_relative_to("/dev/pts") else real)
