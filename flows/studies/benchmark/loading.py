"""From a benchmark file to its tasks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.studies.benchmark.pools import ReplayPool, make_pool
from flows.studies.benchmark.spec import ELEMENTS, BenchmarkFile, BenchmarkSpec, DataSpec
from flows.studies.families import FAMILIES
from flows.studies.family import TaskObservations, find_family
from models.inputs.elements import element_properties, element_symbol
from models.inputs.encoding import Encoding
from models.inputs.features import Descriptors, Features
from models.tasks import Family
from orchestrator.datasets import DATA_VARIABLE
from orchestrator.domain.objective import constant_note, varies
from orchestrator.domain.parameters import CompositionParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from orchestrator.tablefile import Row, TableFile, read_table

Observed = Sequence[tuple[str, str | None, Sequence[Observation]]]
"""(task, its group, its observations) of each task."""


@dataclass(frozen=True)
class Suite:
    """A family, all its tasks, and which of them are judged."""

    family: Family
    pools: Mapping[str, ReplayPool]
    """Task -> its pool, in the data's order."""
    judged: tuple[str, ...]

    @property
    def constant(self) -> tuple[str, ...]:
        """A line for each task whose values do not vary."""
        name, unit = self.family.target, self.family.unit
        notes = ((pool, constant_note(name, unit, pool.data.Y.tolist())) for pool in self.pools.values())
        return tuple(f"task {pool.name}: {note}" for pool, note in notes if note is not None)


def load_suite(file: BenchmarkFile, data: Path | None = None) -> Suite:
    """Read all tasks of a benchmark file.

    Args:
        file: The benchmark.
        data: The data folder; without it the one that `ATHANOR_DATA` names.

    Raises:
        BadInput: A file, column, row or judged task is missing or wrong; names it.
    """
    spec, space = file.spec, file.space
    encoding = Encoding(space)
    if spec.data.family is not None:
        named: Observed = [(name, _group(spec, name), rows) for name, rows in _simulated(spec.data.family, spec.data, file.path.parent)]
        features = Features(encoding, _elements(spec))
    else:
        tables = {name: _table(spec, name, data) for name in spec.data.files}
        named = _observed(spec, space, tables)
        features = Features(encoding, {**_elements(spec), **_described(spec, [row for table in tables.values() for row in table.rows])})
    pools = {name: make_pool(name, group, rows, encoding=encoding, objective=file.objective) for name, group, rows in named}
    _check(file, pools)
    target = spec.targets[0] if len(spec.targets) == 1 else None
    family = Family(features, target.name if target else "objective", target.unit if target else "")
    return Suite(family, pools, spec.split.judge)


def _simulated(family: str, spec: DataSpec, folder: Path) -> TaskObservations:
    try:
        return find_family(FAMILIES, family, folder).draw(spec.tasks or 0, spec.pool or 0, spec.seed)
    except BadInput as error:
        raise BadInput(f"data.family: {error}") from error


def _check(file: BenchmarkFile, pools: Mapping[str, ReplayPool]) -> None:
    for name in file.spec.split.judge:
        if name not in pools:
            raise BadInput(f"{file.path}: judged task {name!r} is not in the data; there are {', '.join(pools)}")
        pool, budget = pools[name], file.spec.run.experiments(name)
        if budget > len(pool.candidates):
            raise BadInput(f"{file.path}: task {name} has {len(pool.candidates)} candidates; a budget of {budget} is too much")
        if not varies(min(pool.scores), max(pool.scores)):
            raise BadInput(f"{file.path}: all candidates of task {name} are worth {pool.scores[0]:g}; nothing can be judged")


def _table(spec: BenchmarkSpec, name: str, data: Path | None) -> TableFile:
    folder = data if data is not None else os.environ.get(DATA_VARIABLE)
    if not folder:
        raise BadInput(f"no data folder is named; give --data DIR or set {DATA_VARIABLE} to the folder that holds {name}")
    path = Path(folder) / name
    return read_table(path, what=f"data file {path}", dialect=spec.data.dialect)


def _observed(spec: BenchmarkSpec, space: SearchSpace, tables: Mapping[str, TableFile]) -> Observed:
    """Return (task, its group, its observations)."""
    reader = _Reader(spec, space, frozenset(column for table in tables.values() for column in table.columns))
    found: dict[str, list[Observation]] = {}
    groups: dict[str, str | None] = {}
    for name, table in tables.items():
        for row in table.rows:
            task = Path(name).stem if spec.data.task is None else str(row[spec.data.task])
            found.setdefault(task, []).append(reader.observation(row))
            _settle(groups, task, _group(spec, task, row), row.place)
    return [(task, groups[task], rows) for task, rows in found.items()]


def _settle(groups: dict[str, str | None], task: str, group: str | None, what: str) -> None:
    if groups.setdefault(task, group) != group:
        raise BadInput(f"{what}: task {task} belongs to group {groups[task]} and to group {group}")


def _group(spec: BenchmarkSpec, task: str, row: Row | None = None) -> str | None:
    group = spec.data.group
    if group is None:
        return None
    if isinstance(group, str):
        return None if row is None else str(row[group])
    if task not in group:
        raise BadInput(f"data.group names no group of task {task}; it names those of {', '.join(group)}")
    return group[task]


@dataclass(frozen=True)
class _Reader:
    """Takes configurations and targets out of rows."""

    spec: BenchmarkSpec
    space: SearchSpace
    known: frozenset[str]
    """Columns that at least one file has."""

    def observation(self, row: Row) -> Observation:
        """Read one row; numbers are in the parameters' and targets' own units."""
        configuration: dict[str, float | str] = {}
        for parameter in self.space.parameters:
            for column in parameter.columns:
                configuration[column] = self._value(row, column, parameter)
        if complaint := self.space.complaint(configuration):
            raise BadInput(f"{row.place}: {complaint}")
        return Observation(configuration, {one.name: row[self._source(one.name)].number() for one in self.spec.targets})

    def _value(self, row: Row, column: str, parameter: Parameter) -> float | str:
        source = self._source(column)
        if column not in parameter.units:
            return str(row[source])
        if isinstance(parameter, CompositionParameter) and source not in row.table.columns and source in self.known:
            return 0.0
        return row[source].number()

    def _source(self, column: str) -> str:
        return self.spec.data.columns.get(column, column)


def _elements(spec: BenchmarkSpec) -> Descriptors:
    """Return the properties of the components of compositions that say so."""
    found = {}
    for parameter in spec.parameters:
        if spec.descriptors.get(parameter.name) == ELEMENTS:
            symbols = {name: element_symbol(name) for name in parameter.names}
            if unknown := [name for name, symbol in symbols.items() if symbol is None]:
                raise BadInput(f"parameter {parameter.name}: component {unknown[0]!r} is no chemical element")
            properties = element_properties([symbol for symbol in symbols.values() if symbol is not None])
            found[parameter.name] = {name: properties[symbol] for name, symbol in symbols.items() if symbol is not None}
    return found


def _described(spec: BenchmarkSpec, rows: Sequence[Row]) -> Descriptors:
    """Return the descriptors of categories, from the columns that stand beside them."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for parameter in spec.parameters:
        columns = spec.descriptors.get(parameter.name)
        if columns is None or isinstance(columns, str):
            continue
        table = found.setdefault(parameter.name, {})
        source = spec.data.columns.get(parameter.name, parameter.name)
        for row in rows:
            category = str(row[source])
            values = tuple(row[column].number() for column in columns)
            if table.setdefault(category, values) != values:
                both = f"{table[category]} and {values}"
                raise BadInput(f"{row.place}: descriptors of {parameter.name}: {category} has {both}; one category has one set of them")
    return found
