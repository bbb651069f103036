"""Which parameters of a configuration are there: the categories of others say it (`when`), never their own values.

What is absent has one value in every configuration, its `otherwise`: it is what a bench is sent and what constraints count.
Whoever designs, compares or shows asks here first, and leaves what is absent out.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.domain.parameters import CategoricalParameter, Parameter
from orchestrator.domain.values import Configuration


def conditional(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters with a condition, each after those that its condition names.

    Raises:
        ValueError: A condition names what is no categorical parameter or none of its categories, or names itself in the end.
    """
    waiting = {one.name: one for one in parameters if one.when}
    for one in waiting.values():
        _check_condition(one, {other.name: other for other in parameters})
    ordered: list[Parameter] = []
    while waiting:
        ready = [one for one in waiting.values() if not waiting.keys() & one.when.keys()]
        if not ready:
            raise ValueError(f"parameter {', '.join(waiting)}: when goes round in a circle; expected one that is always there at its end")
        ordered += ready
        waiting = {name: one for name, one in waiting.items() if waiting.keys() & one.when.keys()}
    return tuple(ordered)


def refuse_empty_conditions(parameters: Sequence[Parameter]) -> None:
    """Refuse a condition without a category, which only a restricted space has, with ValueError."""
    for one in parameters:
        if none := [name for name, categories in one.when.items() if not categories]:
            raise ValueError(f"parameter {one.name}, when.{none[0]}: no category is listed; expected those with which it is there")


def _check_condition(one: Parameter, known: dict[str, Parameter]) -> None:
    categorical = ", ".join(other.name for other in known.values() if isinstance(other, CategoricalParameter) and other is not one)
    for name, names in one.when.items():
        what, parent = f"parameter {one.name}, when.{name}", known.get(name)
        if not isinstance(parent, CategoricalParameter) or parent is one:
            kind = "there is no such parameter" if parent is None else "it is itself" if parent is one else f"it is {parent.kind}"
            raise ValueError(f"{what}: {kind}; expected a categorical one: {categorical or 'there is none'}")
        if strangers := [category for category in names if category not in parent.categories]:
            raise ValueError(f"{what}: {strangers[0]!r} is none of {', '.join(parent.categories)}")
        if one.same_in_batch and not parent.same_in_batch:
            raise ValueError(f"parameter {one.name} is same_in_batch; so must be {name}, which says where it is there")


def absent(ordered: Sequence[Parameter], configuration: Configuration) -> frozenset[str]:
    """Return the names of those of some conditional parameters that a configuration does not have.

    Args:
        ordered: As `conditional` returns them.
        configuration: It; what lacks the value of a condition's parameter meets no condition.
    """
    gone: set[str] = set()
    for one in ordered:
        if any(name in gone or configuration.get(name) not in names for name, names in one.when.items()):
            gone.add(one.name)
    return frozenset(gone)


def completed(ordered: Sequence[Parameter], given: Configuration) -> dict[str, float | str]:
    """Return values with those of absent parameters that nobody gave."""
    gone = absent(ordered, given)
    return {**{column: value for one in ordered if one.name in gone for column, value in one.absence.items()}, **given}


FILLS: Final = 5
"""So many values a parameter is tried at where it comes in."""


def entering(ordered: Sequence[Parameter], before: Configuration, after: Configuration) -> Iterator[dict[str, float | str]]:
    """Iterate over a configuration of which one category was changed, with values for all that comes in or goes.

    What comes in has values all along its range, several parameters together as in a Latin square; what stays keeps its value.
    """
    was, found = absent(ordered, before), list[dict[str, float | str]]()
    if was == absent(ordered, after):
        yield dict(after)
        return
    for number in range(FILLS):
        row, place = dict(after), 0
        for one in ordered:
            if one.name in absent(ordered, row):
                row |= one.absence
            elif one.name in was:
                row |= one.filled((number * (1 + place % (FILLS - 1)) % FILLS + 0.5) / FILLS)
                place += 1
        if row not in found:
            found.append(row)
    yield from found
