"""The form in a real browser: eight proposals of eight parameters, one edited, one refused, carried out as approved."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from orchestrator.domain.lifecycle import ProposalStatus, RunStatus, StepKind
from orchestrator.domain.records import Proposal
from tests.crash.campaigns import athanor
from tests.crash.oracle import judge
from tests.faults.laboratory import CAMPAIGN, Laboratory, eventually
from tests.report.browser import browser, missing
from tests.reviewing.eight import eight_parameters
from tests.reviewing.prefects import history, until_asked

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATE: Final = 100.0
"""Slow enough that a busy machine does not end a run as interrupted: what is approved here is carried out whole."""
PATIENCE: Final = 60
EDITED: Final = 241.5
ARMED_AT: Final = 20.0
"""The oven's watchdog is armed at its lowest legal temperature, in degC; no proposal is as cold."""
RESOLUTION: Final = 0.051
"""The oven's display resolves 0.1 degC."""
ROW: Final = (
    ".//span[@class='schema-form-property__label'][normalize-space()='{0}' or normalize-space()='{0} (Optional)']"
    "/ancestor::div[contains(concat(' ', @class, ' '), ' schema-form-property ')][1]"
)
FIELD: Final = f"{ROW}//fieldset"
COMMA: Final = "last answer refused: proposal 1: T: '241,5' is not a quantity: a comma does not say"
DRAWN: Final = "return Array.from(document.querySelectorAll('table')).length"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if (absent := missing()) is not None:
        if "CI" in os.environ:
            pytest.fail(absent)
        pytest.skip(absent)
    with browser(tmp_path_factory.mktemp("profile"), width=1440, height=1100) as driver:
        yield driver


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    file = eight_parameters(tmp_path / "lab")
    laboratory = Laboratory(file, file.parent / ".athanor-dry", RATE)
    yield laboratory
    laboratory.close()


def waited(chromium: Any, look: Callable[[Any], Any]) -> Any:
    return WebDriverWait(chromium, PATIENCE, ignored_exceptions=[WebDriverException]).until(look)


def field(scope: Any, label: str) -> Any:
    """Return the first field of that label within a part of the form."""
    return scope.find_element(By.XPATH, FIELD.format(label))


def row(form: Any, number: int) -> Any:
    """Return a proposal's part of the form."""
    return form.find_element(By.XPATH, ROW.format(f"proposal {number}"))


def choose(scope: Any, label: str, option: str) -> None:
    """Choose from a select; without a fine pointer the page shows the browser's own."""
    Select(field(scope, label).find_element(By.TAG_NAME, "select")).select_by_visible_text(option)


def write(scope: Any, label: str, text: str) -> None:
    entry = field(scope, label).find_element(By.CSS_SELECTOR, "input, textarea")
    entry.send_keys(Keys.CONTROL, "a")
    entry.send_keys(text)


@pytest.mark.timeout(600)
def test_eight_proposals_are_decided_in_the_page_and_carried_out_as_approved(
    laboratory: Laboratory, chromium: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    command = laboratory.dry_run(view="--view")
    page, run = asked(laboratory, command)
    read_decision_page(chromium, page, tmp_path)
    decide_in_newer_page(chromium, page, run, tmp_path)
    waited(chromium, lambda driver: "request 1: not an answer: proposal 1: T: '241,5'" in driver.find_element(By.TAG_NAME, "body").text)
    decide(chromium, page, asked_again(laboratory), tmp_path)
    answered = chromium.current_url
    chromium.get("about:blank")  # a run's page draws its timeline without end, which is half a core where there is no GPU
    eventually(lambda: len(history(laboratory).requests) > 1, "the campaign goes on to its next batch")
    as_approved(laboratory)
    chromium.get(answered)
    waited(chromium, lambda driver: "Completed" in driver.find_element(By.TAG_NAME, "body").text)
    said = chromium.find_element(By.TAG_NAME, "body").text
    assert "request 1: Ada: edited 1 (T 241.5, was " in said
    assert "; refused 2 (too much selenium); approved 3, 4, 5, 6, 7, 8" in said
    chromium.save_screenshot(str(tmp_path / "decided.png"))
    assert athanor("abort", "--by", "Ada", "--reason", "seen enough", "--lab", str(laboratory.lab)).returncode == 0
    laboratory.ended(command)
    assert judge(laboratory.lab, CAMPAIGN).complaints == ()
    record_property("figure", f"review in the page: screenshots in {tmp_path}")


def asked(laboratory: Laboratory, command: Any) -> tuple[str, str]:
    """Wait until the first request is put to people; return the page's address and the review run."""
    until_asked(laboratory, command)
    (request,) = history(laboratory).open_requests
    assert len(request.asked) == 8
    said = (laboratory.file.parent / "command0.out").read_text()
    return said.partition("Prefect UI: ")[2].split()[0], request.runs[0].flow_run_id


def asked_again(laboratory: Laboratory) -> str:
    """Wait until the request waits in another form; return its run."""

    def newest() -> list[str]:
        (request,) = history(laboratory).open_requests
        return [run.flow_run_id for run in request.runs if run.key.endswith("-a2")]

    eventually(lambda: bool(newest()), "a second form")
    return newest()[0]


def read_decision_page(chromium: Any, page: str, pictures: Path) -> None:
    chromium.get(f"{page}/artifacts/key/{CAMPAIGN}-review-1")
    links = waited(chromium, lambda driver: driver.find_elements(By.CSS_SELECTOR, "a[href*='/artifacts/artifact/']"))
    chromium.get(links[0].get_attribute("href"))
    waited(chromium, lambda driver: driver.execute_script(DRAWN) > 8)
    text = chromium.find_element(By.TAG_NAME, "body").text
    assert "SIMULATED instruments" in text
    assert "Proposal 8" in text
    assert "Distance to every limit" in text
    chromium.save_screenshot(str(pictures / "decision-page.png"))


def decide_in_newer_page(chromium: Any, page: str, run: str, pictures: Path) -> None:
    """Approve all in Prefect's newer page, the first temperature written with a decimal comma."""
    chromium.get(f"{page}/v2/runs/flow-run/{run}")
    waited(chromium, lambda driver: named(driver, "button", "Open menu"))[-1].click()
    waited(chromium, lambda driver: named(driver, "[role=menuitem]", "Resume"))[0].click()
    form = waited(chromium, lambda driver: driver.find_element(By.CSS_SELECTOR, "[role=dialog]"))
    verdicts = waited(chromium, lambda _: form.find_elements(By.CSS_SELECTOR, "[aria-label='Select Verdict']"))
    assert len(verdicts) == 8
    for verdict in verdicts:
        verdict.click()
        waited(chromium, lambda driver: named(driver, "[role=option]", "approve"))[0].click()
        waited(chromium, partial(shows, verdict, "approve"))
    texts = form.find_elements(By.TAG_NAME, "textarea")
    for entry, text in ((texts[2], "241,5"), (texts[-4], "Ada")):
        entry.send_keys(Keys.CONTROL, "a")
        entry.send_keys(text)
    chromium.save_screenshot(str(pictures / "newer-form.png"))
    named(form, "button", "Resume")[0].click()
    waited(chromium, lambda driver: "resumed" in driver.find_element(By.TAG_NAME, "body").text.lower())


def shows(element: Any, words: str, _chromium: Any) -> bool:
    return bool(element.text == words)


def named(scope: Any, selector: str, words: str) -> list[Any]:
    return [one for one in scope.find_elements(By.CSS_SELECTOR, selector) if one.text == words]


def decide(chromium: Any, page: str, run: str, pictures: Path) -> None:
    """Open the form from the run's own page; edit the first temperature in kelvin, refuse the second proposal, approve the rest."""
    chromium.get(f"{page}/runs/flow-run/{run}")
    resume = waited(chromium, lambda driver: [one for one in driver.find_elements(By.TAG_NAME, "button") if one.text == "Resume"])
    assert f"request 1 (8 proposals): {COMMA}" in chromium.find_element(By.TAG_NAME, "body").text
    chromium.save_screenshot(str(pictures / "review-run.png"))
    resume[0].click()
    form = waited(chromium, lambda driver: driver.find_element(By.CSS_SELECTOR, "[role=dialog]"))
    waited(chromium, lambda _: row(form, 8))
    waited(chromium, lambda _: COMMA in form.text)  # a dialog that opens shows its rows before their words
    chromium.save_screenshot(str(pictures / "form.png"))
    rows = [row(form, number) for number in range(1, 9)]
    for label in ("T", "tau", "mix.cd", "mix.se", "mix.ligand", "exposure", "flushes", "reserve", "soak", "rest"):
        field(rows[7], label)
    for index, one in enumerate(rows):
        choose(one, "Verdict", "reject" if index == 1 else "approve")
    write(rows[0], "T", f"{EDITED + 273.15} kelvin")
    write(rows[1], "Reason", "too much selenium")
    write(form, "Reviewer", "Ada")
    chromium.save_screenshot(str(pictures / "form-filled.png"))
    next(one for one in form.find_elements(By.TAG_NAME, "button") if one.text == "Submit").click()
    waited(chromium, lambda driver: "resumed" in driver.find_element(By.TAG_NAME, "body").text.lower())


def as_approved(laboratory: Laboratory) -> None:
    """Hold the plant's log against what was approved: the same setpoints in the same order, and nothing of what was refused."""
    past = history(laboratory)
    first = [one for one in past.newest() if one.number <= 8]
    refused = first[1]
    assert (refused.status, refused.reason, refused.decided_by) == (ProposalStatus.REJECTED, "too much selenium", "person Ada")
    approved = [one for one in first if one is not refused]
    assert {one.status for one in approved} == {ProposalStatus.APPROVED}
    assert (first[0].revision, first[0].author) == (2, "Ada")
    assert float(first[0].configuration["T"]) == pytest.approx(EDITED)
    runs = [run for run in past.attempts() if run.status is RunStatus.COMPLETED]
    assert [run.proposal_id for run in runs] == [one.proposal_id for one in approved], "in the order in which they were asked about"
    written = [float(event["values"]["target_degc"]) for event in laboratory.truth("oven", "setpoint") if "target_degc" in event["values"]]
    targets = [target for target in written if target != ARMED_AT]
    assert targets[: len(approved)] == pytest.approx([float(one.configuration["T"]) for one in approved], abs=RESOLUTION)
    for pump in ("pump_cd", "pump_se", "pump_l"):
        given = [float(one["values"]["target_ml"]) for one in laboratory.truth(pump, "dose") if one["values"].get("phase") == "start"]
        assert given == pytest.approx([volume(one, pump) for one in approved], abs=0.0051)
    acted = {event.get("run_key") for event in laboratory.truth() if event.get("run_key")}
    assert acted == {run.run_key for run in runs}


def volume(proposal: Proposal, pump: str) -> float:
    """Return what a proposal doses with a pump, in mL."""
    return next(float(step.arguments["volume"]) for step in proposal.steps if step.kind is StepKind.DOSING and step.instrument == pump)
