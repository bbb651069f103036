"""A tube oven with its controller: first-order heat balance, limited power, set-point ramp, communication watchdog.

    tau dT/dt = G u - (T - T_ambient),        u = clip(feed-forward + gain (SP - T) / G, 0, 1)

with u the output power (0 to 1). While u is inside its limits T follows the working set point exponentially with
tau / (1 + gain); at full power it rises towards T_ambient + G; without power it falls to ambient with tau. Each piece
has a closed form, so time is integrated on demand: nothing runs while nobody asks.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulators.clock import Instant
from simulators.history import History
from simulators.truth import Event, Record, Value

FINE_STEP = 1.0
"""Lab s; longest piece while the working set point moves or the output may leave a limit."""

STILL = 1e-4
"""degC; closer to the end of an exponential than this, the temperature no longer changes."""


@dataclass(frozen=True, slots=True)
class OvenBody:
    """What the oven is made of."""

    ambient: float = 22.0
    """degC."""

    full_power_rise: float = 450.0
    """G, degC above ambient that full power would reach."""

    time_constant: float = 300.0
    """tau (lab s)."""

    gain: float = 20.0
    """Proportional gain of the controller, degC of drive per degC of error."""

    lowest_setpoint: float = 0.0
    highest_setpoint: float = 300.0
    """degC, limits of the target set point."""

    noise: float = 0.05
    """degC, standard deviation of the process value."""


class Oven:
    """State of oven and controller; every method first integrates to the given time."""

    def __init__(self, name: str, body: OvenBody, record: Record, rng: np.random.Generator) -> None:
        self.name = name
        self.body = body
        self.target = body.ambient
        self.working = body.ambient
        """degC, the set point that ramps towards the target."""
        self.rate_limit = 0.0
        """degC per lab minute, 0 = off."""
        self.is_manual = True
        self.manual_power = 0.0
        """0 to 1."""
        self.watchdog_seconds = 0
        """Wall s, 0 = off."""
        self.watchdog_tripped = False
        self.sensor_broken = False
        self.heater_dead = False
        self.boots = 1
        self.temperature = body.ambient
        """degC, the true one."""
        self.trace = History()
        """True temperature (degC) over lab time."""
        self._record_to = record
        self._rng = rng
        self._at = 0.0
        self._heard_at: float | None = None
        self.trace.append(0.0, self.temperature)

    @property
    def power(self) -> float:
        """Get the output power, 0 to 1."""
        return self.manual_power if self.is_manual else min(max(self._demand(), 0.0), 1.0)

    @property
    def trips_at(self) -> float | None:
        """Get the wall time (s) at which the heater is switched off unless a frame comes."""
        return None if self._heard_at is None or not self.watchdog_seconds else self._heard_at + self.watchdog_seconds

    def read_temperature(self) -> float:
        """Read the process value (degC) with its noise."""
        return self.temperature + float(self._rng.normal(0.0, self.body.noise))

    def advance(self, now: Instant) -> None:
        """Integrate to `now` and trip the watchdog when it is due."""
        self._integrate(now.lab)
        if self.trips_at is not None and now.wall >= self.trips_at:
            self._heard_at = None
            self.watchdog_tripped = True
            self.is_manual, self.manual_power = True, 0.0
            self._record(now.lab, "safe-state", cause="watchdog", temperature_degc=self.temperature)

    def heard(self, now: Instant) -> None:
        """Note a valid frame: the watchdog's time starts anew."""
        self._heard_at = now.wall

    def set_target(self, now: Instant, target: float) -> bool:
        """Set the target set point (degC); False outside the limits."""
        if not self.body.lowest_setpoint <= target <= self.body.highest_setpoint:
            return False
        self.target = target
        if not self.rate_limit:
            self.working = target
        self._record(now.lab, "setpoint", target_degc=target)
        return True

    def set_rate_limit(self, now: Instant, limit: float) -> None:
        """Set the ramp of the working set point (degC per lab minute), 0 = off."""
        self.rate_limit = limit
        if not limit:
            self.working = self.target
        self._record(now.lab, "setpoint", rate_limit_degc_per_min=limit)

    def set_manual_power(self, now: Instant, power: float) -> bool:
        """Set the output of the manual mode, 0 to 1; False outside."""
        if not 0.0 <= power <= 1.0:
            return False
        self.manual_power = power
        self._record(now.lab, "setpoint", manual_power_percent=100.0 * power)
        self._note_heater_off(now.lab)
        return True

    def set_mode(self, now: Instant, *, manual: bool) -> None:
        """Set manual or automatic mode; the ramp starts from the present temperature."""
        if self.is_manual and not manual and self.rate_limit:
            self.working = self.temperature
        self.is_manual = manual
        self._record(now.lab, "setpoint", mode="manual" if manual else "automatic")
        self._note_heater_off(now.lab)

    def set_watchdog(self, now: Instant, seconds: int) -> None:
        """Set the communication watchdog (wall s, 0 = off); clears a trip."""
        self.watchdog_seconds = seconds
        self.watchdog_tripped = False
        self._record(now.lab, "setpoint", watchdog_s=seconds)

    def stall(self, now: Instant) -> None:
        """Break the heating element: the output still shows power, but no heat comes."""
        self.advance(now)
        self.heater_dead = True

    def repair(self, now: Instant) -> None:
        """Replace the heating element."""
        self.advance(now)
        self.heater_dead = False

    def power_cycle(self, now: Instant) -> None:
        """Cut the power: the boot counter rises and the watchdog is off; set point and mode are kept."""
        self.advance(now)
        self.boots += 1
        self.watchdog_seconds = 0
        self.watchdog_tripped = False
        self._heard_at = None
        if self.rate_limit and not self.is_manual:
            self.working = self.temperature
        self._record(now.lab, "boot", boot_counter=self.boots)

    def describe(self) -> dict[str, Value]:
        """Give the true state, for the back door."""
        return {
            "temperature_degc": self.temperature,
            "target_degc": self.target,
            "manual": self.is_manual,
            "power": self.power,
            "watchdog_s": self.watchdog_seconds,
            "watchdog_tripped": self.watchdog_tripped,
            "heater_dead": self.heater_dead,
            "boots": self.boots,
        }

    def _note_heater_off(self, lab: float) -> None:
        if self.is_manual and self.manual_power == 0.0:
            self._record(lab, "safe-state", cause="heater off", temperature_degc=self.temperature)

    def _demand(self) -> float:
        error = self.working - self.temperature
        return (self.working - self.body.ambient + self.body.gain * error) / self.body.full_power_rise

    def _integrate(self, lab: float) -> None:
        step = FINE_STEP
        while self._at < lab:
            length = min(step, lab - self._at)
            settled = self._step(length)
            step = 2.0 * step if settled else FINE_STEP
            self._at = lab if length == lab - self._at else self._at + length
            self.trace.append(self._at, self.temperature)

    def _step(self, length: float) -> bool:
        """Advance by one closed-form piece; True when the next piece may be longer."""
        ramping = self._ramp(length)
        power = self.power
        controlled = not self.is_manual and not self.heater_dead and 0.0 < power < 1.0
        end = self.working if controlled else self.body.ambient + (0.0 if self.heater_dead else power * self.body.full_power_rise)
        tau = self.body.time_constant / (1.0 + self.body.gain) if controlled else self.body.time_constant
        self.temperature = end + (self.temperature - end) * math.exp(-length / tau)
        if abs(self.temperature - end) < STILL:
            self.temperature = end
        return not ramping and (self.is_manual or controlled or self.working <= self.body.ambient)

    def _ramp(self, length: float) -> bool:
        if self.is_manual or self.working == self.target:
            return False
        reach = self.rate_limit * length / 60.0
        self.working += min(max(self.target - self.working, -reach), reach)
        return True

    def _record(self, lab: float, event: str, **values: Value) -> None:
        self._record_to(Event(lab, self.name, event, values))
