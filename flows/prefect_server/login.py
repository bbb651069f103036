"""The login of the Prefect API: user and password from the environment, never in a file or on a command line.

Open-source Prefect knows one login and no roles: whoever has it may do everything that the page offers.
"""

import base64
import http.client
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from orchestrator.errors import BadInput, Fault

LOGIN_VARIABLE: Final = "ATHANOR_API_AUTH"
_ASK_SECONDS: Final = 10.0
_ASKED: Final = "/admin/version"
"""A cheap question that needs the login; readiness does not."""


def api_login() -> str | None:
    """Return `user:password`; None where no login is wanted.

    Raises:
        BadInput: It has another shape; what came is not repeated.
    """
    given = os.environ.get(LOGIN_VARIABLE)
    if not given:
        return None
    user, colon, password = given.partition(":")
    if not (user and colon and password and given.isprintable()):
        raise BadInput(f"{LOGIN_VARIABLE} is no login; expected user:password, both of printable characters")
    return given


def client_settings() -> dict[str, str]:
    """Return what a client of the API needs in its environment."""
    login = api_login()
    return {} if login is None else {"PREFECT_API_AUTH_STRING": login}


def server_settings() -> dict[str, str]:
    """Return what the server needs in its environment."""
    login = api_login()
    return {} if login is None else {"PREFECT_SERVER_API_AUTH_STRING": login}


def check_login(url: str) -> None:
    """Refuse a server whose login is not the one that was asked for.

    Raises:
        Fault: It asks for another login, or for one where none is given, or for none at all.
    """
    login = api_login()
    if _status(url, login) == http.client.UNAUTHORIZED:
        wrong = f"asks for another login than {LOGIN_VARIABLE}" if login else f"asks for a login; set {LOGIN_VARIABLE} to user:password"
        raise Fault(f"the Prefect server at {url} {wrong}")
    if login is not None and _status(url, None) != http.client.UNAUTHORIZED:
        raise Fault(
            f"the Prefect server at {url} asks for no login, though {LOGIN_VARIABLE} is set; end the commands that use it, and begin again"
        )


def _status(url: str, login: str | None) -> int:
    headers = {} if login is None else {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    try:
        return status_of(url, _ASKED, headers, seconds=_ASK_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise Fault(f"the Prefect server at {url} does not answer: {error}") from error


def status_of(url: str, path: str, headers: Mapping[str, str], *, seconds: float) -> int:
    """Return the HTTP status of a GET below the API's url; by hand, since a proxy in the environment is none of our business.

    Raises:
        OSError: Nobody answers.
        http.client.HTTPException: What answers speaks something else.
    """
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=seconds)
    try:
        connection.request("GET", f"{place.path}{path}", headers=dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()
