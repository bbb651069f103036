"""A loopback sink of messages: a web server that keeps what it is sent, and may hold a request for as long as a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class Sink(ThreadingHTTPServer):
    """Keeps the messages in the order of their arrival."""

    daemon_threads = True

    def __init__(self, port: int = 0, *, status: int = 200) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.status = status
        self.messages: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.free = threading.Event()
        """While not set, requests that have arrived get no answer."""
        self.free.set()

    @property
    def address(self) -> str:
        return f"json://user:hush-hush@127.0.0.1:{self.server_port}/hooks"

    @property
    def titles(self) -> list[str]:
        return [str(one["title"]) for one in self.messages]

    def await_messages(self, count: int, within: float = 60.0) -> None:
        """Wait until so many have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, within), self.titles


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    @override
    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrived:
            self.server.messages.append(document)
            self.server.arrived.notify_all()
        self.server.free.wait(60.0)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def sink(port: int = 0, *, status: int = 200) -> Iterator[Sink]:
    """Serve until the end of the block."""
    serving = Sink(port, status=status)
    threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield serving
    finally:
        serving.free.set()
        serving.shutdown()
        serving.server_close()
