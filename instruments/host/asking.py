"""One question to a bench host over its unix socket, with nothing but the standard library.

For the supervisor and `stop`, which must be small and must not hang: each question has one time-out for all of it.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from typing_extensions import override

from orchestrator.errors import AthanorError, BadInput, HostError, NeedsPerson

_ERRORS: Final[Mapping[int, type[AthanorError]]] = {400: BadInput, 423: NeedsPerson}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("bench", timeout=timeout)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(socket_path: str, method: str, path: str, body: Any = None, *, timeout: float) -> dict[str, Any]:
    """Ask a host and return its JSON answer.

    Args:
        socket_path: The host's unix socket.
        method: GET, POST or PUT.
        path: With its query.
        body: JSON-able; None for none.
        timeout: Wall seconds for connecting and for each part of the answer.

    Raises:
        HostError: Nobody answers, or the host refuses; the message has the host's line.
        NeedsPerson: The bench is latched.
        BadInput: The host says that the request itself is wrong.
    """
    connection = _UnixConnection(socket_path, timeout)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise HostError(f"bench host at {socket_path} gives no answer to {method} {path}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise refusal(answer.status, text)
    return parse_object(text)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; anything else is empty."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def refusal(status: int, text: str) -> AthanorError:
    """Turn a refused request into an error with the host's own line."""
    document = parse_object(text)
    line = document.get("detail", document.get("error", text.strip()))
    message = line if isinstance(line, str) and line else f"bench host answered {status}: {text.strip()[:200] or 'nothing'}"
    return _ERRORS.get(status, HostError)(message)
