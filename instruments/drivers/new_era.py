"""New Era type syringe pumps (NE-1000 family), one per address of a serial line.

A dose is a volume that the pump ends by itself. Its evidence is the totaliser: `baseline` clears it (a state-setting
act) and reads it back as zero *before* the intent to dose is journalled, so that at any later moment a totaliser still at
zero means that RUN was never carried out, and any other value is what our RUN has dispensed. Were it cleared after the
baseline, a reading equal to the last dose could mean both "nothing happened" and "done".
"""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

from typing_extensions import override

from instruments.drivers.device import COARSE, Device
from instruments.drivers.marks import Argument, command, safe
from instruments.drivers.new_era_options import PUMP_OPTIONS, pump_address, syringe_diameter
from instruments.drivers.new_era_protocol import (
    ALARMS,
    DIRECTION,
    NOTHING,
    RATE,
    VERSION_REPLY,
    VOLUME,
    PumpLink,
    Totals,
    amount,
    pump_number,
    resolution,
)
from instruments.drivers.protocol import (
    Call,
    ChannelSpec,
    Finding,
    Identity,
    Limit,
    Outcome,
    Progress,
    Settings,
    StepVerdict,
)
from instruments.transport.base import LineTransport
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput, DeviceError, InstrumentError, LimitError, LinkError, Sent

logger = logging.getLogger(__name__)

_DOSE_TOLERANCE: Final = 0.01
"""A dose within 1 % of its target is complete: the pump's own accuracy (NE-1000 data sheet)."""
_ZERO: Final = 0.0005
"""mL below which the totaliser shows zero (three decimals)."""
_NOTICEABLE: Final = 0.002
"""mL that the totaliser is sure to show."""
_FLOWS: Final = Limit(0.001, 100.1)
"""mL/min: the least number of three decimals; the fastest plunger (5.1005 cm/min, NE-1000 manual 12.5) with the widest syringe.
What the syringe at hand allows the pump knows, and refuses."""
_VOLUMES: Final = Limit(0.001, 9999.0)
_STOPS: Final = 3
"""STP pauses first and stops at the second time; one more for a lost one."""
_MOVES: Final = {"I": 1.0, "W": -1.0}
"""Direction of the flow by run state; in every other one there is none."""


class NewEraPump(Device):
    """Infuses volumes at flows."""

    CHANNELS: ClassVar[Mapping[str, ChannelSpec]] = {
        "flow": ChannelSpec("mL/min"),
        "flow_setpoint": ChannelSpec("mL/min"),
        "dispensed": ChannelSpec("mL"),
        "status": ChannelSpec(""),
    }
    HAS_WATCHDOG: ClassVar[bool] = True
    LINKS: ClassVar[Collection[str]] = ("serial",)
    OPTIONS: ClassVar[frozenset[str]] = PUMP_OPTIONS
    LONGEST_QUEUEING: ClassVar[float] = 0.5
    """The pump drops a command whose bytes are more than 0.5 s apart, and acts on a whole one at once."""

    def __init__(self, transport: LineTransport, settings: Settings, clock: Clock) -> None:
        """Bind the pump at `settings.address`; nothing is sent.

        Raises:
            BadInput: The bench file gives no address of 0 to 99, or a watchdog that the pump cannot keep.
        """
        super().__init__(transport, settings, clock)
        self._link = PumpLink(transport, settings.name, pump_address(settings))
        self._alarms_when_armed: int | None = None
        self._alarms_told = 0

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        pump_address(settings)
        syringe_diameter(settings)
        if settings.serial_number is not None:
            message = f"{settings.name}: serial_number = {settings.serial_number!r}, but a New Era pump tells none"
            raise BadInput(f"{message}; leave it out (the model is compared)")

    @override
    def identify(self) -> Identity:
        """Get model and firmware; the pump has no serial number on the wire.

        Raises:
            DeviceError: Another model or syringe than the bench file names, or the bench file names a serial number.
        """
        match, _ = self._link.ask("VER", VERSION_REPLY)
        identity = self.expected(Identity(match["model"], None, match["firmware"], None))
        declared = syringe_diameter(self._settings)
        if declared is not None and abs((found := self._link.diameter()) - declared) > resolution(pump_number(declared)):
            message = f"{self._settings.name}: it counts with a syringe of {found:g} mm"
            raise DeviceError(f"{message}; the bench file expects options.diameter = {declared:g} mm", sent=Sent.NO)
        return identity

    @override
    def arm(self) -> None:
        """Set the safe mode with the bench file's watchdog time, or leave it where there is none.

        Alarms up to here are taken note of: what follows begins anew.

        Raises:
            DeviceError: The pump keeps its mode, or its pumping program goes on after a volume.
        """
        self._arm()
        if (after := self._link.second_phase()) not in (None, "STP"):
            message = f"{self._settings.name}: phase 2 of its pumping program is {after}, so that no dose would end"
            raise DeviceError(f"{message}; expected STP (PHN2, FUNSTP, PHN1)", sent=Sent.NO)
        self._alarms_told = self._link.alarm_count

    def _arm(self) -> None:
        seconds = math.ceil(self._settings.watchdog or 0)
        if seconds == 0 and self._find_mode() is False:
            return
        command = f"SAF{seconds}"
        reply = self._link.send_repeatable(command, NOTHING)
        if reply.alarm is not None:
            reply = self._link.send_repeatable(command, NOTHING)
        self._link.check_acknowledged(command, reply)
        if self._link.safe_mode != (seconds > 0):
            raise DeviceError(f"{self._settings.name} acknowledged {command} but kept its mode", sent=Sent.YES)
        self._link.ask("VER", VERSION_REPLY)
        self._alarms_when_armed = self._link.alarm_count

    def _find_mode(self) -> bool:
        self._link.ask("VER", VERSION_REPLY)
        return self._link.safe_mode

    def _arm_again(self) -> None:
        """Arm the watchdog again when a reset or a time-out has undone it."""
        armed = self._alarms_when_armed
        if self._settings.watchdog and armed is not None and (armed != self._link.alarm_count or not self._link.safe_mode):
            self._arm()

    @override
    def refresh(self) -> None:
        """Get the run state, which the pump takes as a sign of life.

        Raises:
            DeviceError: An alarm came up since the last exchange; the watchdog is armed again.
        """
        before = self._link.alarm_count
        self._link.totals()
        self._arm_again()
        if self._link.alarm_count != before:
            raise DeviceError(f"{self._settings.name} reported an alarm{self._alarm_text()}", sent=Sent.YES)

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        """Get the run state, the totaliser and the version; before a dose the totaliser is cleared first (see above).

        Raises:
            DeviceError: The totaliser does not clear, or an alarm came up that nobody was told of.
        """
        totals = self._link.totals()
        match, _ = self._link.ask("VER", VERSION_REPLY)
        self._refuse_alarms(Sent.NO)
        cleared = call.command == "dose" and totals.prompt == "S"
        if cleared:
            totals = self._clear()
        self._link.forget_alarms()
        return {
            "status": totals.prompt,
            "dispensed": totals.infused,
            "cleared": cleared,
            "version": match[0],
            "wall": self._clock.now().wall.isoformat(),
        }

    @command("state-setting", flow=Argument("mL/min", _FLOWS.low, _FLOWS.high))
    def set_flow(self, flow: float) -> Mapping[str, float]:
        """Set the flow, 0.001 to 100.1 mL/min and within what the syringe allows, and compare the readback."""
        text = self._number("set_flow flow", flow)
        self._refuse_alarms(Sent.NO)
        self._link.set_number("RAT", text, suffix="MM")
        self._refuse_alarms(Sent.YES)
        return {"flow": float(text)}

    @command("dosing", volume=Argument("mL", _VOLUMES.low, _VOLUMES.high))
    def dose(self, volume: float) -> Mapping[str, float]:
        """Run the infusion of a volume, 0.001 to 9999 mL; the pump ends it by itself."""
        text = self._number("dose volume", volume)
        try:
            self._prepare_dose(text)
        except InstrumentError as error:
            raise type(error)(f"{error}; the dose was not started", sent=Sent.NO) from error
        self._link.check_acknowledged("RUN", self._link.send("RUN", NOTHING))
        self._confirm_running()
        return {"volume": float(text)}

    def _prepare_dose(self, text: str) -> None:
        """Set direction and volume and clear the totaliser; all of it may be repeated."""
        self._link.set("DIRINF")
        match, _ = self._link.ask("DIR", DIRECTION)
        if match[0] != "INF":
            raise DeviceError(f"{self._settings.name} acknowledged DIRINF but is set to {match[0]}", sent=Sent.YES)
        self._link.set("VOLML")
        self._link.set_number("VOL", text)
        totals = self._clear()
        if totals.prompt != "S":
            raise DeviceError(f"{self._settings.name} is {totals.state}; expected it stopped before a dose", sent=Sent.NO)
        self._refuse_alarms(Sent.NO)

    def _confirm_running(self) -> None:
        """Check that an acknowledged RUN is carried out."""
        try:
            totals = self._link.totals()
        except LinkError as error:
            raise LinkError(f"{error}; RUN was acknowledged before", sent=Sent.YES) from error
        if totals.prompt != "I" and totals.infused < _ZERO:
            message = f"{self._settings.name} acknowledged RUN but is {totals.state} with nothing dispensed"
            raise DeviceError(message + self._alarm_text(), sent=Sent.YES)

    def _clear(self) -> Totals:
        self._link.set("CLDINF")
        totals = self._link.totals()
        if totals.infused >= _ZERO and totals.prompt == "S":
            message = f"{self._settings.name} acknowledged CLDINF but its totaliser is at {totals.infused:g} mL"
            raise DeviceError(message, sent=Sent.YES)
        return totals

    @command("state-setting")
    @safe
    def stop(self) -> None:
        """Set the pump to stopped (not paused); accepted in every state."""
        for _ in range(_STOPS):
            self._link.send_repeatable("STP", NOTHING)  # refused where there is nothing to stop
            totals = self._link.totals()
            if totals.prompt == "S":
                return
        raise DeviceError(f"{self._settings.name} acknowledged STP but is {totals.state}", sent=Sent.YES)

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Get how a dose stands: by run state and dispensed volume, which an alarm cannot hide."""
        if call.command != "dose":
            return super().outcome(call, baseline)
        target = float(pump_number(float(call.arguments["volume"])))
        return self._outcome_of(self._link.totals(), target)

    def _outcome_of(self, totals: Totals, target: float) -> Outcome:
        reading = self._reading("dispensed", totals.raw, totals.infused)
        if totals.prompt == "I":
            overdue = totals.infused > target and not _complete(totals, target)
            return Outcome(Progress.FAILED, "beyond-its-volume", (reading,)) if overdue else Outcome(Progress.RUNNING)
        if _complete(totals, target):
            return Outcome(Progress.FINISHED, "completed", (reading,))
        self._alarms_told = self._link.alarm_count
        return Outcome(Progress.FAILED, self._failure(totals), (reading,))

    def _failure(self, totals: Totals) -> str:
        """Name why a dose ended short; the first alarm is the cause of later ones."""
        words = {"R": "reset", "S": "stalled", "T": "communication-lost"}
        for alarm in self._link.alarms:
            return words.get(alarm, f"alarm-{alarm}")
        return {"P": "paused", "W": "withdrawing"}.get(totals.prompt, "stopped-short")

    @override
    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide from run state and totaliser; a pump queues nothing and its line has one owner."""
        totals = self._link.totals()
        evidence = {
            "status": totals.prompt,
            "dispensed": totals.infused,
            "alarms": list(self._link.alarms),
            "baseline": dict(baseline),
        }
        if call.command == "dose":
            return self._reconcile_dose(call, baseline, totals, evidence)
        done = totals.prompt == "S" if call.command == "stop" else self._has_flow(call, evidence)
        return Finding(StepVerdict.FINISHED if done else StepVerdict.NOT_EXECUTED, evidence)

    def _has_flow(self, call: Call, evidence: dict[str, Any]) -> bool:
        match, _ = self._link.ask("RAT", RATE)
        text = pump_number(float(call.arguments["flow"]))
        evidence["flow"] = amount(match)
        return abs(amount(match) - float(text)) <= resolution(text)

    def _reconcile_dose(self, call: Call, baseline: Mapping[str, Any], totals: Totals, evidence: dict[str, Any]) -> Finding:
        text = pump_number(float(call.arguments["volume"]))
        match, _ = self._link.ask("VOL", VOLUME)
        evidence |= {"target": float(text), "volume": amount(match)}
        if "R" in self._link.alarms or self._link.ask("VER", VERSION_REPLY)[0][0] != baseline.get("version"):
            return Finding(StepVerdict.UNDECIDABLE, evidence)
        if totals.prompt == "I" and abs(amount(match) - float(text)) <= resolution(text):
            return Finding(StepVerdict.RUNNING, evidence, Outcome(Progress.RUNNING))
        if totals.prompt != "S" or baseline.get("cleared") is not True:
            return Finding(StepVerdict.UNDECIDABLE, evidence)
        if _complete(totals, float(text)):
            return Finding(StepVerdict.FINISHED, evidence, self._outcome_of(totals, float(text)))
        if totals.infused < _ZERO and self._would_show(evidence):
            return Finding(StepVerdict.NOT_EXECUTED, evidence)
        return Finding(StepVerdict.UNDECIDABLE, evidence)

    def _would_show(self, evidence: dict[str, Any]) -> bool:
        """Say whether a dose that ended by an alarm must have moved the totaliser.

        Without an alarm a started dose runs to its target. The time-out alarm leaves it at least the watchdog's time.
        """
        if not self._link.alarms:
            return True
        if set(self._link.alarms) != {"T"}:
            return False
        match, _ = self._link.ask("RAT", RATE)
        evidence["flow"] = amount(match)
        seconds = self._settings.watchdog or 0.0
        return amount(match) / 60.0 * seconds >= _NOTICEABLE

    @override
    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Get channels.

        `flow` is what leaves the syringe now: none while the pump stands, whatever rate is programmed, and less than none
        while it withdraws. The reply that has the rate has the run state too, so that the two belong together.

        Raises:
            DeviceError: An alarm came up that nobody was told of.
        """
        readings = tuple(self._read(channel) for channel in channels)
        self._refuse_alarms(Sent.YES)
        return readings

    def _read(self, channel: str) -> Reading:
        if channel in ("flow", "flow_setpoint"):
            match, reply = self._link.ask("RAT", RATE)
            share = 1.0 if channel == "flow_setpoint" else _MOVES.get(reply.prompt, 0.0)
            return self._reading(channel, reply.raw, share * amount(match))
        totals = self._link.totals()
        value = totals.infused if channel == "dispensed" else totals.state
        return self._reading(channel, totals.raw, value)

    @override
    def cancel(self, call: Call) -> None:
        self.stop()

    def _number(self, what: str, value: float) -> str:
        """Write an argument in the pump's format; a value that the format turns to zero is refused."""
        text = pump_number(value)
        if float(text) == 0.0:
            raise LimitError(f"{self._settings.name}.{what} = {value:g}; the pump counts in 0.001")
        if abs(float(text) - value) > COARSE * value:
            logger.warning("%s: %s %g is sent as %s, the pump's nearest number", self._settings.name, what, value, text)
        return text

    def _refuse_alarms(self, sent: Sent) -> None:
        """Raise DeviceError for alarms that nobody was told of, once; where they undid the watchdog, arm it again."""
        if self._link.alarm_count != self._alarms_told:
            self._alarms_told = self._link.alarm_count
            self._arm_again()
            raise DeviceError(f"{self._settings.name} reported an alarm{self._alarm_text()}", sent=sent)

    def _alarm_text(self) -> str:
        return "".join(f": {alarm} ({ALARMS.get(alarm, 'unknown')})" for alarm in self._link.alarms[-1:])


def _complete(totals: Totals, target: float) -> bool:
    return abs(totals.infused - target) <= max(_DOSE_TOLERANCE * target, _ZERO)
