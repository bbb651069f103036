"""A small bench, its files, and what stands in for its host: runs end as a script says, and what is read follows a formula."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from typing_extensions import override

from orchestrator.domain.lifecycle import RunStatus, StepStatus
from orchestrator.domain.records import Reading, RunReport, RunRequest, StepReport
from orchestrator.errors import BenchLatched
from orchestrator.ports import Bench

BENCH: Final = """
[bench]
name = "one-pot"
reduction = "recorded/1"
grace = "60 s"
restart_within = "10 s"
positions = "A1:H12"

[constants]
V = "2 mL"
analysis = "60 s"

[links.oven]
kind = "serial"
port = "/dev/serial/by-id/usb-oven"
frame = "8N1"

[links.pump]
kind = "serial"
port = "/dev/serial/by-id/usb-pump"
frame = "8N1"

[instruments.oven]
driver = "eurotherm-modbus"
link = "oven"
address = 1
model = "3216"
limits.temperature = { min = "20 degC", max = "290 degC" }
watchdog = { seconds = 5 }
safe_state = ["off"]
options = { setpoint = "remote", safe_temperature = "20 degC", decimals = 1 }

[instruments.pump]
driver = "new-era"
link = "pump"
address = 1
model = "NE1000"
limits.flow = { min = "0.02 mL/min", max = "6 mL/min" }
limits.volume = { min = "0.01 mL", max = "50 mL" }
watchdog = { seconds = 15 }
safe_state = ["stop"]

[stocks.acid]
species = { A = "1 mol/L" }
lot = "A-1"
volume = "400 mL"
price = "0.50 EUR/mL"
delivered_by = "pump"

[[procedure.steps]]
do = "oven.set_temperature"
with = { temperature = "T" }
until = { channel = "oven.temperature", within = "1 delta_degC", for = "60 s", timeout = "60 min" }
interrupted = "continue"

[[procedure.steps]]
do = "pump.set_flow"
with = { flow = "V/tau" }
interrupted = { max_gap = "60 s" }

[[procedure.steps]]
do = "pump.dose"
with = { volume = "V/tau * analysis" }

[[procedure.steps]]
do = "read"
channels = ["oven.temperature", "pump.flow"]

[[hazards]]
name = "hot"
value = "T"
above = "250 degC"
people = 2

[measured]
T = "oven.temperature"
tau = "V / pump.flow"

[infeasible]
rules = [{ code = "clogged", reason = "the tube clogged" }]
"""
_CAMPAIGN: Final = """
[campaign]
name = "{name}"
bench = "{bench}"
seed = 7
max_failures = 50
{general}

[[parameters]]
name = "T"
kind = "continuous"
unit = "degC"
min = 200
max = {highest}

[[parameters]]
name = "tau"
kind = "continuous"
unit = "s"
min = 30
max = 120

[[targets]]
name = "yield"
goal = "maximise"
low = 0
high = 1

[[targets]]
name = "purity"
goal = "match"
value = 0.9
tolerance = 0.05

{more}
"""
GP: Final = '[policy]\nkind = "bayesian"\ninitial = 3\nrestarts = 1\nraw_samples = 32\nmc_samples = 32\n'
SOBOL: Final = '[policy]\nkind = "sobol"\n'
RANDOM: Final = '[policy]\nkind = "random"\n'


def campaign_file(name: str, general: str, more: str, *, highest: float = 250, bench: str = "bench.toml") -> str:
    """Return the text of a campaign file."""
    return _CAMPAIGN.format(name=name, general=general, more=more, highest=highest, bench=bench)


@dataclass(frozen=True)
class Ending:
    """How a run ends."""

    status: RunStatus = RunStatus.COMPLETED
    evidence: Mapping[str, object] = field(default_factory=dict)
    read: Mapping[str, tuple[float | None, str]] = field(default_factory=dict)
    """Channel -> value and quality, in place of what the formula says; None: it was not read."""
    meanwhile: Callable[[], None] | None = None
    """What happens in the lab when the run is handed over."""


@dataclass
class OnePot(Bench):
    """Ends the n-th run that it is handed as it is told, counted over all its life."""

    endings: Mapping[int, Ending] = field(default_factory=dict)
    latches_at: int = -1
    """This run finds the bench latched, once."""
    requests: dict[str, RunRequest] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    @override
    def submit(self, request: RunRequest) -> RunReport:
        if len(self.requests) == self.latches_at:
            self.latches_at = -1
            raise BenchLatched("bench latched by Ada: smoke")
        is_new = request.run_key not in self.requests
        self.requests[request.run_key] = request
        meanwhile = self._ending(request.run_key).meanwhile
        if is_new and meanwhile is not None:
            meanwhile()
        return self._told(request.run_key)

    def _ending(self, run_key: str) -> Ending:
        return self.endings.get(list(self.requests).index(run_key), Ending())

    def _told(self, run_key: str) -> RunReport:
        ending = self._ending(run_key)
        whole = ending.status is RunStatus.COMPLETED
        steps = tuple(
            StepReport(one.index, one.do, StepStatus.DONE, sent=dict(one.arguments))
            if whole or one.index < 2
            else StepReport(one.index, one.do, StepStatus.SKIPPED, "run ended")
            for one in self.requests[run_key].steps
        )
        reason = None if whole else f"the script says {ending.status}"
        began = None if ending.status is RunStatus.DISPATCHED else 1000.25
        return RunReport(run_key, 1, ending.status, reason, steps, dict(ending.evidence), began, 1060.5 if whole else None)

    @override
    def report(self, run_key: str, *, after: int = -1, wait: float = 0.0) -> RunReport | None:
        return self._told(run_key) if run_key in self.requests and run_key not in self.forgotten else None

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        ending, steps = self._ending(run_key), self.requests[run_key].steps
        temperature, flow = float(steps[0].arguments["temperature"]), float(steps[1].arguments["flow"])
        glow = math.exp(-(((temperature - 235) / 25) ** 2) - (flow - 2) ** 2 / 4)
        values = {"oven.temperature": temperature - 0.1, "pump.flow": flow, "cell.yield": 0.8 * glow, "cell.purity": 0.95 - 0.2 * glow}
        if ending.status not in (RunStatus.COMPLETED, RunStatus.INFEASIBLE):
            values = {"oven.temperature": 25.0}
        return tuple(_reading(seq, name, *ending.read.get(name, (value, "good"))) for seq, (name, value) in enumerate(values.items()))

    @override
    def stored(self, run_key: str) -> None:
        return

    @override
    def abort(self, run_key: str, *, reason: str) -> None:
        return

    @override
    def resolve(self, run_key: str, *, verdict: str, reason: str, by: str) -> RunReport:
        raise NotImplementedError

    @override
    def stop(self, *, reason: str) -> None:
        return


def _reading(seq: int, name: str, value: float | None, quality: str) -> Reading:
    instrument, _, channel = name.partition(".")
    unit = {"temperature": "degC", "flow": "mL/min"}.get(channel, "")
    raw = f"\x02{name}={value!r}\x03".encode()
    wall = datetime(2026, 11, 29, 2, 0, seq, tzinfo=UTC)
    more = {"value": value, "raw": raw, "sha256": sha256(raw).hexdigest(), "seq": seq}
    return Reading(3, instrument, channel, unit, quality, wall, 1050.0 + seq, **more)  # type: ignore[arg-type]  # by name
