"""Frames of line protocols as a profile declares them: pure functions over bytes."""

from collections.abc import Iterator
from typing import Final

from pymodbus.framer import FramerRTU

from instruments.drivers.declared.spec import LineSpec

_SIZES: Final = {"none": 0, "xor": 1, "sum": 1, "crc16": 2}


def framed(spec: LineSpec, text: str) -> bytes:
    """Frame one request."""
    begun, end = (spec.start + text).encode("latin-1"), spec.terminator.encode("latin-1")
    if spec.checksum_place == "after-terminator":
        return begun + end + _checksum(spec, begun + end)
    return begun + _checksum(spec, begun) + end


def frames_in(spec: LineSpec, buffer: bytes) -> Iterator[tuple[str, bytes]]:
    """Iterate over the whole answers in a buffer whose checksum holds, whatever noise stands around them.

    Yields:
        The text, without blanks around it, and the bytes of the frame.
    """
    position = 0
    while (begin := buffer.find(spec.start.encode("latin-1"), position)) >= 0:
        found = _frame(spec, buffer, begin)
        if found is not None:
            yield found
            position = begin + len(found[1])
        elif spec.start:
            position = begin + 1
        else:
            return


def _frame(spec: LineSpec, buffer: bytes, begin: int) -> tuple[str, bytes] | None:
    """Find the frame that begins here; its checksum may look like its end, so that further ends are tried."""
    end_mark = (spec.reply_terminator or spec.terminator).encode("latin-1")
    size = _size(spec) if spec.checksum_place == "after-terminator" else 0
    end = buffer.find(end_mark, begin + len(spec.start))
    while end >= 0 and end + len(end_mark) + size <= len(buffer):
        raw = buffer[begin : end + len(end_mark) + size]
        if (text := _verified(spec, raw, end_mark)) is not None:
            return text, raw
        end = buffer.find(end_mark, end + 1)
    return None


def _verified(spec: LineSpec, raw: bytes, end_mark: bytes) -> str | None:
    size = _size(spec)
    if spec.checksum_place == "after-terminator":
        body, check = raw[: len(raw) - size], raw[len(raw) - size :]
        text = body[len(spec.start) : len(body) - len(end_mark)]
    else:
        whole = raw[: len(raw) - len(end_mark)]
        body, check = whole[: len(whole) - size], whole[len(whole) - size :]
        text = body[len(spec.start) :]
    return text.decode("latin-1").strip() if check == _checksum(spec, body) else None


def _size(spec: LineSpec) -> int:
    return _SIZES[spec.checksum] * (2 if spec.checksum_form == "hex" else 1)


def _checksum(spec: LineSpec, body: bytes) -> bytes:
    value = b""
    if spec.checksum == "crc16":
        value = FramerRTU.compute_CRC(body).to_bytes(2, "big")  # low byte first: pymodbus gives it swapped
    elif spec.checksum == "sum":
        value = bytes((sum(body) & 0xFF,))
    elif spec.checksum == "xor":
        exclusive = 0
        for byte in body:
            exclusive ^= byte
        value = bytes((exclusive,))
    return value.hex().upper().encode() if spec.checksum_form == "hex" else value
