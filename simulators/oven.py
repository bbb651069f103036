"""A tube oven with its controller: first-order heat balance, limited power, set-point ramp, local and remote set point.

    tau dT/dt = G u - (T - T_ambient),        u = clip(feed-forward + gain (SP - T) / G, 0, 1)

with u the output power (0 to 1). While u is inside its limits T follows the working set point exponentially with
tau / (1 + gain); at full power it rises towards T_ambient + G; without power it falls to ambient with tau. Each piece
has a closed form, so time is integrated on demand: nothing runs while nobody asks.

The remote set point is volatile and must be written again and again; when it is not, the controller falls back to its
local set point and raises "remote set point fail". Local set points are retained: every write of one wears the memory.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulators.clock import Moment
from simulators.history import Trace
from simulators.truth import PhysicalEvent, Record, TruthValue

FINE_STEP = 1.0
"""Lab s; longest piece while the working set point moves or the output may leave a limit."""

REMOTE_LASTS = 5.0
"""Wall s for which a remote set point holds without being written again."""

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

    lowest_input: float = -200.0
    highest_input: float = 1372.0
    """degC, range of the sensor's input; a broken sensor reads as its upper end."""

    power_at_break: float = 0.0
    """Output of the automatic mode while the sensor is broken, 0 to 1."""

    decimals: int = 1
    """Decimal places of temperatures on display and wire."""

    noise: float = 0.05
    """degC, standard deviation of the process value."""


class Oven:
    """State of oven and controller; every method first integrates to the given time."""

    def __init__(self, name: str, body: OvenBody, record: Record, rng: np.random.Generator) -> None:
        self.name = name
        self.body = body
        self.local = [body.ambient, body.ambient]
        """degC, the two retained set points."""
        self.selected = 0
        """Which of them holds."""
        self.retained_writes = [0, 0]
        """How often each of them was written, by whatever register: the memory lasts for about 100 000."""
        self.is_remote = False
        """Whether the remote set point is asked for."""
        self.remote = body.ambient
        """degC."""
        self.remote_failed = False
        self.working = body.ambient
        """degC, the set point that ramps towards the target."""
        self.rate_limit = 0.0
        """degC per lab minute, 0 = off."""
        self.is_manual = True
        self.is_standby = False
        self.manual_power = 0.0
        """0 to 1."""
        self.sensor_broken = False
        self.heater_dead = False
        self.temperature = body.ambient
        """degC, the true one."""
        self.trace = Trace()
        """True temperature (degC) over lab time."""
        self._record_to = record
        self._rng = rng
        self._at = 0.0
        self._written_at: float | None = None
        """Wall s of the last write of the remote set point; None before the first one since power-up."""
        self.trace.append(0.0, self.temperature)

    @property
    def target(self) -> float:
        """Get the set point (degC) that holds: the remote one while it is asked for and fresh, else the local one."""
        return self.remote if self.is_remote and not self.remote_failed else self.local[self.selected]

    @property
    def power(self) -> float:
        """Get the output power, 0 to 1."""
        if self.is_standby:
            return 0.0
        if self.is_manual:
            return self.manual_power
        return self.body.power_at_break if self.sensor_broken else min(max(self._demand(), 0.0), 1.0)

    @property
    def fails_at(self) -> float | None:
        """Get the wall time (s) at which the remote set point fails unless it is written; None while none is waited for."""
        if not self.is_remote or self.remote_failed or self._written_at is None:
            return None
        return self._written_at + REMOTE_LASTS

    @property
    def is_over_range(self) -> bool:
        """Tell whether the temperature is beyond the sensor's input."""
        return self.temperature > self.body.highest_input

    def read_temperature(self) -> float:
        """Read the process value (degC) with its noise."""
        if self.sensor_broken:
            return self.body.highest_input
        return self.temperature + float(self._rng.normal(0.0, self.body.noise))

    def advance(self, now: Moment) -> None:
        """Integrate to `now` and fall back to the local set point when that is due."""
        self._integrate(now.lab)
        if self.fails_at is not None and now.wall >= self.fails_at:
            self._fail(now.lab)

    def set_local(self, now: Moment, which: int, target: float) -> bool:
        """Set a retained set point (degC); False outside the limits."""
        if not self._is_legal(target):
            return False
        self.retained_writes[which] += 1
        self.local[which] = target
        self._retarget()
        self._record(now.lab, "setpoint", **{f"sp{which + 1}_degc": target, "retained_writes": sum(self.retained_writes)})
        return True

    def set_target(self, now: Moment, target: float) -> bool:
        """Set the local set point that is selected (degC), which is retained; False outside the limits."""
        if not self.set_local(now, self.selected, target):
            return False
        self._record(now.lab, "setpoint", target_degc=target)
        return True

    def select_local(self, now: Moment, which: int) -> None:
        """Select one of the two local set points."""
        self.selected = which
        self._retarget()
        self._record(now.lab, "setpoint", selected_local=which + 1)

    def set_remote(self, now: Moment, target: float) -> bool:
        """Set or refresh the remote set point (degC), which clears its failure; False outside the limits."""
        if not self._is_legal(target):
            return False
        if target != self.remote:
            self._record(now.lab, "setpoint", target_degc=target)
        self.remote, self.remote_failed, self._written_at = target, False, now.wall
        self._retarget()
        return True

    def ask_for_remote(self, now: Moment, *, remote: bool) -> None:
        """Ask for the remote set point, or for the local one."""
        self.is_remote = remote
        self.remote_failed = remote and self._written_at is None
        self._retarget()
        self._record(now.lab, "setpoint", source="remote" if remote else "local")
        self.advance(now)

    def _is_legal(self, target: float) -> bool:
        return self.body.lowest_setpoint <= target <= self.body.highest_setpoint

    def _retarget(self) -> None:
        if not self.rate_limit:
            self.working = self.target

    def _fail(self, lab: float) -> None:
        self.remote_failed = True
        self._retarget()
        self._record(lab, "safe-state", cause="watchdog", temperature_degc=self.temperature, local_degc=self.target)

    def set_rate_limit(self, now: Moment, limit: float) -> None:
        """Set the ramp of the working set point (degC per lab minute), 0 = off."""
        self.rate_limit = limit
        self._retarget()
        self._record(now.lab, "setpoint", rate_limit_degc_per_min=limit)

    def set_manual_power(self, now: Moment, power: float) -> bool:
        """Set the output of the manual mode, 0 to 1; False outside."""
        if not 0.0 <= power <= 1.0:
            return False
        self.manual_power = power
        self._record(now.lab, "setpoint", manual_power_percent=100.0 * power)
        self._note_heater_off(now.lab)
        return True

    def set_mode(self, now: Moment, *, manual: bool) -> None:
        """Set manual or automatic mode; the ramp starts from the present temperature."""
        if self.is_manual and not manual:
            self._begin_ramp()
        self.is_manual = manual
        self._record(now.lab, "setpoint", mode="manual" if manual else "automatic")
        self._note_heater_off(now.lab)

    def set_standby(self, now: Moment, *, standby: bool) -> None:
        """Set standby, in which all outputs are off, or go on; the ramp starts from the present temperature."""
        if self.is_standby and not standby:
            self._begin_ramp()
        self.is_standby = standby
        self._record(now.lab, "setpoint", standby=standby)
        self._note_heater_off(now.lab)

    def _begin_ramp(self) -> None:
        if self.rate_limit:
            self.working = self.temperature

    def stall(self, now: Moment) -> None:
        """Break the heating element: the output still shows power, but no heat comes."""
        self.advance(now)
        self.heater_dead = True

    def break_sensor(self, now: Moment) -> None:
        """Break the sensor: the process value no longer says anything."""
        self.advance(now)
        self.sensor_broken = True

    def repair(self, now: Moment) -> None:
        """Replace the heating element and the sensor."""
        self.advance(now)
        self.heater_dead = self.sensor_broken = False

    def power_cycle(self, now: Moment) -> None:
        """Cut the power: the remote set point is lost; local set points and modes are kept."""
        self.advance(now)
        self.remote, self._written_at = 0.0, None
        self.remote_failed = self.is_remote
        self._retarget()
        if not self._is_open_loop:
            self._begin_ramp()
        self._record(now.lab, "boot")

    def describe(self) -> dict[str, TruthValue]:
        """Give the true state, for the back door."""
        return {
            "temperature_degc": self.temperature,
            "target_degc": self.target,
            "manual": self.is_manual,
            "standby": self.is_standby,
            "power": self.power,
            "remote": self.is_remote,
            "remote_failed": self.remote_failed,
            "retained_writes": sum(self.retained_writes),
            "sp1_writes": self.retained_writes[0],
            "sp2_writes": self.retained_writes[1],
            "sensor_broken": self.sensor_broken,
            "heater_dead": self.heater_dead,
        }

    @property
    def _is_open_loop(self) -> bool:
        return self.is_manual or self.is_standby or self.sensor_broken

    def _note_heater_off(self, lab: float) -> None:
        if self.is_standby or (self.is_manual and self.manual_power == 0.0):
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
        controlled = not self._is_open_loop and not self.heater_dead and 0.0 < power < 1.0
        end = self.working if controlled else self.body.ambient + (0.0 if self.heater_dead else power * self.body.full_power_rise)
        tau = self.body.time_constant / (1.0 + self.body.gain) if controlled else self.body.time_constant
        self.temperature = end + (self.temperature - end) * math.exp(-length / tau)
        if abs(self.temperature - end) < STILL:
            self.temperature = end
        return not ramping and (self._is_open_loop or controlled or self.working <= self.body.ambient)

    def _ramp(self, length: float) -> bool:
        if self._is_open_loop or self.working == self.target:
            return False
        reach = self.rate_limit * length / 60.0
        self.working += min(max(self.target - self.working, -reach), reach)
        return True

    def _record(self, lab: float, event: str, **values: TruthValue) -> None:
        self._record_to(PhysicalEvent(lab, self.name, event, values))
