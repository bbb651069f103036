import pytest

from orchestrator.domain.work import WantedValue, WorkAnswer, WorkOrder
from orchestrator.errors import BadInput
from orchestrator.work import read_values

ORDER = WorkOrder(
    instructions="Weigh in.", values=(WantedValue(name="weight", unit="mg", low=0.0, high=500.0), WantedValue(name="colour", unit=None))
)


def test_values_are_read_in_the_units_that_were_asked_for() -> None:
    assert read_values(ORDER, {"weight": "0.0125 g", "colour": " pale yellow "}, what="weigh") == {
        "weight": pytest.approx(12.5),
        "colour": "pale yellow",
    }
    assert read_values(ORDER, {"weight": "500", "colour": "white"}, what="weigh")["weight"] == 500.0


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"weight": "500.1 mg"}, "weigh: weight = 500.1 mg is out of range; expected 0 to 500 mg"),
        ({"weight": "-1 ug"}, "weigh: weight = -0.001 mg is out of range; expected 0 to 500 mg"),
        ({"weight": "12,3 mg"}, "a comma does not say whether it is a decimal point or parts thousands"),
        ({"weight": "12.3 mL"}, "has the wrong unit; expected one that converts to mg"),
        ({"weight": "about 12 mg"}, "weigh: weight"),
        ({"weight": "nan"}, "weigh: weight"),
        ({"weight": ""}, "weigh: weight is missing; expected a number in mg, 0 to 500 mg"),
        ({"colour": " "}, "weigh: colour is missing; expected a text"),
        ({"wieght": "12 mg"}, "weigh: 'wieght' is not asked for; asked: weight, colour"),
    ],
)
def test_what_is_no_such_value_is_refused_in_a_line(typed: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_values(ORDER, {"weight": "12 mg", "colour": "white", **typed}, what="weigh")
    assert words in str(refused.value)


def test_who_did_not_do_it_says_why_and_brings_nothing() -> None:
    named = {"answer_id": "a", "campaign": "c", "run_key": "k", "step": 0, "person": "Ada"}
    with pytest.raises(ValueError, match="an answer that says went-wrong needs a reason"):
        WorkAnswer.model_validate({**named, "outcome": "went-wrong", "reason": " "})
    with pytest.raises(ValueError, match="an answer that says not-done has no values; weight came"):
        WorkAnswer.model_validate({**named, "outcome": "not-done", "reason": "no sand", "values": {"weight": "1 mg"}})
