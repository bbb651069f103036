"""An event loop that listens for nobody but this machine: o6 has no word for the interface, and would take them all."""

import asyncio
from typing import Any

from typing_extensions import override


class Loopback(asyncio.SelectorEventLoop):
    """Binds what it is asked to bind on the loopback interface."""

    @override
    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """Listen on 127.0.0.1, whatever was asked for."""
        assert host in (None, "0.0.0.0")
        return await super().create_server(protocol_factory, "127.0.0.1", port, **options)
