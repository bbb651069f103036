"""The report in a real browser, from a file and without a network."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from flows.report.data import ReportData
from flows.report.page import render_report
from tests.report import cases
from tests.report.browser import browser, complaints, missing, requests
from tests.report.document import parse
from tests.report.test_page import nasty

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
    html = render_report(data)
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    driver.get("about:blank")
    requests(driver), complaints(driver)
    driver.get(path.as_uri())
    count = len(parse(html).plots)
    WebDriverWait(driver, PATIENCE).until(lambda page: page.execute_script(DRAWN) == count)
    return count, path.as_uri()


@pytest.mark.parametrize("make", [cases.full_report, cases.alloys, nasty], ids=["full", "alloys", "nasty"])
def test_every_plot_is_drawn_without_a_request_or_a_complaint(chromium: Any, tmp_path: Path, make: Any) -> None:
    count, url = show(chromium, make(), tmp_path)
    assert count > 3
    assert requests(chromium) == [url]
    assert complaints(chromium) == []
    assert chromium.execute_script("return window.broken") is None
    width = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert chromium.execute_script(width)


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
