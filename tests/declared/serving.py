"""Serves a simulated device on a TCP port, in a thread of the test: it lives on when a bench host is killed."""

import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from simulators.body import Body
from simulators.clock import Moment
from simulators.truth import PhysicalEvent

Blocks = Callable[[Any, bytes], tuple[list[bytes], bytes]]
"""Body, received bytes -> the answers, and what is left of the bytes."""
_OEM: Final = re.compile(rb"\x02[^\x02]*?\x03.", re.DOTALL)


class Served:
    """One device on its port."""

    def __init__(self, body: type[Body], rate: float = 1.0, answers: Blocks | None = None) -> None:
        self.events: list[PhysicalEvent] = []
        self.heard: list[bytes] = []
        self.lose = ""
        """Regular expression of requests whose next answer is lost, once carried out."""
        self.body: Any = body("device", {}, self.events.append, np.random.default_rng(0))
        self._answers = answers or lines
        self._rate, self._began = rate, time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def executions(self) -> int:
        """Return how many doses were physically begun."""
        return sum(event.event == "dose" for event in self.events)

    def live(self) -> None:
        """Bring the device to the present."""
        with self._guard:
            now = time.monotonic()
            self.body.live(Moment((now - self._began) * self._rate, now))

    def _serve(self) -> None:
        buffers: dict[socket.socket, bytes] = {}
        while not self._stop.is_set():
            ready, _, _ = select.select([self._listener, *buffers], [], [], 0.02)
            self.live()
            for one in ready:
                if one is self._listener:
                    buffers[self._listener.accept()[0]] = b""
                elif not self._read(one, buffers):
                    del buffers[one]
                    one.close()
        for one in buffers:
            one.close()

    def _read(self, client: socket.socket, buffers: dict[socket.socket, bytes]) -> bool:
        try:
            data = client.recv(4096)
            if not data:
                return False
            self.heard.append(data)
            answers, buffers[client] = self._answers(self.body, buffers[client] + data)
            if self.lose and re.search(self.lose.encode(), data):
                self.lose = ""
            else:
                client.sendall(b"".join(answers))
        except OSError:
            return False
        return True


def lines(body: Body, received: bytes) -> tuple[list[bytes], bytes]:
    """Answer whole lines; an answer that has no line end gets the device's."""
    *whole, left = received.split(body.TERMINATOR)
    replies = [body.reply(line) for line in whole if body.is_addressed(line)]
    return [one if one.endswith(b"\n") else one + body.TERMINATOR for one in replies if one is not None], left


def blocks(body: Any, received: bytes) -> tuple[list[bytes], bytes]:
    """Answer whole OEM blocks."""
    answers, position = [], 0
    for found in _OEM.finditer(received):
        answers.append(body.block(found[0]))
        position = found.end()
    return [one for one in answers if one is not None], received[position:]


@contextmanager
def served(body: type[Body], rate: float = 1.0, answers: Blocks | None = None) -> Iterator[Served]:
    one = Served(body, rate, answers)
    try:
        yield one
    finally:
        one.close()
