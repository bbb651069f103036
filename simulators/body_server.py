"""Bodies that are OPC-UA servers, each on a port of the loopback interface."""

import asyncio
import logging
import socket
from typing import Final

from asyncua import ua
from asyncua.server.server import Server

from simulators.body import Body
from simulators.opcua_access import PlatformAccess

logger = logging.getLogger(__name__)

_BEAT: Final = 0.1
"""Wall s between two looks at what has changed."""
_ATTEMPTS: Final = 5
"""A free port may be taken by another program between asking for it and binding it."""
_HOST: Final = "127.0.0.1"


class BodyServer:
    """Serves one body over OPC-UA."""

    def __init__(self, body: Body, access: PlatformAccess | None = None) -> None:
        self._body = body
        self._access = access
        self._server = Server()
        self._beating: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Let the body build its address space, and listen."""
        await self._server.init()
        self._server.set_server_name(f"Simulated {self._body.name}")
        if self._access is None:
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await self._access.secure(self._server)
        await self._body.build(self._server)
        await self._body.show()
        for attempt in range(_ATTEMPTS):
            with socket.socket() as probe:
                probe.bind((_HOST, 0))
                self.url = f"opc.tcp://{_HOST}:{probe.getsockname()[1]}/athanor/{self._body.name}"
            self._server.set_endpoint(self.url)
            try:
                await self._server.start()
                break
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def close(self) -> None:
        """Stop listening."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            await self._server.stop()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            try:
                self._body.catch_up()
                await self._body.show()
            except Exception:  # other people's code: one mistake does not end the device
                logger.exception("device %s", self._body.name)
