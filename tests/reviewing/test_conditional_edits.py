"""What people see of a parameter that is absent, and what they may type: in the form, at the terminal, on the page."""

from typing import Any

import pytest

from flows.cli.dialogue import edited
from flows.prefect_view.review_form import answer_from, form_for, row_field
from flows.prefect_view.review_run import description
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.records import Proposal, Provenance
from orchestrator.domain.review import ReviewRequest
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.review import asked_about
from tests.reviewing.test_dialogue import Bench, Typist

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="ratio", unit="mL", min=0, max=2, when={"solvent": ("DMF",)}, otherwise=0),
        CategoricalParameter(name="solvent", categories=("water", "DMF")),
        DiscreteParameter(name="eq", values=(1, 2), when={"solvent": ("DMF",)}, otherwise=0),
        ContinuousParameter(name="T", unit="degC", min=20, max=100),
    )
)
WATER: dict[str, float | str] = {"ratio": 0.0, "solvent": "water", "eq": 0.0, "T": 40.0}
DMF: dict[str, float | str] = {"ratio": 1.5, "solvent": "DMF", "eq": 2.0, "T": 40.0}


def proposal(configuration: dict[str, float | str], number: int = 1) -> Proposal:
    provenance = Provenance(policy="sobol/1", as_of=1, seed=1)
    return Proposal(proposal_id=f"p{number}", campaign="c", number=number, configuration=configuration, steps=(), provenance=provenance)


def edits(configuration: dict[str, float | str], **changes: Any) -> dict[str, float | str]:
    """Return what the form's answer says was edited."""
    one = proposal(configuration)
    request = ReviewRequest(request_id="q1", campaign="c", number=1, asked=(asked_about(one, ()),), opened_lab=0.0)
    form = form_for(request, (one,), SPACE, {})
    row = {**form.model_json_schema()["properties"][row_field(request.asked[0])]["default"], "verdict": "approve", **changes}
    came = {row_field(request.asked[0]): row, "reviewer": "Ada", "code": "", "comment": "", "content_hash": request.content_hash}
    form.model_validate(came)
    answer, _ = answer_from(request, (one,), SPACE, came, answer_id="a1", key="k")
    return dict(answer.verdicts[0].edits)


def test_an_untouched_form_edits_nothing_and_shows_no_number_of_what_is_absent() -> None:
    assert edits(WATER) == {}
    assert edits(DMF) == {}
    assert edits(WATER, T="50") == {"T": 50.0}


def test_a_parent_that_takes_others_away_needs_no_further_word() -> None:
    for typed in ({}, {"ratio": "-"}, {"ratio": "-", "eq": "-"}):
        found = edits(DMF, solvent="water", **typed)
        assert found == {"solvent": "water"}
        assert SPACE.edited(DMF, found) == WATER


def test_a_parent_that_brings_others_in_needs_their_values_even_where_the_stored_one_would_be_legal() -> None:
    found = edits(WATER, solvent="DMF", ratio="0", eq="2")
    assert SPACE.edited(WATER, found) == {**DMF, "ratio": 0.0}
    with pytest.raises(BadInput, match=r"proposal 1: ratio has no value, and is there where solvent is DMF; expected 0 to 2 mL"):
        edits(WATER, solvent="DMF", eq="2")
    with pytest.raises(BadInput, match="proposal 1: eq has no value, and is there where solvent is DMF; expected one of 1, 2"):
        edits(DMF, eq="-")


def test_a_value_of_what_is_absent_is_refused_in_one_line_but_for_the_one_that_stands_for_it() -> None:
    with pytest.raises(BadInput, match=r"ratio = 1.0: ratio is there only where solvent is DMF; expected 0 mL"):
        SPACE.check(SPACE.edited(WATER, edits(WATER, ratio="1 mL")))
    assert SPACE.edited(WATER, edits(WATER, ratio="0 mL")) == WATER


def test_the_form_says_where_a_parameter_is_there_and_offers_its_absence() -> None:
    one = proposal(WATER)
    request = ReviewRequest(request_id="q1", campaign="c", number=1, asked=(asked_about(one, ()),), opened_lab=0.0)
    row = form_for(request, (one,), SPACE, {}).model_json_schema()["$defs"]["Row"]["properties"]
    assert row["ratio"]["description"] == "only where solvent is DMF: 0 to 2 mL"
    assert row["eq"]["enum"] == ["1", "2", "-"]
    assert "solvent water, T 40" in description(request, (one,), None, SPACE.present)


def test_the_dialogue_asks_for_what_comes_in_after_what_brings_it_in() -> None:
    typist = Typist("DMF", "", "0.5", "1", "y")
    assert edited(typist, Bench(SPACE), proposal(WATER)) == {"solvent": "DMF", "ratio": 0.5, "eq": 1.0}
    assert [question.split()[0] for question in typist.questions[:4]] == ["solvent", "T", "ratio", "eq"]


def test_the_dialogue_keeps_nothing_by_enter_that_nobody_said() -> None:
    typist = Typist("DMF", "", "", "0", "1", "y")
    assert edited(typist, Bench(SPACE), proposal(WATER)) == {"solvent": "DMF", "ratio": 0.0, "eq": 1.0}
    assert "[" not in typist.questions[2]


def test_the_dialogue_asks_nothing_of_what_goes() -> None:
    typist = Typist("water", "", "y")
    assert edited(typist, Bench(SPACE), proposal(DMF)) == {"solvent": "water"}
    assert len(typist.questions) == 3
