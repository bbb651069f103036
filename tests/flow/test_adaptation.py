"""A campaign with a prior: each adaptation is an event, proposals name what they came from, a restart tells the same story."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from flows.report.adaptations import adaptations
from flows.running.actions import Setup, Steps, leaders_of
from orchestrator.clock import LiveClock
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord, Reading
from orchestrator.history import History, knowledge
from orchestrator.ports import Policy, Store
from policies.registry import build_policy
from tests.flow.test_steps import NOW, Box, Table, carry
from tests.store.memory import MemoryStore
from tests.surrogate.family import NARROW, YIELD, BumpPrior, learner

QUICK = {"mc_samples": 32, "restarts": 1, "raw_samples": 32, "acquisition": "log-ei"}


class Flat(Box):
    """Answers 50 %, which the bump does not expect."""

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        return (Reading(0, "box", "y", "%", "good", NOW.wall, 0.0, value=50.0, seq=1),)


def policy() -> Policy:
    return build_policy("bayesian", NARROW, YIELD, QUICK, learner(priors={"y": BumpPrior()}))


def begun() -> MemoryStore:
    store = MemoryStore()
    store.create_campaign(CampaignRecord(name="c"), by="test", now=NOW)
    store.take_up("c", by="test", now=NOW)
    store.update_campaign(CampaignRecord(name="c", status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    return store


def steps_on(store: Store, *, budget: int = 3) -> Steps:
    spec = GeneralSpec.model_validate({"name": "c", "bench": "b", "budget": budget})
    return Steps(Setup(spec, NARROW, YIELD, policy(), Table(), Flat(), store, LiveClock(), 1))


def details(store: Store) -> list[Mapping[str, Any]]:
    return [event.payload["details"] for event in store.events("c") if event.kind == EventKind.ADAPTED]


def test_each_adaptation_is_recorded_with_version_trust_and_time() -> None:
    store = begun()
    carry(steps_on(store))
    found = adaptations(store.events("c"))
    assert [one.experiments for one in found] == [1, 2, 3]
    assert len({one.version for one in found}) == 3
    trust = [one.trust["y"] for one in found]
    assert trust == sorted(trust, reverse=True)
    assert trust[-1] < 0.5
    assert all(one.seconds >= 0 for one in found)
    assert details(store)[0]["prior"] == {"name": "bump", "sha256": "ab" * 32, "origin": "simulated"}
    assert details(store)[2]["measurements"] == {"y": 3}
    noted = [one.get("constant", []) for one in details(store)]
    assert [len(lines) for lines in noted] == [0, 1, 1]
    assert noted[2][0].startswith("y is constant: 3 values of 50")
    assert store.verify() == ()


def test_a_switch_of_the_leading_component_is_recorded_once_also_after_a_restart() -> None:
    store = begun()
    steps = steps_on(store)
    steps._leaders = {"y": "bump"}
    carry(steps)
    assert [one.switched for one in adaptations(store.events("c"))] == [{"y": ("bump", "fresh")}, {}, {}]
    # another process goes on: it reads in the ledger who led
    again = steps_on(store)
    assert again._adaptation(policy().adapt(knowledge(again.history)), 0.0)["switched"] == {}


def test_the_first_proposal_comes_from_the_prior_and_each_names_it() -> None:
    store = begun()
    carry(steps_on(store))
    proposals = History.of(store.changes("c")).newest()
    assert [one.provenance.policy for one in proposals] == ["bayesian/1"] * 3
    assert all(one.provenance.details["prior"]["name"] == "bump" for one in proposals)
    assert [one.provenance.details["fit"]["y"]["trust"] for one in proposals[1:]] == [
        one["fit"]["y"]["trust"] for one in details(store)[:2]
    ]


def test_a_fresh_policy_computes_each_proposal_again_from_the_ledger_bit_for_bit() -> None:
    store = begun()
    carry(steps_on(store))
    for one in History.of(store.changes("c")).newest():
        then = History.of(store.changes_until("c", one.provenance.as_of))
        (again,) = policy().propose(knowledge(then), count=1, seed=one.provenance.seed)
        assert again.configuration == one.configuration


def test_a_surrogate_of_one_component_has_no_leader() -> None:
    assert leaders_of({"fit": {"y": {"trust": 1.0}, "z": {"weights": {"a": 0.2, "b": 0.8}}}}) == {"z": "b"}
