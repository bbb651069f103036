"""A campaign in memory or on disk, carried out on a bench that answers at once, whose values come later where a file says so."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from flows.plans.lab import Lab, make_lab
from flows.plans.snapshots import file_of
from flows.running.actions import Setup, Steps
from flows.running.run_loop import Ended, Interrupted, plain_cycle, run_loop
from orchestrator.clock import Clock, Instant, LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Reading, RunReport
from orchestrator.history import History
from orchestrator.loop import Action, Wait, next_actions
from orchestrator.store.sql import SqlStore
from policies.registry import build_policy
from tests.flow.test_steps import NOW, Box, Table

FILE = """
[campaign]
name = "c"
bench = "bench.toml"
budget = {budget}
in_flight = {in_flight}
seed = 7
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "y"
goal = "maximise"
low = 0
high = 1
[[targets]]
name = "purity"
unit = "percent"
goal = "maximise"
low = "0 percent"
high = "100 percent"
{later}
[policy]
kind = "bayesian"
initial = {initial}
mc_samples = 16
[candidates]
file = "table.csv"
"""
TABLE = "\n".join(["x", *(f"{0.005 * row:.3f}" for row in range(201))]) + "\n"
"""A table is searched faster than a range."""
LATER = 'from = "later"\ndue = "72 h"'


@dataclass
class Dial(Clock):
    """A clock that is set by hand."""

    seconds: float = field(default_factory=LiveClock().lab)

    @override
    def now(self) -> Instant:
        return Instant(NOW.wall, self.seconds)

    @override
    def lab(self) -> float:
        return self.seconds


class TwoValues(Box):
    """Answers at once with y = x and purity = 100 (1 - x) percent."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.ended: dict[str, float] = {}

    @override
    def _report(self, run_key: str) -> RunReport:
        ended = self.ended.setdefault(run_key, self.clock.lab())
        return replace(super()._report(run_key), started_lab=ended - 1.0, ended_lab=ended)

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        x = float(self.requests[run_key].steps[0].arguments["x"])
        return tuple(
            Reading(0, "box", name, unit, "good", NOW.wall, 0.0, value=value, seq=seq)
            for seq, (name, unit, value) in enumerate((("y", "", x), ("purity", "percent", 100.0 * (1.0 - x))), start=1)
        )


@dataclass
class Place:
    """A lab with a campaign, its ledger, and a loop over it."""

    folder: Path
    later: bool = True
    budget: int = 5
    initial: int = 3
    in_flight: int = 4
    clock: Dial = field(default_factory=Dial)

    def __post_init__(self) -> None:
        self.bench = TwoValues(self.clock)
        self.lab: Lab = make_lab(self.folder / "lab", beside=self.folder / "campaign.toml", kind="live")
        text = FILE.format(budget=self.budget, initial=self.initial, in_flight=self.in_flight, later=LATER if self.later else "")
        snapshot = {
            "files": {"campaign": text, "candidates": TABLE},
            "path": str(self.folder / "campaign.toml"),
            "place": "a box",
            "budget": self.budget,
        }
        record = CampaignRecord(name="c", snapshot={**snapshot, "rate": 1.0})
        self.file = file_of(record)
        with SqlStore.open(self.lab.ledger, create=True) as store:
            store.create_campaign(record, by="test", now=NOW)

    def policy(self) -> Any:
        """A policy that has learnt nothing yet."""
        spec = self.file.spec.policy
        return build_policy(spec.kind, self.file.space(), self.file.objective, spec.settings)

    def steps(self, store: SqlStore, leave: threading.Event | None = None) -> "Impatient":
        """The loop's steps over the ledger, as a process that takes the campaign up has them."""
        fence = store.take_up("c", by="test", now=self.clock.now())
        record = store.changes("c").campaign
        if record.status is CampaignStatus.DRAFT:
            store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
        general, objective = self.file.spec.campaign, self.file.objective
        setup = Setup(general, self.file.space(), objective, self.policy(), Table(), self.bench, store, self.clock, fence)
        return Impatient(setup, leave or threading.Event())

    def carry_on(self) -> Ended | None:
        """Carry the campaign on until it ends, or until it only waits; None then."""
        leave = threading.Event()
        with SqlStore.open(self.lab.ledger) as store:
            steps = self.steps(store, leave)
            try:
                return run_loop(steps, cycle=plain_cycle, observe=lambda _history: None, leave=leave)
            except Interrupted:
                return None

    def history(self) -> History:
        """What the ledger has."""
        with SqlStore.open(self.lab.ledger, read_only=True) as store:
            return History.of(store.changes("c"))

    def runs(self) -> tuple[ExperimentRun, ...]:
        """The campaign's own runs, in order."""
        return self.history().attempts()

    def next(self) -> tuple[Action, ...]:
        """What the loop would do next."""
        return next_actions(self.history(), self.clock.now(), self.file.spec.campaign, self.file.objective)

    def sound(self) -> bool:
        """Whether nothing in the ledger disagrees."""
        with SqlStore.open(self.lab.ledger, read_only=True) as store:
            return store.verify() == ()


class Impatient(Steps):
    """Has the loop left where nothing can happen before somebody tells a value."""

    def __init__(self, setup: Setup, leave: threading.Event) -> None:
        super().__init__(setup)
        self.leave = leave

    @override
    def put_to_people(self) -> None:
        setup = self.setup
        actions = next_actions(self.history, setup.clock.now(), setup.spec, setup.objective, exhausted=self.exhausted)
        if isinstance(actions[0], Wait):
            self.leave.set()
