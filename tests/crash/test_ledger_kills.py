"""The campaign process dies around every commit of its ledger; nothing is done twice, nothing is lost."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.campaigns import RATE, entry, settle
from tests.crash.oracle import judge
from tests.postgresql import Server

pytestmark = [pytest.mark.slow, pytest.mark.long]

# from the 1st (creating the campaign, taking it up) over proposing, deciding, dispatching, running, completing, ingesting,
# adapting to the next proposal
KILLS = {
    "file": [(number, when) for number in range(1, 11) for when in ("before", "after")],
    "server": [(1, "before"), (2, "after"), (5, "before"), (6, "after"), (8, "before"), (9, "after")],
}
"""What differs in a transaction itself, `tests.store.test_durability` tries at each of its statements on both."""


BUDGET = {"file": 16, "server": 8}
"""More than what is through by the last kill."""


@pytest.fixture(params=["file", "server"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where labs that are made keep their ledger."""
    if request.param == "server":
        server: Server = request.getfixturevalue("postgres")
        monkeypatch.setenv("ATHANOR_LEDGER", server.address)
    return str(request.param)


@pytest.mark.timeout(600)
def test_a_campaign_killed_around_every_commit_goes_on_without_repeating_anything(
    make_lab: Callable[[int], tuple[Path, Path]], database: str, record_property: Callable[[str, object], None]
) -> None:
    planned = KILLS[database]
    file, lab = make_lab(BUDGET[database])
    kills = unknowns = 0
    for number, when in planned:
        ended = entry(file, lab, number, when)
        if ended.returncode == -signal.SIGKILL:
            kills += 1
            continue
        assert ended.returncode == 3, ended.stderr
        unknowns += settle(lab, ended.stderr)
    while (ended := entry(file, lab, 0, "never")).returncode == 3:
        unknowns += settle(lab, ended.stderr)
    assert ended.returncode == 0, ended.stderr
    judgement = judge(lab, "cdse-600")
    record_property(
        "figure", f"{kills} kills around commits of a {database} at {RATE:g}x: {dict(judgement.runs)}, {unknowns} settled by a person"
    )
    assert kills == len(planned)
    assert judgement.complaints == ()
