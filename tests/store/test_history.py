import pytest

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.errors import BadInput
from orchestrator.ports import Changes
from tests.store.cases import BY, CAMPAIGN, at, begin, proposal, tell_experiment
from tests.store.memory import MemoryStore


def test_every_moment_of_a_campaign_can_be_seen_again() -> None:
    store = MemoryStore()
    running = begin(store)
    seen: list[Changes] = []
    for number in range(1, 4):
        seen.append(store.changes(CAMPAIGN))
        tell_experiment(store, number)
        seen.append(store.changes(CAMPAIGN))
        store.take_up(CAMPAIGN, by=BY, now=at(10))
    store.add_proposals([proposal(9), proposal(8)], by=BY, now=at(20))
    begin(store, "wires")
    changed = running.evolve(snapshot={"campaign.toml": "budget = 4\n"}, status=CampaignStatus.PAUSED)
    store.update_campaign(changed, kind=EventKind.PAUSED, by=BY, now=at(30))
    seen.append(store.changes(CAMPAIGN))
    assert [store.changes_until(CAMPAIGN, moment.seq) for moment in seen] == seen


def test_before_it_began_there_was_no_campaign() -> None:
    store = MemoryStore()
    begin(store)
    begin(store, "wires")
    with pytest.raises(BadInput, match="no campaign 'wires' in this ledger at event 2"):
        store.changes_until("wires", 2)
