"""What was recorded of the laboratory is told with its run: in the report, in the tables, in the crate."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.report.data import ReportData
from flows.report.export.campaign import export_campaign
from flows.report.export.crate_runs import run_entities
from flows.report.export.source import Source
from flows.report.quantities import environment_line
from flows.report.tables import experiment_rows
from orchestrator.domain.environment import RunEnvironment
from orchestrator.ports import Changes
from tests.report import cases

RH = RunEnvironment(
    name="rh", channel="logger.rh", unit="%", reference=40.0, mean=43.25, sd=1.5, samples=38, coverage=0.974, lag=61.0, message=None
)
ROOM = RunEnvironment(
    name="room",
    channel="logger.t",
    unit="degC",
    reference=22.0,
    mean=None,
    sd=None,
    samples=0,
    coverage=0.0,
    lag=None,
    message="3 of 3 times it could not be read, at last: gone",
)


def recorded() -> Changes:
    changes = cases.campaign()
    runs = [one.evolve(environment=(RH, ROOM)) if one.run_key == "0195-0001-1" else one for one in changes.runs]
    return replace(changes, runs=tuple(runs))


def source(changes: Changes) -> Source:
    return Source(changes, cases.SPACE, cases.OBJECTIVE, (), cases.HEAD)


@pytest.mark.parametrize("table", ["runs", "experiments"])
def test_tables_have_columns_with_units_for_what_was_recorded(tmp_path: Path, table: str) -> None:
    export_campaign(source(recorded()), tmp_path)
    with (tmp_path / f"{table}.csv").open(newline="") as file:
        rows = {row["run_key"]: row for row in csv.DictReader(file)}
    first, second = rows["0195-0001-1"], rows["0195-0002-1"]
    assert {name: value for name, value in first.items() if name.startswith("environment.rh")} == {
        "environment.rh.mean [%]": "43.25",
        "environment.rh.sd [%]": "1.5",
        "environment.rh.samples": "38",
        "environment.rh.coverage": "0.974",
        "environment.rh.lag [s]": "61.0",
        "environment.rh.reference [%]": "40.0",
        "environment.rh.message": "",
    }
    assert first["environment.room.mean [degC]"] == ""
    assert "environment.room.sd [delta_degC]" in first
    assert first["environment.room.message"] == "3 of 3 times it could not be read, at last: gone"
    assert {value for name, value in second.items() if name.startswith("environment")} == {""}


def test_tables_of_a_campaign_that_recorded_nothing_have_no_such_columns(tmp_path: Path) -> None:
    export_campaign(source(cases.campaign()), tmp_path)
    assert "environment" not in (tmp_path / "runs.csv").read_text().splitlines()[0]


def facts(data: ReportData) -> Iterator[tuple[str, str]]:
    for row in experiment_rows(data):
        yield from (fact for fact in row.facts if fact[0].startswith("environment"))


def test_the_report_tells_it_with_the_experiment(full: ReportData) -> None:
    told = list(facts(replace(full, experiments=tuple(_with(one) for one in full.experiments[:1]))))
    assert told == [("environment: rh", environment_line(RH)), ("environment: room", environment_line(ROOM))]
    assert list(facts(full)) == []


def _with(experiment: Any) -> Any:
    return replace(experiment, attempts=(*experiment.attempts[:-1], experiment.run.evolve(environment=(RH, ROOM))))


@pytest.fixture
def full() -> ReportData:
    return cases.full_report()


def test_a_line_says_value_readings_coverage_and_what_was_missed() -> None:
    assert environment_line(RH) == "43.2 ± 1.5 %, goals hold at 40 %; 38 readings, 97 % covered, at most 1 min 1 s old"
    assert environment_line(ROOM) == "no reading, goals hold at 22 °C; 0 % covered (3 of 3 times it could not be read, at last: gone)"


def test_a_crate_has_it_as_what_the_run_used() -> None:
    entities = {one["@id"]: one for one in run_entities(source(recorded()))}
    rh = entities["#value-0195-0001-1-environment-rh"]
    assert (rh["name"], rh["value"], rh["unitText"]) == ("environment rh", 43.25, "%")
    assert "38 readings" in rh["description"]
    assert {"@id": rh["@id"]} in entities["#run-0195-0001-1"]["prov:used"]
    assert "value" not in entities["#value-0195-0001-1-environment-room"]


LOT = RunEnvironment(
    name="selenium", channel="stocks.se", unit="", reference=0.0, mean=None, sd=None, samples=0, coverage=1.0, lag=None, lot="SE-09"
)
AGE = RunEnvironment(name="age", channel="oven.serviced", unit="day", reference=0.0, mean=12.25, sd=None, samples=0, coverage=1.0, lag=None)


def test_a_lot_and_days_since_a_service_are_told_as_such(tmp_path: Path) -> None:
    assert environment_line(LOT) == "lot SE-09 of stocks.se"
    assert environment_line(AGE) == "12.2 day since oven.serviced, goals hold at 0 day"
    changes = cases.campaign()
    runs = [one.evolve(environment=(LOT, AGE)) if one.run_key == "0195-0001-1" else one for one in changes.runs]
    told = source(replace(changes, runs=tuple(runs)))
    export_campaign(told, tmp_path)
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = {row["run_key"]: row for row in csv.DictReader(file)}
    first = {name: value for name, value in rows["0195-0001-1"].items() if name.startswith("environment")}
    assert first["environment.selenium.lot"] == "SE-09"
    assert first["environment.age.mean [day]"] == "12.25"
    assert not any(name.startswith("environment.selenium.m") for name in first)
    entities = {one["@id"]: one for one in run_entities(told)}
    lot, age = (entities[f"#value-0195-0001-1-environment-{name}"] for name in ("selenium", "age"))
    assert (lot["name"], lot["value"]) == ("lot of selenium", "SE-09")
    assert (age["value"], age["unitText"]) == (12.25, "day")
