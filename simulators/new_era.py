"""The command table and framing of New Era type syringe pumps (NE-1000 manual, publication 1200-01, chapter 10).

Basic mode: `<address><command> CR` and `STX <address, two digits><status><data> ETX`. Safe mode, both ways:
`STX <length> <text> <CRC high> <CRC low> ETX`; the length counts itself and all that follows, the CRC is CCITT with start 0.
An alarm is acknowledged by being sent: the command that it answers is not carried out (chapter "Command errors and alarms").

A pump in basic mode takes packets of either kind, and each reply has the form of the mode that the pump is in once the command
is carried out. Three libraries of people with pumps live by it: nesp-lib 2.0.0 sends every `SAF` in a safe packet, `SAF0` to a
pump in basic mode too, and reads the form that it asked for; the Octopus driver of WPI's Aladdin, the same pump, begins with `SAF50`
in a safe packet; EPsych's hw.NE1000 says it in so many words. What a pump in safe mode does with a basic packet is less sure: here it
says `?COM`, "invalid communications packet"; EPsych says that it is silent. While an alarm is pending, `SAF` alone is carried out,
so that the alarm comes in the form that was asked for: nesp-lib reads it in that one.
"""

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from typing_extensions import override

from simulators.clock import Moment
from simulators.serial_line import LineProtocol, Request
from simulators.syringe_pump import SyringePump

STX, ETX, CR = 0x02, 0x03, 0x0D
_FIRMWARE = "NE1000V3.928"

INTER_BYTE_TIMEOUT = 0.5
"""s (wall); an unfinished packet older than this is discarded (manual, "Safe mode")."""

SHORTEST_SAFE = 4
"""Length byte of a safe packet without text: itself, CRC and ETX."""

LONGEST_TIMEOUT = 255
"""s, of the safe mode's communication time-out."""

RATE_UNITS = {"UM": 1000.0, "MM": 1.0, "UH": 60_000.0, "MH": 60.0}
"""What 1 mL/min is in each unit of the rate."""

LAST_PHASE = 41
"""Of the pumping program (manual, 10.2.1)."""

UNKNOWN, NOT_APPLICABLE, OUT_OF_RANGE, BAD_PACKET = "?", "?NA", "?OOR", "?COM"

_COMMAND = re.compile(r"(?P<address>\d{0,2})(?P<name>[A-Z]{3}|)(?P<argument>.*)", re.DOTALL)
_NUMBER = re.compile(r"\d*\.?\d{0,3}")


def four_digits(value: float) -> str:
    """Format as the pump does: at most four digits and a point, at most three of them behind it."""
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}."


def parse_number(text: str) -> float | None:
    """Read a number of the pump's form; None when it has more digits or is none."""
    digits = text.replace(".", "", 1)
    if not digits.isdigit() or len(digits) > 4 or not _NUMBER.fullmatch(text):
        return None
    return float(text)


def safe_packet(text: str) -> bytes:
    """Wrap text for the safe mode."""
    payload = text.encode("ascii")
    crc = binascii.crc_hqx(payload, 0)
    return bytes([STX, len(payload) + SHORTEST_SAFE]) + payload + bytes([crc >> 8, crc & 0xFF, ETX])


def basic_frame(text: str) -> bytes:
    """Wrap a reply for the basic mode."""
    return bytes([STX]) + text.encode("ascii") + bytes([ETX])


@dataclass(frozen=True, slots=True)
class Packet:
    """What came in one frame."""

    text: str
    is_safe: bool
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class PumpRequest(Request):
    """One packet for one pump."""

    address: int
    pump: SyringePump
    packet: Packet

    @override
    def execute(self, now: Moment) -> bytes:
        self.pump.advance(now)
        if not self.packet.is_valid or (self.pump.safe_seconds and not self.packet.is_safe):
            return self._reply(BAD_PACKET)
        self.pump.heard(now)
        if self.pump.alarm is not None:
            alarm, self.pump.alarm = self.pump.alarm, None
            if self.text.startswith("SAF"):
                _carry_out(self.pump, now, self.text)
            return self._frame(f"{self.address:02d}A?{alarm}")
        return self._reply(_carry_out(self.pump, now, self.text))

    @override
    def acknowledge(self) -> bytes:
        return self._reply("")

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return OUT_OF_RANGE.encode() in reply

    def _reply(self, data: str) -> bytes:
        return self._frame(f"{self.address:02d}{self.pump.motion}{data}")

    def _frame(self, text: str) -> bytes:
        return safe_packet(text) if self.pump.safe_seconds else basic_frame(text)


class NewEraLine(LineProtocol):
    """Several addressed pumps on one pair of wires."""

    def __init__(self, pumps: Mapping[int, SyringePump]) -> None:
        super().__init__(INTER_BYTE_TIMEOUT)
        self._pumps = dict(pumps)

    @override
    def _take(self) -> list[Request]:
        packets, self._buffer = split_packets(self._buffer)
        return [request for packet in packets if (request := self._address(packet)) is not None]

    def _address(self, packet: Packet) -> Request | None:
        match = _COMMAND.fullmatch(packet.text)
        address = int(match["address"] or 0) if match else -1
        pump = self._pumps.get(address)
        if match is None or pump is None:
            return None
        return PumpRequest(pump.name, match["name"] + match["argument"], address, pump, packet)


def split_packets(buffer: bytes) -> tuple[list[Packet], bytes]:
    """Take complete packets off the front; give them and the rest."""
    packets = []
    while buffer:
        taken = _take_safe(buffer) if buffer[0] == STX else _take_basic(buffer)
        if taken is None:
            break
        packet, length = taken
        buffer = buffer[length:]
        if packet is not None:
            packets.append(packet)
    return packets, buffer


def _take_basic(buffer: bytes) -> tuple[Packet | None, int] | None:
    end = buffer.find(CR)
    start_of_safe = buffer.find(STX)
    if 0 <= start_of_safe < end or (end < 0 and start_of_safe > 0):
        return None, start_of_safe
    if end < 0:
        return None
    text = "".join(chr(byte) for byte in buffer[:end] if 0x20 < byte < 0x7F).upper()
    return Packet(text, is_safe=False), end + 1


def _take_safe(buffer: bytes) -> tuple[Packet | None, int] | None:
    if len(buffer) < 2:
        return None
    length = buffer[1]
    if length < SHORTEST_SAFE:
        return None, 1
    if len(buffer) < length + 1:
        return None
    payload, trailer = buffer[2 : length - 2], buffer[length - 2 : length + 1]
    crc = binascii.crc_hqx(payload, 0)
    is_valid = trailer == bytes([crc >> 8, crc & 0xFF, ETX])
    return Packet(payload.decode("ascii", "replace").upper(), is_safe=True, is_valid=is_valid), length + 1


def _carry_out(pump: SyringePump, now: Moment, command: str) -> str:
    """Carry out one command; give the reply's data, `?...` for an error."""
    if not command:
        return ""
    handler = _TABLE.get(command[:3])
    return UNKNOWN if handler is None else handler(pump, now, command[3:])


def _version(_pump: SyringePump, _now: Moment, argument: str) -> str:
    return UNKNOWN if argument else _FIRMWARE


def _diameter(pump: SyringePump, now: Moment, argument: str) -> str:
    if not argument:
        return four_digits(pump.diameter)
    if pump.moving:
        return NOT_APPLICABLE
    value = parse_number(argument)
    return "" if value is not None and pump.set_diameter(now, value) else OUT_OF_RANGE


def _rate(pump: SyringePump, now: Moment, argument: str) -> str:
    if pump.selected_phase != 1:
        return NOT_APPLICABLE
    if not argument:
        return four_digits(pump.rate * RATE_UNITS[pump.rate_unit]) + pump.rate_unit
    unit = argument[-2:] if argument[-2:] in RATE_UNITS else pump.rate_unit
    if pump.moving and unit != pump.rate_unit:
        return NOT_APPLICABLE
    value = parse_number(argument.removesuffix(unit))
    if value is None or not pump.set_rate(now, value / RATE_UNITS[unit]):
        return OUT_OF_RANGE
    pump.rate_unit = unit
    return ""


def _volumes(pump: SyringePump) -> tuple[str, float]:
    """Give the unit of volumes, and what 1 mL is in it."""
    return ("UL", 1000.0) if pump.tells_microlitres else ("ML", 1.0)


def _volume(pump: SyringePump, now: Moment, argument: str) -> str:
    unit, factor = _volumes(pump)
    if pump.selected_phase != 1:
        return NOT_APPLICABLE
    if not argument:
        return four_digits(pump.target * factor) + unit
    if pump.moving:
        return NOT_APPLICABLE
    if argument in ("UL", "ML"):
        pump.volume_unit = argument
        if argument != unit:  # the number stays as it is
            pump.set_volume(now, pump.target * factor / _volumes(pump)[1])
        return ""
    value = parse_number(argument)
    return "" if value is not None and pump.set_volume(now, value / factor) else OUT_OF_RANGE


def _direction(pump: SyringePump, now: Moment, argument: str) -> str:
    if pump.selected_phase != 1:
        return NOT_APPLICABLE
    if not argument:
        return "WDR" if pump.withdraws else "INF"
    if argument not in ("INF", "WDR", "REV"):
        return UNKNOWN
    if pump.moving and pump.target > 0.0:
        return NOT_APPLICABLE
    pump.set_withdraws(now, withdraws=not pump.withdraws if argument == "REV" else argument == "WDR")
    return ""


def _phase(pump: SyringePump, _now: Moment, argument: str) -> str:
    if not argument:
        return f"{pump.selected_phase:02d}"
    if pump.moving:
        return NOT_APPLICABLE
    if not argument.isdigit() or not 1 <= int(argument) <= LAST_PHASE:
        return OUT_OF_RANGE
    pump.selected_phase = int(argument)
    return ""


def _function(pump: SyringePump, _now: Moment, argument: str) -> str:
    pumps_on = pump.selected_phase == 1 or (pump.selected_phase == 2 and pump.goes_on)
    if not argument:
        return "RAT" if pumps_on else "STP"
    if pump.moving:
        return NOT_APPLICABLE
    if argument not in ("RAT", "STP"):
        return UNKNOWN
    if pump.selected_phase == 2:
        pump.goes_on = argument == "RAT"
        return ""
    return "" if (argument == "RAT") == pumps_on else NOT_APPLICABLE  # other phases are not simulated


def _run(pump: SyringePump, now: Moment, argument: str) -> str:
    if argument:
        return UNKNOWN
    if pump.moving:
        return NOT_APPLICABLE
    pump.run(now)
    return ""


def _stop(pump: SyringePump, now: Moment, argument: str) -> str:
    if argument:
        return UNKNOWN
    pump.stop(now)
    return ""


def _dispensed(pump: SyringePump, _now: Moment, argument: str) -> str:
    unit, factor = _volumes(pump)
    return UNKNOWN if argument else f"I{four_digits(pump.infused * factor)}W{four_digits(pump.withdrawn * factor)}{unit}"


def _clear(pump: SyringePump, now: Moment, argument: str) -> str:
    clear = {"INF": pump.clear_infused, "WDR": pump.clear_withdrawn}.get(argument)
    if clear is None:
        return UNKNOWN
    if pump.moving:
        return NOT_APPLICABLE
    clear(now)
    return ""


def _safe_mode(pump: SyringePump, now: Moment, argument: str) -> str:
    if not argument:
        return str(pump.safe_seconds)
    if not argument.isdigit() or int(argument) > LONGEST_TIMEOUT:
        return OUT_OF_RANGE
    pump.set_safe_mode(now, int(argument))
    return ""


_TABLE: dict[str, Callable[[SyringePump, Moment, str], str]] = {
    "VER": _version,
    "DIA": _diameter,
    "RAT": _rate,
    "VOL": _volume,
    "DIR": _direction,
    "PHN": _phase,
    "FUN": _function,
    "RUN": _run,
    "STP": _stop,
    "DIS": _dispensed,
    "CLD": _clear,
    "SAF": _safe_mode,
}
