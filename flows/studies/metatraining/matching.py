"""From a source's own names, units and categories to the prior's space: matched where they can be, refused where not."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flows.studies.metatraining.components import own_columns, properties, spelled, united
from flows.studies.metatraining.spec import MetaFile
from flows.studies.metatraining.tasks import RawTask
from models.inputs.features import Descriptors
from orchestrator.domain.objective import Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from orchestrator.tablefile import Cell, read_table
from orchestrator.units import convert, parse

SUM_TOLERANCE: Final = 0.05
"""A source's fractions may miss one by rounding and by readbacks; more than that is another unit."""
_NAME: Final = "name"
"""Column of a descriptor file that names the category or component."""


@dataclass(frozen=True)
class Matched:
    """The prior's space, and the tasks' rows in it."""

    space: SearchSpace
    descriptors: Descriptors
    rows: Mapping[str, tuple[Observation, ...]]
    """Task -> what was measured, in the space's and the targets' names and units."""


def match(file: MetaFile, tasks: Sequence[RawTask]) -> Matched:
    """Bring all tasks into one space.

    Raises:
        BadInput: A parameter that a source does not have, a unit that does not fit, a category that nobody describes.
    """
    for task in tasks:
        _check_columns(task, file.spec.parameters, file.spec.targets)
    tables = {name: _descriptor_table(file, name, path) for name, path in file.spec.descriptors.items()}
    parameters = tuple(_parameter(one, tasks, tables.get(one.name)) for one in file.spec.parameters)
    descriptors: dict[str, Mapping[str, Sequence[float]]] = dict(tables)
    for one in parameters:
        if isinstance(one, CompositionParameter) and one.name not in tables and (known := properties(one)):
            descriptors[one.name] = known
    readers = [_Reader(task, parameters, file.spec.targets) for task in tasks]
    return Matched(SearchSpace(parameters=parameters), descriptors, {one.task.name: one.rows() for one in readers})


def _check_columns(task: RawTask, parameters: Sequence[Parameter], targets: Sequence[Target]) -> None:
    """Refuse a source that lacks a parameter, or varied one that the space does not have."""
    rename, legal = task.source.rename, {name for one in parameters for name in (one.name, *one.columns)} | {one.name for one in targets}
    compositions = [one.name for one in parameters if isinstance(one, CompositionParameter)]
    for name in (*rename, *task.source.constants, *task.source.columns):
        if name not in legal and name.partition(".")[0] not in compositions:
            raise BadInput(f"{task.label}: {name!r} is neither parameter nor target of the space; it has {', '.join(sorted(legal))}")
    used = {rename.get(one.name, one.name) for one in parameters}
    for name in task.parameters or ():
        if name not in used and name not in task.source.ignore:
            raise BadInput(f"{task.label}: it varied {name!r}, which the space does not have; rename it, or list it under ignore")
    if not any(rename.get(target.name, target.name) in row.values for target in targets for row in task.rows):
        raise BadInput(
            f"{task.label}: it measured none of {', '.join(target.name for target in targets)}; it has {', '.join(sorted(task.columns))}; "
            "use rename where it has another name, delimiter where its cells are parted by another sign"
        )


def _parameter(one: Parameter, tasks: Sequence[RawTask], table: Mapping[str, Sequence[float]] | None) -> Parameter:
    """Widen a parameter by what only the sources have."""
    if isinstance(one, CompositionParameter):
        return united(one, tasks)
    if isinstance(one, CategoricalParameter):
        return _widened(one, tasks, table)
    return one


def _widened(one: CategoricalParameter, tasks: Sequence[RawTask], table: Mapping[str, Sequence[float]] | None) -> CategoricalParameter:
    seen: dict[str, str] = {}
    for task in tasks:
        seen |= {name: task.label for name in _named(one, task) if name not in seen}
    known = set(one.categories) | set(seen)
    if table is not None:
        if missing := sorted(known - set(table)):
            raise BadInput(f"parameter {one.name}: no descriptors of {missing[0]!r} ({seen.get(missing[0], 'aimed at')})")
    elif foreign := sorted(set(seen) - set(one.categories)):
        raise BadInput(
            f"{seen[foreign[0]]}: {one.name} = {foreign[0]!r} is no category of the space; give {one.name} a file of descriptors"
        )
    elif unseen := [name for name in one.categories if name not in seen]:
        raise BadInput(f"parameter {one.name}: no source has category {unseen[0]!r}; give {one.name} a file of descriptors")
    return CategoricalParameter(name=one.name, categories=(*one.categories, *sorted(known - set(one.categories))))


def _named(one: CategoricalParameter, task: RawTask) -> set[str]:
    """Return the categories that a source tried, and those of the space that a past campaign might have tried."""
    own, constant = task.source.rename.get(one.name, one.name), task.source.constants.get(one.name)
    if own in task.columns:
        return {str(row.configuration[own]) for row in task.rows} | (set(task.categories.get(own, ())) & set(one.categories))
    return set() if constant is None else {str(constant)}


def _descriptor_table(file: MetaFile, parameter: str, name: str) -> dict[str, list[float]]:
    path = file.find(name, what=f"{file.path}: descriptors of {parameter}")
    table = read_table(path, what=str(path))
    table.position(_NAME)
    found: dict[str, list[float]] = {}
    for row in table.rows:
        if row[_NAME] in found:
            raise BadInput(f"{row[_NAME].place}: {row[_NAME]!r} is described twice; expected one row of each name")
        found[str(row[_NAME])] = [row[column].number() for column in table.columns if column != _NAME]
    return found


class _Reader:
    """Reads one task's rows in the space's terms."""

    def __init__(self, task: RawTask, parameters: Sequence[Parameter], targets: Sequence[Target]) -> None:
        self.task, self._parameters, self._targets = task, parameters, targets
        self._own = {one.name: own_columns(task, one) for one in parameters if isinstance(one, CompositionParameter)}

    def rows(self) -> tuple[Observation, ...]:
        return tuple(self._row(row) for row in self.task.rows)

    def _row(self, row: Observation) -> Observation:
        configuration = {name: value for one in self._parameters for name, value in self._values(one, row)}
        values, uncertainties = {}, {}
        for target in self._targets:
            own = self.task.source.rename.get(target.name, target.name)
            if own in row.values:
                unit = self.task.units.get(own, target.unit)
                values[target.name] = self._convert(own, row.values[own], unit, target.unit)
                if own in row.uncertainties:
                    per_unit = convert(1.0, unit, target.unit) - convert(0.0, unit, target.unit)
                    uncertainties[target.name] = abs(per_unit) * row.uncertainties[own]
        return Observation(configuration, values, uncertainties)

    def _values(self, one: Parameter, row: Observation) -> Iterable[tuple[str, float | str]]:
        if isinstance(one, CompositionParameter):
            return self._fractions(one, row)
        own = self.task.source.rename.get(one.name, one.name)
        if own not in row.configuration:
            return [(one.name, self._constant(one))]
        value = row.configuration[own]
        unit = one.units.get(one.name)
        return [(one.name, str(value) if unit is None else self._convert(own, value, self._unit(own, unit), unit))]

    def _unit(self, own: str, default: str) -> str:
        return self.task.units.get(own, default)

    def _constant(self, one: Parameter) -> float | str:
        constants = self.task.source.constants
        if one.name not in constants:
            has = ", ".join(sorted(self.task.columns))
            raise BadInput(f"{self.task.label}: it has no {one.name!r}; rename one of {has}, or give {one.name} a value in constants")
        if one.name not in one.units:
            return str(constants[one.name])
        return parse(constants[one.name], one.units[one.name], what=f"{self.task.label}, constants: {one.name}")

    def _fractions(self, one: CompositionParameter, row: Observation) -> Iterable[tuple[str, float]]:
        own = self._own[one.name] or self._constant_fractions(one)
        if not own:
            has = ", ".join(sorted(self.task.columns))
            raise BadInput(f"{self.task.label}: no column is a component of {one.name!r}; name them by columns or rename; it has {has}")
        found = {component: self._fraction(column, row) for component, column in own.items()}
        total = math.fsum(found.values())
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise BadInput(f"{self.task.label}: fractions of {one.name} sum to {total:g}; expected 1 (units = {{ COLUMN = 'percent' }}?)")
        return [(f"{one.name}.{component}", found.get(component, 0.0)) for component in one.components]

    def _fraction(self, column: str | float, row: Observation) -> float:
        if isinstance(column, float):
            return column
        return self._convert(column, row.configuration[column], self._unit(column, ""), "")

    def _constant_fractions(self, one: CompositionParameter) -> dict[str, float]:
        given = {name.partition(".")[2]: value for name, value in self.task.source.constants.items() if name.startswith(f"{one.name}.")}
        what = f"{self.task.label}, constants: {one.name}"
        return {spelled(component, one.components): parse(value, "", what=what) for component, value in given.items()}

    def _convert(self, own: str, value: float | str, source: str, target: str) -> float:
        if isinstance(value, str) and not isinstance(value, Cell):
            raise BadInput(f"{self.task.label}: {own} = {value!r} is not a number")
        number = value.number() if isinstance(value, Cell) else value
        try:
            return convert(number, source, target)
        except BadInput as error:
            raise BadInput(f"{self.task.label}: {own} is in {source or '1'}; it cannot be expressed in {target or '1'}") from error
