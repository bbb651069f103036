"""The far end of a pseudo-terminal: answers requests as a function says, in its own time."""

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Answers = Callable[[bytes], list[tuple[float, bytes]]]
"""Request -> (seconds to wait, bytes to send), one after the other."""


class Peer:
    """Reads requests that end as `ends` says and plays the answers."""

    def __init__(self, link: Path, answers: Answers, ends: Callable[[bytes], bool]) -> None:
        self.heard: list[bytes] = []
        self._answers, self._ends = answers, ends
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            pending += os.read(self._master, 4096)
            if not self._ends(pending):
                continue
            request, pending = pending, b""
            self.heard.append(request)
            for delay, data in self._answers(request):
                time.sleep(delay)
                self.send(data)


@contextmanager
def peer_on(link: Path, answers: Answers, ends: Callable[[bytes], bool] = lambda data: data.endswith(b"\r")) -> Iterator[Peer]:
    peer = Peer(link, answers, ends)
    try:
        yield peer
    finally:
        peer.close()
