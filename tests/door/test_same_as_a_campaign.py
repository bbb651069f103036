"""With the same seed and the same results an optimizer suggests what a campaign proposes, bit for bit."""

import runpy
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import athanor
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from tests.door.campaigns import amended, asked_again, carried_out
from tests.recorded.tables import EXAMPLES, data_dir

SCRIPT = EXAMPLES.parent / "ask_and_tell.py"


def same(optimizer: athanor.Optimizer, file: Path, endings: dict[int, tuple[RunStatus, dict[str, object]]] | None = None) -> int:
    """Compare all of a campaign; return how many of its proposals a model chose."""
    name, store = carried_out(file, endings)
    informed, pending = 0, 0
    for proposals, suggestions in asked_again(optimizer, name, store):
        pending += len(optimizer.pending) > len(suggestions)
        for proposal, suggestion in zip(proposals, suggestions, strict=True):
            assert suggestion.configuration == proposal.configuration
            assert suggestion.predicted == proposal.provenance.predicted
            assert suggestion.acquisition == proposal.provenance.acquisition
            assert (suggestion.number, suggestion.policy) == (proposal.number, proposal.provenance.policy)
            informed += bool(suggestion.predicted)
    if "in_flight" in file.read_text():
        assert pending, "nothing was pending at any ask"
    return informed


def test_a_campaign_with_a_prior(lab_file: Path) -> None:
    file = amended(lab_file, "adapted.toml", general="budget = 4\nseed = 5")
    assert same(athanor.Optimizer.from_file(file), file) == 4


def test_batches_with_pending_infeasible_and_failed_runs_on_a_bench_that_drifts(lab_file: Path) -> None:
    file = amended(lab_file, "batches.toml", general="budget = 8\nseed = 7\nbatch = 2\nin_flight = 4", policy="initial = 4", prior=False)
    endings: dict[int, tuple[RunStatus, dict[str, object]]] = {1: (RunStatus.INFEASIBLE, {}), 5: (RunStatus.FAILED, {})}
    assert same(athanor.Optimizer.from_file(file), file, endings) == 4


def test_replicates_are_in_the_order_of_their_proposals_whenever_they_are_told(lab_file: Path) -> None:
    file = amended(lab_file, "replicates.toml", general="budget = 8\nbatch = 2\nreplicates = 2", policy="initial = 2", prior=False)
    assert same(athanor.Optimizer.from_file(file), file) == 2


def test_an_optimizer_built_in_code_is_the_one_of_the_file(lab_file: Path) -> None:
    file = amended(lab_file, "coded.toml", general="budget = 4\nseed = 5")
    read = athanor.Optimizer.from_file(file)
    built = athanor.Optimizer(
        read.space,
        read.objective,
        prior=lab_file.parent / "priors" / "cdse.pt",
        seed=5,
        settings={"acquisition": "log-ei", "restarts": 1, "raw_samples": 32},
    )
    assert built.ask(2) == read.ask(2)


@pytest.mark.slow
def test_the_example_script_suggests_what_athanor_run_proposes(tmp_path: Path) -> None:
    data, file = data_dir(), tmp_path / "campaign.toml"
    file.write_text((EXAMPLES / "crossed_barrel" / "campaign.toml").read_text().replace("budget = 30", "budget = 8"))
    athanor_command = Path(sys.executable).parent / "athanor"
    subprocess.run([athanor_command, "run", file, "--no-view", "--lab", tmp_path / "lab", "--data", data], check=True, capture_output=True)
    with closing(SqlStore.open(tmp_path / "lab" / "ledger.db", read_only=True)) as store:
        proposed = [one.configuration for one in History.of(store.changes("crossed-barrel")).newest()]
    suggestions = list(runpy.run_path(str(SCRIPT))["suggested"](file, data, 8))
    assert [one.configuration for one in suggestions] == proposed
    assert sum(bool(one.predicted) for one in suggestions) == 3, "past the initial design a model chooses"


def test_the_example_script_has_at_most_thirty_lines() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 30
