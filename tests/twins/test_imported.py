"""Experiments of elsewhere beside a twin: with what somebody recorded of their surroundings, and without."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.plans.plan import Plan
from flows.studies.twins.compared import Compared, compared
from flows.studies.twins.explained import explained
from flows.studies.twins.figures import parity
from orchestrator.domain.campaign import parse_campaign
from orchestrator.domain.entered import Entered, Recorded
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.importing.preview import preview
from orchestrator.results import Said, imported
from tests.importing.table import CAMPAIGN, PLAIN, columns
from tests.twins.films import history_of_films, plan_of, recorded

RUNS = 24
BEGAN = datetime(2025, 3, 1, tzinfo=UTC)


def with_imported(history: History, *, name: str = "humidity", dated: bool = False, bare: int = 0) -> History:
    """Add experiments of elsewhere, which humidity takes from; the last ones without it."""
    runs, measurements = dict(history.runs), dict(history.measurements)
    for place in range(RUNS):
        humidity = 30.0 + 2.0 * (5 * place % RUNS)
        asked: dict[str, float | str] = {"T": 50.0 + place, "speed": 1200.0 + 97.0 * (7 * place % 19)}
        around = {} if place >= RUNS - bare else {name: Recorded(humidity, "percent", 40.0)}
        said = Said("Ada", measured_at=BEGAN + timedelta(days=place) if dated else None)
        run, values = imported("films", asked, {"conductivity": Entered(460.0 - 4.0 * humidity)}, said, ordinal=1, recorded=around)
        runs[run.run_key] = run
        measurements |= {one.key: one for one in values}
    return History(history.campaign, proposals=history.proposals, runs=runs, measurements=measurements)


def beside(plan: Plan, own: int = 0, **made: object) -> Compared:
    values = [{"conductivity": 300.0 - place} for place in range(own)]
    history = history_of_films(plan, values, [[recorded(35.0 + place)] for place in range(own)])
    assert plan.twin is not None
    return compared(with_imported(history, **made), plan.twin)  # type: ignore[arg-type]  # keywords of with_imported


def test_imported_runs_with_their_surroundings_are_compared_and_explained(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path))
    assert [one.name for one in found.channels] == ["humidity"]
    assert found.left_out == ("elapsed: nobody knows when imported runs were carried out beside the others",)
    assert {row.called for row in found.rows} == {"imported"}
    assert [row.number for row in found.rows] == list(range(1 - RUNS, 1))
    (one,) = explained(found, "conductivity").named
    assert (one.factor, one.direction) == ("humidity", "falls")
    assert parity(found, ["conductivity"], None)["data"][0]["text"][0] == "imported"


def test_imported_runs_come_before_the_campaigns_own_whose_time_then_is_no_factor(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path), own=6)
    assert [row.number for row in found.rows[-6:]] == [1, 2, 3, 4, 5, 6]
    assert all(row.run.is_imported for row in found.rows[:RUNS])
    assert [one.name for one in found.channels] == ["humidity"]
    assert found.rows[-1].called == "proposal 6"


def test_dates_put_imported_runs_in_order_and_are_their_time(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path), dated=True)
    assert [row.configuration["T"] for row in found.rows] == [50.0 + place for place in range(RUNS)]
    assert [row.environment["elapsed"] for row in found.rows] == pytest.approx(list(range(RUNS)))
    assert found.left_out == ()


def test_runs_of_which_nobody_knows_the_surroundings_are_left_out_and_said(tmp_path: Path) -> None:
    found = beside(plan_of(tmp_path), bare=3)
    assert len(found.rows) == RUNS - 3
    assert found.left_out[0] == "3 imported runs: nobody knows in what surroundings they were carried out"


def test_what_is_recorded_by_the_name_of_the_lab_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="something was recorded as elapsed, the name of the lab time since the first run"):
        beside(plan_of(tmp_path), name="elapsed")


def test_surroundings_belong_to_the_run_key_and_a_row_without_any_has_the_key_of_before() -> None:
    said, values, asked = Said("Ada"), {"y": Entered(1.0)}, {"x": 1.0}
    bare, _ = imported("c", asked, values, said, ordinal=1)
    assert imported("c", asked, values, said, ordinal=1, recorded={})[0].run_key == bare.run_key
    humid, other = (imported("c", asked, values, said, ordinal=1, recorded={"h": Recorded(z, "percent", 40.0)})[0] for z in (30.0, 31.0))
    assert len({bare.run_key, humid.run_key, other.run_key}) == 3
    (one,) = humid.environment
    assert (one.name, one.mean, one.unit, one.reference, one.coverage) == ("h", 30.0, "percent", 40.0, 1.0)


def test_a_column_of_a_table_becomes_what_was_recorded(tmp_path: Path) -> None:
    head, *lines = PLAIN.strip().splitlines()
    cells = ["RH", *(f"0.{3 + place}" if place else "" for place in range(len(lines)))]
    (tmp_path / "t.csv").write_text("\n".join(f"{line},{cell}" for line, cell in zip([head, *lines], cells, strict=True)))
    (tmp_path / "m.toml").write_text(columns(RH='recorded = "humidity", unit = "", reference = 0.4'))
    found = preview(tmp_path / "t.csv", parse_campaign(CAMPAIGN, Path("campaign.toml"), free=True), tmp_path / "m.toml")
    assert found.problems == ()
    assert [dict(one.recorded) for one in found.entries[:2]] == [{}, {"humidity": Recorded(0.4, "", 0.4)}]
    assert next(one.becomes for one in found.columns if one.name == "RH") == "recorded humidity"


def test_a_comparison_without_imported_runs_is_as_before(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    history = history_of_films(plan, [{"conductivity": 300.0 - place} for place in range(9)], [[recorded(35.0 + one)] for one in range(9)])
    assert plan.twin is not None
    found = compared(history, plan.twin)
    assert [one.name for one in found.channels] == ["humidity", "elapsed"]
    assert replace(found).left_out == ()
