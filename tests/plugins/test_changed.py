"""A plug-in is part of what a campaign goes by: changed under an unfinished one it is a changed file; approvals bind it."""

from pathlib import Path

import pytest

from flows.plans.admission import admit
from flows.plans.amendment import amendment_of, former_benches
from flows.plans.binding import changes
from flows.plans.lab import make_lab
from flows.plans.plan import Plan, load_plan, stored_plan
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from tests.flow.test_steps import NOW
from tests.plugins.writing import example


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return example(tmp_path / "bench").parent / "campaign.toml"


def begun(plan: Plan, store: SqlStore) -> CampaignRecord:
    record = CampaignRecord(name=plan.file.name, snapshot=plan.snapshot)
    store.create_campaign(record, by="test", now=NOW)
    store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    return History.of(store.changes(plan.file.name)).campaign


def write_a_note(file: Path) -> None:
    with (file.parent / "burette.py").open("a") as plugin:
        plugin.write("\n# one note\n")


def test_a_changed_plug_in_is_a_changed_file_and_may_be_amended(file: Path) -> None:
    before = load_plan(file)
    assert before.snapshot["files"]["./burette.py"] == (file.parent / "burette.py").read_text()
    with SqlStore.open(make_lab(None, beside=file, kind="dry").ledger) as store:
        record = begun(before, store)
        assert admit(record, load_plan(file)) is record
        write_a_note(file)
        now = load_plan(file)
        with pytest.raises(BadInput, match=r"its files have changed; accept that with") as caught:
            admit(record, now)
        assert "+# one note" in str(caught.value)
        made = amendment_of(History.of(store.changes(record.name)), now)
        store.update_campaign(made.record, kind=EventKind.AMENDED, by="test", now=NOW, payload=made.payload("a note"))
        kept = History.of(store.changes(record.name)).campaign
        assert admit(kept, now) is kept
        assert before.bench is not None
        assert former_benches(store.events(record.name)) == {before.bench.sha256}


def test_an_approval_binds_the_plug_in(file: Path) -> None:
    before = load_plan(file).recipe.binding
    write_a_note(file)
    assert changes(before, load_plan(file).recipe.binding) == "driver ./burette.py:Burette changed"


def test_a_stored_campaign_is_computed_with_its_own_plug_in_or_not_at_all(file: Path) -> None:
    plan = load_plan(file)
    record = CampaignRecord(name=plan.file.name, snapshot=plan.snapshot)
    assert stored_plan(record).recipe.binding == plan.recipe.binding
    write_a_note(file)
    with pytest.raises(BadInput, match=r"\./burette.py is not what the campaign was carried out with; put it back"):
        stored_plan(record)


def test_a_bench_without_plug_ins_has_the_hash_of_its_bytes_and_the_snapshot_of_old(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "examples" / "cdse"
    plan = load_plan(folder / "campaign.toml", prior_later=True)
    assert sorted(plan.snapshot["files"]) in (["bench", "campaign"], ["bench", "campaign", "prior"])
    assert "bench_sha256" not in plan.snapshot
