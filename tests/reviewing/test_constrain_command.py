"""`athanor constrain`, as it is typed."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.cli.review_commands import constrain
from flows.cli.status import status
from flows.plans.lab import make_lab
from flows.plans.plan import load_plan
from orchestrator.clock import Instant
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import athanor, quick_campaign

pytestmark = pytest.mark.slow

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab whose one campaign has begun and proposed nothing yet; T is 235 to 240 degC, tau 20 to 60 s."""
    plan = load_plan(quick_campaign(tmp_path / "work", budget=4))
    lab = make_lab(tmp_path / "lab", beside=plan.file.path, kind="dry")
    with closing(SqlStore.open(lab.ledger)) as store:
        store.create_campaign(CampaignRecord(name=plan.file.name, snapshot=plan.snapshot), by="test", now=NOW)
    return lab.path


@pytest.mark.long
def test_restrictions_are_added_listed_and_lifted(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("constrain", "--lab", str(lab))
    added = athanor(*words, "--set", "T=236..238 degC", "--set", "tau=0.5 min", "--by", "Ada", "--reason", "oven drifts")
    assert added.returncode == 0, added.stderr
    assert "restriction 1 (active, by Ada: oven drifts): T = 236..238 degC; tau = 30 s" in " ".join(added.stdout.split())
    listing: dict[str, Any] = {"batches": None, "lab": lab, "as_json": True}
    constrain(None, None, lift=None, by="", reason="", **listing)
    (row,) = json.loads(capsys.readouterr().out)["restrictions"]
    assert row["columns"]["T"] == {"min": 236.0, "max": 238.0, "names": []}
    status(None, lab=lab, as_json=False)
    assert "restriction 1: T = 236..238 degC; tau = 30 s" in capsys.readouterr().out
    constrain(None, None, lift=1, by="Bob", reason="mended", **listing)
    lifted = json.loads(capsys.readouterr().out)
    assert (lifted["status"], lifted["lifted"]) == ("lifted", "mended")
    with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
        assert store.verify() == ()
        assert [event.by for event in store.events() if event.kind.startswith("restrict")] == ["person Ada", "person Bob"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["T=300 degC"], "T = 300 degC: expected 235 to 240 degC"),
        (["T=236 s"], "T=236 s.*has the wrong unit"),
        (["T=238..236"], "min 238 is above max 236"),
        (["T=236,5"], "T=236,5.* comma"),
        (["T=236,5..237 degC"], "236,5..237 degC.* comma"),
        (["T"], "expected PARAMETER=VALUE"),
        (["p=1"], "there is no parameter 'p'; there are T, tau, c_se, ratio"),
        (["T=236", "T=237"], "T is named twice"),
    ],
)
def test_what_leaves_nothing_or_is_not_legal_is_refused_in_one_line(lab: Path, values: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        constrain(None, values, batches=None, lift=None, lab=lab, by="Ada", reason="", as_json=False)
    assert "\n" not in str(refused.value)
    with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
        assert store.changes("cdse-600").restrictions == ()


def test_nobody_in_particular_restricts_nothing(lab: Path) -> None:
    with pytest.raises(BadInput, match="--by NAME"):
        constrain(None, ["T=236"], batches=None, lift=None, lab=lab, by=" ", reason="", as_json=False)
    with pytest.raises(BadInput, match="has no restriction 7; it has none"):
        constrain(None, None, batches=None, lift=7, lab=lab, by="Ada", reason="", as_json=False)
