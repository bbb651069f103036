"""One channel of a device as a person holds it against the front panel: the decoded value beside what came over the wire."""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter
from pymodbus.framer import FramerRTU

from instruments.drivers.protocol import Driver
from instruments.transport.exchanges import Exchange, overheard
from orchestrator.errors import DeviceError, InstrumentError

_TEXT: Final = frozenset((*range(0x20, 0x7F), 0x02, 0x03, 0x06, 0x0A, 0x0D, 0x15, 0x1B))
"""Bytes of text protocols: printable ASCII, and STX, ETX, ACK, LF, CR, NAK and ESC."""
_TABLES: Final = {3: "holding", 4: "input"}
"""Function codes that read registers (Modbus application protocol V1.1b3, 6.3 and 6.4)."""
_HEAD: Final = 7
"""Bytes of a Modbus TCP header: transaction, protocol (0), length, unit (Modbus messaging on TCP/IP V1.0b, 3.1.3)."""


@dataclass(frozen=True, slots=True)
class ChannelRead:
    """One reading of a channel, or why there is none."""

    channel: str
    unit: str
    value: float | str | tuple[float, ...] | None
    """In `unit`; None where the device gave none."""
    quality: str
    wire: tuple[str, ...]
    """What was sent and what came for it, a line each; registers by their numbers."""
    error: str | None = None
    """Why it could not be read."""
    said: str | None = None
    """What the device answered first, where it had something else to say and was asked again: an alarm is often told once."""


CHANNEL: Final = TypeAdapter(ChannelRead)
"""Its JSON form."""


def read_channel(driver: Driver, channel: str) -> ChannelRead:
    """Read one channel now, in the thread that owns the link; what the device refuses is part of the answer.

    Raises:
        BadInput: The driver has no such channel.
    """
    spec = driver.CHANNELS.get(channel)
    unit = spec.unit if spec else ""
    said: str | None = None
    with overheard() as exchanges:
        try:
            try:
                (reading,) = driver.read([channel])
            except DeviceError as error:
                said = str(error)
                (reading,) = driver.read([channel])
        except InstrumentError as error:
            return ChannelRead(channel, unit, None, "bad", tuple(map(shown, exchanges)), str(error))
    value = reading.array if reading.array is not None else reading.value if reading.text is None else reading.text
    wire = tuple(map(shown, exchanges)) or (_shown_side(reading.raw),)
    return ChannelRead(channel, reading.unit, value, reading.quality, wire, said=said)


def shown(exchange: Exchange) -> str:
    """Write an exchange as one line; the registers of a Modbus answer by number, decimal and hexadecimal."""
    line = f"{_shown_side(exchange.sent)} -> {_shown_side(exchange.got) or 'nothing'}"
    if isinstance(exchange.sent, str) or isinstance(exchange.got, str):
        return line
    registers = _registers(exchange.sent, exchange.got)
    return f"{registers}: {line}" if registers else line


def _shown_side(data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    return repr(data)[2:-1] if _TEXT.issuperset(data) else data.hex(" ")


def _registers(sent: bytes, got: bytes) -> str | None:
    """Name the registers that were read and what they hold; None where the bytes are no such Modbus frames."""
    for pdu_of in (_rtu_pdu, _tcp_pdu):
        request, reply = pdu_of(sent), pdu_of(got)
        if len(request) == 5 and request[0] in _TABLES and reply[:1] == request[:1] and len(reply) == 2 + reply[1]:
            first = int.from_bytes(request[1:3], "big")
            words = [int.from_bytes(reply[start : start + 2], "big") for start in range(2, len(reply), 2)]
            named = (f"{_TABLES[request[0]]} register {first + n} = {word} (0x{word:04x})" for n, word in enumerate(words))
            return ", ".join(named)
    return None


def _rtu_pdu(frame: bytes) -> bytes:
    intact = len(frame) > 3 and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))
    return frame[1:-2] if intact else b""


def _tcp_pdu(frame: bytes) -> bytes:
    intact = len(frame) > _HEAD and frame[2:4] == b"\0\0" and int.from_bytes(frame[4:6], "big") == len(frame) - _HEAD + 1
    return frame[_HEAD:] if intact else b""
