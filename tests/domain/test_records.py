"""Records bind what an approval binds, and name what they are about."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Proposal, Provenance, Reading, Step

STEP = Step(index=0, do="pump_se.set_flow", kind=StepKind.STATE_SETTING, arguments={"flow": 1.5}, units={"flow": "mL/min"})
PROPOSAL = Proposal(
    proposal_id="p1",
    campaign="c",
    number=1,
    configuration={"T": 200.0, "solvent": "ODE"},
    steps=(STEP,),
    binding={"bench": "abc"},
    provenance=Provenance(policy="sobol/1", as_of=3, seed=7),
)


@pytest.mark.parametrize(
    ("do", "instrument", "command"),
    [("pump_se.set_flow", "pump_se", "set_flow"), ("wait", None, "wait"), ("read", None, "read")],
)
def test_a_step_names_its_instrument_and_command(do: str, instrument: str | None, command: str) -> None:
    step = Step(index=0, do=do, kind=StepKind.WAIT)
    assert (step.instrument, step.command) == (instrument, command)


@pytest.mark.parametrize("interrupted", ["continue", "abort", 60.0])
def test_an_interruption_ends_a_step_or_not_or_after_a_gap(interrupted: Any) -> None:
    assert STEP.evolve(interrupted=interrupted).interrupted == interrupted


@pytest.mark.parametrize("interrupted", ["perhaps", 0.0, -1.0])
def test_any_other_answer_to_an_interruption_is_refused(interrupted: Any) -> None:
    with pytest.raises(ValidationError):
        STEP.evolve(interrupted=interrupted)


@pytest.mark.parametrize(
    "change",
    [
        {"configuration": {"T": 201.0, "solvent": "ODE"}},
        {"steps": (STEP.evolve(arguments={"flow": 1.6}),)},
        {"binding": {"bench": "abd"}},
        {"replicates": 2},
    ],
)
def test_what_an_approval_binds_changes_the_content_hash(change: dict[str, Any]) -> None:
    changed = PROPOSAL.model_copy(update=change)
    assert changed.content_hash != PROPOSAL.content_hash


@pytest.mark.parametrize("change", [{"decided_by": "person Ada"}, {"number": 2}, {"reason": "fine"}, {"revision": 2}])
def test_what_it_does_not_bind_leaves_the_content_hash(change: dict[str, Any]) -> None:
    assert PROPOSAL.evolve(**change).content_hash == PROPOSAL.content_hash


def test_a_proposal_survives_being_written_as_json() -> None:
    again = Proposal.model_validate_json(PROPOSAL.model_dump_json())
    assert again == PROPOSAL
    assert again.content_hash == PROPOSAL.content_hash


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_a_configuration_are_kept_bit_for_bit(value: float) -> None:
    again = Proposal.model_validate_json(PROPOSAL.evolve(configuration={"T": value}).model_dump_json())
    assert again.configuration == {"T": value}


def test_a_category_that_looks_like_a_number_stays_text() -> None:
    again = Proposal.model_validate_json(PROPOSAL.evolve(configuration={"grade": "316"}).model_dump_json())
    assert again.configuration == {"grade": "316"}


def test_a_reading_is_named_by_instrument_and_channel() -> None:
    reading = Reading(
        step=1, instrument="oven", channel="temperature", unit="degC", quality="good", wall=datetime.now(UTC), lab=12.0, value=200.0
    )
    assert reading.name == "oven.temperature"
