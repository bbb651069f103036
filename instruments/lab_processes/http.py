"""One question to a bench host over its unix socket, with nothing but the standard library.

For the supervisor and `stop`, which must be small and must not hang, and for the campaign's client: a connection per
question (0.1 ms) has no pool that goes stale when the host is started again, and any thread may ask.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from typing_extensions import override

from orchestrator.errors import AthanorError, BadInput, BenchLatched, HostError, HostRefusal

_ERRORS: Final[Mapping[int, type[AthanorError]]] = {400: BadInput, 409: HostRefusal, 423: BenchLatched}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("bench", timeout=timeout)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # closed by `close`, also when connecting fails
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def exchange(
    socket_path: str, method: str, path: str, body: Any = None, *, timeout: float, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Send one request on a connection of its own and return status and text of the answer.

    Args:
        socket_path: The host's unix socket.
        method: GET, POST or PUT.
        path: With its query.
        body: JSON-able; None for none.
        timeout: Wall seconds for connecting and for each part of the answer.
        headers: Further ones.

    Raises:
        HostError: Nobody listens, the connection broke, or no answer came in time: the request may have arrived.
    """
    connection = _UnixConnection(socket_path, timeout)
    content = None if body is None else json.dumps(body)
    kind = {"Content-Type": "application/json"} if content else {}
    try:
        connection.request(method, path, content, {**kind, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except TimeoutError as error:
        raise HostError(f"bench host at {socket_path} gave no answer to {method} {path} within {timeout:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise HostError(f"bench host at {socket_path} cannot be reached: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def ask_host(socket_path: str, method: str, path: str, body: Any = None, *, timeout: float) -> dict[str, Any]:
    """Ask a host once and return its JSON answer.

    Raises:
        HostError: Nobody answers (in time), or the host refuses; the message has the host's line.
        NeedsPerson: The bench is latched.
        BadInput: The host says that the request itself is wrong.
    """
    status, text = exchange(socket_path, method, path, body, timeout=timeout)
    if status >= 400:
        raise refusal_error(status, text)
    return parse_object(text)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; anything else is empty."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def refusal_error(status: int, text: str) -> AthanorError:
    """Turn a refused request into an error with the host's own line."""
    document = parse_object(text)
    line = document.get("detail", document.get("error", text.strip()))
    message = line if isinstance(line, str) and line else f"bench host answered {status}: {text.strip()[:200] or 'nothing'}"
    return _ERRORS.get(status, HostError)(message)
