"""Eurotherm 3200 type oven controllers over Modbus RTU (registers of the 3200 series' communications manual).

Frames and PDUs are pymodbus's; its client is not used, because it sends a write again by itself.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, WriteSingleRegisterRequest
from typing_extensions import override

from instruments.driver import (
    ArgumentSpec,
    Call,
    ChannelSpec,
    CommandSpec,
    Driver,
    Finding,
    Identity,
    Limit,
    Outcome,
    Progress,
    Settings,
    Verdict,
)
from instruments.legal import channel_spec, check_number, command_spec, legal_range, make_reading
from instruments.transport.base import LineTransport
from instruments.transport.framing import rtu_reply_of
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, LinkError, ProtocolError, Sent

logger = logging.getLogger(__name__)

_DEADLINE: Final = 0.7
"""Wall seconds for a reply; the controller answers within 50 ms."""
_WORST_REPLY: Final = 1.4
"""Wall seconds after which a reply to an earlier request comes no more."""

_PROCESS_VALUE, _SETPOINT, _MANUAL_OUTPUT, _POWER, _WORKING_SETPOINT = 1, 2, 3, 4, 5
_STATUS, _FIRMWARE, _LOW_LIMIT, _HIGH_LIMIT, _TYPE = 75, 107, 111, 112, 122
_SERIAL_NUMBER, _BOOTS, _WATCHDOG, _MODE = 129, 131, 200, 273
_AUTOMATIC, _MANUAL = 0, 1
_SENSOR_BREAK, _WATCHDOG_TRIPPED = 1, 2
_SCALE: Final = 10.0
"""Registers count tenths of a degree or of a percent."""
_THERMOCOUPLE: Final = Limit(-200.0, 1372.0)
"""Range of the type K input (3200 series data sheet)."""
_EXCEPTIONS: Final = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 6: "busy"}
_CHANNELS: Final = {
    "temperature": _PROCESS_VALUE,
    "setpoint": _SETPOINT,
    "working_setpoint": _WORKING_SETPOINT,
    "power": _POWER,
}


class RegisterLink:
    """Reads and writes holding registers of one unit."""

    def __init__(self, transport: LineTransport, name: str, unit: int) -> None:
        """Bind a unit; nothing is sent."""
        self._transport = transport
        self._name = name
        self._unit = unit
        self._framer = FramerRTU(DecodePDU(is_server=False))
        self._in_step = False

    def read(self, address: int, count: int = 1) -> tuple[tuple[int, ...], bytes]:
        """Read registers, once more when the reply was lost; return them unsigned, and the frame."""
        try:
            return self._read(address, count)
        except LinkError as error:
            if error.sent is Sent.NO:
                raise
            logger.warning("%s: register %d is read once more: %s", self._name, address, error)
            return self._read(address, count)

    def write(self, address: int, value: int) -> None:
        """Write one register and compare the readback; all registers here are settings, and may be written again.

        Raises:
            DeviceError: The controller refuses, or acknowledges and ignores the value.
        """
        try:
            self._write(address, value)
        except LinkError as error:
            if error.sent is Sent.NO:
                raise
            logger.warning("%s: register %d is written once more: %s", self._name, address, error)
            self._write(address, value)
        readback = _signed(self.read(address)[0][0])
        if readback != value:
            message = f"{self._name} acknowledged {value} for register {address} but reads back {readback}"
            raise DeviceError(message, sent=Sent.YES)

    def _read(self, address: int, count: int) -> tuple[tuple[int, ...], bytes]:
        if not self._in_step and count != 3:
            self._find_step()
        request = ReadHoldingRegistersRequest(address=address, count=count, dev_id=self._unit)
        reply, raw = self._exchange(request, 5 + 2 * count, f"reading register {address}")
        return tuple(reply.registers), raw

    def _write(self, address: int, value: int) -> None:
        if not self._in_step:
            self._find_step()
        what = f"register {address} = {value}"
        request = WriteSingleRegisterRequest(address=address, registers=[value & 0xFFFF], dev_id=self._unit)
        reply, _ = self._exchange(request, 8, what)
        if reply.address != address or reply.registers != [value & 0xFFFF]:
            message = f"{self._name} answered {what} with register {reply.address} = {reply.registers}"
            raise ProtocolError(message, sent=Sent.MAYBE)

    def _find_step(self) -> None:
        """Make sure that the next reply is ours: a read of three registers, whose reply is as long as no other."""
        try:
            self._read(_SERIAL_NUMBER, 3)
        except LinkError as error:
            raise LinkError(f"{error}; the command was not sent", sent=Sent.NO) from error
        self._in_step = True

    def _exchange(self, request: ModbusPDU, size: int, what: str) -> tuple[ModbusPDU, bytes]:
        head = bytes((self._unit, request.function_code))
        reply_of = rtu_reply_of(size, _intact, head)
        frame = self._framer.buildFrame(request)
        try:
            raw = self._transport.exchange(frame, reply_of, deadline=_DEADLINE, worst_reply=_WORST_REPLY)
        except LinkError:
            self._in_step = False
            raise
        _, reply = self._framer.handleFrame(raw, self._unit, 0)
        if reply is None:
            raise ProtocolError(f"{self._name}: {raw.hex()} is no reply to {what}", sent=Sent.MAYBE)
        if isinstance(reply, ExceptionResponse):
            said = _EXCEPTIONS.get(reply.exception_code, "unknown")
            raise DeviceError(f"{self._name} refused {what}: exception {reply.exception_code} ({said})", sent=Sent.YES)
        return reply, raw


class EurothermOven(Driver):
    """Heats to a temperature."""

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "set_temperature": CommandSpec(StepKind.STATE_SETTING, {"temperature": ArgumentSpec("degC", _THERMOCOUPLE)}),
        "off": CommandSpec(StepKind.STATE_SETTING),
    }
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {
        "temperature": ChannelSpec("degC"),
        "setpoint": ChannelSpec("degC"),
        "working_setpoint": ChannelSpec("degC"),
        "power": ChannelSpec("percent"),
        "status": ChannelSpec(""),
    }
    SAFE_ACTIONS: ClassVar[frozenset[str]] = frozenset({"off"})
    HAS_WATCHDOG: ClassVar[bool] = True
    LONGEST_QUEUEING: ClassVar[float] = 0.1
    """A frame ends after 3.5 characters of silence and is acted on at once."""

    def __init__(self, transport: LineTransport, settings: Settings, clock: Clock) -> None:
        """Bind the unit at `settings.address`; nothing is sent.

        Raises:
            BadInput: The bench file gives no address of 1 to 247.
        """
        if settings.address is None or not 1 <= settings.address <= 247:
            raise BadInput(f"{settings.name}: address {settings.address!r}; a Modbus unit has one of 1 to 247")
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._link = RegisterLink(transport, settings.name, settings.address)
        self._device_range: Limit | None = None
        self._boots: int | None = None
        self._armed = False

    @property
    @override
    def settings(self) -> Settings:
        return self._settings

    @override
    def identify(self) -> Identity:
        """Get type, serial number, firmware and the count of power-ups.

        Raises:
            DeviceError: Another model or serial number than the bench file names.
        """
        (high, low, boots), _ = self._link.read(_SERIAL_NUMBER, 3)
        (kind,), _ = self._link.read(_TYPE)
        (firmware,), _ = self._link.read(_FIRMWARE)
        identity = Identity(f"{kind:04x}", str(high << 16 | low), str(firmware), str(boots))
        self._expect("model", identity.model, self._settings.model)
        self._expect("serial number", identity.serial_number, self._settings.serial_number)
        self._boots = boots
        self._range()
        return identity

    def _expect(self, what: str, found: str | None, wanted: str | None) -> None:
        if wanted is not None and found != wanted:
            message = f"{self._settings.name}: {what} {found}; the bench file expects {wanted}"
            raise DeviceError(message, sent=Sent.NO)

    def _range(self) -> Limit:
        """Get the setpoint range that the controller was configured with, in degC."""
        (low, high), _ = self._link.read(_LOW_LIMIT, 2)
        self._device_range = Limit(_signed(low) / _SCALE, _signed(high) / _SCALE)
        return self._device_range

    @override
    def arm(self) -> None:
        """Set the communication watchdog to the bench file's time (0 switches it off); clears a tripped one."""
        self._link.write(_WATCHDOG, math.ceil(self._settings.watchdog or 0))
        self._armed = self._settings.watchdog is not None

    @override
    def refresh(self) -> None:
        """Get status and power-ups, which the controller takes as a sign of life.

        Raises:
            DeviceError: The controller was restarted, or its watchdog has switched the heater off.
        """
        self._refuse_restart()
        self._refuse_trip()

    def _refuse_restart(self) -> None:
        (boots,), _ = self._link.read(_BOOTS)
        known, self._boots = self._boots, boots
        if known is not None and known != boots:
            self.arm()
            raise DeviceError(f"{self._settings.name} was restarted (power-up {boots}, was {known})", sent=Sent.YES)

    def _refuse_trip(self) -> None:
        if self._armed and self._status() & _WATCHDOG_TRIPPED:
            self._armed = False
            message = f"{self._settings.name}: its communication watchdog ran out and switched the heater off"
            raise DeviceError(message, sent=Sent.YES)

    def _status(self) -> int:
        return self._link.read(_STATUS)[0][0]

    @override
    def limit(self, command: str, argument: str) -> Limit | None:
        spec = self.COMMANDS.get(command)
        if argument != "temperature" or spec is None:
            return None
        return legal_range(self._settings, spec.arguments.get(argument), argument, self._device_range or self._range())

    @override
    def check(self, call: Call) -> None:
        spec = command_spec(self._settings, self.COMMANDS, call)
        for name, argument in spec.arguments.items():
            what = f"{self._settings.name}.{call.command} {name}"
            check_number(what, call.arguments[name], argument.unit or "", self.limit(call.command, name))

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        (_, _, boots), _ = self._link.read(_SERIAL_NUMBER, 3)
        (setpoint,), _ = self._link.read(_SETPOINT)
        (mode,), _ = self._link.read(_MODE)
        return {
            "boot_id": str(boots),
            "setpoint": _signed(setpoint) / _SCALE,
            "mode": mode,
            "status": self._status(),
            "wall": self._clock.now().wall.isoformat(),
        }

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        if call.command == "set_temperature":
            self._range()
        self.check(call)
        acts: Mapping[str, Callable[[Call], Mapping[str, float | str]]] = {
            "set_temperature": self._set_temperature,
            "off": lambda _: self._off(),
        }
        return acts[call.command](call)

    def _set_temperature(self, call: Call) -> Mapping[str, float | str]:
        """Set the setpoint, in degC within bench file, data sheet and controller, then the automatic mode.

        The setpoint goes first, so that a controller that was off never heats to an older one.
        """
        status = self._status()
        if status & _SENSOR_BREAK:
            raise DeviceError(f"{self._settings.name}: its temperature sensor is broken; not heated", sent=Sent.NO)
        if status & _WATCHDOG_TRIPPED and self._settings.watchdog is not None:
            logger.warning("%s: its watchdog had run out; armed again", self._settings.name)
            self.arm()
        tenths = round(float(call.arguments["temperature"]) * _SCALE)
        self._link.write(_SETPOINT, tenths)
        self._link.write(_MODE, _AUTOMATIC)
        return {"temperature": tenths / _SCALE}

    def _off(self) -> Mapping[str, float | str]:
        """Set the manual mode with no output.

        Manual mode first: a controller may take its present output over when it changes to manual. The output is set
        even where the mode could not be.
        """
        try:
            self._link.write(_MODE, _MANUAL)
        finally:
            self._link.write(_MANUAL_OUTPUT, 0)
        return {}

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        return Outcome(Progress.FINISHED)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide by the readback: every command here is a setting."""
        found = self.baseline(call)
        evidence = {"found": dict(found), "baseline": dict(baseline)}
        done = found["mode"] == _MANUAL
        if call.command == "set_temperature":
            wanted = round(float(call.arguments["temperature"]) * _SCALE) / _SCALE
            done = found["mode"] == _AUTOMATIC and found["setpoint"] == wanted
        return Finding(Verdict.FINISHED if done else Verdict.NOT_EXECUTED, evidence)

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Get channels; with a broken sensor the temperature is of bad quality.

        Raises:
            DeviceError: The armed watchdog has run out.
        """
        self._refuse_trip()
        return tuple(self._read(channel) for channel in channels)

    def _read(self, channel: str) -> Reading:
        unit = channel_spec(self._settings, self.CHANNELS, channel).unit
        if channel == "status":
            (status,), raw = self._link.read(_STATUS)
            return make_reading(self._settings, self._clock, channel, unit, raw, float(status))
        (value,), raw = self._link.read(_CHANNELS[channel])
        quality: Literal["good", "bad"] = "good"
        if channel == "temperature" and self._status() & _SENSOR_BREAK:
            quality = "bad"
        return make_reading(self._settings, self._clock, channel, unit, raw, _signed(value) / _SCALE, quality)

    @override
    def cancel(self, call: Call) -> None:
        """Do nothing: no command here goes on by itself."""

    @override
    def make_safe(self, action: str) -> None:
        if action not in self.SAFE_ACTIONS:
            raise BadInput(f"{self._settings.name} has no safe action {action!r}; it has {', '.join(sorted(self.SAFE_ACTIONS))}")
        self._off()

    @override
    def close(self) -> None:
        self._transport.close()


def _intact(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def _signed(register: int) -> int:
    return register - 0x10000 if register & 0x8000 else register
