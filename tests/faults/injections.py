"""How each fault of the table is made to happen: by the relay on the link, or by the plant in the device."""

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from simulators.modbus_rtu import crc16
from simulators.new_era import ETX, STX, safe_packet
from tests.faults.bench_in_hand import BenchInHand
from tests.faults.columns import Column
from tests.instrument.running_plant import RunningPlant
from tests.relays.relay import PtyRelay, Relay
from tests.relays.tampering import Change, Tampering, Trouble

LATE: Final = 1.3
"""Wall s: later than any serial driver waits for, and before it asks anew."""
GONE: Final = 600.0
BANNER: Final = b"\r\nboot loader 1.04\r\nself test ok\r\n"
ALARM: Final = b"*** ALARM 7: LID OPEN ***\r\n"
NOISE: Final = b"\x00\xff\x00\xff\xff\x00"
BUSY: Final = 6
"""Modbus: server device busy (application protocol V1.1b3, 7)."""


@dataclass(frozen=True)
class Scene:
    """Where a fault is to happen."""

    plant: RunningPlant
    column: Column
    relay: Relay
    bench: BenchInHand

    def on_act(self, trouble: Trouble, **more: Any) -> Tampering:
        """Arm the relay for the request that starts what may happen once."""
        return self.relay.arm(Tampering(trouble, self.column.once, self.column.nth, **more))

    def on_read(self, trouble: Trouble, **more: Any) -> Tampering:
        """Arm the relay for the question for the value that counts, until the end of the run."""
        return self.relay.arm(Tampering(trouble, self.column.read, **{"count": 0, **more}))

    def of_device(self, fault: str, **more: Any) -> Callable[[], int]:
        """Let the plant do it; return what says how often it struck."""
        name = self.column.name
        before = len(self.plant.truth(name, "fault"))
        self.plant.inject(name, fault, **more)
        phase = "injected" if more.get("now") else "triggered"
        return lambda: sum(one["values"]["phase"] == phase for one in self.plant.truth(name, "fault")[before:])


Struck = Callable[[], int]
"""How often the fault has struck."""


@dataclass(frozen=True)
class Injection:
    """One fault."""

    arm: Callable[[Scene], Struck | Tampering]
    at_start: bool = False
    """Whether it strikes while the bench comes up, and not under the run."""
    around: Callable[[Scene], AbstractContextManager[object]] = lambda _: nullcontext()


def struck(armed: Struck | Tampering) -> int:
    """Say how often a fault has struck."""
    if not isinstance(armed, Tampering):
        return armed()
    return armed.changed if armed.trouble is Trouble.CHANGE else armed.struck


# ----------------------------------------------------------------- answers in each protocol


def _modbus_exception(function: int) -> bytes:
    body = bytes((1, function | 0x80, BUSY))
    return body + crc16(body)


REFUSALS: Final[Mapping[str, bytes]] = {
    "eurotherm": _modbus_exception(6),
    "modbus": _modbus_exception(6),
    "new_era": safe_packet("01S?NA"),
    "line": b"?\r\n",
    "plugin": b"?\r\n",
}


def elsewhere(column: Column) -> Change:
    """Return what makes an answer one of another address, whole and with its checksum."""

    def modbus(reply: bytes) -> bytes:
        return (body := bytes([9]) + reply[1:-2]) + crc16(body)

    def new_era(reply: bytes) -> bytes:
        if reply[:1] != bytes([STX]) or reply[-1:] != bytes([ETX]):
            return reply
        return safe_packet("09" + reply[2:-3].decode("ascii")[2:])

    return new_era if column.name == "new_era" else modbus


def words(value: int) -> Change:
    """Return what puts a word into an answer of one register."""
    return lambda reply: (body := reply[:3] + value.to_bytes(2, "big")) + crc16(body)


def text(value: str, column: Column) -> Change:
    """Return what puts a text in the place of a line, or of a pump's flow."""
    line = safe_packet(f"01S{value}MM") if column.name == "new_era" else value.encode() + b"\r\n"
    return lambda _: line


def double(value: float, true: float) -> Change:
    """Return what puts another number in the place of the true one (OPC 10000-6: eight bytes, low byte first)."""
    return lambda reply: reply.replace(struct.pack("<d", true), struct.pack("<d", value))


def reading(as_text: str, *, word: int | None = None, number: float | None = None) -> Injection:
    """Make the device tell a value: in a line, as a register's word, as a node's number."""

    def arm(scene: Scene) -> Tampering:
        if scene.column.is_opcua:
            assert number is not None
            return scene.on_read(Trouble.CHANGE, change=double(number, scene.column.told))
        if scene.column.name in ("eurotherm", "modbus"):
            assert word is not None
            return scene.on_read(Trouble.CHANGE, change=words(word))
        return scene.on_read(Trouble.CHANGE, change=text(as_text, scene.column))

    return Injection(arm)


# ----------------------------------------------------------------- what lasts


@contextmanager
def held(scene: Scene) -> Iterator[None]:
    """Hold the port, as another program does that locks it."""
    assert isinstance(scene.relay, PtyRelay)
    number = os.open(scene.relay.link, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.close(number)


def _cut_idle(scene: Scene) -> Struck:
    scene.relay.cut()
    return lambda: 1


def _before(data: bytes) -> Injection:
    return Injection(lambda scene: scene.on_act(Trouble.BEFORE, data=data))


def _on_act(trouble: Trouble, **more: Any) -> Injection:
    return Injection(lambda scene: scene.on_act(trouble, **more))


def _of_device(fault: str, **more: Any) -> Injection:
    return Injection(lambda scene: scene.of_device(fault, **more))


COMMANDS: Final[Mapping[str, str]] = {"eurotherm": "write 26 *", "new_era": "RUN", "modbus": "write 10 *", "lads": "start *"}
"""What a device's own log calls the command that may happen once."""


def _command(scene: Scene) -> str:
    return COMMANDS.get(scene.column.name, "DOSE*")


INJECTIONS: Final[Mapping[str, Injection]] = {
    # the link
    "silent": _on_act(Trouble.MUTE, seconds=GONE),
    "late-reply": _on_act(Trouble.DELAY, seconds=LATE),
    "reply-lost": _on_act(Trouble.LOSE_REPLY),
    "request-lost": _on_act(Trouble.LOSE_REQUEST),
    "byte-lost": _on_act(Trouble.DROP_MIDDLE),
    "half-frame": _on_act(Trouble.HALF),
    "duplicate-reply": _on_act(Trouble.DUPLICATE),
    "glued-replies": _on_act(Trouble.GLUE),
    "reordered": _on_act(Trouble.REORDER),
    "byte-flip": _on_act(Trouble.FLIP),
    "wrong-checksum": Injection(lambda scene: scene.on_act(Trouble.CHECKSUM, data=bytes(scene.column.framed))),
    "wrong-address": Injection(lambda scene: scene.on_act(Trouble.CHANGE, change=elsewhere(scene.column))),
    "unsolicited-alarm": _before(ALARM),
    "boot-banner": _before(BANNER),
    "noise": _before(NOISE),
    "stuck-flow-control": _on_act(Trouble.MUTE, seconds=LATE),
    "cut-idle": Injection(_cut_idle),
    "cut-command": _on_act(Trouble.CUT),
    "cut-run": Injection(lambda scene: scene.on_read(Trouble.CUT, count=1)),
    "gone": _on_act(Trouble.CUT, seconds=GONE),
    "port-busy": Injection(lambda _: lambda: 1, at_start=True, around=held),
    "baud-mismatch": Injection(lambda scene: scene.relay.arm(Tampering(Trouble.GARBLE, count=0)), at_start=True),
    # the device
    "hung": Injection(lambda scene: scene.of_device("no-reply", pattern=_command(scene))),
    "refuses": Injection(lambda scene: scene.on_act(Trouble.REFUSE, count=0, data=REFUSALS[scene.column.name])),
    "accepts-and-ignores": Injection(lambda scene: scene.of_device("acknowledge-and-ignore", pattern=_command(scene))),
    "power-cycle-before": _of_device("power-cycle", now=True),
    "power-cycle-during": Injection(lambda scene: scene.of_device("power-cycle", pattern=_command(scene))),
    "wrong-template": Injection(lambda scene: scene.of_device("wrong-template", pattern=_command(scene))),
    "start-reply-lost": Injection(lambda scene: scene.of_device("start-reply-lost", pattern=_command(scene))),
    "program-fails": Injection(lambda scene: scene.of_device("program-failure", pattern=_command(scene))),
    "aborted-at-the-panel": Injection(lambda scene: scene.of_device("abort-mid-run", pattern=_command(scene))),
    "state-not-known-yet": Injection(lambda scene: scene.of_device("state-bad", pattern=_command(scene), delay_s=1.0)),
    "stalled": Injection(lambda scene: scene.of_device("stall", pattern=_command(scene))),
    "sensor-broken": Injection(lambda scene: scene.of_device("sensor-break", pattern=_command(scene))),
    # the measurement
    "bad-status": Injection(lambda scene: scene.of_device("bad-status", pattern=_command(scene))),
    "nan": reading("NaN", number=float("nan")),
    "infinite": reading("inf", number=float("inf")),
    "sentinel": reading("9.9E37", word=0x8000, number=9.9e37),
    "beyond-range": reading("9999.9", word=0x7FFF, number=1e6),
    "decimal-comma": reading("0,5000"),
    "wrong-unit": reading("0.5000 mAU"),
    "field-missing": reading(""),
    "field-too-many": reading("0.5000 0.6000"),
}
