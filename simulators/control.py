"""The back door of a plant: JSON lines on a unix socket, outside every wire.

One request per line, one answer per line: {"op": "ping"} | {"op": "state"} | {"op": "inject", "fault": {...}} |
{"op": "clear", "device": NAME or null} | {"op": "repair", "device": NAME}. Answers hold "ok"; a refusal says why in "error".
"""

import asyncio
import json
import logging
from collections.abc import Callable
from hashlib import sha256
from os import environ, getuid
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from simulators.faults import FaultSpec

logger = logging.getLogger(__name__)

LONGEST_LINE = 65_536


class _Op(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ping(_Op):
    """Ask whether the plant lives."""

    op: Literal["ping"]


class Dump(_Op):
    """Ask for the devices' true states."""

    op: Literal["state"]


class Inject(_Op):
    """Arm a fault, or let it happen at once."""

    op: Literal["inject"]
    fault: FaultSpec


class Clear(_Op):
    """Disarm faults."""

    op: Literal["clear"]
    device: str | None = None


class Repair(_Op):
    """Mend what a stall broke."""

    op: Literal["repair"]
    device: str


Operation = Ping | Dump | Inject | Clear | Repair
_OPERATION: TypeAdapter[Operation] = TypeAdapter(Annotated[Operation, Field(discriminator="op")])

_Answer = Callable[[Operation], dict[str, Any]]
"""Does an operation and gives the answer's fields; raises ValueError for a refusal."""


def back_door_path(folder: Path) -> Path:
    """Name the back door's socket of a plant folder; short enough for a unix socket's 107 bytes."""
    base = Path(environ.get("XDG_RUNTIME_DIR") or gettempdir()) / f"athanor-{getuid()}"
    return base / f"{sha256(str(folder.resolve()).encode()).hexdigest()[:12]}.plant.sock"


class BackDoor:
    """Listens on the unix socket; its folder is the user's own."""

    def __init__(self, path: Path, answer: _Answer) -> None:
        self.path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LONGEST_LINE)

    async def close(self) -> None:
        """Stop listening, hang up and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            logger.warning("back door: a client went away: %s", error)
        finally:
            self._writers.discard(writer)
            writer.close()

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **self._answer(_OPERATION.validate_json(line))}
        except ValidationError as error:
            first = error.errors()[0]
            return {"ok": False, "error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}
        except ValueError as error:
            return {"ok": False, "error": str(error)}
