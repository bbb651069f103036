"""How attempts, proposals and measurements become experiments."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.data import ReportData, WorkPeriod, assemble, process_of
from flows.report.quantities import MISSING, column_format, duration, short_number, with_uncertainty, with_unit
from flows.report.tables import experiment_rows, time_shares
from orchestrator.domain.lifecycle import MeasurementStatus, RunStatus
from orchestrator.errors import Fault
from orchestrator.ports import Changes, StoredEvent
from tests.report import cases


def assembled(changes: Changes) -> ReportData:
    return assemble(changes, cases.SPACE, cases.OBJECTIVE, cases.no_readings, cases.circumstances())


def test_attempts_of_one_run_are_one_experiment_and_the_last_attempt_decides() -> None:
    ninth = cases.full_report().experiments[8]
    assert [run.attempt for run in ninth.attempts] == [1, 2]
    assert ninth.status is RunStatus.COMPLETED


def test_experiments_are_numbered_from_one_in_the_order_of_proposals_whatever_order_the_ledger_gives() -> None:
    changes = cases.campaign()
    shuffled = replace(changes, runs=changes.runs[::-1], proposals=changes.proposals[::-1], measurements=changes.measurements[::-1])
    experiments = assembled(shuffled).experiments
    assert [one.index for one in experiments] == list(range(1, 25))
    assert experiments == assembled(changes).experiments


def test_replicates_are_experiments_of_their_own() -> None:
    runs = (cases.run(1), cases.run(1, run_key="k2", run_id="r-b", replicate=2))
    experiments = assembled(Changes(1, cases.record(), (cases.proposal(1, replicates=2),), runs)).experiments
    assert [one.run.replicate for one in experiments] == [1, 2]


def test_the_configuration_is_what_was_measured_and_else_what_was_approved() -> None:
    first = cases.full_report().experiments[0]
    assert first.configuration["T"] == first.run.measured["T"]
    assert first.configuration["ligand"] == first.approved.configuration["ligand"]


def test_what_an_experiment_does_not_have_is_shown_as_missing_and_drawn_nowhere() -> None:
    *others, c_se, ligand = cases.SPACE.parameters
    when = c_se.evolve(when={"ligand": ["TOPO"]}, otherwise=0)
    space = cases.SPACE.evolve(parameters=[one.model_dump() for one in (*others, when, ligand)])
    data = assemble(cases.campaign(), space, cases.OBJECTIVE, cases.no_readings, cases.circumstances())
    assert {("c_se" in one.configuration) == (one.configuration["ligand"] == "TOPO") for one in data.experiments} == {True}
    shown = {
        (one.configuration["ligand"], row.cells[3 + space.columns.index("c_se")].text)
        for one, row in zip(data.experiments, experiment_rows(data), strict=True)
    }
    assert {text == MISSING for ligand, text in shown if ligand != "TOPO"} == {True}
    assert MISSING not in {text for ligand, text in shown if ligand == "TOPO"}


def test_an_edited_proposal_keeps_what_was_proposed_and_loses_its_prediction() -> None:
    fourth = cases.full_report().experiments[3]
    assert fourth.proposed.configuration["T"] != fourth.approved.configuration["T"]
    assert fourth.predicted == {}


def test_only_the_newest_accepted_revision_of_a_measurement_counts() -> None:
    old, *others = cases.measurements(1)
    new = old.evolve(measurement_id="m-new", revision=2, value=601.0)
    found = assembled(Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1),), (new, old, *others)))
    assert found.experiments[0].results["wavelength"].value == 601.0
    retracted = new.evolve(revision=3, status=MeasurementStatus.RETRACTED)
    found = assembled(Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1),), (new, old, retracted, *others)))
    assert "wavelength" not in found.experiments[0].results
    assert found.experiments[0].score is None


def test_replicate_measurements_of_one_run_are_averaged() -> None:
    first, *_ = cases.measurements(1)
    pair = (first.evolve(value=600.0, uncertainty=3.0), first.evolve(measurement_id="m", replicate=2, value=604.0, uncertainty=4.0))
    found = assembled(Changes(1, cases.record(), (cases.proposal(1),), (cases.run(1),), pair))
    assert found.experiments[0].results["wavelength"].value == 602.0
    assert found.experiments[0].results["wavelength"].uncertainty == 2.5


def test_the_best_so_far_never_falls_and_ends_at_the_best() -> None:
    data = cases.full_report()
    heights = [height for _, height in data.best_so_far]
    assert heights == sorted(heights)
    assert data.best is not None
    assert heights[-1] == data.best.score


def test_coverage_counts_results_within_the_ninety_percent_interval() -> None:
    pairs = cases.full_report().comparisons("quantum_yield")
    assert len(pairs) == 20
    for pair in pairs:
        low, high = pair.predicted.mean - 1.6448536 * pair.predicted.sd, pair.predicted.mean + 1.6448536 * pair.predicted.sd
        assert pair.inside == (low <= pair.measured.value <= high)


def test_the_bench_is_busy_for_the_union_of_its_runs_in_wall_time() -> None:
    runs = [
        cases.run(number, started_lab=start, ended_lab=end) for number, start, end in ((1, 0.0, 90.0), (2, 60.0, 120.0), (3, 300.0, 330.0))
    ]
    changes = Changes(1, cases.record(), tuple(cases.proposal(number) for number in (1, 2, 3)), tuple(runs))
    assert assembled(changes).bench_seconds == pytest.approx(150.0 / 30.0)


def test_what_waits_for_a_person_keeps_no_bench_busy() -> None:
    runs = [
        cases.run(1, started_lab=0.0, ended_lab=100.0, with_people=[(10.0, 90.0)]),
        cases.run(2, started_lab=20.0, ended_lab=50.0),
        cases.run(3, started_lab=30.0, ended_lab=120.0, with_people=[(30.0, 60.0), (60.0, 120.0)]),
    ]
    found = assembled(Changes(1, cases.record(), tuple(cases.proposal(number) for number in (1, 2, 3)), tuple(runs)))
    assert (found.bench_seconds * 30.0, found.people_seconds * 30.0) == pytest.approx((50.0, 70.0))
    assert [label for label, _ in time_shares(found)][:2] == ["bench busy", "waiting for a person in an experiment"]


def test_a_batch_is_computed_once_however_many_proposals_it_has() -> None:
    shared = cases.proposal(1).provenance
    proposals = (cases.proposal(1), cases.proposal(2, provenance=shared))
    assert assembled(Changes(1, cases.record(), proposals)).model_seconds == 4.5


def test_a_run_without_its_proposal_is_a_fault_that_names_both() -> None:
    with pytest.raises(Fault, match="run 0195-0001-1: proposal p-1 revision 1"):
        assembled(Changes(1, cases.record(), (), (cases.run(1),)))


def test_readings_are_asked_for_the_best_experiments_alone() -> None:
    asked: list[str] = []

    def source(run_key: str) -> tuple[()]:
        asked.append(run_key)
        return ()

    data = assemble(cases.campaign(), cases.SPACE, cases.OBJECTIVE, source, cases.circumstances())
    assert data.best is not None
    assert asked[0] == data.best.run.run_key
    assert len(asked) == 3


def test_the_times_of_a_campaign_are_those_of_its_earliest_and_latest_event() -> None:
    events = [StoredEvent(seq, "kind", "c", "s", {}, f"2026-03-02T08:{seq:02d}:00+00:00", 0.0, "by", "", "") for seq in (10, 25, 11)]
    assert process_of(events, rate=5.0).seconds == 900.0
    assert process_of([], rate=5.0) == WorkPeriod(rate=5.0)


def test_a_spectrum_is_the_sample_minus_the_dark_level_with_its_peak() -> None:
    spectra = cases.full_report().spectra
    assert [one.index for one in spectra] == [19, 12, 2]
    expected = cases.truth(cases.configuration(19))["wavelength"]
    assert spectra[0].peak == pytest.approx(expected, abs=1.5)
    assert spectra[0].dark_subtracted
    assert abs(spectra[0].y[0]) < 300


@pytest.mark.parametrize("flaw", ["length", "quality", "no sample"])
def test_arrays_that_do_not_fit_their_axis_are_not_drawn(flaw: str) -> None:
    axis, sample = cases.reading("Wavelength", (1.0, 2.0), "nm"), cases.reading("Sample", (1.0, 2.0), "counts")
    readings = {
        "length": (axis, replace(sample, array=(1.0, 2.0, 3.0))),
        "quality": (axis, replace(sample, quality="bad")),
        "no sample": (axis,),
    }[flaw]
    data = assemble(cases.campaign(), cases.SPACE, cases.OBJECTIVE, lambda _: readings, cases.circumstances())
    assert data.spectra == ()


def test_a_spectrum_without_dark_or_light_has_no_peak() -> None:
    dark = (cases.reading("wavelength", (1.0, 2.0, 3.0), "nm"), cases.reading("sample", (0.0, 0.0, 0.0), "counts"))
    data = assemble(cases.campaign(), cases.SPACE, cases.OBJECTIVE, lambda _: dark, cases.circumstances())
    assert [one.peak for one in data.spectra] == [None, None, None]
    assert not data.spectra[0].dark_subtracted


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, MISSING), (0.0, "0"), (523.44, "523.4"), (12345.6, "12346"), (0.0103, "0.0103"), (2.5e-7, "2.5e-7"), (-3.0, "-3")],
)
def test_numbers_have_sensible_digits(value: float | None, text: str) -> None:
    assert short_number(value) == text


def test_values_carry_their_units_and_uncertainties() -> None:
    assert with_unit(250.0, "degC") == "250 °C"
    assert with_unit("TOPO", "") == "TOPO"
    assert with_unit(None, "nm") == MISSING
    assert with_uncertainty(523.4321, 1.2345) == "523.4 ± 1.2"
    assert with_uncertainty(523.4321, None) == "523.4"


def test_a_column_has_the_same_decimals_unless_that_would_hide_small_values() -> None:
    assert column_format([1.0, 2.5])(1.0) == "1.0"
    assert column_format([1.0, 2.0])(1.0) == "1"
    assert column_format([1e-5, 2.0])(1e-5) == "1e-5"
    assert column_format(["a", None])(None) == MISSING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.012, "12 ms"), (4.5, "4.5 s"), (60, "1 min"), (125, "2 min 5 s"), (7260, "2 h 1 min"), (260000, "3 d 0 h"), (None, MISSING)],
)
def test_durations_are_written_in_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_a_written_number_reads_back_within_its_digits(value: float) -> None:
    assert float(short_number(value)) == pytest.approx(value, rel=6e-4, abs=0)
