"""Holding registers of one Modbus RTU unit: one exchange at a time, each reply told from late ones, no meaning.

Frames and PDUs are pymodbus's; its client is not used, because it sends a write again by itself.
"""

import logging
from collections import Counter
from typing import Final

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, WriteSingleRegisterRequest

from instruments.transport.base import LineTransport
from instruments.transport.framing import rtu_reply_of
from orchestrator.errors import DeviceError, LinkError, ProtocolError, Sent

logger = logging.getLogger(__name__)

_DEADLINE: Final = 0.7
"""Wall seconds for a reply; the controller answers within 50 ms."""
_WORST_REPLY: Final = 1.4
"""Wall seconds after which a reply to an earlier request comes no more."""
_PROBE_FROM: Final = 1
_PROBE: Final = 3
"""Registers of a reading that nothing else asks for: its reply is as long as no other."""
_ABSENT: Final = 2
_EXCEPTIONS: Final = {1: "illegal function", _ABSENT: "illegal address", 3: "illegal value", 4: "device failure", 6: "busy"}
"""Modbus application protocol V1.1b3, chapter 7."""


class RegisterRefused(DeviceError):
    """The unit answered with an exception."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, sent=Sent.YES)
        self.code = code

    @property
    def is_absence(self) -> bool:
        """Whether it says that there is no such register."""
        return self.code == _ABSENT


class RegisterLink:
    """Reads and writes holding registers of one unit."""

    def __init__(self, transport: LineTransport, name: str, unit: int) -> None:
        self._transport = transport
        self._name = name
        self._unit = unit
        self._framer = FramerRTU(DecodePDU(is_server=False))
        self._in_step = False
        self.written: Counter[int] = Counter()
        """Writes that went out, by register."""

    def read(self, address: int, count: int = 1) -> tuple[tuple[int, ...], bytes]:
        """Read registers, once more when the reply was lost; return them unsigned, and the frame."""
        try:
            return self._read(address, count)
        except LinkError as error:
            if error.sent is Sent.NO:
                raise
            logger.warning("%s: register %d is read once more: %s", self._name, address, error)
            return self._read(address, count)

    def value(self, address: int) -> int:
        """Read one signed register."""
        return signed(self.read(address)[0][0])

    def optional(self, address: int) -> int | None:
        """Read one signed register that a model need not have; None where it has none."""
        try:
            return self.value(address)
        except RegisterRefused as error:
            if not error.is_absence:
                raise
            return None

    def write(self, address: int, value: int, *, sparing: bool = False) -> None:
        """Write one register and compare the readback; all registers here are settings, and may be written again.

        Nothing is read before: the reply repeats the request, so that no late one is taken for it.

        Args:
            address: The register.
            value: Its new value, signed.
            sparing: Look first whether it was taken when the reply was lost: what it is kept in wears.

        Raises:
            DeviceError: The controller refuses, or acknowledges and ignores the value.
        """
        try:
            self._write(address, value)
        except LinkError as error:
            if error.sent is Sent.NO:
                raise
            if sparing and self.value(address) == value:
                return
            logger.warning("%s: register %d is written once more: %s", self._name, address, error)
            self._write(address, value)
        readback = self.value(address)
        if readback != value:
            message = f"{self._name} acknowledged {value} for register {address} but reads back {readback}"
            raise DeviceError(message, sent=Sent.YES)

    def keep(self, address: int, value: int) -> None:
        """Write one register unless it holds the value already."""
        if self.value(address) != value:
            self.write(address, value, sparing=True)

    def keep_optional(self, address: int, value: int) -> None:
        """Do the same where the model has the register."""
        if self.optional(address) not in (None, value):
            self.write(address, value, sparing=True)

    def _read(self, address: int, count: int) -> tuple[tuple[int, ...], bytes]:
        if not self._in_step and count != _PROBE:
            self._find_step()
        request = ReadHoldingRegistersRequest(address=address, count=count, dev_id=self._unit)
        head = bytes((self._unit, request.function_code, 2 * count))
        reply, raw = self._exchange(request, 5 + 2 * count, head, f"reading register {address}")
        return tuple(reply.registers), raw

    def _write(self, address: int, value: int) -> None:
        request = WriteSingleRegisterRequest(address=address, registers=[value & 0xFFFF], dev_id=self._unit)
        head = self._framer.buildFrame(request)[:6]
        self.written[address] += 1
        self._exchange(request, 8, head, f"register {address} = {value}")

    def _find_step(self) -> None:
        """Make sure that the next reply is ours: a read of three registers, whatever the unit says to it."""
        try:
            self._read(_PROBE_FROM, _PROBE)
        except LinkError as error:
            raise LinkError(f"{error}; the command was not sent", sent=Sent.NO) from error
        except RegisterRefused as error:
            logger.debug("%s: %s", self._name, error)
        self._in_step = True

    def _exchange(self, request: ModbusPDU, size: int, head: bytes, what: str) -> tuple[ModbusPDU, bytes]:
        frame = self._framer.buildFrame(request)
        try:
            raw = self._transport.exchange(frame, rtu_reply_of(size, _intact, head), deadline=_DEADLINE, worst_reply=_WORST_REPLY)
        except LinkError:
            self._in_step = False
            raise
        _, reply = self._framer.handleFrame(raw, self._unit, 0)
        if reply is None:
            raise ProtocolError(f"{self._name}: {raw.hex()} is no reply to {what}", sent=Sent.MAYBE)
        if isinstance(reply, ExceptionResponse):
            said = _EXCEPTIONS.get(reply.exception_code, "unknown")
            raise RegisterRefused(f"{self._name} refused {what}: exception {reply.exception_code} ({said})", reply.exception_code)
        return reply, raw


def _intact(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def signed(register: int) -> int:
    """Take a register for a signed 16-bit integer."""
    return register - 0x10000 if register & 0x8000 else register
