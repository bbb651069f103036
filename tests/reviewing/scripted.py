"""A campaign over a recorded bench whose people follow a script: the real loop, steps, rules and ledger."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from flows.review.desk import Asker
from flows.running.actions import Setup, Steps
from flows.running.run_loop import Ended, plain_cycle, run_loop
from orchestrator.clock import Clock, Instant
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord, Step
from orchestrator.domain.review import Answer, ReviewRequest, Verdict
from orchestrator.domain.review_rules import ReviewSpec
from orchestrator.domain.values import Configuration
from orchestrator.errors import LimitError
from orchestrator.history import History
from orchestrator.ports import Policy, Store
from orchestrator.review import Quantities
from policies.random_search import RandomPolicy
from tests.flow.test_steps import NOW, OBJECTIVE, SPACE, Box, Table
from tests.store.memory import MemoryStore

CAMPAIGN_FILE: Final = """
[campaign]
name = "c"
budget = 2
batch = 2
bench = "bench.toml"
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "y"
goal = "maximise"
[review]
mode = "always"
"""
"""What the ledger's snapshot of a scripted campaign says, for those who read it there."""
Script = Callable[["Desk", ReviewRequest], Answer | None]
"""What people do about a request when they look at it; None to wait."""


class HandClock(Clock):
    """Lab time moves when a test, or a wait, says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @override
    def now(self) -> Instant:
        return Instant(NOW.wall, self.seconds)

    @override
    def lab(self) -> float:
        return self.seconds

    @override
    def wait(self, lab_seconds: float, cancelled: threading.Event | None = None) -> bool:
        self.seconds += lab_seconds
        return False

    @override
    def wall_seconds(self, lab_seconds: float) -> float:
        return 0.0


class Limited(Table):
    """A procedure with an envelope, a hazard and a binding that a test may change."""

    def __init__(self) -> None:
        super().__init__()
        self.highest = 1.0
        self.found: Callable[[Configuration], Quantities] = lambda _: Quantities({})
        self.binding: Mapping[str, str] = {"bench": "one"}

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        if float(configuration["x"]) > self.highest:
            raise LimitError(f"box: x = {configuration['x']} is above {self.highest}")
        return super().expand(configuration)

    @override
    def quantities(self, configuration: Configuration) -> Quantities:
        return self.found(configuration)


@dataclass
class Desk(Asker):
    """The campaign, and its people, who answer when they are asked."""

    script: Script
    general: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    box: Box = field(default_factory=Box)
    recipe: Limited = field(default_factory=Limited)
    clock: HandClock = field(default_factory=HandClock)
    store: Store = field(default_factory=MemoryStore)
    asked: list[ReviewRequest] = field(default_factory=list)
    """Each attempt at each request, once."""
    answers: list[Answer] = field(default_factory=list)
    """As the ledger judged them."""
    codes: dict[str, str] = field(default_factory=dict)
    """Code to give by reviewer."""
    asker: Asker | None = None
    """Who asks instead of this script."""
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    patience: int = 10
    """Looks at an unanswered request before the test gives up."""
    policy: Policy = field(default_factory=lambda: RandomPolicy(SPACE))

    def run(self) -> Ended:
        """Carry the campaign on to its end."""
        self.prepare()
        return run_loop(self.steps, cycle=plain_cycle, observe=lambda _: None, leave=self.leave)

    def prepare(self) -> None:
        """Take the campaign up, begun where it is new; once."""
        if not hasattr(self, "steps"):
            self.leave = threading.Event()
            self.steps = self._steps()

    def _steps(self) -> Steps:
        general = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": 2, "batch": 2, **self.general})
        if not self.store.campaigns():
            record = CampaignRecord(name="c", snapshot=dict(self.snapshot))
            self.store.create_campaign(record, by="test", now=NOW)
            self.store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
        fence = self.store.take_up("c", by="test", now=NOW)
        rules = ReviewSpec.model_validate({"mode": "always", **self.rules})
        return Steps(
            Setup(
                general,
                SPACE,
                OBJECTIVE,
                self.policy,
                self.recipe,
                self.box,
                self.store,
                self.clock,
                fence,
                "",
                rules,
                self.asker or self,
            )
        )

    @override
    def keep(self, requests: Sequence[ReviewRequest]) -> None:
        for request in requests:
            if all((one.request_id, one.attempt) != (request.request_id, request.attempt) for one in self.asked):
                self.asked.append(request)
            answer = self.script(self, request)
            if answer is not None:
                self.give(answer)
            elif (waited := len(self.asked) + self.patience) and self._looks(waited):
                self.leave.set()

    def _looks(self, limit: int) -> bool:
        self.looked = getattr(self, "looked", 0) + 1
        return self.looked > limit

    @override
    def close(self) -> None:
        return

    def give(self, answer: Answer) -> Answer:
        """Hand an answer to the ledger, as a form or the terminal does."""
        judged = self.store.answer(answer, code=self.codes.get(answer.reviewer), now=self.clock.now())
        self.answers.append(judged)
        return judged

    @property
    def history(self) -> History:
        """All that the ledger holds."""
        return History.of(self.store.changes("c"))

    def kinds(self) -> list[str]:
        """Return the kinds of all events."""
        return [event.kind for event in self.store.events()]


def answer(request: ReviewRequest, *verdicts: Verdict, by: str = "Ada", **changes: Any) -> Answer:
    """Return an answer; all rows are approved where nothing is said."""
    rows = verdicts or tuple(approve(request, index) for index in range(len(request.asked)))
    fields = {
        "answer_id": uuid7(),
        "campaign": request.campaign,
        "request_id": request.request_id,
        "content_hash": request.content_hash,
        "reviewer": by,
        "verdicts": [one.model_dump() for one in rows],
        "via": "page",
    }
    return Answer.model_validate({**fields, **changes})


def approve(request: ReviewRequest, index: int, **edits: float | str) -> Verdict:
    """Approve one row, with other values where they are given."""
    one = request.asked[index]
    return Verdict(proposal_id=one.proposal_id, revision=one.revision, verdict="approve", edits=edits)


def reject(request: ReviewRequest, index: int, reason: str = "too hot") -> Verdict:
    """Refuse one row."""
    one = request.asked[index]
    return Verdict(proposal_id=one.proposal_id, revision=one.revision, verdict="reject", reason=reason)


def in_turn(*replies: Callable[[ReviewRequest], Answer | None]) -> Script:
    """Give one reply after the other, each to the request that is asked then; the last one for ever."""
    left = list(replies)

    def script(_desk: Desk, request: ReviewRequest) -> Answer | None:
        return (left.pop(0) if len(left) > 1 else left[0])(request)

    return script
