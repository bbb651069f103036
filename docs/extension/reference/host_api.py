"""The bench host's HTTP API, from what FastAPI says of it."""

from typing import Any

from fastapi import FastAPI

from docs.extension.reference.markdown import code, section, table
from instruments.host.requests import RequestHandler
from instruments.host.service import REFUSALS, Endpoints, JournalChanges


def written() -> str:
    """Write all paths, and the statuses of what is refused."""
    rows = [
        (code(f"{method.upper()} {path}"), ", ".join(filter(None, map(_parameter, one.get("parameters", ())))), one["description"])
        for path, methods in description()["paths"].items()
        for method, one in methods.items()
    ]
    refused = [(str(status), code(error.__name__), (error.__doc__ or "").strip().partition("\n")[0]) for error, status in REFUSALS.items()]
    return section("Paths", table(("method and path", "in the query", "what it does"), rows)) + section(
        "Refusals", 'The body is `{"error": TEXT, "kind": NAME}`.', table(("status", "kind", "when"), refused)
    )


def description() -> dict[str, Any]:
    """Return the OpenAPI document of all paths; no host is needed."""
    app = FastAPI(title="Athanor bench host")
    app.include_router(Endpoints(RequestHandler.__new__(RequestHandler), JournalChanges()).router)
    return app.openapi()


def _parameter(one: dict[str, Any]) -> str:
    if one["in"] == "path":
        return ""
    return f"`{one['name']}` ({one['schema']['type']}, default {code(one['schema'].get('default'))})"
