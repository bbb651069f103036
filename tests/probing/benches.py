"""Bench files of one instrument each, at a device that keeps a log of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.instrument.modbus_peer import Peer
from tests.instrument.test_eurotherm import PANEL

OVEN: Final = """
[bench]
name = "b"
reduction = "identity/1"

[links.heat]
kind = "serial"
port = "{port}"

[instruments.oven]
driver = "eurotherm-modbus"
link = "heat"
address = 1
model = "3216"
limits.temperature = {{ min = "20 degC", max = "200 degC" }}
safe_state = ["off"]
options = {{ setpoint = "local" }}

[[procedure.steps]]
do = "oven.set_temperature"
with = {{ temperature = "50 degC" }}
"""
BALANCE: Final = """
[bench]
name = "b"
reduction = "identity/1"

[links.a]
kind = "tcp"
url = "{url}"

[instruments.balance]
driver = "{driver}"
link = "a"

[[procedure.steps]]
do = "balance.{command}"
"""


@contextmanager
def oven(folder: Path, more: str = "", **changed: int) -> Iterator[tuple[Path, Peer]]:
    """Give a bench file whose oven is pymodbus's server, which writes each request down; registers as r75 = 32."""
    peer = Peer({**PANEL, **{int(name[1:]): value for name, value in changed.items()}})
    file = folder / "bench.toml"
    file.write_text(OVEN.format(port=f"socket://127.0.0.1:{peer.start()}") + more)
    try:
        yield file, peer
    finally:
        peer.stop()
