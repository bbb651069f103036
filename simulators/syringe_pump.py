"""A syringe pump as a body: it moves liquid over lab time and stops by itself after the set volume."""

import math
from enum import StrEnum

from simulators.clock import Moment
from simulators.history import Trace
from simulators.truth import PhysicalEvent, Record, TruthValue

_SLOWEST = 0.004205 / 60.0
_FASTEST = 5.1005
"""cm/min of the plunger (NE-1000 manual #1200-01, section 12.5, as the public driver labmcp-new-era 0.1.2 has it)."""

SMALL_SYRINGE = 14.0
"""mm; up to this inside diameter volumes are microlitres unless the host says otherwise (NE-500 manual #1200-03, quick start)."""

LARGEST_VOLUME = 9999.0
"""mL, the largest number of four digits."""

DIAMETERS = (0.1, 50.0)
"""mm, inside diameters of syringes that the pump takes."""

VOLUME_GRAIN = 1e-9
"""mL; less than this left to pump counts as done, since lab times are rounded floats."""


class Motion(StrEnum):
    """What the pump does; the letters are its status prompts."""

    INFUSING = "I"
    WITHDRAWING = "W"
    STOPPED = "S"
    PAUSED = "P"


class Alarm(StrEnum):
    """Why the pump stopped by itself; the letters follow `A?`."""

    RESET = "R"
    STALLED = "S"
    TIME_OUT = "T"


class SyringePump:
    """State and motion of one pump; every method first moves the pump to the given time."""

    def __init__(self, name: str, record: Record) -> None:
        self.name = name
        self.rate = 1.0
        """mL/min."""
        self.rate_unit = "MM"
        """In which the rate is told: MM, UM (per minute), MH, UH (per hour)."""
        self.target = 0.0
        """mL to dispense per run, 0 = without end."""
        self.volume_unit: str | None = None
        """In which volumes are told, UL or ML; None: as the syringe is small or large."""
        self.selected_phase = 1
        """Phase of its pumping program that commands are about."""
        self.goes_on = False
        """Whether its program has a second phase, which pumps on without end after the volume."""
        self.diameter = 26.59
        """mm."""
        self.withdraws = False
        self.motion = Motion.STOPPED
        self.infused = 0.0
        self.withdrawn = 0.0
        """mL since the last clear."""
        self.alarm: Alarm | None = Alarm.RESET
        """Set at power-up, as on the real pump."""
        self.safe_seconds = 0
        """Wall seconds of the communication time-out, 0 = basic mode."""
        self.flow = Trace()
        """mL/min that really leaves the syringe (negative when withdrawing), over lab time."""
        self._record_to = record
        self._moved_at = 0.0
        self._left = 0.0
        self._dosed = 0.0
        self._second_phase = False
        self._heard_at: float | None = None

    @property
    def moving(self) -> bool:
        """Tell whether the motor turns."""
        return self.motion in (Motion.INFUSING, Motion.WITHDRAWING)

    @property
    def rates(self) -> tuple[float, float]:
        """Get the least and the greatest rate (mL/min) that the plunger can do with this syringe."""
        area = math.pi * (self.diameter / 20.0) ** 2
        return area * _SLOWEST, area * _FASTEST

    @property
    def tells_microlitres(self) -> bool:
        """Tell whether volumes are told in microlitres."""
        return self.volume_unit == "UL" if self.volume_unit else self.diameter <= SMALL_SYRINGE

    @property
    def ends_at(self) -> float | None:
        """Get the lab time (s) at which the running dose ends by itself."""
        ends = self.moving and self.target > 0.0 and not self._second_phase
        return self._moved_at + 60.0 * self._left / self.rate if ends else None

    @property
    def times_out_at(self) -> float | None:
        """Get the wall time (s) at which the pump stops unless it hears something."""
        return None if self._heard_at is None or not self.safe_seconds else self._heard_at + self.safe_seconds

    def advance(self, now: Moment) -> None:
        """Move to `now`: pump what is due, end the dose, trip the communication time-out."""
        if self.times_out_at is not None and now.wall >= self.times_out_at:
            self._heard_at = None
            self._advance_lab(now.lab)
            self._raise_alarm(now.lab, Alarm.TIME_OUT)
        else:
            self._advance_lab(now.lab)

    def _advance_lab(self, lab: float) -> None:
        ends = self.ends_at
        self._pump_until(lab if ends is None else min(lab, ends))
        if ends is not None and (lab >= ends or self._left <= VOLUME_GRAIN):
            self._end_phase(ends)
            self._pump_until(lab)
        self._moved_at = max(self._moved_at, lab)

    def _end_phase(self, lab: float) -> None:
        if self.goes_on:
            self._second_phase = True
            self._record(lab, "dose", phase="goes on", volume_ml=self._dosed)
        else:
            self._halt(lab, Motion.STOPPED, "volume reached")

    def _pump_until(self, lab: float) -> None:
        if not self.moving or lab <= self._moved_at:
            return
        volume = self.rate * (lab - self._moved_at) / 60.0
        if self.motion is Motion.INFUSING:
            self.infused += volume
        else:
            self.withdrawn += volume
        self._left -= volume
        self._dosed += volume
        self._moved_at = lab

    def heard(self, now: Moment) -> None:
        """Note a valid packet: the communication time-out starts anew."""
        self._heard_at = now.wall

    def set_rate(self, now: Moment, rate: float) -> bool:
        """Set the rate (mL/min); False when out of range."""
        if not self.rates[0] <= rate <= self.rates[1]:
            return False
        self.rate = rate
        if self.moving:
            self._note_flow(now.lab)
        self._record(now.lab, "setpoint", rate_ml_per_min=rate)
        return True

    def set_volume(self, now: Moment, volume: float) -> bool:
        """Set the volume per run (mL), 0 = without end; False when out of range."""
        if not 0.0 <= volume <= LARGEST_VOLUME:
            return False
        self.target = volume
        self._left = max(volume - self._dosed, 0.0)
        self._record(now.lab, "setpoint", volume_ml=volume)
        return True

    def set_diameter(self, now: Moment, diameter: float) -> bool:
        """Set the syringe's inside diameter (mm), which clears the totals; False when out of range."""
        if not DIAMETERS[0] <= diameter <= DIAMETERS[1]:
            return False
        self.diameter = diameter
        self.infused = self.withdrawn = 0.0
        self._record(now.lab, "setpoint", diameter_mm=diameter)
        return True

    def set_withdraws(self, now: Moment, *, withdraws: bool) -> None:
        """Set the direction; a moving pump turns at once."""
        self.withdraws = withdraws
        if self.moving:
            self.motion = Motion.WITHDRAWING if withdraws else Motion.INFUSING
            self._note_flow(now.lab)
        self._record(now.lab, "setpoint", direction="withdraw" if withdraws else "infuse")

    def run(self, now: Moment) -> None:
        """Start a dose, or go on with a paused one."""
        if self.motion is not Motion.PAUSED:
            self._left, self._dosed, self._second_phase = self.target, 0.0, False
        self.motion = Motion.WITHDRAWING if self.withdraws else Motion.INFUSING
        self._note_flow(now.lab)
        self._record(now.lab, "dose", phase="start", rate_ml_per_min=self.rate, target_ml=self.target)

    def stop(self, now: Moment) -> None:
        """Stop: a moving pump pauses, a paused one stops for good."""
        if self.moving:
            self._halt(now.lab, Motion.PAUSED, "stop command")
        else:
            self.motion = Motion.STOPPED
        self._record(now.lab, "safe-state", cause="stop command")

    def clear_infused(self, now: Moment) -> None:
        """Set the infused total to zero."""
        self._record(now.lab, "setpoint", cleared_infused_ml=self.infused)
        self.infused = 0.0

    def clear_withdrawn(self, now: Moment) -> None:
        """Set the withdrawn total to zero."""
        self._record(now.lab, "setpoint", cleared_withdrawn_ml=self.withdrawn)
        self.withdrawn = 0.0

    def set_safe_mode(self, now: Moment, seconds: int) -> None:
        """Set the communication time-out (wall s); 0 leaves safe mode."""
        self.safe_seconds = seconds
        self._record(now.lab, "setpoint", safe_mode_s=seconds)

    def stall(self, now: Moment) -> None:
        """Block the motor: a moving pump stops with an alarm."""
        self.advance(now)
        self._raise_alarm(now.lab, Alarm.STALLED)

    def break_sensor(self, now: Moment) -> None:
        """Do nothing: it measures nothing."""

    def repair(self, now: Moment) -> None:
        """Free the motor; the alarm stays until it is acknowledged."""
        self.advance(now)

    def power_cycle(self, now: Moment) -> None:
        """Cut the power: motion and totals are lost; rate, volume, diameter and the safe mode are kept.

        The communication time-out starts with the next valid packet (manual, "Safe mode").
        """
        self.advance(now)
        self._raise_alarm(now.lab, Alarm.RESET)
        self.infused = self.withdrawn = 0.0
        self._heard_at = None
        self._record(now.lab, "boot")

    def describe(self) -> dict[str, TruthValue]:
        """Give the true state, for the back door."""
        return {
            "motion": self.motion.value,
            "alarm": self.alarm,
            "rate_ml_per_min": self.rate,
            "target_ml": self.target,
            "diameter_mm": self.diameter,
            "infused_ml": self.infused,
            "safe_mode_s": self.safe_seconds,
        }

    def _raise_alarm(self, lab: float, alarm: Alarm) -> None:
        was_moving = self.moving
        if was_moving:
            self._halt(lab, Motion.STOPPED, f"alarm {alarm}")
        self.motion = Motion.STOPPED
        self.alarm = alarm
        if alarm is Alarm.TIME_OUT:
            self._record(lab, "safe-state", cause="watchdog", was_moving=was_moving)

    def _halt(self, lab: float, motion: Motion, cause: str) -> None:
        self.motion = motion
        self._note_flow(lab)
        self._record(lab, "dose", phase="end", volume_ml=self._dosed, cause=cause)

    def _note_flow(self, lab: float) -> None:
        sign = {Motion.INFUSING: 1.0, Motion.WITHDRAWING: -1.0}.get(self.motion, 0.0)
        self.flow.append(lab, sign * self.rate)

    def _record(self, lab: float, event: str, **values: TruthValue) -> None:
        self._record_to(PhysicalEvent(lab, self.name, event, values))
