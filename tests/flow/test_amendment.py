"""Files that were changed under an unfinished campaign: what a person may accept, and what the ledger keeps of it."""

import re
from pathlib import Path

import pytest

from flows.cli.campaign_commands import amend
from flows.plans.admission import admit
from flows.plans.amendment import amendment_of, former_benches
from flows.plans.lab import make_lab
from flows.plans.plan import load_plan, stored_plan
from instruments.lab_processes.campaign_lock import CampaignLock
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import BEGINS, CampaignRecord, ExperimentRun, Proposal, Provenance
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import quick_campaign
from tests.flow.test_steps import NOW

CATEGORY = """
[[parameters]]
name = "exposure"
kind = "categorical"
categories = ["0.05", "0.1"]

[[targets]]"""


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A campaign over the example bench, with a category, begun in a dry lab beside it."""
    file = quick_campaign(tmp_path / "bench", budget=4)
    changed(file.parent / "bench.toml", 'integration_time = "0.1"', 'integration_time = "{exposure}"')
    changed(file, "\n[[targets]]", CATEGORY)
    lab = make_lab(None, beside=file, kind="dry")
    with SqlStore.open(lab.ledger) as store:
        plan = load_plan(file)
        record = CampaignRecord(name=plan.file.name, snapshot={**plan.snapshot, "rate": 300.0})
        store.create_campaign(record, by="test", now=NOW)
        store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    return file


def opened(file: Path) -> SqlStore:
    return SqlStore.open(file.parent / ".athanor-dry" / "ledger.db", create=False)


def history(file: Path) -> History:
    with opened(file) as store:
        return History.of(store.changes("cdse-600"))


def propose(file: Path) -> Proposal:
    plan = load_plan(file)
    configuration = dict(plan.sample[0])
    made = Proposal(
        proposal_id=uuid7(),
        campaign=plan.file.name,
        number=1,
        configuration=configuration,
        steps=plan.recipe.expand(configuration),
        binding=dict(plan.recipe.binding),
        provenance=Provenance(policy="sobol/1", as_of=1, seed=0),
    )
    with opened(file) as store:
        store.add_proposals([made], by="test", now=NOW)
    return made


def accept(file: Path, reason: str = "a new bottle") -> None:
    amend(file, lab=None, data=None, by="Ada", reason=reason, as_json=False)


@pytest.mark.parametrize(("begins", "name"), [({}, "bayesian/1"), (BEGINS, "bayesian/2")], ids=["before", "now"])
def test_a_campaign_goes_on_searching_as_it_began_also_under_amended_files(begins: dict[str, bool], name: str, file: Path) -> None:
    with opened(file) as store:
        began = store.changes("cdse-600").campaign
        store.update_campaign(began.evolve(snapshot={**began.snapshot, **begins}), kind=EventKind.RUNNING, by="test", now=NOW)
    changed(file, 'kind = "sobol"', 'kind = "bayesian"')
    accept(file)
    amended = history(file).campaign
    assert amended.converts == bool(begins)
    assert stored_plan(amended).policy.name == load_plan(file).as_begun(amended).policy.name == name


def test_an_accepted_change_lets_the_campaign_go_on_and_the_ledger_keeps_both_files(file: Path) -> None:
    before = load_plan(file)
    with opened(file) as store:
        began = store.head()[0]
    changed(file.parent / "bench.toml", 'lot = "CD-17"', 'lot = "CD-18"')
    now = load_plan(file)
    with pytest.raises(BadInput, match="athanor amend") as caught:
        admit(history(file).campaign, now)
    assert '+lot = "CD-18"' in str(caught.value)
    accept(file)
    kept = history(file).campaign
    assert admit(kept, now) is kept
    assert (kept.status, kept.snapshot["rate"]) == (CampaignStatus.RUNNING, 300.0)
    with opened(file) as store:
        (event,) = [one for one in store.events() if one.kind == EventKind.AMENDED]
        then = store.changes_until(kept.name, began).campaign
        assert store.verify() == ()
        assert former_benches(store.events(kept.name)) == {before.recipe.binding["bench file"].removeprefix("sha256:")}
    assert event.by == "person Ada"
    assert event.payload["details"]["reason"] == "a new bottle"
    assert event.payload["details"]["difference"][-2:] == ['-lot = "CD-17"', '+lot = "CD-18"']
    assert stored_plan(then).recipe.binding == before.recipe.binding, "a proposal of then is computed with the files of then"
    assert stored_plan(kept).recipe.binding == now.recipe.binding


def test_nothing_changed_is_nothing_to_amend(file: Path) -> None:
    with pytest.raises(BadInput, match="nothing to amend"):
        accept(file)


def test_another_name_is_another_campaign(file: Path) -> None:
    changed(file, 'name = "cdse-600"', 'name = "cdse-610"')
    with pytest.raises(BadInput, match="has no campaign 'cdse-610'; it has cdse-600"):
        accept(file)


@pytest.mark.parametrize("status", [CampaignStatus.FINISHED, CampaignStatus.ABORTED])
def test_what_has_ended_keeps_its_files(file: Path, status: CampaignStatus) -> None:
    with opened(file) as store:
        ended = store.changes("cdse-600").campaign.evolve(status=status, reason="enough")
        store.update_campaign(ended, kind=EventKind(status), by="test", now=NOW)
    changed(file, "budget = 4", "budget = 5")
    with pytest.raises(BadInput, match=rf"is {status} \(enough\)"):
        accept(file)


def test_a_finished_campaigns_name_with_other_files_is_refused_with_the_difference_and_the_ways_on(file: Path) -> None:
    finished = history(file).campaign.evolve(status=CampaignStatus.FINISHED, reason="budget used")
    assert admit(finished, load_plan(file)) is finished
    changed(file, "budget = 4", "budget = 5")
    with pytest.raises(BadInput) as caught:
        admit(finished, load_plan(file))
    said = str(caught.value)
    for part in ("is finished (budget used)", "nothing is run", "another name", "new lab", "-budget = 4", "+budget = 5"):
        assert part in said
    assert caught.value.exit_code == 1


def test_a_campaign_that_is_being_carried_on_is_paused_first(file: Path) -> None:
    changed(file, "budget = 4", "budget = 5")
    with CampaignLock(file.parent / ".athanor-dry", "cdse-600"), pytest.raises(BadInput, match="athanor pause cdse-600"):
        accept(file)
    assert history(file).campaign.snapshot["budget"] == 4
    accept(file)
    assert history(file).campaign.snapshot["budget"] == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "T"', 'name = "heat"', "columns were T"),
        ('unit = "s"', 'unit = "min"', r"tau \(s\)"),
        ('unit = "nm"', 'unit = "m"', "targets were wavelength"),
        ('categories = ["0.05", "0.1"]', 'categories = ["0.2"]', "no category '0"),
    ],
)
def test_what_would_make_the_history_unreadable_is_refused(file: Path, old: str, new: str, said: str) -> None:
    propose(file)
    bench = file.parent / "bench.toml"
    text = file.read_text().replace(old, new)
    if new == 'name = "heat"':
        bench.write_text(bench.read_text().replace('temperature = "T"', 'temperature = "heat"').replace("\nT = ", "\nheat = "))
    if new == 'unit = "m"':
        text = re.sub('tolerance = "5 nm"', 'tolerance = "5 m"', text)
    file.write_text(text)
    with pytest.raises(BadInput, match=said):
        accept(file)


def in_hand(made: Proposal, file: Path, status: RunStatus) -> None:
    run = ExperimentRun(run_key=uuid7(), run_id="r", campaign="cdse-600", proposal_id=made.proposal_id, revision=1)
    with opened(file) as store:
        store.decide(made.evolve(status=ProposalStatus.APPROVED, decided_by="rule x"), [run], by="test", now=NOW)
        store.update_run(run.evolve(status=RunStatus.DISPATCHED, fence=1), kind=EventKind.DISPATCHED, by="test", now=NOW)
        if status is not RunStatus.DISPATCHED:
            store.update_run(run.evolve(status=status, fence=1), kind=EventKind(status), by="test", now=NOW)


@pytest.mark.parametrize("status", [RunStatus.DISPATCHED, RunStatus.RUNNING, RunStatus.UNKNOWN, RunStatus.COMPLETED])
def test_a_bench_file_does_not_change_under_a_run_but_a_budget_may(file: Path, status: RunStatus) -> None:
    in_hand(propose(file), file, status)
    bench = file.parent / "bench.toml"
    changed(bench, 'lot = "CD-17"', 'lot = "CD-18"')
    with pytest.raises(BadInput, match="is in hand"):
        amendment_of(history(file), load_plan(file))
    changed(bench, 'lot = "CD-18"', 'lot = "CD-17"')
    changed(file, "budget = 4", "budget = 5")
    made = amendment_of(history(file), load_plan(file))
    assert made.difference[-2:] == ("-budget = 4", "+budget = 5")
    assert list(made.hashes) == ["campaign"]


@pytest.mark.parametrize(("by", "reason"), [(" ", "x"), ("Ada", "")])
def test_who_accepts_and_why_are_needed(file: Path, by: str, reason: str) -> None:
    with pytest.raises(BadInput, match="--by NAME and --reason TEXT"):
        amend(file, lab=None, data=None, by=by, reason=reason, as_json=False)
