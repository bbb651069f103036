"""A campaign on a plug-in is killed again and again; the body's own log says what was dosed once, and what twice."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from instruments.bench_client.client import HostClient
from orchestrator.domain.lifecycle import RunStatus
from tests.faults.laboratory import Laboratory, eventually
from tests.plugins.writing import BURETTE, example

pytestmark = [pytest.mark.slow, pytest.mark.long]

BUDGET: Final = 6
KILLS: Final = (("host",), ("campaign",), ("campaign", "supervisor", "host"))


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    folder = example(tmp_path / "bench").parent
    file = folder / "campaign.toml"
    text = file.read_text().replace("budget = 6", f"budget = {BUDGET}\nmax_failures = 100")
    file.write_text(text + '\n[policy]\nkind = "sobol"\n')
    made = Laboratory(file, folder / ".athanor-dry", rate=5.0, campaign="darkest")
    yield made
    made.close()


def doses(laboratory: Laboratory) -> Counter[float]:
    """Return how often each volume (mL) began to leave the burette; each proposal has a volume of its own."""
    return Counter(round(float(one["values"]["volume_ml"]), 2) for one in laboratory.truth("burette", "dose"))


def await_another_dose(laboratory: Laboratory) -> None:
    seen = len(laboratory.truth("burette", "dose"))
    eventually(lambda: len(laboratory.truth("burette", "dose")) > seen, "a dose")


@pytest.mark.timeout(600)
def test_killed_processes_lose_no_dose_and_repeat_none(laboratory: Laboratory) -> None:
    dice = random.Random(16)
    command = laboratory.dry_run()
    for victims in KILLS:
        await_another_dose(laboratory)
        if victims == KILLS[0]:
            with HostClient.of_lab(laboratory.lab) as client:
                status = client.status()["drivers"]["burette"]
            assert status["driver"] == BURETTE
            assert "burette.py, sha256 " in status["from"]
        time.sleep(dice.uniform(0.0, 0.5))
        laboratory.kill(*victims)
        if "campaign" in victims:
            command.wait(timeout=60)
            command = laboratory.dry_run()
    ended = laboratory.ended(command)
    assert ended.code == 0, ended.err
    runs = laboratory.runs()
    asked = {one.proposal_id: round(float(one.configuration["dye"]), 2) for one in laboratory.changes().proposals}
    given = doses(laboratory)
    assert [run for run in runs if given[asked[run.approval[0]]] > 1] == []
    completed = [run for run in runs if run.status is RunStatus.COMPLETED]
    assert [given[asked[run.approval[0]]] for run in completed] == [1] * len(completed)
    assert len(completed) >= BUDGET - len(KILLS)
