"""Priors from file to ledger: what a campaign file's `[surrogate]` table does, from loading to replay."""

import json
import math
import re
from contextlib import closing
from pathlib import Path

import pytest
from typing_extensions import override

from flows.cli.file_commands import check
from flows.cli.init import scaffold
from flows.cli.reading_commands import replay
from flows.cli.status import status
from flows.plans.admission import admit
from flows.plans.lab import Lab, make_lab
from flows.plans.plan import Plan, load_plan, means_of, stored_plan
from flows.plans.policy import policy_of
from flows.review.by_hand import Editor, proposal_by_hand
from flows.running.actions import Setup, Steps
from flows.running.plan_operations import draft
from flows.studies.missing_prior import make_missing_prior, missing_prior_file
from flows.studies.priors import make_prior
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord, Reading
from orchestrator.errors import BadInput
from orchestrator.history import History, knowledge
from orchestrator.store.sql import SqlStore
from tests.flow.test_steps import NOW, Box, Table, carry

TARGET = '[[targets]]\nname = "quantum_yield"\ngoal = "maximise"\nlow = 0\nhigh = 0.8\n\n'
QUICK = '[policy]\nkind = "bayesian"\nacquisition = "log-ei"\nrestarts = 1\nraw_samples = 32\n\n'
SOURCES = '[[sources]]\nfiles = ["past.csv"]\ntask = "run"\n\n[train]\nseed = {seed}\n'


def brightness(temperature: float, tau: float, *, shift: float = 0.0) -> float:
    """Stand in for the chemistry: one smooth bump."""
    return 0.7 * math.exp(-(((temperature - 240 - shift) / 25) ** 2) - ((tau - 90) / 60) ** 2)


class Bright(Box):
    """Answers the bump at what was sent."""

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        sent = self.requests[run_key].steps[0].arguments
        value = brightness(float(sent["T"]), float(sent["tau"]))
        return (Reading(0, "box", "quantum_yield", "", "good", NOW.wall, 0.0, value=value, seq=1),)


def lab_folder(folder: Path) -> Path:
    """Write the scaffold with one target, and past campaigns as a table; return the campaign file."""
    scaffold(folder)
    for name in ("campaign.toml", "prior.toml"):
        text = (folder / name).read_text()
        following = "[surrogate]" if name == "campaign.toml" else "[[sources]]"
        text = text[: text.index("[[targets]]")] + TARGET + text[text.index(following) :]
        (folder / name).write_text(re.sub(r"\[policy\].*(?=\[review\])", QUICK, text, flags=re.DOTALL))
    rows = ["run,T,tau,c_se,ratio,quantum_yield"]
    for task, shift in enumerate((-6.0, 0.0, 6.0)):
        for row in range(12):
            temperature, tau = 200 + 80 * (row * 0.618 % 1), 20 + 160 * (row * 0.755 % 1)
            selenium, glow = 0.004 + 0.02 * (row * 0.57 % 1), brightness(temperature, tau, shift=shift)
            rows.append(f"{task},{temperature},{tau},{selenium},{0.8 + row / 3},{glow}")
    (folder / "past.csv").write_text("\n".join(rows) + "\n")
    return folder / "campaign.toml"


def train(file: Path, *, seed: int) -> None:
    recipe = file.parent / "prior.toml"
    text = recipe.read_text()
    recipe.write_text(text[: text.index("[[sources]]")] + SOURCES.format(seed=seed))
    make_prior(recipe, data=None, card=False, tell=print)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a lab folder whose prior is there."""
    path = lab_folder(tmp_path_factory.mktemp("priors") / "lab")
    train(path, seed=0)
    return path


def carried(plan: Plan, lab: Lab, *, budget: int, bench: Box | None = None) -> None:
    """Carry a campaign out on a bench in memory, with the ledger in a lab."""
    name = plan.file.name
    with closing(SqlStore.open(lab.ledger, create=True)) as store:
        record = CampaignRecord(name=name, snapshot=plan.snapshot)
        store.create_campaign(record, by="test", now=NOW)
        fence = store.take_up(name, by="test", now=NOW)
        store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
        spec = plan.file.spec.campaign.evolve(budget=budget)
        carry(Steps(Setup(spec, plan.space, plan.objective, policy_of(plan), Table(), bench or Bright(), store, LiveClock(), fence)))


@pytest.mark.long
def test_a_proposal_from_a_prior_is_replayed_bit_for_bit(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = make_lab(tmp_path / "lab", beside=file, kind="dry")
    carried(load_plan(file), lab, budget=5)
    for number in ("1", "2", "3", "4", "5"):
        capsys.readouterr()
        replay(number, None, lab=lab.path, data=None, as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["identical"]
        assert document["stored"] == document["computed"]
    status(None, lab=lab.path, as_json=False)
    assert "prior cdse (measured" in capsys.readouterr().out


def test_a_proposal_by_hand_is_predicted_from_what_is_known(file: Path, tmp_path: Path) -> None:
    plan, lab = load_plan(file), make_lab(tmp_path / "lab", beside=file, kind="dry")
    carried(plan, lab, budget=2)
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        history, stocks = History.of(store.changes(plan.file.name)), means_of(plan, store)
    values = history.newest()[0].configuration
    made = proposal_by_hand(Editor(plan, policy_of(plan), history, stocks), values, author="Ada", reason="")
    assert made.provenance.predicted == policy_of(plan).predict(knowledge(history), [values])[0]
    assert made.provenance.predicted != history.newest()[0].provenance.predicted, "two measurements more are known"


class Dark(Box):
    """Answers the same whatever was sent, but for float noise."""

    @override
    def readings(self, run_key: str) -> tuple[Reading, ...]:
        value = 0.25 + 1e-16 * len(run_key)
        return (Reading(0, "box", "quantum_yield", "", "good", NOW.wall, 0.0, value=value, seq=1),)


def test_a_target_that_has_not_varied_is_named_by_status(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = make_lab(tmp_path / "lab", beside=file, kind="dry")
    carried(load_plan(file), lab, budget=2, bench=Dark())
    status(None, lab=lab.path, as_json=False)
    assert "quantum_yield is constant: 2 values of 0.25, which differ by float noise at most" in " ".join(capsys.readouterr().out.split())


def test_a_missing_prior_is_one_line_with_the_command_that_makes_it(tmp_path: Path) -> None:
    file = lab_folder(tmp_path / "lab")
    with pytest.raises(BadInput) as caught:
        load_plan(file)
    assert "\n" not in str(caught.value)
    assert f"there is no prior {tmp_path / 'lab' / 'priors' / 'cdse.pt'}" in str(caught.value)
    assert f"athanor meta-train {tmp_path / 'lab' / 'prior.toml'}" in str(caught.value)


def test_a_prior_that_is_not_there_yet_is_made_from_the_file_beside_the_campaign(tmp_path: Path) -> None:
    file, told = lab_folder(tmp_path / "lab"), list[str]()
    recipe = file.with_name("prior.toml").rename(file.with_name("learn.toml"))
    text = recipe.read_text()
    recipe.write_text(text[: text.index("[[sources]]")] + SOURCES.format(seed=0))
    (rows := file.with_name("past.csv")).rename(kept := file.with_name("kept.csv"))
    plan = load_plan(file, prior_later=True)
    assert plan.lacks_prior
    with pytest.raises(BadInput, match=r"there is no .*past\.csv"):
        make_missing_prior(plan, None, told.append)
    assert not file.with_name("priors").exists(), "a training that fails leaves nothing"
    kept.rename(rows)
    make_missing_prior(plan, None, told.append)
    assert told[1] == "there is no prior priors/cdse.pt yet: making it from learn.toml"
    made = load_plan(file)
    assert made.prior is not None
    assert told[-1].startswith(f"{file.with_name('priors') / 'cdse.pt'}: prior cdse, sha256 {made.prior.sha256}")
    assert sorted(path.name for path in file.with_name("priors").iterdir()) == ["cdse.md", "cdse.pt"]


def test_a_campaign_whose_prior_cannot_be_made_is_not_begun_and_leaves_no_lab(tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise BadInput("there is no past.csv")

    file = lab_folder(tmp_path / "lab")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=r"there is no past\.csv"):
        draft(file, kind="dry", folder=None, data=None, by="Ada", make_prior=refuse)
    assert sorted(tmp_path.rglob("*")) == before


def test_files_that_make_the_same_prior_are_refused_and_others_make_none(tmp_path: Path) -> None:
    file = lab_folder(tmp_path / "lab")
    plan, recipe = load_plan(file, prior_later=True), file.with_name("prior.toml")
    file.with_name("copy.toml").write_text(recipe.read_text())
    with pytest.raises(BadInput, match=r"copy\.toml and prior\.toml make it"):
        missing_prior_file(plan, data=None)
    for name in ("copy.toml", "prior.toml"):
        file.with_name(name).write_text(recipe.read_text().replace("cdse.pt", "other.pt"))
    file.with_name("broken.toml").write_text("[prior\n")
    assert missing_prior_file(plan, data=None) is None


def test_check_writes_nothing_and_says_what_the_first_run_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = lab_folder(tmp_path / "lab")
    before = sorted(tmp_path.rglob("*"))
    check(file, connect=False, lab=None, data=None, as_json=False)
    assert "there is no prior priors/cdse.pt yet: the first run makes it from prior.toml" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    file.with_name("prior.toml").unlink()
    with pytest.raises(BadInput, match=r"there is no prior .*cdse\.pt; make it with"):
        check(file, connect=False, lab=None, data=None, as_json=False)


@pytest.mark.long
def test_a_changed_prior_is_refused_with_the_difference(tmp_path: Path) -> None:
    file = lab_folder(tmp_path / "lab")
    train(file, seed=0)
    before = load_plan(file)
    record = CampaignRecord(name=before.file.name, snapshot=before.snapshot, status=CampaignStatus.RUNNING)
    assert before.prior is not None
    train(file, seed=0)
    assert admit(record, load_plan(file)) is record  # the same content again is the same prior
    train(file, seed=1)
    now = load_plan(file)
    assert now.prior is not None
    with pytest.raises(BadInput, match="files have changed") as caught:
        admit(record, now)
    assert "prior (ledger)" in str(caught.value)
    assert f"-{before.prior.sha256}" in str(caught.value)
    assert f"+{now.prior.sha256}" in str(caught.value)
    with pytest.raises(BadInput, match=f"the prior has sha256 {now.prior.sha256}; the campaign began with {before.prior.sha256}"):
        stored_plan(record)
