"""What report, export, terminal and Prefect's pages say of limits on what comes out."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from flows.cli.progress import progress_table
from flows.report.data import assemble
from flows.report.export.campaign import export_campaign
from flows.report.export.source import Source
from flows.report.overview import Links, overview_markdown
from flows.report.page import render_report
from flows.report.svg import proposal_rows, targets_svg
from flows.running.carry import progress_line
from orchestrator.domain.objective import Objective, Outcome, Target
from orchestrator.history import History, best
from orchestrator.ports import Changes
from orchestrator.suggestions import KEPT
from orchestrator.summary import NONE_KEPT, best_configuration, limits_kept
from tests.report import cases
from tests.report.document import parse
from tests.report.test_export import rows

WIDTH = Outcome(name="fwhm", unit="nm", max=34, probability=0.9)
LIMITED = Objective(targets=(Target(name="quantum_yield", goal="maximise"),), outcomes=(WIDTH,))
UNKEPT = Objective(targets=LIMITED.targets, outcomes=(Outcome(name="fwhm", unit="nm", max=1),))
FREE = Objective(targets=LIMITED.targets)
LINKS = Links(Path("report.html"))


def changes() -> Changes:
    """All of the full campaign's quantities, with the chances that its first proposal carried."""
    found = cases.campaign()
    first = found.proposals[0]
    told = first.provenance.model_copy(update={"details": {KEPT: {"probability": 0.31, "limits": {"fwhm": 0.31}}}})
    return Changes(found.seq, found.campaign, (first.evolve(provenance=told), *found.proposals[1:]), found.runs, found.measurements)


def history() -> History:
    return History.of(changes())


def shown(objective: Objective) -> str:
    file = StringIO()
    console = Console(width=200, file=file)
    console.print(progress_table(history(), objective, 24))
    return file.getvalue()


def test_the_best_run_is_the_best_of_those_that_keep_the_limits() -> None:
    found, free = best(history(), LIMITED), best(history(), FREE)
    assert found is not None
    assert free is not None
    widths = {key: values["fwhm"] for key, values in history().accepted.items() if "fwhm" in values}
    assert widths[found[0].run_key] <= 34 < widths[free[0].run_key]
    assert best(history(), UNKEPT) is None


def test_where_no_run_keeps_them_that_is_said_everywhere() -> None:
    assert NONE_KEPT in shown(UNKEPT)
    assert NONE_KEPT in progress_line(history(), UNKEPT, 24)
    assert best_configuration(history(), UNKEPT, {}) == NONE_KEPT
    assert "No run keeps all limits yet." in overview_markdown(history(), UNKEPT, 24, LINKS)
    report = parse(render_report(assemble(changes(), cases.SPACE, UNKEPT, cases.no_readings, cases.circumstances())))
    assert "No run keeps all limits yet." in report.text
    assert limits_kept(history(), UNKEPT)[-1] == NONE_KEPT


def test_the_progress_shows_the_limited_quantity_and_whether_limits_were_kept() -> None:
    lines = shown(LIMITED).splitlines()
    heads = next(line for line in lines if "objective" in line)
    assert "fwhm nm" in heads
    assert "limits" in heads
    assert "kept" in next(line for line in lines if "best" in line)


def test_status_counts_the_runs_that_keep_a_limit() -> None:
    widths = [values["fwhm"] for values in history().accepted.values() if "fwhm" in values]
    assert limits_kept(history(), LIMITED) == [f"fwhm at most 34 nm: kept by {sum(one <= 34 for one in widths)} of {len(widths)} runs"]
    assert limits_kept(history(), FREE) == []


def test_the_report_has_the_limit_what_kept_it_and_what_was_expected_of_it() -> None:
    page = parse(render_report(assemble(changes(), cases.SPACE, LIMITED, cases.no_readings, cases.circumstances())))
    assert "keep at most 34 nm, with a chance of 90 %" in page.text
    assert "keeps its limit" in page.text
    assert "not kept" in page.text
    assert "31 %" in page.text


def test_the_report_of_a_campaign_without_limits_says_nothing_of_them() -> None:
    page = render_report(assemble(cases.campaign(), cases.SPACE, cases.OBJECTIVE, cases.no_readings, cases.circumstances()))
    text = parse(page).text
    assert "not kept" not in text
    assert "limit is" not in text
    assert "red lines" not in text


def test_exports_say_which_runs_kept_the_limits(tmp_path: Path) -> None:
    export_campaign(Source(changes(), cases.SPACE, LIMITED, (), cases.HEAD), tmp_path)
    for name in ("experiments.csv", "runs.csv"):
        found = [row for row in rows(tmp_path / name) if row["result.fwhm [nm]"]]
        assert found
        assert all((row["kept"] == "true") is (float(row["result.fwhm [nm]"]) <= 34) for row in found)


def test_exports_without_limits_have_no_such_column(tmp_path: Path) -> None:
    export_campaign(Source(cases.campaign(), cases.SPACE, cases.OBJECTIVE, (), cases.HEAD), tmp_path)
    assert all("kept" not in rows(tmp_path / name)[0] for name in ("experiments.csv", "runs.csv"))


def test_prefects_pages_show_chances_and_draw_what_a_limit_leaves() -> None:
    first, second, *_ = proposal_rows(history(), LIMITED)
    assert (first["chance to keep the limits"], second["chance to keep the limits"]) == ("31 %", None)
    assert "chance to keep the limits" not in proposal_rows(history(), FREE)[0]
    data = assemble(changes(), cases.SPACE, LIMITED, cases.no_readings, cases.circumstances())
    assert targets_svg(data).count("fill-opacity") == 1
