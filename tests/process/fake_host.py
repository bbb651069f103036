"""A bench host without a bench: speaks the host's HTTP on a unix socket and misbehaves as `LAB/fake.json` tells it.

    python -m tests.process.fake_host --lab DIR

Keys of fake.json: `start` ("refuse", "crash", "hang"), `executor_age_s`, `wires`, `run`, `safe_state`, `latches`,
`unsafe` (what it could not do when it leaves).
"""

import argparse
import base64
import hashlib
import json
import os
import socketserver
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from typing_extensions import override

from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import HOST, HOST_ERROR, LATCHED, NOT_SAFE, read_state_file, write_state_file

RAW = b"\x02" + b"00S0.123" + b"\x03"
READING = {
    "seq": 1,
    "step": 0,
    "instrument": "pump_cd",
    "channel": "flow",
    "value": 0.123,
    "unit": "mL/min",
    "quality": "good",
    "wall": "2026-01-02T03:04:05+00:00",
    "lab_s": 12.5,
    "raw": base64.b64encode(RAW).decode(),
    "sha256": hashlib.sha256(RAW).hexdigest(),
}
SPECTRUM = {**READING, "seq": 2, "channel": "sample", "value": None, "array": [1.0, 2.5], "unit": "counts", "raw": "", "sha256": ""}


class FakeHost(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers from memory."""

    daemon_threads = True

    def __init__(self, socket_path: Path, lab: Path) -> None:
        super().__init__(str(socket_path), _Handler)
        self.socket_path = socket_path
        self.lab = lab
        self.runs: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.polled: list[float] = []
        self.leaving = threading.Event()
        self.readings: list[dict[str, Any]] = [READING, SPECTRUM]

    def start(self) -> None:
        """Answer in a thread of its own."""
        threading.Thread(target=lambda: self.serve_forever(poll_interval=0.05), name="fake-host", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()
        self.socket_path.unlink(missing_ok=True)


class _Handler(BaseHTTPRequestHandler):
    server: FakeHost

    @override
    def log_message(self, format: str, *args: Any) -> None:
        return

    @override
    def address_string(self) -> str:
        return "unix"

    def _body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def _answer(self, status: int, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        host = self.server
        host.asked.append(("GET", self.path, self.headers.get("X-Athanor-Fence")))
        if path == "/alive":
            wanted = {"boot": "b", "ready": True, "latched": (host.lab / LATCHED).exists(), "run": None, "executor_age_s": 0.0}
            self._answer(200, {**wanted, "wires": {}, **read_state_file(host.lab / "fake.json")})
        elif path.endswith("/readings"):
            self._answer(200, "".join(json.dumps(one) + "\n" for one in host.readings))
        elif path.removeprefix("/runs/") in host.runs:
            host.polled.append(time.monotonic())
            parts = dict(one.split("=") for one in query.split("&") if one)
            time.sleep(min(float(parts.get("wait", "0")), 0.2))
            self._answer(200, host.runs[path.removeprefix("/runs/")])
        else:
            self._answer(404, {"error": "never arrived"})

    def do_PUT(self) -> None:
        body, key = self._body(), self.path.removeprefix("/runs/")
        self.server.asked.append(("PUT", self.path, body))
        refusals = {"old-fence": (409, "fence 1 is older than 2"), "latched": (423, "latched; resume it"), "silent": (503, "no supervisor")}
        if key in refusals:
            status, line = refusals[key]
            self._answer(status, {"error": line})
            return
        self.server.runs.setdefault(key, {"run_key": key, "revision": 0, "status": "dispatched", "steps": [], "evidence": {}})
        self._answer(200, self.server.runs[key])

    def do_POST(self) -> None:
        body = self._body()
        self.server.asked.append(("POST", self.path, body))
        if self.path == "/stop":
            wanted = read_state_file(self.server.lab / "fake.json")
            if wanted.get("latches", True):
                write_state_file(self.server.lab / LATCHED, {"reason": body["reason"], "by": body["by"]})
            done = [{"instrument": "oven", "action": "off", "done": True, "reason": None}]
            self._answer(200, {"latched": {}, "safe_state": wanted.get("safe_state", done)})
        elif self.path == "/unlatch":
            (self.server.lab / LATCHED).unlink(missing_ok=True)
            self._answer(200, {})
        elif self.path.endswith("/resolve"):
            key = self.path.split("/")[2]
            self._answer(200, {**self.server.runs[key], "status": "failed", "reason": body["reason"]})
        else:
            self._answer(200, {})
            if self.path == "/shutdown":
                self.server.leaving.set()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", type=Path, required=True)
    os.chdir(parser.parse_known_args()[0].lab)  # like the real one, it stays in a lab that is moved
    lab = Path()
    mode = read_state_file(lab / "fake.json").get("start")
    with (lab / "starts.txt").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if mode == "refuse":
        write_state_file(lab / HOST_ERROR, {"error": "pump_cd is not there"})
        return 4
    if mode == "crash":
        return 9
    if mode == "hang":
        time.sleep(600)
    folder = Path(tempfile.mkdtemp(prefix="fake-host-"))
    host = FakeHost(folder / "s", lab)
    host.start()
    bench_sha256 = hashlib.sha256((lab / "bench.toml").read_bytes()).hexdigest() if (lab / "bench.toml").exists() else ""
    write_state_file(lab / HOST, {**Process.this().document(), "socket": str(folder / "s"), "bench_sha256": bench_sha256, "boot": "b"})
    host.leaving.wait()
    unsafe = read_state_file(lab / "fake.json").get("unsafe")
    if unsafe:
        write_state_file(lab / HOST_ERROR, {"error": unsafe, "kind": NOT_SAFE})
    host.stop()
    folder.rmdir()
    (lab / HOST).unlink()
    return 4 if unsafe else 0


if __name__ == "__main__":
    sys.exit(main())
