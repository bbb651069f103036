"""Reading what people bring back, strictly: by one function for the terminal, the form and the bench host."""

from collections.abc import Mapping

from orchestrator.domain.events import STAND_IN
from orchestrator.domain.work import WantedValue, WorkAnswer, WorkOrder
from orchestrator.errors import BadInput
from orchestrator.units import parse


def read_values(order: WorkOrder, typed: Mapping[str, str], *, what: str) -> dict[str, float | str]:
    """Read the values that a work order asks for, as they were typed, in its units.

    Args:
        order: What was asked.
        typed: By name.
        what: The thing, for messages.

    Raises:
        BadInput: One is missing, not asked for, no quantity, of another dimension, or out of range.
    """
    names = [wanted.name for wanted in order.values]
    if strangers := sorted(set(typed) - set(names)):
        raise BadInput(f"{what}: {strangers[0]!r} is not asked for; asked: {', '.join(names) or 'no value'}")
    if missing := [wanted for wanted in order.values if not typed.get(wanted.name, "").strip()]:
        raise BadInput(f"{what}: {missing[0].name} is missing; expected {expected(missing[0])}")
    return {wanted.name: read_value(wanted, typed[wanted.name], what=f"{what}: {wanted.name}") for wanted in order.values}


def read_value(wanted: WantedValue, typed: str, *, what: str) -> float | str:
    """Read one value as it was typed.

    Raises:
        BadInput: No quantity, of another dimension, or out of range.
    """
    if wanted.unit is None:
        return typed.strip()
    value = parse(typed.strip(), wanted.unit, what=what)
    if (wanted.low is not None and value < wanted.low) or (wanted.high is not None and value > wanted.high):
        raise BadInput(f"{what} = {value:.6g} {wanted.unit}".rstrip() + f" is out of range; expected {wanted.range}")
    return value


def expected(wanted: WantedValue) -> str:
    """Say what can be typed for a value."""
    if wanted.unit is None:
        return "a text"
    within = f", {wanted.range}" if wanted.range else ""
    return f"a number in {wanted.unit or '1'}{within}"


def check_person(order: WorkOrder, person: str) -> None:
    """Refuse an answer by somebody who was not asked; a stand-in is asked for everybody.

    Raises:
        BadInput: The work is somebody else's.
    """
    if order.person is not None and person != order.person and not person.startswith(STAND_IN):
        raise BadInput(f"this step is {order.person}'s; {person} cannot answer it")


def check_answer(order: WorkOrder, answer: WorkAnswer, *, what: str) -> dict[str, float | str]:
    """Check an answer against what was asked, and return its values.

    Raises:
        BadInput: Not by whom was asked, or values that cannot be taken.
    """
    check_person(order, answer.person)
    return read_values(order, answer.values, what=what) if answer.outcome == "done" else {}
