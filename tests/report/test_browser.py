"""The report in a real browser, from a file and without a network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from flows.plans.plan import load_plan
from flows.report.data import ReportData
from flows.report.page import render_report
from flows.review.rendering import html
from orchestrator.domain.records import Prediction
from orchestrator.suggestions import Suggestion
from tests.report import cases
from tests.report.browser import browser, complaints, missing, requests
from tests.report.document import parse
from tests.report.test_page import nasty
from tests.reviewing.eight import eight_parameters
from tests.reviewing.informed import Informed

pytestmark = [pytest.mark.slow, pytest.mark.long]

NARROW = 700
PATIENCE = 60
"""Seconds; a busy machine draws slowly."""
DRAWN = "return Array.from(document.querySelectorAll('.plotly-graph-div')).filter(p => p.querySelector('svg.main-svg')).length"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if (absent := missing()) is not None:
        if "CI" in os.environ:
            pytest.fail(absent)
        pytest.skip(absent)
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def show(driver: Any, data: ReportData, folder: Path) -> tuple[int, str]:
    """Open a report and wait for its plots; return how many it has and its URL."""
    text = render_report(data)
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    driver.get("about:blank")
    requests(driver), complaints(driver)
    driver.get(path.as_uri())
    count = len(parse(text).plots)
    WebDriverWait(driver, PATIENCE).until(lambda page: page.execute_script(DRAWN) == count)
    return count, path.as_uri()


@pytest.mark.parametrize("make", [cases.full_report, cases.alloys, nasty], ids=["full", "alloys", "nasty"])
def test_every_plot_is_drawn_without_a_request_or_a_complaint(chromium: Any, tmp_path: Path, make: Any) -> None:
    count, url = show(chromium, make(), tmp_path)
    assert count > 3
    assert requests(chromium) == [url]
    assert complaints(chromium) == []
    assert chromium.execute_script("return window.broken") is None
    assert overhang(chromium) <= 0
    with narrow(chromium):  # plots follow their window a moment later
        WebDriverWait(chromium, 10).until(lambda page: overhang(page) <= 0)


def overhang(driver: Any) -> int:
    """Return by how many pixels the page is wider than its window; wide tables scroll in boxes of their own."""
    return int(driver.execute_script("const page = document.scrollingElement; return page.scrollWidth - page.clientWidth"))


@contextmanager
def narrow(driver: Any) -> Iterator[None]:
    """Have a window of 700 pixels for a while."""
    size = driver.get_window_size()
    driver.set_window_size(NARROW, size["height"])
    WebDriverWait(driver, PATIENCE).until(lambda page: page.execute_script("return document.scrollingElement.clientWidth") == NARROW)
    try:
        yield
    finally:
        driver.set_window_size(size["width"], size["height"])


def test_a_decision_page_of_many_columns_never_scrolls_sideways_as_a_whole(chromium: Any, tmp_path: Path) -> None:
    campaign = Informed(load_plan(eight_parameters(tmp_path / "lab")), 3)
    targets = {one.name: Prediction(mean=591.27, sd=8.1) for one in campaign.plan.objective.targets}
    chosen = [Suggestion(dict(one), "sobol/1", predicted=targets) for one in campaign.plan.sample[3:11]]
    made = tuple(campaign.proposal(one, number) for number, one in enumerate(chosen, start=4))
    path = tmp_path / "page.html"
    path.write_text(html({**campaign.page_of(made), "since": ["a-reason-without-a-blank" * 40]}), encoding="utf-8")
    chromium.get(path.as_uri())
    assert chromium.execute_script("return Array.from(document.querySelectorAll('.wide')).some(box => box.scrollWidth > box.clientWidth)")
    assert overhang(chromium) <= 0
    with narrow(chromium):
        assert overhang(chromium) <= 0


def test_the_table_can_be_searched_and_sorted(chromium: Any, tmp_path: Path) -> None:
    show(chromium, cases.full_report(), tmp_path)
    shown = (
        "return Array.from(document.querySelectorAll('#runs-table > tbody'))"
        ".filter(body => !body.hidden).map(body => body.rows[0].cells[0].textContent)"
    )
    search = chromium.find_element(By.ID, "runs-search")
    search.send_keys("stalled")
    assert chromium.execute_script(shown) == ["11"]
    chromium.execute_script("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))", search)
    objective = chromium.find_elements(By.CSS_SELECTOR, "#runs-table > thead th[data-sort]")[-1]
    chromium.execute_script("arguments[0].click(); arguments[0].click()", objective)
    order = chromium.execute_script(shown)
    assert order[0] == "19"
    assert set(order[-3:]) == {"6", "11", "14"}


def test_the_details_of_a_run_open(chromium: Any, tmp_path: Path) -> None:
    show(chromium, cases.full_report(), tmp_path)
    details = chromium.find_element(By.CSS_SELECTOR, "#runs-table details")
    assert "Four layers" not in details.text
    chromium.execute_script("arguments[0].querySelector('summary').click()", details)
    assert "Four layers of values" in details.text


def test_the_page_prints(chromium: Any, tmp_path: Path) -> None:
    show(chromium, cases.full_report(), tmp_path)
    printed = chromium.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert printed["data"].startswith("JVBERi")
    assert complaints(chromium) == []
