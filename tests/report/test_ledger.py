"""Report and export of a campaign as a Store hands it out."""

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flows.report.data import Circumstances, assemble, process_of
from flows.report.export.campaign import export_campaign
from flows.report.export.source import Source
from flows.report.page import render_report
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Store
from tests.report.document import parse
from tests.store.cases import CAMPAIGN, START, begin, tell_execution, tell_experiment
from tests.store.memory import MemoryStore

SPACE = SearchSpace(
    parameters=(ContinuousParameter(name="T", unit="degC", min=200, max=280), CategoricalParameter(name="solvent", categories=("ODE",)))
)
OBJECTIVE = Objective(targets=(Target(name="wavelength", unit="nm", goal="maximise"),))


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(MemoryStore()) as opened:
        begin(opened)
        tell_experiment(opened, 1)
        tell_execution(opened, 2)
        yield opened


def test_a_stored_campaign_is_reported_with_the_ledgers_head(store: Store) -> None:
    head = store.head()
    context = Circumstances("oven bench", simulated=False, head=head, made=START, budget=3, process=process_of(store.events(CAMPAIGN)))
    data = assemble(store.changes(CAMPAIGN), SPACE, OBJECTIVE, store.readings, context)
    text = parse(render_report(data)).text
    assert [one.status for one in data.experiments] == ["completed", "running"]
    assert f"event {head[0]} {head[1]}" in text
    assert "best wavelength (nm), experiment 1" in text
    assert "1 of 3 experiments ended" in text
    assert data.circumstances.process.seconds == 6.0


def test_a_stored_campaign_is_exported_with_open_runs(store: Store, tmp_path: Path) -> None:
    export_campaign(Source(store.changes(CAMPAIGN), SPACE, OBJECTIVE, tuple(store.events(CAMPAIGN)), store.head()), tmp_path)
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["state"], row["measured.T [degC]"], row["result.wavelength [nm]"]) for row in rows] == [
        ("completed", "240.4", "512.5"),
        ("running", "", ""),
    ]
