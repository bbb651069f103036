"""Which components a composition has over all sources, what each source calls them, and what they have in common."""

from collections.abc import Mapping, Sequence
from typing import Final

from flows.studies.metatraining.tasks import RawTask
from models.inputs.elements import element_properties, element_symbol
from orchestrator.domain.parameters import CompositionParameter

WILDCARD: Final = "*"
"""Stands for the component in a pattern of column names."""


def spelled(name: str, known: Sequence[str]) -> str:
    """Return a component as the space spells it, else as chemistry spells an element, else as it is."""
    for one in known:
        if one.casefold() == name.casefold():
            return one
    return element_symbol(name) or name


def own_columns(task: RawTask, parameter: CompositionParameter) -> dict[str, str]:
    """Return the source's column of each component that it has, by the component's spelling in the space."""
    pairs = (*_by_name(task, parameter), *_by_pattern(task, parameter), *_by_rename(task, parameter))
    return {spelled(component, parameter.components): column for component, column in pairs if column in task.columns}


def _by_name(task: RawTask, parameter: CompositionParameter) -> list[tuple[str, str]]:
    own = task.source.rename.get(parameter.name, parameter.name)
    return [(column.removeprefix(f"{own}."), column) for column in sorted(task.columns) if column.startswith(f"{own}.")]


def _by_pattern(task: RawTask, parameter: CompositionParameter) -> list[tuple[str, str]]:
    pattern = task.source.columns.get(parameter.name)
    if pattern is None:
        return []
    before, _, after = pattern.partition(WILDCARD)
    names = [column for column in sorted(task.columns) if column.startswith(before) and column.endswith(after)]
    return [(column[len(before) : len(column) - len(after)], column) for column in names if len(column) > len(before) + len(after)]


def _by_rename(task: RawTask, parameter: CompositionParameter) -> list[tuple[str, str]]:
    start = f"{parameter.name}."
    return [(name.removeprefix(start), column) for name, column in task.source.rename.items() if name.startswith(start)]


def united(parameter: CompositionParameter, tasks: Sequence[RawTask]) -> CompositionParameter:
    """Return the composition with the components of the space first and those that only sources have after them."""
    more = {component for task in tasks for component in own_columns(task, parameter)} - set(parameter.components)
    return CompositionParameter(name=parameter.name, components=(*parameter.components, *sorted(more)), tolerance=parameter.tolerance)


def properties(parameter: CompositionParameter) -> Mapping[str, Sequence[float]] | None:
    """Return the properties of a composition's elements; None where a component is no element."""
    symbols = {component: element_symbol(component) for component in parameter.components}
    known = [symbol for symbol in symbols.values() if symbol is not None]
    if len(known) < len(symbols):
        return None
    table = element_properties(known)
    return {component: table[symbol] for component, symbol in symbols.items() if symbol is not None}
