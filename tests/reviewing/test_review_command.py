"""`athanor review`: options count wherever they stand, and none is passed over."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.cli.main import app
from flows.plans.lab import make_lab
from flows.plans.plan import load_plan
from orchestrator.clock import Instant
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import quick_campaign

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two labs; what each is asked for is refused with its own path and campaign."""
    found = {}
    for name in ("east", "west"):
        file = quick_campaign(tmp_path_factory.mktemp(name) / "work", budget=4)
        plan = load_plan(file)
        lab = make_lab(None, beside=file, kind="dry")
        with closing(SqlStore.open(lab.ledger)) as store:
            for campaign in (name, f"{name}-2"):
                store.create_campaign(CampaignRecord(name=campaign, snapshot=plan.snapshot), by="test", now=NOW)
        found[name] = lab.path
    return found


def typed(*words: object) -> None:
    app([str(word) for word in words], standalone_mode=False)


SUBCOMMANDS = [
    ("show", 2),
    ("decide", 2, "--by", "Ada", "--approve-rest"),
    ("withdraw", 2, "--by", "Ada", "--reason", "no"),
]


@pytest.mark.parametrize("words", SUBCOMMANDS, ids=lambda words: words[0])
def test_lab_and_campaign_count_before_the_subcommand_as_behind_it(labs: dict[str, Path], words: tuple[object, ...]) -> None:
    for before, behind in (("west", None), (None, "west"), ("east", "west")):
        chosen = [("--lab", labs[one], "--campaign", one) if one else () for one in (before, behind)]
        with pytest.raises(BadInput, match="campaign west has no"):
            typed("review", *chosen[0], *words, *chosen[1])


def test_json_before_the_subcommand_counts(labs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    typed("review", "--lab", labs["east"], "--campaign", "east", "--json")
    assert json.loads(capsys.readouterr().out) == {"campaign": "east", "requests": []}
    with pytest.raises(BadInput, match="give one of --json and --html"):
        typed("review", "--lab", labs["east"], "--campaign", "east", "--json", "show", 2, "--html", "page.html")


@pytest.mark.parametrize("words", [("ask",), ("withdraw", 1, "--by", "Ada", "--reason", "no")])
def test_an_option_that_the_subcommand_does_not_have_is_refused_there_too(labs: dict[str, Path], words: tuple[object, ...]) -> None:
    with pytest.raises(BadInput, match=f"review {words[0]} has no option --json"):
        typed("review", "--lab", labs["east"], "--json", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batches", 3), "--batches says for how long --set holds"),
        (("--lift", 1, "--by", "Ada", "--batches", 3), "--batches says for how long --set holds"),
        (("--by", "Ada"), "--by goes with --set or --lift"),
        (("--reason", "hot"), "--reason goes with --set or --lift"),
    ],
)
def test_what_a_restriction_would_not_read_is_refused(labs: dict[str, Path], words: tuple[object, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        typed("constrain", "east", "--lab", labs["east"], *words)


def test_who_may_sign_no_more_is_not_revoked_once_more(labs: dict[str, Path]) -> None:
    typed("people", "add", "Ada", "--lab", labs["west"])
    typed("people", "revoke", "Ada", "--reason", "left", "--lab", labs["west"])
    with pytest.raises(BadInput, match="Ada may sign no more since an earlier revocation"):
        typed("people", "revoke", "Ada", "--reason", "left", "--lab", labs["west"])
