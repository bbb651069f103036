"""Eurotherm 3200 type oven controllers (3216, 3208, 32h8, 3204) over Modbus RTU.

What falls safe by itself is the remote setpoint: it is volatile, and a controller that does not get it again within 5 s
goes to its local setpoint and raises "remote setpoint fail". So the local setpoint is the safe temperature, written once
(it is kept in an EEPROM that lasts for about 100,000 writes), and every temperature is a remote setpoint that the host
refreshes. A bench may say `setpoint = "local"` instead; then nothing falls safe, and each new temperature wears the EEPROM.
What is kept there is written when it changes and never twice; the channel `retained_writes` counts.

There is no register for a serial number and none that counts power-ups: the identity is type and firmware. Every command
here is a setting, so what a restart has undone is sent again.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers import eurotherm_map as register
from instruments.drivers.checks import channel_spec, check_number, legal_range
from instruments.drivers.device import Device
from instruments.drivers.eurotherm_link import RegisterLink, RegisterRefused, signed
from instruments.drivers.eurotherm_options import DECIMALS, OVEN_OPTIONS, OvenOptions, modbus_unit
from instruments.drivers.marks import Argument, command, safe
from instruments.drivers.protocol import (
    Call,
    ChannelSpec,
    Finding,
    Identity,
    Limit,
    Settings,
    StepVerdict,
)
from instruments.transport.base import LineTransport
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, InstrumentError, Sent

logger = logging.getLogger(__name__)

_REMOTE_LASTS: Final = 5.0
"""Wall seconds for which a remote setpoint holds without being written again; fixed in the controller (HA028651)."""
_CLEARS: Final = 2.0
"""Wall seconds within which a written remote setpoint has cleared its failure."""
_POLL: Final = 0.05
_PERCENT: Final = 10.0
"""Outputs count tenths of a percent ([S])."""
_REGISTER: Final = 0x7FFF
"""The largest signed 16-bit integer."""
_THERMOCOUPLE: Final = Limit(-200.0, 1372.0)
"""Range of the type K input (3200 series data sheet)."""
_CHANNELS: Final = {
    "temperature": register.PROCESS_VALUE,
    "working_setpoint": register.WORKING_SETPOINT,
    "power": register.POWER,
    "status": register.STATUS,
}
_SURE: Final = ("status", "retained_writes")
"""Channels that are true whatever the sensor says; the second counts this process's writes of what an EEPROM keeps."""


class EurothermOven(Device):
    """Heats to a temperature."""

    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {
        "temperature": ChannelSpec("degC"),
        "setpoint": ChannelSpec("degC"),
        "working_setpoint": ChannelSpec("degC"),
        "power": ChannelSpec("percent"),
        "status": ChannelSpec(""),
        "retained_writes": ChannelSpec(""),
    }
    HAS_WATCHDOG: ClassVar[bool] = True
    LINKS: ClassVar[Collection[str]] = ("serial",)
    OPTIONS: ClassVar[frozenset[str]] = OVEN_OPTIONS
    LONGEST_QUEUEING: ClassVar[float] = 0.1
    """A frame ends after 3.5 characters of silence and is acted on at once."""

    def __init__(self, transport: LineTransport, settings: Settings, clock: Clock) -> None:
        """Bind the unit at `settings.address`; nothing is sent.

        Raises:
            BadInput: The bench file gives no address of 1 to 247, or an illegal option.
        """
        super().__init__(transport, settings, clock)
        self._options = OvenOptions.of(settings)
        self._counting: float | None = None
        self._link = RegisterLink(transport, settings.name, modbus_unit(settings))
        self._configured: Limit | None = None
        self._held: int | None = None
        """The remote setpoint that is refreshed, as the register has it; None for the safe one."""
        self._armed = False
        self._faults_told = 0

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        """Refuse what this controller cannot keep."""
        options, name = OvenOptions.of(settings), settings.name
        modbus_unit(settings)
        if settings.serial_number is not None:
            message = f"{name}: serial_number = {settings.serial_number!r}, but a Eurotherm controller has no register for one"
            raise BadInput(f"{message}; leave it out (model, register 122, is compared)")
        if options.is_remote and settings.watchdog != _REMOTE_LASTS:
            came = "no watchdog" if settings.watchdog is None else f"a watchdog of {settings.watchdog:g} s"
            message = f"{name}: {came}, but a remote setpoint always runs out after {_REMOTE_LASTS:g} s; write watchdog = {{ seconds = 5 }}"
            raise BadInput(f'{message}, or options = {{ setpoint = "local" }} for an oven without a watchdog')
        if not options.is_remote and settings.watchdog is not None:
            raise BadInput(f'{name}: a watchdog needs the remote setpoint; with setpoint = "local" leave `watchdog` out')
        if options.safe is not None:
            legal = legal_range(settings, cls.COMMANDS["set_temperature"].arguments["temperature"], "temperature")
            check_number(f"{name}: options.safe_temperature", options.safe, "degC", legal)

    @override
    def identify(self) -> Identity:
        """Get type and firmware, where the model tells them; the controller has neither a serial number nor a boot counter.

        Raises:
            DeviceError: Another model or other decimals than the bench file names, or the bench file names a serial number.
        """
        kind, firmware = self._link.optional(register.TYPE), self._link.optional(register.FIRMWARE)
        identity = self.expected(Identity(_hex(kind) or "", None, _hex(firmware), None))
        self._counting = None
        self._range()
        return identity

    @property
    def _scale(self) -> float:
        """What one degree counts in a register: as the controller says, else as the bench file does, else 10.

        Raises:
            DeviceError: Controller and bench file disagree, or neither says anything that makes sense.
        """
        if self._counting is None:
            self._counting = 10.0 ** self._decimals()
        return self._counting

    def _decimals(self) -> int:
        told, declared, name = self._link.optional(register.DECIMALS), self._options.decimals, self._settings.name
        if told is None:
            return 1 if declared is None else declared
        if declared is None and told not in DECIMALS:
            message = f"{name}: register {register.DECIMALS} says {told} decimal places; expected 0, 1 or 2"
            raise DeviceError(f"{message}, or options.decimals in the bench file", sent=Sent.NO)
        if declared is not None and told in DECIMALS and told != declared:
            message = f"{name}: it counts temperatures with {told} decimal places (register {register.DECIMALS})"
            raise DeviceError(f"{message}; the bench file expects options.decimals = {declared}", sent=Sent.NO)
        return told if declared is None else declared

    def _range(self) -> Limit:
        """Get the setpoint range that the controller was configured with, in degC; as wide as a register where it tells none."""
        high, low = self._link.optional(register.HIGHEST), self._link.optional(register.LOWEST)
        ends = (-_REGISTER if low is None else low, _REGISTER if high is None else high)
        self._configured = Limit(ends[0] / self._scale, ends[1] / self._scale)
        return self._configured

    # ----------------------------------------------------------------- the watchdog: a remote setpoint that runs out

    @override
    def arm(self) -> None:
        """Set the local setpoint to the safe temperature, once, and change to the remote one; clears its failure.

        A remote setpoint that is followed is kept: somebody refreshed it a moment ago, and what stands on the bench stands.

        Raises:
            LimitError: The safe temperature is outside the controller's limits.
            DeviceError: The model has no remote setpoint, or its failure does not clear.
        """
        if not self._options.is_remote:
            return
        safe = self._safe()
        try:
            self._link.keep_optional(register.SELECTED, 0)
            self._link.keep(register.SAFE_SETPOINT, safe)
            self._held = self._link.value(register.REMOTE_SETPOINT) if self._follows_remote() else safe
            self._link.write(register.REMOTE_SETPOINT, self._held)
            self._link.keep(register.SOURCE, register.REMOTE)
        except RegisterRefused as error:
            if not error.is_absence:
                raise
            message = f'{error}: this model has no remote setpoint; expected options.setpoint = "local" in the bench file'
            raise DeviceError(message, sent=Sent.YES) from error
        self._await_remote()
        self._armed = True

    def _follows_remote(self) -> bool:
        """Say whether the controller works by a fresh remote setpoint, and is not off."""
        is_on = self._link.optional(register.INSTRUMENT_MODE) in (None, register.OPERATING) and self._link.optional(
            register.AUTO_MANUAL
        ) in (None, register.AUTOMATIC)
        return is_on and self._link.value(register.SOURCE) == register.REMOTE and not self._status() & 1 << register.REMOTE_FAIL

    def _safe(self) -> int:
        """Return the safe temperature as the register has it."""
        legal = self.limit("set_temperature", "temperature")
        assert legal is not None
        safe = legal.low if self._options.safe is None else self._options.safe
        return self._counts(check_number(f"{self._settings.name}: safe_temperature", safe, "degC", legal))

    def _await_remote(self) -> None:
        """Wait until the remote setpoint holds."""
        until = time.monotonic() + _CLEARS
        while self._status() & 1 << register.REMOTE_FAIL:
            if time.monotonic() > until:
                message = f"{self._settings.name}: a remote setpoint was written, but it still reports remote setpoint fail; not heated"
                raise DeviceError(message, sent=Sent.YES)
            time.sleep(_POLL)

    @override
    def refresh(self) -> None:
        """Write the remote setpoint again, to the volatile register alone.

        Raises:
            DeviceError: The remote setpoint had run out, or a fault has come up since the last time.
        """
        if not self._armed:
            return
        status = self._status()
        self._refuse_trip(status)
        self._link.write(register.REMOTE_SETPOINT, self._safe() if self._held is None else self._held)
        self._tell_faults(status)

    def _refuse_trip(self, status: int) -> None:
        if self._armed and status & 1 << register.REMOTE_FAIL:
            self._armed = False
            message = f"{self._settings.name}: its remote setpoint ran out or was lost, and it went to its safe local setpoint"
            raise DeviceError(message, sent=Sent.YES)

    def _tell_faults(self, status: int) -> None:
        known, self._faults_told = self._faults_told, sum(status & 1 << bit for bit in register.FAULTS)
        if self._faults_told & ~known:
            raise DeviceError(f"{self._settings.name}: {_faults(status)}", sent=Sent.YES)

    def _status(self) -> int:
        return self._link.value(register.STATUS)

    # ----------------------------------------------------------------- commands

    @override
    def _device_range(self, argument: str) -> Limit | None:
        return (self._configured or self._range()) if argument == "temperature" else None

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return {
            "setpoint": self._link.value(self._setpoint_register) / self._scale,
            "source": self._link.optional(register.SOURCE),
            "instrument_mode": self._link.optional(register.INSTRUMENT_MODE),
            "auto_manual": self._link.optional(register.AUTO_MANUAL),
            "manual_output": self._link.optional(register.MANUAL_OUTPUT),
            "status": self._status(),
            "wall": self._clock.now().wall.isoformat(),
        }

    @property
    def _setpoint_register(self) -> int:
        return register.REMOTE_SETPOINT if self._options.is_remote else register.TARGET

    @override
    def perform(self, call: Call) -> Mapping[str, float | str]:
        if call.command == "set_temperature":
            self._range()
        return super().perform(call)

    @command("state-setting", temperature=Argument("degC", _THERMOCOUPLE.low, _THERMOCOUPLE.high))
    def set_temperature(self, temperature: float) -> Mapping[str, float]:
        """Set the setpoint, in degC within bench file, data sheet and controller, then operation in the automatic mode.

        The setpoint goes first, so that a controller that was off never heats to an older one.
        """
        status = self._status()
        if faults := _faults(status):
            raise DeviceError(f"{self._settings.name}: {faults}; not heated", sent=Sent.NO)
        counts = self._counts(temperature)
        if self._options.is_remote:
            self._set_remote(counts, status)
        else:
            self._link.keep(register.TARGET, counts)
            self._link.keep_optional(register.SOURCE, register.LOCAL)
        self._link.keep_optional(register.INSTRUMENT_MODE, register.OPERATING)
        self._link.keep_optional(register.AUTO_MANUAL, register.AUTOMATIC)
        return {"temperature": counts / self._scale}

    def _set_remote(self, counts: int, status: int) -> None:
        if not self._armed or status & 1 << register.REMOTE_FAIL:
            logger.warning("%s: its remote setpoint was not in use or had run out; armed again", self._settings.name)
            self.arm()
        self._link.write(register.REMOTE_SETPOINT, counts)
        self._held = counts
        self._await_remote()

    @command("state-setting")
    @safe
    def off(self) -> None:
        """Set standby, in which all outputs are off; where that cannot be had, the manual mode with no output.

        Nothing is read before the first command is out. What is refreshed from now on is the safe temperature.
        """
        self._held = None
        try:
            self._link.write(register.INSTRUMENT_MODE, register.STANDBY)
        except InstrumentError as error:
            logger.warning("%s: no standby, so manual without output: %s", self._settings.name, error)
            self._manual_without_output()

    def _manual_without_output(self) -> None:
        """Set the manual mode first: a controller may take its present output over when it changes; the output even without it."""
        try:
            self._link.write(register.AUTO_MANUAL, register.MANUAL)
        finally:
            self._link.write(register.MANUAL_OUTPUT, 0)

    def _counts(self, temperature: float) -> int:
        return round(temperature * self._scale)

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide by the readback: every command here is a setting."""
        found = self.baseline(call)
        evidence = {"found": dict(found), "baseline": dict(baseline)}
        is_off = found["instrument_mode"] == register.STANDBY or (found["auto_manual"] == register.MANUAL and found["manual_output"] == 0)
        done = is_off
        if call.command == "set_temperature":
            wanted = self._counts(float(call.arguments["temperature"])) / self._scale
            done = not is_off and found["auto_manual"] in (None, register.AUTOMATIC) and found["setpoint"] == wanted and self._holds(found)
        return Finding(StepVerdict.FINISHED if done else StepVerdict.NOT_EXECUTED, evidence)

    def _holds(self, found: Mapping[str, Any]) -> bool:
        """Say whether the setpoint that was read is the one that the controller follows."""
        if self._options.is_remote:
            return bool(found["source"] == register.REMOTE) and not found["status"] & 1 << register.REMOTE_FAIL
        return found["source"] in (None, register.LOCAL)

    # ----------------------------------------------------------------- reading

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Get channels; while a fault is reported, or the remote setpoint has failed, what is measured is of bad quality.

        Raises:
            DeviceError: The remote setpoint in use has run out.
        """
        found = [self._value(channel) for channel in channels]
        status = self._status()
        self._refuse_trip(status)
        suspect = bool(_faults(status)) or (self._options.is_remote and bool(status & 1 << register.REMOTE_FAIL))
        return tuple(
            self._reading(channel, raw, value, "bad" if suspect and channel not in _SURE else "good")
            for channel, (value, raw) in zip(channels, found, strict=True)
        )

    def _value(self, channel: str) -> tuple[float, bytes]:
        """Get one channel with the frame that it was read from; in standby the power is none, whatever the register says."""
        channel_spec(self._settings, self.CHANNELS, channel)
        if channel == "retained_writes":
            return float(count := sum(self._link.written[one] for one in register.RETAINED)), str(count).encode()
        if channel == "power" and self._link.optional(register.INSTRUMENT_MODE) == register.STANDBY:
            return 0.0, self._link.read(register.INSTRUMENT_MODE)[1]
        (word,), raw = self._link.read(_CHANNELS.get(channel, self._setpoint_register))
        if channel == "status":
            return float(word), raw
        return signed(word) / (_PERCENT if channel == "power" else self._scale), raw


def _hex(register: int | None) -> str | None:
    return None if register is None else f"{register & 0xFFFF:04x}"


def _faults(status: int) -> str:
    """Name the faults of a status; empty where there is none."""
    return " and ".join(text for bit, text in register.FAULTS.items() if status & 1 << bit)
