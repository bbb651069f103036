"""The form goes out and comes back: limits at each field, rows told apart, nothing taken for an answer that is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.prefect_view.review_form import answer_from, field_names, form_for, row_field, row_of
from flows.review.answering import edits_of, is_number, values_of, verdicts_of
from flows.review.restricting import allowed_of
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.review import Answer, ReviewRequest
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.review import asked_about
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
REQUEST = ReviewRequest(request_id="q1", campaign="c", number=1, asked=tuple(asked_about(one, ()) for one in PROPOSALS), opened_lab=0.0)


FIRST, SECOND = (row_field(one) for one in REQUEST.asked)


def filled(*changes: dict[str, Any]) -> dict[str, Any]:
    """Return the form as a person submits it, all approved, with changes of the first, and of the second proposal."""
    form = form_for(REQUEST, PROPOSALS, SPACE, {"p1": ": y 3 ± 1"}).model_json_schema()["properties"]
    rows = {name: {**form[name]["default"], "verdict": "approve"} for name in (FIRST, SECOND)}
    for name, change in zip(rows, changes, strict=False):
        rows[name] |= change
    return {**rows, "reviewer": "Ada"}


def read(came: dict[str, Any]) -> tuple[Answer, str]:
    given = {**filled(), "code": "", "comment": "", "content_hash": REQUEST.content_hash, **came}
    return answer_from(REQUEST, PROPOSALS, SPACE, given, answer_id="a1", key="k")


def edits(*changes: dict[str, Any]) -> list[dict[str, float | str]]:
    return [dict(one.edits) for one in read(filled(*changes))[0].verdicts]


@given(open_spaces())
def test_each_column_has_a_field_of_its_own_that_is_an_identifier(space: SearchSpace) -> None:
    names = field_names(space)
    assert list(names) == list(space.columns)
    assert len(set(names.values())) == len(names)
    assert all(name.isidentifier() and name not in ("proposal", "verdict", "reason") for name in names.values())


def test_the_schema_gives_unit_and_range_at_each_field_and_no_verdict_is_filled_in() -> None:
    schema = form_for(REQUEST, PROPOSALS, SPACE, {}, page="http://127.0.0.1/page").model_json_schema()
    row = schema["$defs"]["Row"]["properties"]
    assert (row["T"]["type"], row["T"]["description"]) == ("string", "200 to 280 degC")
    assert (row["reason_"]["enum"], row["reason_"]["description"]) == (["1", "2"], "one of 1, 2"), "a parameter may be called like a field"
    assert row["solvent"]["enum"] == ["ODE", "TOP"]
    assert "sum to 1" in row["mix_a"]["description"]
    assert "http://127.0.0.1/page" in row["proposal"]["description"]
    assert {"verdict", "proposal"} <= set(schema["$defs"]["Row"]["required"])
    assert "reviewer" in schema["required"]
    assert [(one, schema["properties"][one]["title"]) for one in (FIRST, SECOND)] == [
        ("proposal_1", "proposal 1"),
        ("proposal_2", "proposal 2"),
    ], "what Prefect refuses, it names by the field's path"
    assert all("verdict" not in schema["properties"][one]["default"] for one in (FIRST, SECOND))


def test_what_must_be_read_first_is_the_first_field_since_the_default_page_shows_no_description() -> None:
    schema = form_for(REQUEST, PROPOSALS, SPACE, {}, notice="last answer refused: proposal 2: too hot").model_json_schema()
    assert next(iter(schema["properties"].items())) == (
        "notice",
        {
            "type": "string",
            "title": "Read this first; nothing to fill in",
            "description": "last answer refused: proposal 2: too hot",
            "default": "",
        },
    )
    assert read({"notice": "whatever became of it"})[0].reviewer == "Ada"
    assert "notice" not in form_for(REQUEST, PROPOSALS, SPACE, {}).model_json_schema()["properties"]


@pytest.mark.parametrize("change", [{"T": 240.0}, {"solvent": "water"}, {"reason_": "3"}, {"verdict": None}])
def test_the_form_refuses_what_is_no_choice_and_numbers_that_are_no_text(change: dict[str, Any]) -> None:
    form = form_for(REQUEST, PROPOSALS, SPACE, {})
    form.model_validate(filled())
    with pytest.raises(ValidationError):
        form.model_validate(filled({}, change))


def test_an_untouched_form_approves_nothing() -> None:
    with pytest.raises(ValidationError):
        form_for(REQUEST, PROPOSALS, SPACE, {}).model_validate({})
    untouched = {name: {key: value for key, value in filled()[name].items() if key != "verdict"} for name in (FIRST, SECOND)}
    with pytest.raises(BadInput, match=r"proposal 1: verdict = None.*; proposal 2: verdict = None"):
        read(untouched)


def test_only_what_was_changed_is_an_edit() -> None:
    answer, code = read({**filled({"T": "222"}), "code": "abc"})
    assert [one.edits for one in answer.verdicts] == [{"T": 222.0}, {}]
    assert (code, answer.via, answer.key) == ("abc", "page", "k")
    assert "abc" not in answer.model_dump_json()


@given(x=st.floats(0, 1), listed=st.sets(st.floats(-1e12, 1e12), min_size=1, max_size=8))
def test_a_field_that_comes_back_as_it_was_shown_is_kept_at_full_precision(x: float, listed: set[float]) -> None:
    number, several = ContinuousParameter(name="x", min=0, max=1), DiscreteParameter(name="n", values=tuple(listed))
    space = SearchSpace(parameters=(number, several))
    asked = PROPOSALS[0].evolve(configuration={"x": x, "n": max(listed)})
    request = REQUEST.evolve(asked=[asked_about(asked, ()).model_dump()])
    row = {**row_of(request.asked[0], asked, space), "verdict": "approve"}
    for came in (row, {**row, "x": f" {row['x']}\n"}):
        answer, _ = answer_from(request, [asked], space, {FIRST: came, "reviewer": "Ada", "content_hash": ""}, answer_id="a", key="k")
        assert answer.verdicts[0].edits == {}
    assert [float(several.shown(one)) for one in several.values] == list(several.values), "a number from a list is written in full"


def test_numbers_are_shown_with_digits_to_decide_by_and_read_with_or_without_a_unit() -> None:
    third = PROPOSALS[0].evolve(configuration={**CONFIGURATION, "T": 200 + 100 / 3})
    assert row_of(REQUEST.asked[0], third, SPACE)["T"] == "233.333"
    for resolution, text in ((0.1, "233.3"), (0.05, "233.33"), (2.0, "233"), (1e-5, "233.33333")):
        coarse = SearchSpace(parameters=(SPACE.parameters[0].evolve(resolution=resolution), *SPACE.parameters[1:]))
        assert row_of(REQUEST.asked[0], third, coarse)["T"] == text
    dilute = ContinuousParameter(name="c", unit="mol/L", min=0.004, max=0.025, resolution=0.01)
    assert [dilute.shown(value) for value in (0.0043, 0.0183, 0.0249)] == ["0.0043", "0.02", "0.02"]  # 0.00 would not be legal
    assert edits({"T": "500 K", "mix_a": "0.5", "mix_b": "5e-1"}, {"reason_": "2", "solvent": "TOP"}) == [
        {"T": pytest.approx(226.85), "mix.a": 0.5, "mix.b": 0.5},
        {"reason": 2.0, "solvent": "TOP"},
    ]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0,0123", "a comma does not say whether it is a decimal point or parts thousands"),
        ("210,5 degC", "a comma does not say"),
        ("3 mL", "wrong unit"),
        ("hot", "'hot'"),
        ("", "''"),
    ],
)
def test_what_is_no_number_is_refused_in_a_line_that_names_the_proposal_and_the_parameter(typed: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        read(filled({}, {"T": typed}))
    assert str(refused.value).startswith("proposal 2: T: ")
    assert "\n" not in str(refused.value)


def test_all_that_cannot_be_read_is_named_at_once() -> None:
    with pytest.raises(BadInput, match=r"^proposal 1: T: '1,5'.*; proposal 2: a rejection needs a reason$"):
        read(filled({"T": "1,5"}, {"verdict": "reject"}))


def test_a_refused_proposal_needs_no_legal_numbers() -> None:
    assert edits({"verdict": "reject", "reason": "hot", "T": "1,5"}) == [{}, {}]


def test_missing_rows_are_missing_and_renamed_ones_unknown() -> None:
    only = {name: value for name, value in filled().items() if name != FIRST}
    answer, _ = answer_from(REQUEST, PROPOSALS, SPACE, {**only, "content_hash": ""}, answer_id="a1", key="k")
    assert [one.proposal_id for one in answer.verdicts] == ["p2"]
    renamed, _ = read(filled({"proposal": "proposal 9"}))
    assert [(one.proposal_id, one.revision) for one in renamed.verdicts] == [("proposal 9", 0), ("p2", 1)]


def test_an_answer_to_a_form_of_an_earlier_release_is_read() -> None:
    rows = [{**filled()[name], "T": 210.5 + number, "reason_": 1.0} for number, name in enumerate((SECOND, FIRST))]
    came = {"rows": rows, "reviewer": "Ada", "content_hash": REQUEST.content_hash}
    answer, _ = answer_from(REQUEST, PROPOSALS, SPACE, came, answer_id="a1", key="k")
    assert [(one.proposal_id, one.edits) for one in answer.verdicts] == [("p2", {"T": 210.5}), ("p1", {"T": 211.5})]


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ({"rows": None}, "without"),
        ({FIRST: None}, "without"),
        ({"reviewer": " "}, "reviewer"),
        (filled({"verdict": "reject"}), "proposal 1: a rejection needs a reason"),
        (filled({}, {"verdict": "maybe"}), "proposal 2: verdict"),
    ],
)
def test_what_is_not_even_an_answer_is_refused_in_one_line(came: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        read(came)
    assert "\n" not in str(refused.value)


def test_edits_and_values_are_read_with_units() -> None:
    assert edits_of(["1:T=500 K", "2:solvent=TOP"], SPACE) == {1: {"T": pytest.approx(226.85)}, 2: {"solvent": "TOP"}}
    assert values_of(["T=210", "solvent = TOP"], SPACE) == {"T": 210.0, "solvent": "TOP"}
    for texts, said in (
        (["T=3"], "NUMBER:PARAMETER=VALUE"),
        (["1:P=3"], "no parameter 'P'"),
        (["1:T=3 mL"], "wrong unit"),
        (["1:T=1,5"], "comma"),
        (["٣:T=3"], "NUMBER"),
        ([f"{'9' * 5000}:T=3"], "NUMBER"),
        (["1:T=210", "1:T=220"], "'1:T=220': T is set twice"),
    ):
        with pytest.raises(BadInput, match=said):
            edits_of(texts, SPACE)
    assert edits_of(["1:T=210", "2:T=220"], SPACE) == {1: {"T": 210.0}, 2: {"T": 220.0}}
    with pytest.raises(BadInput, match="T is set twice"):
        values_of(["T=210", "T=220"], SPACE)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("200..210 degC", 200, 210),
        ("473.15 K..483.15 K", 200, 210),
        ("473.15..483.15 K", 200, 210),
        ("..210 degC", None, 210),
        ("200 degC", 200, 200),
    ],
)
def test_a_range_is_read_with_one_unit_for_both_ends_or_with_two(text: str, low: float | None, high: float | None) -> None:
    allowed = allowed_of([f"T={text}"], SPACE)["T"]
    assert [allowed.min, allowed.max] == pytest.approx([low, high])


def test_a_unit_at_the_lower_end_alone_does_not_say_what_the_upper_end_is_in() -> None:
    with pytest.raises(BadInput, match="'473 K' has a unit and '210' has none"):
        allowed_of(["T=473 K..210"], SPACE)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,4-dioxane", ("1,4-dioxane",)),
        ("TOP, 1,4-dioxane ,ODE", ("TOP", "1,4-dioxane", "ODE")),
        ("1,4-dioxane,1,4-dioxane", ("1,4-dioxane",)),
        ("1,5-dioxane", ("1", "5-dioxane")),
    ],
)
def test_a_category_may_have_a_comma_in_its_name(text: str, names: tuple[str, ...]) -> None:
    space = SearchSpace(parameters=(CategoricalParameter(name="solvent", categories=("ODE", "TOP", "1,4-dioxane")),))
    assert allowed_of([f"solvent={text}"], space)["solvent"].names == names


@pytest.mark.parametrize("text", ["200,5..210 degC", "200..210,5 degC", "1.200,5..", "210,5"])
def test_a_comma_in_a_range_is_refused_with_a_line_that_says_so(text: str) -> None:
    with pytest.raises(BadInput, match="comma"):
        allowed_of([f"T={text}"], SPACE)


def test_the_number_of_a_proposal_has_no_other_spelling() -> None:
    assert [text for text in ("3", " 12 ", "٣", "1_2", "-1", "3.0", "9" * 5000) if is_number(text)] == ["3", " 12 "]


def test_a_decision_in_the_terminal_is_on_all_that_was_asked() -> None:
    def verdicts(**said: Any) -> list[tuple[str, str, str | None]]:
        given = {"approved": (), "rejected": {}, "edits": {}, **said}
        return [(one.proposal_id, one.verdict, one.reason) for one in verdicts_of(REQUEST, **given)]

    assert verdicts(approved=[1], rejected={2: "hot"}) == [("p1", "approve", None), ("p2", "reject", "hot")]
    assert verdicts(approve_rest=True) == [("p1", "approve", None), ("p2", "approve", None)]
    assert verdicts(edits={1: {"T": 210.0}}, reject_rest="too hot") == [("p1", "approve", None), ("p2", "reject", "too hot")]
    assert verdicts(approved=[1], reject_rest="approve") == [("p1", "approve", None), ("p2", "reject", "approve")], (
        "a reason, not a verdict"
    )
    for wrong, said in (
        ({"approved": [1]}, "nothing is said of proposal 2"),
        ({"approved": [1, 2, 3]}, "proposal 3 is not in request 1"),
        ({"approved": [1, 2], "rejected": {2: "hot"}}, "both approved and refused"),
        ({"edits": {1: {"T": 1.0}}, "rejected": {1: "hot", 2: "hot"}}, "both approved and refused"),
    ):
        with pytest.raises(BadInput, match=said):
            verdicts(**wrong)
