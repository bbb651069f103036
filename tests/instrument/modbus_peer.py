"""An independent Modbus peer: pymodbus's server with registers that a test writes out by hand."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pymodbus import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from typing_extensions import override

from instruments.transport.base import LineTransport, ReplyOf

WRITE: Final = 6


class Peer:
    """Serves unit 1; registers that are not written out do not exist (exception 2)."""

    def __init__(self, registers: Mapping[int, int]) -> None:
        self.now = dict(registers)
        """What each register holds."""
        self.asked: list[tuple[int, int, tuple[int, ...]]] = []
        """Function code, address and values of each request."""
        data = [SimData(address, values=value & 0xFFFF, datatype=DataType.REGISTERS) for address, value in sorted(registers.items())]
        self._device = SimDevice(1, data)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def written(self) -> list[tuple[int, int]]:
        return [(address, values[0]) for code, address, values in self.asked if code == WRITE]

    def _note(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending:
            self.asked.append((pdu.function_code, pdu.address, tuple(pdu.registers)))
            if pdu.function_code == WRITE and pdu.address in self.now:
                self.now[pdu.address] = pdu.registers[0]
        return pdu

    def start(self) -> int:
        """Serve; return the port."""
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10.0)

    async def _serve(self) -> int:
        server = ModbusTcpServer(self._device, framer=FramerType.RTU, address=("127.0.0.1", 0), trace_pdu=self._note)
        self._server: Any = server
        await self._server.serve_forever(background=True)
        listening: Any = server.transport
        return int(listening.sockets[0].getsockname()[1])

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


@contextmanager
def serving(registers: Mapping[int, int]) -> Iterator[tuple[Peer, LineTransport]]:
    peer = Peer(registers)
    line = SocketLine(peer.start())
    try:
        yield peer, line
    finally:
        line.close()
        peer.stop()


class SocketLine(LineTransport):
    """RTU frames over TCP; pyserial's own `socket://` rests for 0.3 s whenever it is closed."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5.0)

    @property
    @override
    def kind(self) -> str:
        return "serial"

    @override
    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        self._socket.sendall(request)
        buffer = b""
        while (reply := reply_of(buffer)) is None:
            buffer += self._socket.recv(256)
        return reply

    @override
    def tell(self, request: bytes) -> None:
        self._socket.sendall(request)

    @override
    def close(self) -> None:
        self._socket.close()
