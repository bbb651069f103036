"""A lab while golden ledgers are written: its files, the command line as a person types it, and sittings of its campaigns."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typer.testing import CliRunner
from typing_extensions import override

from flows.cli.main import app
from flows.plans.admission import admit
from flows.plans.lab import Lab, make_lab
from flows.plans.plan import Plan, load_plan, means_of
from flows.plans.policy import policy_of
from flows.review.desk import Asker
from flows.review.page import PageMaker
from flows.running.actions import Setup, Steps
from flows.running.run_loop import Ended, Interrupted, plain_cycle, run_loop
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import BEGINS, CampaignRecord
from orchestrator.domain.review import Answer, ReviewRequest, Verdict
from orchestrator.ports import Bench
from orchestrator.store.sql import SqlStore
from tests.golden.one_pot import BENCH, OnePot, campaign_file

Act = Callable[[ReviewRequest], None]
Script = Mapping[tuple[tuple[int, ...], int], Act]
"""What people do about a request: by the numbers of the proposals that it asks about, and how often these were asked about."""
IDLE_TURNS: Final = 30
"""So many turns in which nobody is asked anything end a sitting whose runs do not end."""

LOOKS: Final = 3
"""So many looks at what nobody will answer end a sitting too."""


@dataclass
class People(Asker):
    """Follow a script; what it does not name is left to `otherwise`, and without that the campaign process is asked to leave."""

    script: Script
    otherwise: Act | None
    leave: threading.Event
    seen: dict[str, int] = field(default_factory=dict)
    asked: dict[tuple[int, ...], list[tuple[str, int]]] = field(default_factory=dict)
    idle: int = 0
    looks: int = 0

    @override
    def keep(self, requests: Sequence[ReviewRequest]) -> None:
        self.idle += 1
        if self.idle > IDLE_TURNS:
            self.leave.set()
        acts = [(one, act) for one in requests if (act := self._act(one)) is not None]
        self.looks += bool(requests) and not acts
        if self.looks >= LOOKS:
            self.leave.set()
        for request, act in acts[:1]:
            self.idle = 0
            act(request)

    def _act(self, request: ReviewRequest) -> Act | None:
        numbers = tuple(one.number for one in request.asked)
        times = self.asked.setdefault(numbers, [])
        if (request.request_id, request.attempt) not in times:
            times.append((request.request_id, request.attempt))
        return self.script.get((numbers, times.index((request.request_id, request.attempt)) + 1), self.otherwise)

    @override
    def close(self) -> None:
        return


@dataclass
class Desk:
    """A live lab whose bench is a one-pot, and the people in it."""

    folder: Path
    lab: Lab
    codes: dict[str, Iterator[str]] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path) -> "Desk":
        """Make the lab's folder; nothing is in its ledger yet."""
        folder.mkdir(parents=True)
        (folder / "bench.toml").write_text(BENCH)
        return cls(folder, make_lab(folder, beside=folder / "x.toml", kind="live"))

    # ----------------------------------------------------------------- what people type

    def type(self, *words: str) -> str:
        """Type a command that succeeds; return what it printed."""
        said = CliRunner().invoke(app, [*words, "--lab", str(self.lab.path)])
        assert said.exit_code == 0, f"{words}: {said.output}{said.exception!r}"
        return said.output

    def refused(self, *words: str) -> None:
        """Type a command that is refused."""
        said = CliRunner().invoke(app, [*words, "--lab", str(self.lab.path)])
        assert said.exit_code != 0, words

    def register(self, name: str) -> None:
        """Print somebody's sheet of codes."""
        self.codes[name] = iter(json.loads(self.type("people", "add", name, "--json"))["codes"])

    def decide(self, request: ReviewRequest, by: str, *words: str) -> None:
        """Answer a request on the terminal."""
        code = next(self.codes[by])
        self.type("review", "decide", str(request.number), "--by", by, "--code", code, "--campaign", request.campaign, *words)

    def approve(self, request: ReviewRequest) -> None:
        """Approve all that is asked, by the first who has not signed it yet."""
        with self.store() as store:
            asked = {(one.proposal_id, one.revision) for one in request.asked}
            proposals = [one for one in store.changes(request.campaign).proposals if (one.proposal_id, one.revision) in asked]
        signers = {signature.person for one in proposals for signature in one.signatures} | {one.author for one in proposals}
        self.decide(request, next(name for name in ("Ada", "Ben", "Dee") if name not in signers), "--approve-rest")

    def answer_in_page(self, request: ReviewRequest, by: str, **edits: float | str) -> Answer:
        """Answer a request as the page's form does, which checks no value; all of it is approved."""
        rows = [Verdict(proposal_id=one.proposal_id, revision=one.revision, verdict="approve", edits=edits) for one in request.asked]
        key = f"{request.request_id}-a{request.attempt}"
        answer = Answer(
            answer_id=f"0195d3c2-0000-7000-8000-{request.number:012d}/{key}",
            campaign=request.campaign,
            request_id=request.request_id,
            content_hash=request.content_hash,
            reviewer=by,
            verdicts=tuple(rows),
            via="page",
            key=key,
        )
        with self.store() as store:
            return store.answer(answer, code=next(self.codes[by]), now=LiveClock().now())

    # ----------------------------------------------------------------- campaigns

    def write(self, name: str, general: str, more: str, *, highest: float = 250, bench: str = "bench.toml") -> None:
        """Write, or change, a campaign file."""
        (self.folder / f"{name}.toml").write_text(campaign_file(name, general, more, highest=highest, bench=bench))

    @contextmanager
    def store(self) -> Iterator[SqlStore]:
        """Open the ledger beside whoever else has it open."""
        with closing(SqlStore.open(self.lab.ledger, create=True)) as store:
            yield store

    def sit(self, name: str, bench: Bench | None = None, script: Script | None = None, otherwise: Act | None = None) -> Ended | None:
        """Carry a campaign on, as `run` does, until its loop ends; None where its process was asked to leave."""
        plan = load_plan(self.folder / f"{name}.toml")
        with self.store() as store:
            fence = take_up(store, plan)
            plan = plan.as_begun(next(one for one in store.campaigns() if one.name == name))
            people = People(script or {}, otherwise, threading.Event())
            steps = Steps(_setup(plan, store, fence, bench or OnePot(), people))
            try:
                return run_loop(steps, cycle=plain_cycle, observe=lambda _history: None, leave=people.leave)
            except Interrupted:
                return None


def take_up(store: SqlStore, plan: Plan) -> int:
    """Begin a campaign where it is new, as `run` does; return the fencing number."""
    name, now = plan.file.name, LiveClock().now()
    record = admit(next((one for one in store.campaigns() if one.name == name), None), plan)
    if record is None:
        record = CampaignRecord(name=name, snapshot={**plan.snapshot, "rate": 1.0, **BEGINS})
        store.create_campaign(record, by="command", now=now)
    fence = store.take_up(name, by="command", now=now)
    if record.status is CampaignStatus.DRAFT:
        store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="command", now=now)
    return fence


def _setup(plan: Plan, store: SqlStore, fence: int, bench: Bench, people: Asker) -> Setup:
    assert plan.bench is not None
    page = PageMaker(plan, policy_of(plan), "live", dict, means_of(plan, store))
    spec, places = plan.file.spec, (bench, store, LiveClock(), fence, plan.bench.sha256)
    known = (spec.campaign, plan.space, plan.objective, policy_of(plan), plan.recipe)
    return Setup(*known, *places, spec.review, people, page, stop=spec.stop)
