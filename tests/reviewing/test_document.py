"""The decision page: complete, stored as it was shown, and rendered without being looked up again."""

import json
from collections.abc import Collection, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from flows.plans.plan import Plan, load_plan, means_of
from flows.plans.policy import policy_of
from flows.review.page import PageMaker
from flows.review.rendering import html, markdown
from flows.running.actions import Setup, Steps
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Prediction, Proposal, Provenance
from orchestrator.domain.review import ReviewRequest
from orchestrator.domain.values import Configuration, canonical, digest
from orchestrator.history import History
from orchestrator.loop import Propose, Review
from orchestrator.ports import Knowledge
from orchestrator.suggestions import Explanation
from policies.random_search import RandomPolicy
from tests.flow.test_steps import NOW, Box
from tests.reviewing.eight import eight_parameters
from tests.store.memory import MemoryStore


class Links(HTMLParser):
    """Collects where a page's images and links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return load_plan(eight_parameters(tmp_path_factory.mktemp("lab") / "lab"))


@pytest.fixture(scope="module")
def asked(plan: Plan) -> tuple[ReviewRequest, dict[str, Any], str]:
    """A request of eight proposals as the campaign's own steps open it: request, page, its text."""
    store, name = MemoryStore(), plan.file.name
    record = CampaignRecord(name=name, snapshot=plan.snapshot)
    store.create_campaign(record, by="test", now=NOW)
    store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    spec = plan.file.spec
    page = PageMaker(plan, policy_of(plan), "dry", lambda: {"state": "ready"}, means_of(plan, store))
    setup = Setup(
        spec.campaign, plan.space, plan.objective, policy_of(plan), plan.recipe, Box(), store, LiveClock(), 0, "", spec.review, page=page
    )
    steps = Steps(setup)
    steps.propose(Propose(8))
    first, *others = steps.refresh().newest()
    lapsed = first.evolve(status=ProposalStatus.LAPSED, reason="stock cd: lot CD-16 -> CD-17")
    store.add_proposals([first.evolve(revision=2)], by="test", now=NOW)
    store.decide(lapsed, (), by="test", now=NOW)
    steps.review(Review(steps.refresh().newest()))
    assert len(others) == 7
    (request,) = History.of(store.changes(name)).open_requests
    text = store.page(request.page_sha256 or "").text
    return request, json.loads(text), text


def test_the_page_is_canonical_and_its_hash_stands_in_the_request(asked: tuple[ReviewRequest, dict[str, Any], str]) -> None:
    request, page, text = asked
    assert canonical(page) == text
    assert digest(text) == request.page_sha256
    assert [one["content_hash"] for one in page["proposals"]] == [one.content_hash for one in request.asked]


def test_a_proposal_is_described_by_all_that_people_asked_for(asked: tuple[ReviewRequest, dict[str, Any], str], plan: Plan) -> None:
    _, page, _ = asked
    for one in page["proposals"]:
        assert one["columns"] == list(plan.space.columns)
        assert {each["name"] for each in one["parameters"]} == {parameter.name for parameter in plan.space.parameters}
        assert one["lab_seconds"] > 0
        assert set(one["reagents"]["mL"]) == {"cd", "se", "ligand"}
        assert one["reagents"]["currency"] == "EUR"
        assert {each["name"] for each in one["limits"]} >= {"oven.temperature", "pump_cd.flow", "pump_cd.volume"}
        assert one["quantities"]["cost"] == pytest.approx(one["reagents"]["cost"])
        assert 0 <= one["quantities"]["margin"] <= 0.5


def test_eight_proposals_are_legible_as_markdown_and_as_one_html_file(
    asked: tuple[ReviewRequest, dict[str, Any], str], tmp_path: Path
) -> None:
    _, page, _ = asked
    text = markdown(page)
    for number in range(1, 9):
        assert f"## Proposal {number}" in text
    assert "SIMULATED instruments" in text
    assert "Weak evidence" in text
    assert "fractions of cd, se, ligand" in text
    assert "NaN" not in text
    links = Links()
    links.feed(html(page))
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links.found), "the file needs nothing else"
    (tmp_path / "page.html").write_text(html(page))


def test_a_proposal_that_is_asked_again_says_why(asked: tuple[ReviewRequest, dict[str, Any], str]) -> None:
    _, page, _ = asked
    assert [one["asked_again"] for one in page["proposals"]] == ["stock cd: lot CD-16 -> CD-17", *[None] * 7]
    assert markdown(page).count("**Asked again**: stock cd: lot CD-16 -> CD-17.") == 1


def test_what_is_left_of_each_stock_stands_beside_the_benchs_state(asked: tuple[ReviewRequest, dict[str, Any], str]) -> None:
    _, page, _ = asked
    assert page["bench"]["state"] == "ready"
    assert page["bench"]["stock cd"] == "500 of 500 mL left of lot CD-17"
    assert "stock cd 500 of 500 mL left of lot CD-17" in markdown(page)


def test_a_page_of_an_earlier_release_is_shown_as_it_was(asked: tuple[ReviewRequest, dict[str, Any], str]) -> None:
    _, page, _ = asked
    earlier = {**page, "proposals": [{key: value for key, value in one.items() if key != "asked_again"} for one in page["proposals"]]}
    assert "Asked again" not in markdown(earlier)


def test_what_people_wrote_cannot_become_markup(asked: tuple[ReviewRequest, dict[str, Any], str]) -> None:
    _, page, _ = asked
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) | y"
    changed = {**page, "since": [evil]}
    links = Links()
    links.feed(html(changed))
    assert "<script>" not in html(changed)
    assert not any(link.startswith("javascript") for link in links.found)


class Explainer(RandomPolicy):
    """Keeps what it was asked."""

    asked: tuple[tuple[Configuration, ...], int, tuple[int, ...], Knowledge] | None = None

    @override
    def explain(
        self, knowledge: Knowledge, batch: Sequence[Configuration], *, seed: int, only: Collection[int] | None = None
    ) -> tuple[Explanation, ...]:
        object.__setattr__(self, "asked", (tuple(batch), seed, tuple(only or ()), knowledge))
        return tuple(Explanation((), {}, {}, None) for _ in only or ())


def test_a_proposal_is_explained_beside_those_of_its_batch_that_nobody_is_asked_about(plan: Plan) -> None:
    """The first of the batch was approved by rule and runs; the second was edited; the third is asked about."""
    provenance = Provenance(policy="bayesian/1", as_of=0, seed=5, batch=1, predicted={"y": Prediction(mean=1, sd=1)})
    batch = [
        Proposal(
            proposal_id=f"p{index}",
            campaign="c",
            number=index + 1,
            configuration={"x": index / 4},
            steps=(),
            provenance=provenance.evolve(position=index),
        )
        for index in range(3)
    ]
    edited = batch[1].evolve(revision=2, configuration={"x": 0.9}, author="Ada")
    run = ExperimentRun(run_key="r", run_id="r", attempt=1, campaign="c", proposal_id="p0", revision=1, status=RunStatus.RUNNING)
    history = History(
        CampaignRecord(name="c"), proposals={(one.proposal_id, one.revision): one for one in (*batch, edited)}, runs={"r": run}
    )
    policy = Explainer(plan.space)
    found = PageMaker(plan, policy, "dry")._explanations(history, [edited, batch[2]])
    assert set(found) == {"p2"}
    assert policy.asked is not None
    configurations, seed, only, known = policy.asked
    assert configurations == tuple(one.configuration for one in batch)
    assert (seed, only, known.pending) == (5, (2,), ())
