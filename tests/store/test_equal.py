"""Whatever is asked of them, legal or not, the two stores answer and remember the same."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from typing_extensions import override

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.errors import AthanorError
from orchestrator.ports import Changes, Store
from orchestrator.store.sql import SqlStore
from tests.postgresql import Server
from tests.store.cases import (
    BY,
    CAMPAIGN,
    at,
    begin,
    campaign,
    measurement,
    proposal,
    queued,
    reading,
    tell_execution,
    tell_experiment,
)
from tests.store.memory import MemoryLedger, MemoryStore

pytestmark = pytest.mark.slow

_Item = TypeVar("_Item")
numbers = st.integers(1, 2)
values = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_server: list[Server] = []
"""The one to use, if any: no fixture reaches a machine of rules."""


class TwoStores(RuleBasedStateMachine):
    """Two handles on each ledger: the second may take a campaign up and so fence the first off."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        memory, path = MemoryLedger(), _server[0].ledger() if _server else self.folder / "ledger.sqlite"
        self.memory = (MemoryStore(memory), MemoryStore(memory))
        self.sql = (SqlStore.open(path, create=True), SqlStore.open(path))
        self.seen = 0

    @initialize()
    def begin(self) -> None:
        """Put something of each kind there, else chance would seldom come so far."""
        for stores in (self.memory, self.sql):
            begin(stores[0])
            tell_experiment(stores[0], 1)
            tell_execution(stores[0], 2)

    def both(self, handle: int, ask: Callable[[Store], object]) -> None:
        assert outcome(ask, self.memory[handle]) == outcome(ask, self.sql[handle])

    @rule(handle=st.integers(0, 1), status=st.sampled_from(CampaignStatus), why=texts)
    def change_campaign(self, handle: int, status: CampaignStatus, why: str) -> None:
        record = campaign().evolve(status=status)
        if status is CampaignStatus.DRAFT:
            self.both(handle, lambda store: store.create_campaign(record, by=BY, now=at(0)))
        payload = {"why": why}
        self.both(handle, lambda store: store.update_campaign(record, kind=EventKind.PAUSED, by=why, now=at(1), payload=payload))

    @rule(handle=st.integers(0, 1))
    def take_up(self, handle: int) -> None:
        self.both(handle, lambda store: store.take_up(CAMPAIGN, by=BY, now=at(2)))

    @rule(handle=st.integers(0, 1), batch=st.lists(st.tuples(st.integers(1, 4), numbers), max_size=2), temperature=values)
    def propose(self, handle: int, batch: list[tuple[int, int]], temperature: float) -> None:
        proposals = [proposal(number, revision=revision, temperature=temperature) for number, revision in batch]
        self.both(handle, lambda store: store.add_proposals(proposals, by=BY, now=at(3)))

    @rule(handle=st.integers(0, 1), index=st.integers(0, 3), status=st.sampled_from(ProposalStatus))
    def decide(self, handle: int, index: int, status: ProposalStatus) -> None:
        known = pick(self.known().proposals, index)
        if known is None:
            return
        runs = [queued(known)] if status is ProposalStatus.APPROVED else []
        self.both(handle, lambda store: store.decide(known.evolve(status=status), runs, by=BY, now=at(4)))

    @rule(handle=st.integers(0, 1), index=st.integers(0, 3), status=st.sampled_from(RunStatus), note=texts)
    def change_run(self, handle: int, index: int, status: RunStatus, note: str) -> None:
        known = pick(self.known().runs, index)
        if known is None:
            return
        run = known.evolve(status=status, evidence={"note": note} if note else {})
        self.both(handle, lambda store: store.update_run(run, kind=EventKind.RESOLVED, by=BY, now=at(5)))
        after = run.evolve(
            run_key=f"{run.run_id}-a{run.attempt + 1}",
            attempt=run.attempt + 1,
            status=RunStatus.QUEUED,
            evidence={},
            ingested=False,
        )
        self.both(handle, lambda store: store.supersede(run, after, by=BY, now=at(6)))

    @rule(handle=st.integers(0, 1), index=st.integers(0, 3), value=values, raw=st.binary(max_size=2), seq=numbers)
    def ingest(self, handle: int, index: int, value: float, raw: bytes, seq: int) -> None:
        run = pick(self.known().runs, index)
        if run is None:
            return
        found, read = measurement(run, value=value), reading(seq, raw=raw, value=value)
        self.both(handle, lambda store: store.ingest(run, [found], [read], by=BY, now=at(7)))

    @rule(handle=st.integers(0, 1), index=st.integers(0, 3), status=st.sampled_from(MeasurementStatus), step=st.integers(0, 2))
    def correct(self, handle: int, index: int, status: MeasurementStatus, step: int) -> None:
        known = pick(self.known().measurements, index)
        if known is None:
            return
        other = known.evolve(status=status, revision=known.revision + step)
        self.both(handle, lambda store: store.update_measurement(other, by=BY, now=at(8)))

    def known(self) -> Changes:
        return self.memory[0].changes(CAMPAIGN)

    @invariant()
    def they_agree_and_are_sound(self) -> None:
        memory, sql = self.memory[1], self.sql[1]
        assert memory.head() == sql.head()
        self.both(0, lambda store: store.changes(CAMPAIGN, since=self.seen))
        self.both(1, lambda store: [store.readings(run.run_key) for run in self.known().runs])
        assert memory.verify() == sql.verify() == ()
        self.seen = memory.head()[0] // 2

    @override
    def teardown(self) -> None:
        for store in self.sql:
            store.close()
        shutil.rmtree(self.folder)


def pick(items: Sequence[_Item], index: int) -> _Item | None:
    return items[index % len(items)] if items else None


def outcome(ask: Callable[[Store], object], store: Store) -> object:
    try:
        return ask(store)
    except AthanorError as error:
        return f"{type(error).__name__}: {error}"


_SETTINGS = settings(stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_file_and_a_ledger_in_memory_agree() -> None:
    run_state_machine_as_test(TwoStores, settings=settings(_SETTINGS, max_examples=12))


@pytest.mark.long
def test_a_server_and_a_ledger_in_memory_agree(postgres: Server) -> None:
    _server.append(postgres)
    run_state_machine_as_test(TwoStores, settings=settings(_SETTINGS, max_examples=6))
    _server.clear()
