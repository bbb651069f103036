"""A stopping rule goes by the advice that stands in the history; what is in hand ends first."""

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from orchestrator.domain.campaign import CampaignSpec, parse_campaign
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.stop import RULE, Advice, StopSpec
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.loop import Adapt, Propose, Reconcile, Stop, Wait, next_actions
from tests.loop.test_next_actions import NOW, OBJECTIVE, done, history, measured, run, spec

FINISH = StopSpec(action="finish")
FILE = """
[campaign]
name = "c"
budget = 5
[[parameters]]
name = "x"
kind = "continuous"
min = 0
max = 1
[[targets]]
name = "y"
goal = "maximise"
[policy]
kind = "{kind}"
[stop]
"""


def advice(chance: float, improvement: float = 0.01) -> Advice:
    return Advice(improvement=improvement, chance=chance, expected=0.004, low=0.0, high=0.02, measured=1)


def adapted(said: Advice | None, *, as_of: int = 7) -> CampaignRecord:
    return CampaignRecord(name="c", status=CampaignStatus.RUNNING, adapted=as_of, adapted_counts="events", advice=said)


def after_one(said: Advice | None) -> History:
    return history(done(1), campaign=adapted(said), values=(measured(1, 2.0),))


def ask(past: History, stop: StopSpec | None, **changes: object) -> tuple[object, ...]:
    return next_actions(past, NOW, spec(**changes), OBJECTIVE, stop=stop)


def test_a_campaign_finishes_when_its_rule_holds_and_says_why() -> None:
    (stop,) = ask(after_one(advice(0.03)), FINISH)
    assert isinstance(stop, Stop)
    assert stop.status is CampaignStatus.FINISHED
    assert stop.reason == (
        f"{RULE} (below 5 %): the best next experiment improves by more than 0.01 with a chance of 3 %; "
        "expected remaining improvement 0.004 [80 %: 0 to 0.02]"
    )


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        (advice(0.05), FINISH),
        (None, FINISH),
        (advice(0.03), StopSpec()),
        (advice(0.03), None),
        (advice(0.03, improvement=0.02), FINISH),
    ],
    ids=["a chance that is not below", "nothing said yet", "advice alone", "no rule", "said of another improvement"],
)
def test_a_campaign_goes_on(said: Advice | None, stop: StopSpec | None) -> None:
    assert ask(after_one(said), stop) == (Propose(1),)


def test_what_is_in_hand_ends_first_and_nothing_is_proposed_beside_it() -> None:
    open_run = run(2, RunStatus.RUNNING)
    past = history(done(1), open_run, campaign=adapted(advice(0.03)), values=(measured(1, 2.0),))
    first, second = ask(past, FINISH, in_flight=3)
    assert first == Reconcile(open_run)
    assert isinstance(second, Wait)


def test_a_value_that_is_still_to_come_is_waited_for() -> None:
    late = run(2, RunStatus.COMPLETED, ingested=True, measured={"x": 2.5}, awaits={"y": None})
    past = history(done(1), late, campaign=adapted(advice(0.03)), values=(measured(1, 2.0),))
    (action,) = ask(past, FINISH, in_flight=3)
    assert isinstance(action, Wait)


def test_what_was_measured_since_is_learned_before_the_rule_is_asked() -> None:
    past = history(done(1), campaign=adapted(advice(0.03), as_of=3), values=(measured(1, 2.0),))
    assert ask(past, FINISH) == (Adapt(7),)


@pytest.mark.parametrize("wrong", [{"probability": 0}, {"probability": 1}, {"improvement": 0}, {"improvement": -0.1}, {"action": "stop"}])
def test_a_rule_that_can_mean_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StopSpec.model_validate(wrong)


@pytest.mark.parametrize("kind", ["sobol", "random"])
def test_a_rule_needs_a_policy_that_asks_a_model_and_editors_say_so_too(kind: str) -> None:
    text = FILE.format(kind=kind)
    with pytest.raises(BadInput, match=rf"c\.toml: \[stop\] belongs to policy 'bayesian'; policy '{kind}' asks no model"):
        parse_campaign(text, Path("c.toml"), free=True)
    judge = Draft202012Validator(CampaignSpec.model_json_schema())
    assert not judge.is_valid(tomllib.loads(text))
    assert judge.is_valid(tomllib.loads(FILE.format(kind="bayesian")))
    assert parse_campaign(FILE.format(kind="bayesian"), Path("c.toml"), free=True).spec.stop == StopSpec()


def test_a_campaign_that_nobody_advises_is_kept_as_before() -> None:
    assert "advice" not in CampaignRecord(name="c").model_dump(mode="json")
    again = CampaignRecord.model_validate(adapted(advice(0.03)).model_dump(mode="json"))
    assert again.advice == advice(0.03)
