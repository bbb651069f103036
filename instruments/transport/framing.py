"""Frames of the serial devices: pure functions over bytes.

New Era syringe pumps (NE-1000 manual, "RS-232 protocol") speak two modes:

    basic   request  <address><COMMAND> CR                      reply  STX <two-digit address><prompt><data> ETX
    safe    both     STX <length> <payload> <CRC high> <CRC low> ETX

In safe mode the length counts every byte after STX, and the payload is the text of the basic mode. The byte after STX
tells the modes apart: a digit begins a basic reply, anything below "0" is a length.
"""

import re
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STX: Final = 0x02
ETX: Final = 0x03
CR: Final = b"\r"

_SAFE_OVERHEAD: Final = 4
"""Length byte, two bytes of CRC and ETX."""
_LONGEST: Final = 0x2F
"""Longest safe frame that cannot be taken for a basic reply, which begins with a digit (0x30)."""
_REPLY: Final = re.compile(r"(?P<address>\d\d)(?P<prompt>[IWSPTUX]|A\?(?P<alarm>[A-Z]))(?P<data>[\x20-\x7e]*)")


@dataclass(frozen=True, slots=True)
class PumpReply:
    """One packet of a pump."""

    address: int
    prompt: str
    """I infusing, W withdrawing, S stopped, P paused, A alarm."""
    alarm: str | None
    """R was reset, S stalled, T safe-mode time-out, E program error, O phase out of range."""
    data: str
    raw: bytes
    """The whole frame."""


def basic_request(address: int, command: str) -> bytes:
    """Frame a command for the basic mode."""
    return f"{address}{command}".encode("ascii") + CR


def safe_frame(payload: bytes) -> bytes:
    """Frame a payload of at most 43 bytes for the safe mode; its CRC has the polynomial 0x1021 and starts at 0."""
    length = len(payload) + _SAFE_OVERHEAD
    if length > _LONGEST:
        raise ValueError(f"a safe frame carries at most {_LONGEST - _SAFE_OVERHEAD} bytes, got {len(payload)}")
    return bytes((STX, length)) + payload + crc_hqx(payload, 0).to_bytes(2, "big") + bytes((ETX,))


def safe_request(address: int, command: str) -> bytes:
    """Frame a command for the safe mode."""
    return safe_frame(f"{address}{command}".encode("ascii"))


def pump_replies(buffer: bytes) -> tuple[tuple[PumpReply, ...], bytes]:
    """Find every whole reply in a buffer, whatever noise stands around it.

    A start byte that begins no valid frame is skipped alone, so a false start never swallows the frame behind it.

    Args:
        buffer: Everything received so far.

    Returns:
        The replies in order, and the tail that may still become one (never longer than a frame).
    """
    replies: list[PumpReply] = []
    position, tail = 0, len(buffer)
    while (start := buffer.find(STX, position)) >= 0:
        size = _frame_size(buffer[start:])
        reply = _reply(buffer[start : start + size]) if size else None
        if reply is not None:
            replies.append(reply)
            position, tail = start + len(reply.raw), len(buffer)
            continue
        if size is None and tail == len(buffer):
            tail = start
        position = start + 1
    return tuple(replies), buffer[tail:][-_LONGEST - 1 :]


def pump_reply_from(address: int, accepts: Callable[[PumpReply], bool]) -> Callable[[bytes], bytes | None]:
    """Make the test by which a transport recognises the awaited reply.

    Args:
        address: Replies of other pumps on the line are skipped.
        accepts: Whether the reply has the shape that belongs to the command; a late reply to another one is skipped.
    """

    def reply_of(buffer: bytes) -> bytes | None:
        replies, _ = pump_replies(buffer)
        return next((reply.raw for reply in replies if reply.address == address and accepts(reply)), None)

    return reply_of


def _frame_size(data: bytes) -> int | None:
    """Return the size of the frame that begins here, 0 when none does, None when too little has arrived."""
    if len(data) < 2:
        return None
    return _basic_size(data) if data[1] >= ord("0") else _safe_size(data)


def _basic_size(data: bytes) -> int | None:
    for index, byte in enumerate(data[1:], start=1):
        if byte == ETX:
            return index + 1
        if not 0x20 <= byte < 0x7F or index > _LONGEST:
            return 0
    return None


def _safe_size(data: bytes) -> int | None:
    length = data[1]
    if length <= _SAFE_OVERHEAD:
        return 0
    return length + 1 if len(data) > length else None


def _reply(frame: bytes) -> PumpReply | None:
    payload = frame[1:-1] if frame[1] >= ord("0") else _safe_payload(frame)
    match = _REPLY.fullmatch(payload.decode("latin-1")) if payload is not None else None
    if match is None:
        return None
    return PumpReply(int(match["address"]), match["prompt"][0], match["alarm"], match["data"], frame)


def _safe_payload(frame: bytes) -> bytes | None:
    payload, crc, end = frame[2:-3], frame[-3:-1], frame[-1]
    return payload if end == ETX and crc_hqx(payload, 0).to_bytes(2, "big") == crc else None


def rtu_reply_of(size: int, intact: Callable[[bytes], bool], begins: bytes) -> Callable[[bytes], bytes | None]:
    """Make the test by which a transport recognises a Modbus RTU reply (no start byte: found by shape and CRC).

    Args:
        size: Bytes of the wanted reply, known from the request.
        intact: Whether a frame's CRC holds.
        begins: Unit and function code of the wanted reply; the same with the error bit begins an exception of 5 bytes.
    """
    refused = bytes((begins[0], begins[1] | 0x80))

    def reply_of(buffer: bytes) -> bytes | None:
        for start in range(len(buffer)):
            for head, length in ((begins, size), (refused, 5)):
                frame = buffer[start : start + length]
                if frame.startswith(head) and len(frame) == length and intact(frame):
                    return frame
        return None

    return reply_of
