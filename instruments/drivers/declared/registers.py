"""The engine of Modbus devices: values in one or two registers, in RTU frames or in those of Modbus TCP.

Frames and PDUs are pymodbus's; its client is not used, because it sends a write again by itself.
"""

import struct
import time
from collections.abc import Sequence
from typing import Final

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)
from typing_extensions import override

from instruments.drivers.declared.engine import Engine, Heard, Values, value_of
from instruments.drivers.declared.spec import ActSpec, ModbusSpec, QuestionSpec
from instruments.transport.base import LineTransport
from instruments.transport.framing import rtu_reply_of
from orchestrator.errors import DeviceError, LimitError, ProtocolError, Sent

_CODES: Final = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
"""Type -> how `struct` writes it, high byte first."""
SIZES: Final = {kind: struct.calcsize(code) // 2 for kind, code in _CODES.items()}
"""Type -> how many registers it takes."""
_LATE: Final = 2.0
"""An answer may come until so many times its time-out; a later request waits for it."""
_HEAD: Final = 6
"""Bytes of a Modbus TCP header before the unit: transaction, protocol, length."""
_TRANSACTIONS: Final = 0xFFFF
_EXCEPTIONS: Final = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 5: "acknowledge", 6: "busy"}
"""Modbus application protocol V1.1b3, chapter 7."""


def registers_of(value: float, kind: str, word_order: str) -> list[int]:
    """Write a number into registers.

    Raises:
        ValueError: It does not fit the type.
    """
    number = value if kind == "float32" else round(value)
    try:
        packed = struct.pack(_CODES[kind], number)
    except struct.error as error:
        raise ValueError(f"{value:g} does not fit {kind}") from error
    return list(_ordered(struct.unpack(f">{len(packed) // 2}H", packed), word_order))


def number_in(registers: Sequence[int], kind: str, word_order: str) -> int | float:
    """Read a number out of as many registers as its type has."""
    words = _ordered(registers, word_order)
    number: int | float = struct.unpack(_CODES[kind], struct.pack(f">{len(words)}H", *words))[0]
    return number


def _ordered(words: Sequence[int], word_order: str) -> Sequence[int]:
    return words if word_order == "big" else words[::-1]


class RegisterEngine(Engine):
    """Reads and writes the registers of one unit."""

    def __init__(self, transport: LineTransport, name: str, unit: int, spec: ModbusSpec) -> None:
        """Bind it; nothing is sent. Without a frame in the profile the link decides: Modbus TCP on a tcp link, else RTU."""
        self._transport, self._name, self._unit, self._spec = transport, name, unit, spec
        self._is_tcp = (spec.frame or transport.kind) == "tcp"
        self._framer = (FramerSocket if self._is_tcp else FramerRTU)(DecodePDU(is_server=False))
        self._transaction = 0
        self._free_at = time.monotonic() + spec.gap

    @override
    def ask(self, question: QuestionSpec, *shapes: str) -> Heard:
        del shapes  # a reply is known by its frame
        kind = question.type or "int16"
        address, count = question.register_ or 0, SIZES[kind]
        make = ReadHoldingRegistersRequest if question.table == "holding" else ReadInputRegistersRequest
        request = make(address=address, count=count, dev_id=self._unit)
        head = bytes((self._unit, request.function_code, 2 * count))
        reply, raw = self._exchange(request, 5 + 2 * count, head, f"reading register {address}")
        if len(reply.registers) != count:
            raise ProtocolError(f"{self._name}: {raw.hex()} is no reply to reading {count} registers at {address}", sent=Sent.MAYBE)
        if question.bit is not None:
            return Heard(str(reply.registers[0] >> question.bit & 1), raw)
        return Heard(repr(number_in(reply.registers, kind, self._spec.word_order)), raw)

    @override
    def act(self, act: ActSpec, values: Values, *, bare: bool = False) -> None:
        del bare  # nothing is asked after a write, and there is one act alone
        address, kind, value = act.register_ or 0, act.type or "int16", float(value_of(act, values))
        try:
            registers = registers_of(value, kind, self._spec.word_order)
        except ValueError as error:
            raise LimitError(f"{self._name}: register {address}: {error}") from error
        if (act.function or (6 if len(registers) == 1 else 16)) == 6:
            request: ModbusPDU = WriteSingleRegisterRequest(address=address, registers=registers, dev_id=self._unit)
        else:
            request = WriteMultipleRegistersRequest(address=address, registers=registers, dev_id=self._unit)
        head = FramerRTU(DecodePDU(is_server=False)).buildFrame(request)[:6]
        self._exchange(request, 8, head, f"register {address} = {value:g}")

    def _exchange(self, request: ModbusPDU, size: int, head: bytes, what: str) -> tuple[ModbusPDU, bytes]:
        """Send one request, once.

        Args:
            request: The request; its transaction number is set here.
            size: Bytes of the reply as an RTU frame.
            head: What an RTU reply begins with.
            what: The request in words.
        """
        self._transaction = self._transaction % _TRANSACTIONS + 1
        request.transaction_id = self._transaction
        frame = self._framer.buildFrame(request)
        reply_of = self._tcp_reply if self._is_tcp else rtu_reply_of(size, _intact, head)
        time.sleep(max(0.0, self._free_at - time.monotonic()))
        try:
            raw = self._transport.exchange(frame, reply_of, deadline=self._spec.timeout, worst_reply=_LATE * self._spec.timeout)
        finally:
            self._free_at = time.monotonic() + self._spec.gap
        _, reply = self._framer.handleFrame(raw, self._unit, self._transaction if self._is_tcp else 0)
        if isinstance(reply, ExceptionResponse):
            said = _EXCEPTIONS.get(reply.exception_code, "unknown")
            raise DeviceError(f"{self._name} refused {what}: exception {reply.exception_code} ({said})", sent=Sent.YES)
        if reply is None or reply.function_code != request.function_code:
            raise ProtocolError(f"{self._name}: {raw.hex()} is no reply to {what}", sent=Sent.MAYBE)
        return reply, raw

    def _tcp_reply(self, buffer: bytes) -> bytes | None:
        """Find the whole reply with our transaction number; one to an earlier request is skipped."""
        start = 0
        while len(buffer) >= start + _HEAD:
            end = start + _HEAD + int.from_bytes(buffer[start + 4 : start + _HEAD], "big")
            if buffer[start : start + 2] == self._transaction.to_bytes(2, "big"):
                return buffer[start:end] if len(buffer) >= end else None
            start = end
        return None


def _intact(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))
