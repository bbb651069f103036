"""The page itself, in a real browser: log in, read the campaign's overview, press Cancel while the oven heats."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.faults.laboratory import CAMPAIGN, eventually
from tests.report.browser import browser, missing, requests
from tests.serving.conftest import Serve
from tests.serving.served import LOGIN, Served, heats_anew, is_safe

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 50.0
PATIENCE: Final = 60
DRAWN: Final = (
    "return Array.from(document.querySelectorAll('img')).filter(one => one.src.startsWith('data:image/svg')).map(one => one.naturalWidth)"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if (absent := missing()) is not None:
        if "CI" in os.environ:
            pytest.fail(absent)
        pytest.skip(absent)
    with browser(tmp_path_factory.mktemp("profile"), height=1100) as driver:
        yield driver


@pytest.fixture(scope="module")
def served(serve: Serve) -> Served:
    return serve(rate=RATE)


def test_cancel_in_the_page_makes_the_heating_bench_safe(
    served: Served, chromium: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    heats = heats_anew(served)
    run = served.begin_campaign()
    log_in(chromium, served.page)
    eventually(heats, "heating", within=180.0)
    chromium.get(f"{served.page}/runs/flow-run/{run}")
    button(chromium, "Cancel").click()
    seen = served.laboratory.truth()
    confirm = button(chromium, "Confirm")
    chromium.save_screenshot(str(tmp_path / "cancel.png"))
    pressed = time.monotonic()
    confirm.click()
    eventually(lambda: is_safe(served, seen), "safe state")
    record_property("figure", f"Cancel pressed in the page: safe after {time.monotonic() - pressed:.1f} s; pictures in {tmp_path}")
    served.reaches(run, "CANCELLED")
    campaign = served.laboratory.changes().campaign
    assert (campaign.status, campaign.reason) == ("paused", "cancelled")


def test_the_overview_is_drawn_and_leads_to_the_run_without_asking_another_host(served: Served, chromium: Any, tmp_path: Path) -> None:
    requests(chromium)  # what came before
    chromium.get(f"{served.page}/artifacts/key/{CAMPAIGN}-overview")
    newest = waited(chromium, artifact_links)[0]
    chromium.get(newest.get_attribute("href"))
    link = waited(chromium, lambda page: page.find_elements(By.LINK_TEXT, "this flow run"))[0]
    text = chromium.find_element(By.TAG_NAME, "body").text
    assert f"{CAMPAIGN}: paused (cancelled)" in text
    assert "of 40" in text
    assert waited(chromium, lambda page: page.execute_script(DRAWN))[0] > 0
    chromium.save_screenshot(str(tmp_path / "overview.png"))
    chromium.get(link.get_attribute("href"))  # a click opens it beside
    button(chromium, "Retry")
    assert "/runs/flow-run/" in chromium.current_url
    assert {url for url in requests(chromium) if not url.startswith((served.page, served.page.replace("http", "ws")))} == set()


def log_in(chromium: Any, page: str) -> None:
    """Open the page and give the login that it asks for."""
    chromium.get(page)
    waited(chromium, lambda driver: driver.find_elements(By.CSS_SELECTOR, "input[type=password]"))[0].send_keys(LOGIN, Keys.ENTER)
    waited(chromium, lambda driver: driver.find_elements(By.PARTIAL_LINK_TEXT, "Deployments"))


def artifact_links(chromium: Any) -> list[Any]:
    return [one for one in chromium.find_elements(By.CSS_SELECTOR, "a[href]") if "/artifacts/artifact/" in str(one.get_attribute("href"))]


def button(chromium: Any, words: str) -> Any:
    """Wait for an enabled button with these words."""

    def look(page: Any) -> Any:
        enabled = [one for one in page.find_elements(By.TAG_NAME, "button") if one.text == words and one.is_enabled()]
        return enabled[0] if enabled else False

    return waited(chromium, look)


def waited(chromium: Any, look: Callable[[Any], Any]) -> Any:
    return WebDriverWait(chromium, PATIENCE).until(look)
