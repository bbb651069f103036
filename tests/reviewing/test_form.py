"""The form goes out and comes back: limits at each field, rows told apart, nothing taken for an answer that is none."""

from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from flows.review.answering import edits_of, values_of, verdicts_of
from flows.review.form import answer_from, field_names, form_for, row_name
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.review import ask
from tests.strategies import open_spaces

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=200, max=280),
        DiscreteParameter(name="reason", values=(1, 2)),
        CategoricalParameter(name="solvent", categories=("ODE", "TOP")),
        CompositionParameter(name="mix", components=("a", "b")),
    )
)
CONFIGURATION: dict[str, float | str] = {"T": 210.5, "reason": 1.0, "solvent": "ODE", "mix.a": 0.25, "mix.b": 0.75}


def proposal(number: int) -> Proposal:
    provenance = Provenance(policy="sobol/1", as_of=1, seed=1)
    return Proposal(
        proposal_id=f"p{number}",
        campaign="c",
        number=number,
        configuration={**CONFIGURATION, "T": 200.0 + number},
        steps=(),
        provenance=provenance,
    )


PROPOSALS = (proposal(1), proposal(2))
REQUEST = ReviewRequest(request_id="q1", campaign="c", number=1, asked=tuple(ask(one, ()) for one in PROPOSALS), opened_lab=0.0)


def rows(**changes: Any) -> list[dict[str, Any]]:
    fields = field_names(SPACE)
    return [
        {
            "proposal": f"{row_name(asked)}: y 3 (1 to 5)",
            "verdict": "approve",
            "reason": "",
            **{fields[column]: value for column, value in one.configuration.items()},
            **changes,
        }
        for asked, one in zip(REQUEST.asked, PROPOSALS, strict=True)
    ]


def read(came: dict[str, Any]) -> tuple[Answer, str]:
    given = {"rows": rows(), "reviewer": "Ada", "code": "", "comment": "", "content_hash": REQUEST.content_hash, **came}
    return answer_from(REQUEST, PROPOSALS, SPACE, given, answer_id="a1", key="k")


@given(open_spaces())
def test_each_column_has_a_field_of_its_own_that_is_an_identifier(space: SearchSpace) -> None:
    names = field_names(space)
    assert list(names) == list(space.columns)
    assert len(set(names.values())) == len(names)
    assert all(name.isidentifier() and name not in ("proposal", "verdict", "reason") for name in names.values())


def test_the_schema_gives_unit_and_range_at_each_field_and_no_verdict_is_filled_in() -> None:
    schema = form_for(REQUEST, PROPOSALS, SPACE, {}, "http://127.0.0.1/page").model_json_schema()
    row = schema["$defs"]["Row"]["properties"]
    assert row["T"]["description"] == "200 to 280 degC"
    assert (row["T"]["minimum"], row["T"]["maximum"]) == (200.0, 280.0)
    assert row["reason_"]["description"] == "one of 1, 2", "a parameter may be called like a field of ours"
    assert row["solvent"]["enum"] == ["ODE", "TOP"]
    assert "sum to 1" in row["mix_a"]["description"]
    assert "http://127.0.0.1/page" in row["proposal"]["description"]
    assert {"verdict", "proposal"} <= set(schema["$defs"]["Row"]["required"])
    assert "reviewer" in schema["required"]
    assert all("verdict" not in filled for filled in schema["properties"]["rows"]["default"])


@pytest.mark.parametrize("change", [{"T": 280.1}, {"T": "hot"}, {"solvent": "water"}, {"verdict": None}, {"mix_a": -0.1}])
def test_the_form_refuses_what_is_out_of_range(change: dict[str, Any]) -> None:
    form = form_for(REQUEST, PROPOSALS, SPACE, {})
    form.model_validate({"rows": rows(), "reviewer": "Ada"})
    with pytest.raises(ValidationError):
        form.model_validate({"rows": rows(**change), "reviewer": "Ada"})


def test_an_untouched_form_approves_nothing() -> None:
    with pytest.raises(ValidationError):
        form_for(REQUEST, PROPOSALS, SPACE, {}).model_validate({})


def test_only_what_was_changed_is_an_edit() -> None:
    answer, code = read({"rows": [rows(T=222.0)[0], rows()[1]], "code": "abc"})
    assert [one.edits for one in answer.verdicts] == [{"T": 222.0}, {}]
    assert (code, answer.via, answer.key) == ("abc", "page", "k")
    assert "abc" not in answer.model_dump_json()


def test_moved_rows_are_read_as_moved_and_renamed_ones_as_unknown() -> None:
    first, second = rows()
    moved, _ = read({"rows": [second, first]})
    assert [one.proposal_id for one in moved.verdicts] == ["p2", "p1"]
    renamed, _ = read({"rows": [{**first, "proposal": "proposal 9"}, second]})
    assert [(one.proposal_id, one.revision) for one in renamed.verdicts] == [("proposal 9", 0), ("p2", 1)]


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ({"rows": None}, "without"),
        ({"reviewer": " "}, "reviewer"),
        ({"rows": rows(verdict="reject")}, "needs a reason"),
        ({"rows": rows(verdict="maybe")}, "verdict"),
    ],
)
def test_what_is_not_even_an_answer_is_refused_in_one_line(came: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        read(came)
    assert "\n" not in str(refused.value)


def test_edits_and_values_are_read_with_units() -> None:
    assert edits_of(["1:T=500 K", "2:solvent=TOP"], SPACE) == {1: {"T": pytest.approx(226.85)}, 2: {"solvent": "TOP"}}
    assert values_of(["T=210", "solvent = TOP"], SPACE) == {"T": 210.0, "solvent": "TOP"}
    for texts, said in ((["T=3"], "NUMBER:PARAMETER=VALUE"), (["1:P=3"], "no parameter 'P'"), (["1:T=3 mL"], "wrong unit")):
        with pytest.raises(BadInput, match=said):
            edits_of(texts, SPACE)


def test_a_decision_in_the_terminal_is_on_all_that_was_asked() -> None:
    def verdicts(**said: Any) -> list[tuple[str, str, str | None]]:
        given = {"approved": (), "rejected": {}, "edits": {}, "rest": None, **said}
        return [(one.proposal_id, one.verdict, one.reason) for one in verdicts_of(REQUEST, **given)]

    assert verdicts(approved=[1], rejected={2: "hot"}) == [("p1", "approve", None), ("p2", "reject", "hot")]
    assert verdicts(rest="approve") == [("p1", "approve", None), ("p2", "approve", None)]
    assert verdicts(edits={1: {"T": 210.0}}, rest="too hot") == [("p1", "approve", None), ("p2", "reject", "too hot")]
    for wrong, said in (
        ({"approved": [1]}, "nothing is said of proposal 2"),
        ({"approved": [1, 2, 3]}, "proposal 3 is not in request 1"),
        ({"approved": [1, 2], "rejected": {2: "hot"}}, "both approved and refused"),
        ({"edits": {1: {"T": 1.0}}, "rejected": {1: "hot", 2: "hot"}}, "both approved and refused"),
    ):
        with pytest.raises(BadInput, match=said):
            verdicts(**wrong)
