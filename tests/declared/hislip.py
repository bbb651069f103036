"""A HiSLIP server of one device, for pyvisa-py's client: messages and their numbers as in IVI-6.1 (HiSLIP 1.1), table 4."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

INITIALIZE, INITIALIZED, DATA_END = 0, 1, 7
CLEAR_COMPLETE, CLEAR_ACKNOWLEDGE = 8, 9
MOST, MOST_TOLD, ASYNC_INITIALIZE, ASYNC_INITIALIZED, ASYNC_CLEAR, ASYNC_CLEARED = 15, 16, 17, 18, 19, 23
_HEAD: Final = struct.Struct("!2sBBIQ")
"""Prologue, type, control code, parameter, length of the payload [IVI-6.1, 2.5]."""


class HislipDevice:
    """Answers each message as a function says, after so many seconds."""

    def __init__(self, answers: Callable[[bytes], bytes | None]) -> None:
        self.heard: list[bytes] = []
        self.late = 0.0
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.resource = f"TCPIP::127.0.0.1::hislip0,{self._listener.getsockname()[1]}::INSTR"

    def drop(self) -> None:
        """Lose all connections."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for one in self._threads:
            one.join()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._open.append(self._listener.accept()[0])
                self._threads.append(threading.Thread(target=self._serve, args=(self._open[-1],)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while head := connection.recv(_HEAD.size, socket.MSG_WAITALL):
                _, kind, _, parameter, length = _HEAD.unpack(head)
                self._answer(connection, kind, parameter, connection.recv(length, socket.MSG_WAITALL) if length else b"")

    def _answer(self, connection: socket.socket, kind: int, parameter: int, payload: bytes) -> None:
        if kind == INITIALIZE:
            _send(connection, INITIALIZED, 0x0100 << 16 | 1)
        elif kind == ASYNC_INITIALIZE:
            _send(connection, ASYNC_INITIALIZED, 0)
        elif kind == MOST:
            _send(connection, MOST_TOLD, 0, payload)
        elif kind == ASYNC_CLEAR:
            _send(connection, ASYNC_CLEARED, 0)
        elif kind == CLEAR_COMPLETE:
            _send(connection, CLEAR_ACKNOWLEDGE, 0)
        elif kind == DATA_END:
            self.heard.append(payload)
            wait, self.late = self.late, 0.0
            time.sleep(wait)
            if (answer := self._answers(payload)) is not None:
                _send(connection, DATA_END, parameter, answer)


def _send(connection: socket.socket, kind: int, parameter: int, payload: bytes = b"") -> None:
    connection.sendall(_HEAD.pack(b"HS", kind, 0, parameter, len(payload)) + payload)


@contextmanager
def hislip(answers: Callable[[bytes], bytes | None]) -> Iterator[HislipDevice]:
    device = HislipDevice(answers)
    try:
        yield device
    finally:
        device.close()
