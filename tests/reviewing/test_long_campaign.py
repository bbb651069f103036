"""Thirty batches over more than twenty hours of lab time, most approved by rule, some by people who take their time."""

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver.common.by import By

from flows.cli.init import scaffold
from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus, RunStatus
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError
from orchestrator.history import History
from orchestrator.store.sql import SqlStore
from tests.faults.laboratory import CAMPAIGN, Laboratory, Typed, eventually
from tests.report.browser import browser, missing
from tests.reviewing.prefects import UNHAPPY, Prefect, history, prefect_of
from tests.reviewing.test_page import choose, row, waited, write
from tests.serving.served import settled

RATE: Final = 250.0
BATCHES: Final = 30
BATCH: Final = 2
BY_HAND: Final = (12, 20, 26)
"""Batches during which a person suggests an experiment, which the same rules judge."""
IN_PAGE: Final = 6
"""Of so many requests one is answered in the page itself."""
FIRST_KEPT_WAITING: Final = 4
"""The request that nobody answers before Prefect's own time-out."""
TIME_OUT: Final = 40
"""Wall seconds of Prefect's own time-out."""
RULES: Final = """mode = "rules"
first = 2

[[review.when]]
name = "little is known"
quantity = "sd.wavelength"
above = 2.5                    # nm
"""
MODEL: Final = '[surrogate]\nkind = "gp"\n\n[policy]\nkind = "bayesian"\nrestarts = 1\nraw_samples = 64\nmc_samples = 64\n\n'
HOURS: Final = 3600.0
MEBIBYTE: Final = 1024.0
"""In the kernel's kB."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


def long_campaign(folder: Path) -> Laboratory:
    """Scaffold the bench with a model of its own and rules that ask for some of the proposals."""
    scaffold(folder)
    file, bench = folder / "campaign.toml", folder / "bench.toml"
    text = file.read_text().replace("budget = 24", f"budget = {BATCHES * BATCH + len(BY_HAND)}\nbatch = {BATCH}")
    text = re.sub(r"\[surrogate\].*(?=\[review\])", MODEL, text, flags=re.DOTALL)
    file.write_text(text.replace('mode = "never"', RULES + "# "))
    bench.write_text(bench.read_text().replace('volume = "500 mL"', 'volume = "2000 mL"'))
    return Laboratory(file, folder / ".athanor-dry", RATE)


@dataclass
class Memory:
    """What a process holds, in MiB, by the batch that was the newest then."""

    resident: dict[int, list[float]] = field(default_factory=dict)
    own: dict[int, list[float]] = field(default_factory=dict)
    """Without the pages of files."""

    def look(self, pid: int, batch: int) -> None:
        """Take a sample; a process that has just ended gives none."""
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return
        found = {name: int(size) / MEBIBYTE for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
        if "Rss" in found:
            self.resident.setdefault(batch, []).append(found["Rss"])
            self.own.setdefault(batch, []).append(found["Anonymous"])

    def told(self, batch: int) -> str:
        """Say what a batch took: the median and the highest."""
        seen, own = self.resident[batch], self.own[batch]
        return f"batch {batch}: {statistics.median(seen):.0f} (at most {max(seen):.0f}) MiB resident, {statistics.median(own):.0f} its own"


@dataclass
class Person:
    """Answers what is asked, in turn: through the form's interface, in the terminal, in the page itself."""

    laboratory: Laboratory
    command: Typed
    prefect: Prefect
    chromium: Any
    pictures: Path
    memory: Memory = field(default_factory=Memory)
    suggested: set[int] = field(default_factory=set)
    looked: bool = False

    def live_through(self) -> None:
        """Look again and again until the campaign's process has ended."""
        while self.command.poll() is None:
            past = history(self.laboratory)
            batch = max((one.provenance.batch for one in past.newest()), default=0)
            self.memory.look(self.command.pid, batch)
            if batch in BY_HAND and batch not in self.suggested:
                self.suggest(batch)
            for request in past.open_requests:
                if self.is_asked(request):
                    self.answer(past, request)
            if batch == BATCHES and not self.looked:
                self.look()
            time.sleep(0.5)

    def is_asked(self, request: ReviewRequest) -> bool:
        """Whether there is a form to answer, and somebody who wants to."""
        if request.answer_id is not None or not request.runs or not request.runs[-1].key.endswith(f"-a{request.attempt}"):
            return False
        if request.number == FIRST_KEPT_WAITING and request.attempt == 1:
            return False
        return self.prefect.state(request.runs[-1].flow_run_id) == "PAUSED"

    def answer(self, past: History, request: ReviewRequest) -> None:
        """Approve all of it, each time by another way."""
        if request.number % IN_PAGE == IN_PAGE - 1:
            self.answer_in_page(request)
        elif request.number % 2:
            self.prefect.submit(past, request, reviewer="Bob")
        else:
            said = self.laboratory.type("review", "decide", str(request.number), "--approve-rest", "--by", "Cleo")
            assert said.code == 0, said.err

    def suggest(self, batch: int) -> None:
        """Propose an experiment by hand."""
        values = (f"T={200 + batch}", "tau=120", "c_se=0.012", "ratio=2")
        said = self.laboratory.type("suggest", *(word for one in values for word in ("--set", one)), "--by", "Ada", "--reason", "curious")
        assert said.code == 0, said.err
        self.suggested.add(batch)

    def answer_in_page(self, request: ReviewRequest) -> None:
        """Fill the form in the browser."""
        self.chromium.get(f"{self.prefect.page}/runs/flow-run/{request.runs[-1].flow_run_id}")
        resume = waited(self.chromium, lambda page: [one for one in page.find_elements(By.TAG_NAME, "button") if one.text == "Resume"])
        resume[0].click()
        form = waited(self.chromium, lambda page: page.find_element(By.CSS_SELECTOR, "[role=dialog]"))
        waited(self.chromium, lambda _: row(form, request.asked[-1].number))
        for asked in request.asked:
            choose(row(form, asked.number), "Verdict", "approve")
        write(form, "Reviewer", "Dora")
        self.chromium.save_screenshot(str(self.pictures / "form.png"))
        next(one for one in form.find_elements(By.TAG_NAME, "button") if one.text == "Submit").click()
        waited(self.chromium, lambda page: "resumed" in page.find_element(By.TAG_NAME, "body").text.lower())

    def look(self) -> None:
        """Take pictures of the campaign's own pages."""
        (campaign,) = (one["id"] for one in self.prefect.flow_runs() if one["name"] == CAMPAIGN)
        self.chromium.get(f"{self.prefect.page}/runs/flow-run/{campaign}")
        waited(self.chromium, lambda page: page.find_elements(By.TAG_NAME, "canvas"))
        time.sleep(3.0)  # the graph is drawn on a canvas: nothing in the document says when
        self.chromium.save_screenshot(str(self.pictures / "campaign-run.png"))
        self.chromium.get(f"{self.prefect.page}/artifacts/key/{CAMPAIGN}-overview")
        links = waited(self.chromium, lambda page: page.find_elements(By.CSS_SELECTOR, "a[href*='/artifacts/artifact/']"))
        self.chromium.get(links[0].get_attribute("href"))
        waited(self.chromium, lambda page: "Best so far" in page.find_element(By.TAG_NAME, "body").text)
        self.chromium.save_screenshot(str(self.pictures / "overview.png"))
        self.looked = True


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    if (absent := missing()) is not None:
        pytest.skip(absent)
    laboratory = long_campaign(tmp_path / "lab")
    yield laboratory
    laboratory.close()
    settled(laboratory.lab)


def test_thirty_batches_end_well_within_their_memory(
    laboratory: Laboratory, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    command = laboratory.dry_run(view="--view", entry=("tests.reviewing.entry", str(TIME_OUT)))
    eventually(lambda: begun(laboratory) or command.poll() is not None, "a campaign")
    with prefect_of(laboratory) as prefect, browser(tmp_path / "profile", width=1440, height=1400) as chromium:
        person = Person(laboratory, command, prefect, chromium, tmp_path)
        person.live_through()
        assert person.looked
        ended = laboratory.ended(command)
        assert (ended.code, ended.err) == (0, "")
        seconds = time.monotonic() - began
        record_property("figure", f"30 batches: {seconds:.0f} s, {well_reviewed(laboratory)}; pictures in {tmp_path}")
        record_property("figure", f"30 batches in Prefect: {well_shown(prefect)}")
    early, late = (statistics.median(person.memory.resident[batch]) for batch in (5, BATCHES))
    record_property("figure", f"30 batches, memory x {late / early:.3f}: {person.memory.told(5)}; {person.memory.told(BATCHES)}")
    assert late <= 1.1 * early
    assert settled(laboratory.lab) == []


def begun(laboratory: Laboratory) -> bool:
    try:
        return bool(history(laboratory).newest())
    except AthanorError:  # there is no ledger yet, or no campaign in it
        return False


def well_reviewed(laboratory: Laboratory) -> str:
    """Hold the ledger against what was wanted; return its figures."""
    past = history(laboratory)
    with closing(SqlStore.open(laboratory.lab / "ledger.db", read_only=True)) as store:
        events = list(store.events(CAMPAIGN))
        assert store.verify() == ()
    hours = (events[-1].lab - events[0].lab) / HOURS
    assert hours >= 20
    assert past.campaign.status == "finished"
    assert max(one.provenance.batch for one in past.newest()) == BATCHES
    assert {one.status for one in past.newest()} == {ProposalStatus.APPROVED}
    assert {run.status for run in past.attempts()} <= {RunStatus.COMPLETED, RunStatus.INFEASIBLE}
    by = Counter(str(one.decided_by) for one in past.newest())
    assert by["rule review-rules"] > by.total() / 2
    assert min(by["person Bob"], by["person Cleo"], by["person Dora"]) > 0
    via = Counter(one.via for one in past.answers.values())
    assert min(via["page"], via["terminal"]) >= 2
    assert {one.status for one in past.answers.values()} == {AnswerStatus.ACCEPTED}
    (kept_waiting,) = (one for one in past.requests.values() if one.number == FIRST_KEPT_WAITING)
    assert kept_waiting.attempt >= 2
    asked = f"request {FIRST_KEPT_WAITING} asked {kept_waiting.attempt} times"
    return f"{hours:.1f} h of lab time, decided {dict(by)}, answers {dict(via)}, {asked}"


def well_shown(prefect: Prefect) -> str:
    """Hold Prefect's records against what was wanted; return their figures."""
    eventually(lambda: not [kind for _, kind in prefect.states() if kind in ("RUNNING", "PENDING", "PAUSED")], "the flow runs' ends")
    states, tasks = prefect.states(), prefect.task_runs()
    assert states["campaign", "COMPLETED"] == 1
    assert not [one for one in states if one[1] in UNHAPPY]
    assert prefect.task_runs(*UNHAPPY) == 0
    assert BATCHES <= tasks < 100
    return f"{tasks} task runs, flow runs { ({f'{flow} {state}': count for (flow, state), count in states.items()}) }"
