"""A mapping held against a campaign and a table, before a row is read: every name and unit of one side has its place on the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.importing.headers import bare, parted
from orchestrator.importing.mapping import ColumnSpec, MappingFile, MappingSpec
from orchestrator.importing.opening import Opened
from orchestrator.units import parse, unit

SUM_TOLERANCE = 0.05
"""Measured fractions may miss one by rounding; more than that is another unit (as for the sources of a prior)."""


@dataclass(frozen=True)
class Fitted:
    """A mapping that fits."""

    spec: MappingSpec
    space: SearchSpace
    columns: Mapping[str, ColumnSpec]
    """By the column's name, in the order of the file."""
    units: Mapping[str, str]
    """Unit in which each column's numbers stand; absent where it holds none."""
    own: Mapping[str, str]
    """Unit into which each column's numbers are converted."""
    constants: Configuration
    """What the file does not have, in the parameters' units."""

    @property
    def by_run(self) -> bool:
        """Whether rows are of runs that the ledger has."""
        return bool(self.spec.by("run"))


def fit(mapping: MappingFile, campaign: CampaignFile, opened: Opened) -> Fitted:
    """Hold a mapping against a campaign's parameters and targets, and against a table.

    Raises:
        BadInput: Names what only one side has, or a unit that the two do not share.
    """
    spec, space = mapping.spec, campaign.space()
    targets = campaign.objective.units
    _check_names(mapping, space, tuple(targets))
    given = {" ".join(name.split()): one for name, one in spec.columns.items()}
    _check_columns(given, opened, mapping.what)
    columns = {name: given[name] for name in opened.table.columns}
    own = {name: unit_text for name, one in columns.items() if (unit_text := _own_unit(one, space, targets)) is not None}
    units = {name: _unit(name, columns[name], own, opened, mapping.what) for name in columns}
    constants = {name: _constant(name, value, space, mapping.what) for name, value in spec.constants.items()}
    return Fitted(spec, space, columns, {name: one for name, one in units.items() if one is not None}, own, constants)


def unlearnable(parameter: Parameter, configuration: Configuration) -> str | None:
    """Say why a model could not learn from a value of a past experiment; None where it could, whether or not it is legal today.

    A number outside the range is extrapolated, a category that the space does not have cannot be encoded, and what lies far
    below a logarithmic range would be moved nearer (`models.inputs.codes`).
    """
    values = {column: configuration[column] for column in parameter.columns if column in configuration}
    if isinstance(parameter, CategoricalParameter):
        return parameter.complaint(values) if values else None
    for column, value in values.items():
        if isinstance(value, str):
            return f"{column} = {value!r} is not a number"
    if isinstance(parameter, CompositionParameter):
        return _no_mixture(parameter, {column: float(value) for column, value in values.items()})
    if parameter.on_log_scale and values:
        least = parameter.ends[0] ** 2 / parameter.ends[1]
        if float(values[parameter.name]) < least:
            return f"{parameter.name} = {values[parameter.name]} lies too far below {parameter.legal}; expected {least:.3g} at least"
    return None


def unlearnable_row(space: SearchSpace, configuration: Configuration) -> Iterator[str]:
    """Say of a whole configuration why a model could not learn from it, parameter by parameter."""
    gone = space.absent(configuration)
    for one in space.parameters:
        if missing := [column for column in one.columns if one.when and column not in configuration]:
            yield f"{missing[0]} has no value, and is there where {one.condition}"
        elif said := one.unlike_absence(configuration) if one.name in gone else unlearnable(one, configuration):
            yield said


def _no_mixture(parameter: CompositionParameter, fractions: Mapping[str, float]) -> str | None:
    if any(not -SUM_TOLERANCE <= value <= 1 + SUM_TOLERANCE for value in fractions.values()):
        return f"{parameter.name}: fractions {list(fractions.values())} must be numbers from 0 to 1"
    total = sum(fractions.values())
    if len(fractions) == len(parameter.columns) and abs(total - 1) > SUM_TOLERANCE:
        return f"{parameter.name}: fractions sum to {total:.6g}; expected 1 within {SUM_TOLERANCE:g}"
    return None


def _check_names(mapping: MappingFile, space: SearchSpace, targets: tuple[str, ...]) -> None:
    """Refuse names that the campaign does not have, and columns of the space that have no value."""
    spec, what = mapping.spec, mapping.what
    for role, legal in (("parameter", space.columns), ("target", targets)):
        for held, column in spec.by(role).items():
            if held not in legal:
                raise BadInput(f"{what}: columns.{column}: the campaign has no {role} {held!r}; it has {', '.join(legal)}")
    for held, column in spec.by("recorded").items():
        if held in space.columns:
            raise BadInput(f"{what}: columns.{column}: recorded {held!r} is a parameter of the campaign; what is set is no environment")
    for column, one in spec.columns.items():
        if one.parameter is None:
            continue
        if one.parameter in space.units and one.names is not None:
            raise BadInput(f"{what}: columns.{column}: {one.parameter} is a number and has no names")
        if one.parameter not in space.units and one.unit is not None:
            raise BadInput(f"{what}: columns.{column}: {one.parameter} is a name and has no unit")
    for name in spec.constants:
        if name not in space.columns:
            raise BadInput(f"{what}: constants.{name}: the campaign has no parameter {name!r}; it has {', '.join(space.columns)}")
        if name in spec.by("parameter"):
            raise BadInput(f"{what}: constants.{name}: column {spec.by('parameter')[name]!r} holds it already")
    lacking = [name for name in space.columns if name not in spec.by("parameter") and name not in spec.constants]
    if lacking and not spec.by("run"):
        raise BadInput(f"{what}: nothing says {lacking[0]}; name its column, or give it a value under [constants]")


def _check_columns(given: Mapping[str, ColumnSpec], opened: Opened, what: str) -> None:
    """Refuse a column that only the file or only the mapping has."""
    table = opened.table
    for name in given:
        if name not in table.columns:
            table_has = ", ".join(map(repr, table.columns))
            raise BadInput(f"{what}: columns.{name!r}: {table.what} has no such column; it has {table_has}")
    for name in table.columns:
        if name not in given:
            raise BadInput(f"{table.what}: {what} does not name column {name!r}; say what becomes of it, or ignored = true")


def _own_unit(one: ColumnSpec, space: SearchSpace, targets: Mapping[str, str]) -> str | None:
    if one.parameter is not None:
        return space.units.get(one.parameter)
    if one.recorded is not None:
        return one.unit
    return targets[held] if (held := one.target or one.uncertainty) is not None else None


def _unit(name: str, one: ColumnSpec, own: Mapping[str, str], opened: Opened, what: str) -> str | None:
    """Return the unit of a column's numbers: the mapping's, else the campaign's, if the file says no other one."""
    if name not in own:
        return None
    declared = own[name] if one.unit is None else one.unit
    if unit(declared).dimensionality != unit(own[name]).dimensionality:
        raise BadInput(f"{what}: columns.{name}: unit {declared!r} does not convert to {own[name] or '1'!r}")
    for place, found in (("header", parted(name)[1]), ("row of units", _in_row(name, opened))):
        if found is not None and unit(found) != unit(declared):
            raise BadInput(f"{what}: columns.{name}: its {place} says {found!r}, the mapping {declared or '1'!r}; expected the same")
    return declared


def _in_row(name: str, opened: Opened) -> str | None:
    if not opened.units:
        return None
    try:
        return bare(opened.units[opened.table.position(name)])
    except BadInput as error:
        raise BadInput(f"{opened.table.what}, row of units, column {name!r}: {error}") from error


def _constant(column: str, value: float | str, space: SearchSpace, what: str) -> float | str:
    found = parse(value, space.units[column], what=f"{what}: constants.{column}") if column in space.units else str(value)
    if found != space.owners[column].absence.get(column) and (complaint := unlearnable(space.owners[column], {column: found})):
        raise BadInput(f"{what}: constants.{column}: {complaint}")
    return found
