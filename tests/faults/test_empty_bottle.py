"""A bottle runs out on the simulated bench: the campaign pauses before the run, a person accepts the new lot, and it goes on."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from flows.plans.plan import load_plan
from flows.plans.policy import policy_of
from flows.plans.proposing import batch_seed
from flows.plans.stocks import needed
from instruments.lab_processes.campaign_lock import campaign_holder
from orchestrator.domain.lifecycle import ProposalStatus, RunStatus
from orchestrator.ports import Knowledge
from tests.crash.oracle import judge
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import CAMPAIGN, Laboratory

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 400.0
LOT: Final = ("se", "SE-09")
LITTLE: Final = 0.05
"""mL: less than any experiment of this campaign takes."""


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    """A lab whose selenium suffices for the first experiment and hardly more."""
    found = make_laboratory(budget=2, rate=RATE)
    plan = load_plan(found.file)
    (one,) = policy_of(plan).propose(Knowledge(), count=1, seed=batch_seed(plan.file.spec.campaign.seed, 1))
    takes = needed(plan.recipe.expand(one.configuration), plan.recipe.binding)[LOT]
    changed(found.bench, 'lot = "SE-09"\nvolume = "500 mL"', f'lot = "SE-09"\nvolume = "{takes + LITTLE:.4f} mL"')
    return found


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def status(laboratory: Laboratory) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(laboratory.type("status", "--json").out)
    return found


def test_a_new_lot_is_accepted_by_a_person_and_the_campaign_goes_on_with_it(laboratory: Laboratory) -> None:
    ended = laboratory.complete()
    assert ended.code == 3, ended.err
    reason = laboratory.changes().campaign.reason or ""
    assert "stock se: " in reason
    assert "mL left of lot SE-09, run needs" in reason
    assert [run.status for run in laboratory.runs()] == [RunStatus.COMPLETED, RunStatus.QUEUED]
    host, reached = laboratory.process("host"), laboratory.truth()[-1]["t"]
    assert campaign_holder(laboratory.lab) is None

    text = laboratory.bench.read_text()
    laboratory.bench.write_text(re.sub(r'lot = "SE-09"\nvolume = "[\d.]+ mL"', 'lot = "SE-10"\nvolume = "500 mL"', text))
    amended = laboratory.type("amend", str(laboratory.file), "--by", "Ada", "--reason", "new bottle", "--json")
    assert amended.code == 0, amended.err
    assert set(json.loads(amended.out)["files"]) == {"bench"}
    assert status(laboratory)["stocks"]["stock se"].endswith("left of lot SE-10")

    assert laboratory.type("resume", "--by", "Ada", "--reason", "new bottle").code == 0
    done = laboratory.complete()
    assert done.code == 0, done.err
    starts = laboratory.truth(event="start")
    assert len(starts) == 2
    assert starts[1]["t"] > reached, "the laboratory is the same: its time went on"
    assert not host.alive, "the host of the old file has left"


def test_what_was_approved_before_lapsed_and_was_carried_out_as_expanded_anew(laboratory: Laboratory) -> None:
    changes = laboratory.changes()
    lapsed = [one for one in changes.proposals if one.status is ProposalStatus.LAPSED]
    assert len(lapsed) == 1
    assert "stock se: lot SE-09 -> SE-10" in (lapsed[0].reason or "")
    assert [run.status for run in laboratory.runs()] == [RunStatus.COMPLETED, RunStatus.SUPERSEDED, RunStatus.COMPLETED]
    assert laboratory.runs()[2].revision == 2
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()


@pytest.mark.parametrize("number", ["1", "2"])
def test_each_proposal_is_computed_again_with_the_files_that_it_was_made_from(laboratory: Laboratory, number: str) -> None:
    assert "identical, bit for bit" in laboratory.type("replay", number).out
