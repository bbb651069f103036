"""A LADS device that nobody here wrote: node-opcua with the published nodesets, in a process of its own."""

import json
import os
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.foreign import MODULES, NODE, need

_START_LIMIT = 120.0
"""It reads six nodesets of XML, on a machine that has other things to do."""
DEFAULTS: dict[str, Any] = {"german": False, "badFor": 0, "replyAfter": 0, "program": 600, "breakable": True}


class LadsDevice:
    """The device; may be killed and started again on its port."""

    def __init__(self, **options: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._options = options
        self.url = ""
        self.started: list[dict[str, str]] = []
        """Task and template of each program that it has started: its own account."""

    def start(self) -> None:
        need(MODULES / "node-opcua")
        command = [node(), str(NODE / "lads_server.js"), str(self._port), json.dumps(self._options)]
        own = os.environ | {"HOME": str(MODULES / ".home")}  # node-opcua keeps certificates there, and makes them anew where there are none
        streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=own, text=True, **streams)
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, self._said), daemon=True).start()
        self.url = str(self._answer("url"))

    def _listen(self, process: subprocess.Popen[str], said: queue.Queue[dict[str, Any]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                document = json.loads(line)
                self.started.append(document) if "started" in document else said.put(document)

    def _answer(self, key: str) -> object:
        return self._said.get(timeout=_START_LIMIT)[key]

    def tell(self, **changed: Any) -> None:
        """Change its behaviour: `german`, `badFor`, `replyAfter`, `program` (ms), `breakable`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(changed) + "\n")
        self._process.stdin.flush()
        self._answer("done")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def node() -> str:
    found = shutil.which("node")
    if found is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)("node is not installed")
    assert found is not None
    return found


@contextmanager
def lads_device(**options: Any) -> Iterator[LadsDevice]:
    device = LadsDevice(**options)
    device.start()
    try:
        yield device
    finally:
        device.kill()
