"""Runs beside their twin: what was recorded of them in other units or hardly varied, and what was never measured."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flows.plans.plan import Plan, load_plan
from flows.plans.twins.files import Learned
from flows.plans.twins.finding import find_twin
from flows.studies.twins.compared import FARTHEST, Compared, compared
from flows.studies.twins.explained import explained, gap, quantities
from flows.studies.twins.recalibrated import Recalibrated, write
from flows.studies.twins.verification import reason_for, verifying_of, waiting
from models.twin.analysis import Analysis, analyse
from models.twin.pairs import Pairs
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput
from tests.twins.films import HUMIDITY, history_of_films, plan_of, recorded

RUNS = 12
MEASURED = [{"conductivity": 400.0 - 7.0 * place} for place in range(RUNS)]


def beside(plan: Plan, *humidities: float) -> Compared:
    assert plan.twin is not None
    return compared(history_of_films(plan, MEASURED, [[recorded(one)] for one in humidities]), plan.twin)


def test_a_quantity_that_hardly_varies_far_from_its_reference_makes_no_giant_of_a_term(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path), *(21.0 + 0.001 * place for place in range(RUNS)))
    assert found.channels[0].scale == pytest.approx(19.0 / FARTHEST)
    assert np.isfinite(found.table.sensitivities).all()


def test_a_quantity_that_never_varied_is_no_channel(tmp_path: Path) -> None:
    assert np.std([22.1] * RUNS) > 0.0, "as rounding has it"
    assert [one.name for one in beside(plan_of(tmp_path), *[22.1] * RUNS).channels] == ["elapsed"]


def test_what_was_recorded_before_its_unit_changed_is_converted(tmp_path: Path) -> None:
    plan, share = plan_of(tmp_path), HUMIDITY.evolve(unit="", reference=0.4)
    environments = [[recorded(30.0 + place) if place < 6 else recorded(0.3 + 0.01 * place, share)] for place in range(RUNS)]
    assert plan.twin is not None
    found = compared(history_of_films(plan, MEASURED, environments), plan.twin)
    assert [row.environment["humidity"] for row in found.rows] == pytest.approx([0.3 + 0.01 * place for place in range(RUNS)])
    assert [one.environment["humidity"] for one in found.situations] == pytest.approx([30.0 + place for place in range(RUNS)])


def test_a_quantity_in_a_unit_that_does_not_convert_is_one_that_was_not_recorded(tmp_path: Path) -> None:
    plan, other = plan_of(tmp_path), HUMIDITY.evolve(unit="degC")
    assert plan.twin is not None
    environments = [[recorded(30.0 + place, other if place < 6 else HUMIDITY)] for place in range(RUNS)]
    found = compared(history_of_films(plan, MEASURED, environments), plan.twin)
    assert found.left_out[0] == "humidity: 6 of 12 runs have none"
    assert len(found.rows) == RUNS


def test_what_was_never_measured_is_left_out_and_said(tmp_path: Path) -> None:
    plan_of(tmp_path)
    file = tmp_path / "campaign.toml"
    file.write_text(file.read_text() + '\n[[targets]]\nname = "thickness"\nunit = "nm"\ngoal = "minimise"\nlow = 0\nhigh = 5000\n')
    plan = load_plan(file, prior_later=True)
    found = beside(plan, *(30.0 + place for place in range(RUNS)))
    assert found.left_out == ("thickness: no run measured it where the twin predicts it",)
    rest, names = quantities(found)
    assert names == ("conductivity",)
    assert rest.left_out[1:] == ("thickness: 0 pairs of prediction and measurement; expected at least 8",)
    assert quantities(found, ["thickness"])[1] == ("thickness",), "whoever asks for it is told"
    with pytest.raises(BadInput, match="thickness: no run measured it"):
        gap(found, "thickness")


def test_too_few_runs_are_one_line(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.twin is not None
    found = compared(history_of_films(plan, MEASURED[:5], [[recorded(30.0 + place)] for place in range(5)]), plan.twin)
    with pytest.raises(BadInput, match="conductivity: 5 pairs of prediction and measurement; expected at least 8"):
        quantities(found)


@pytest.mark.parametrize(("section", "told"), [("floor = true\n", True), ("", False)])
def test_a_bench_file_says_that_readings_have_a_floor(section: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = beside(plan_of(tmp_path, section), *(30.0 + place for place in range(RUNS))), list[bool]()

    def noted(pairs: Pairs, *, seed: int, floor: bool) -> Analysis:
        asked.append(floor)
        return analyse(pairs, seed=seed, floor=floor)

    monkeypatch.setattr("flows.studies.twins.explained.analyse", noted)
    assert explained(found, "conductivity").gap.runs == RUNS
    assert asked == [told]


def test_what_the_bench_file_knows_of_other_constants_goes_into_a_revision(tmp_path: Path) -> None:
    section = 'constants.best = { value = "60 degC", sd = 0.5, max = 70, calibratable = false }\n'
    plan = plan_of(tmp_path, section)
    assert plan.twin is not None
    made = Recalibrated(plan.twin, (), (), {}, {}, converged=True)
    name = write(made, tmp_path, base="twin:TWIN", learned=Learned(campaign="films"))
    (best,) = find_twin(name, tmp_path).twin.constants
    assert best == plan.twin.twin.constants[0]


def test_an_experiment_that_came_to_nothing_is_waited_for_no_longer(tmp_path: Path) -> None:
    statuses = [RunStatus.COMPLETED, RunStatus.INFEASIBLE, RunStatus.FAILED, RunStatus.RUNNING, None]
    history = history_of_films(plan_of(tmp_path), [{}] * 5, [[]] * 5, statuses=statuses)
    assert waiting(history, history.newest()) == 2


def test_a_surrounding_that_the_twin_knows_and_nothing_tells_is_said(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.twin is not None
    found = compared(history_of_films(plan, MEASURED, [[]] * RUNS), plan.twin)
    assert found.left_out == ("humidity: the twin knows it and nothing tells it; taken as 40 percent",)


def test_experiments_that_verify_a_revision_do_so_as_its_file_was(tmp_path: Path) -> None:
    files, name = {"./twins/film-r1.toml": "as it was"}, "./twins/film-r1.toml"
    reasons = [reason_for(name, files, "why"), None, reason_for("./twins/film-r12.toml", files, "why")]
    history = history_of_films(plan_of(tmp_path), [{}] * 3, [[]] * 3, reasons=reasons)
    mine, outdated = verifying_of(history.newest(), name, files)
    assert ([one.number for one in mine], outdated) == ([1], [])
    mine, outdated = verifying_of(history.newest(), name, {name: "tuned to what they measured"})
    assert (mine, [one.number for one in outdated]) == ([], [1])


def test_columns_of_some_runs_are_those_of_all(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path), *(70.0 + place for place in range(6)), *(30.0 - place for place in range(6)))
    whole, dry = found.conditions("conductivity", range(RUNS)), found.conditions("conductivity", range(6, RUNS))
    assert bool((dry.terms == 0.0).all(dim=0).any()), "a threshold of the humidity does nothing on dry days"
    assert dry.columns == whole.columns
    assert torch.equal(dry.terms, whole.terms[6:])
