"""Where a ledger is: a file, or a schema of a database that a PostgreSQL server keeps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from typing_extensions import override

from orchestrator.errors import BadInput

SHAPE: Final = "postgresql://USER@HOST:PORT/DATABASE"
HOW_TO_GIVE_PASSWORDS: Final = "a password stands in ~/.pgpass (or the file that PGPASSFILE names, mode 0600), or in PGPASSWORD"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""What PostgreSQL takes for a name without quotes (manual, 4.1.1); it cuts longer ones off."""
_SECRETS: Final = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
"""Parameters of libpq (manual, 34.1.2) that nobody else may read."""
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class ServerLedger:
    """A schema of a PostgreSQL database, which holds the ledger of one lab and says whose."""

    address: str
    """URL without the schema, as libpq reads it; it never holds a secret."""
    schema: str
    lab: str
    """Identifier of the lab."""
    kind: str
    """Of the lab: live or dry; empty while its first run has not settled that."""

    @override
    def __str__(self) -> str:
        return with_schema(self.address, self.schema)


LedgerPlace = Path | ServerLedger


def read_address(text: str, *, what: str) -> tuple[str, str | None]:
    """Return a URL without its schema, and the schema where it names one.

    Args:
        text: What a person wrote.
        what: Where it stands.

    Raises:
        BadInput: It is no such URL, or holds a password; what was written is not repeated. A password with a `/`, `?` or `#`
            in it ends the host for whoever reads a URL, so that an `@` behind the host counts as one.
    """
    try:
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.password is not None or "@" in "".join(parts[2:]) or any(name in query for name in _SECRETS):
            raise BadInput(f"{what}: there is a password in the URL; take it out: {HOW_TO_GIVE_PASSWORDS}")
        _ = parts.port
    except ValueError:  # its message, and the text itself, may hold a part of a password
        raise BadInput(f"{what} is no URL; expected {SHAPE}") from None
    if not text.startswith("postgresql://") or parts.fragment:
        said = beginning(text)
        raise BadInput(f"{what} {said}; expected {SHAPE}, with ?schema=NAME where the schema is not to be named after the lab")
    if "options" in query:
        raise BadInput(f"{what}: options = {query['options']!r} is not taken: Athanor sets the session's options itself")
    schema = query.pop("schema", None)
    if schema is not None and not _SCHEMA.fullmatch(schema):
        raise BadInput(f"{what}: schema = {schema!r}; expected small letters, digits and _, up to 63 of them, no digit first")
    return _join(text, query), schema


def beginning(text: str) -> str:
    """Say how a text begins that is not the URL expected: by its scheme alone, since anything else may hold a password."""
    scheme, colon, _ = text.partition("://")
    return f"begins with '{scheme}://'" if colon and re.fullmatch("[a-z][a-z0-9+]*", scheme) else "is no URL"


def with_schema(address: str, schema: str) -> str:
    """Return a URL that names a schema too."""
    return _join(address, {**dict(parse_qsl(urlsplit(address).query, keep_blank_values=True)), "schema": schema})


def schema_of(lab: str) -> str:
    """Return the name of the schema of a lab, after the random end of its identifier."""
    return f"athanor_{lab.replace('-', '')[-_DIGITS:]}"


def _join(url: str, query: Mapping[str, str]) -> str:
    """Return a URL with another query; its other parts stay as they were written."""
    bare = url.partition("?")[0]
    return f"{bare}?{urlencode(query, safe='/')}" if query else bare
