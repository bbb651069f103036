"""Put the JSON-LD context of RO-Crate 1.1 into a cache from which roc-validator works without a network.

Runs in an environment of its own (`make crate`), beside roc-validator, and takes the context from the release 0.14 of the
library rocrate, which carries it.
"""

import io
import sys
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_cache import CachedSession
from typing_extensions import override
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class FromFile(BaseAdapter):
    """Answers any request with a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @override
    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body, headers = io.BytesIO(self._path.read_bytes()), {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(body=body, headers=headers, status=200, preload_content=False, request_url=str(request.url))
        return HTTPAdapter().build_response(request, raw)

    @override
    def close(self) -> None:
        """Nothing is open."""


def main(context: Path, cache: Path) -> None:
    """Fill a cache (`CACHE.sqlite`) from a file with the context."""
    if f'"@id": "{CONTEXT}"' not in context.read_text(encoding="utf-8"):
        raise SystemExit(f"{context} is not the context of RO-Crate 1.1")
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", FromFile(context))
        session.get(CONTEXT, headers={"Accept": "application/ld+json"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
