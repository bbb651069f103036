"""Candidate tables: the only configurations that may be proposed, as a CSV file."""

from orchestrator.domain.parameters.kind import ABSENT
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.tablefile import PLAIN, Dialect, Row, parse_table


def read_candidates(text: str, space: SearchSpace, *, what: str, dialect: Dialect = PLAIN) -> tuple[dict[str, float | str], ...]:
    """Read a candidate table: a CSV with one column per column of the space.

    The cell of a parameter that is absent may be empty, or hold `-`.

    Raises:
        BadInput: Not a table, a missing column, a cell that is no number, or an illegal value; names the line.
    """
    return tuple(_values(row, space) for row in parse_table(text, what=what, dialect=dialect).rows)


def _values(row: Row, space: SearchSpace) -> dict[str, float | str]:
    given: dict[str, float | str] = {}
    for column in (name for one in space.parents_first for name in one.columns):
        cell, owner = row[column], space.owners[column]
        if owner.when and cell.strip() in ("", ABSENT) and owner.name in space.absent(given):
            given[column] = owner.absence[column]
        else:
            given[column] = cell.number() if column in space.units else str(cell)
    if complaint := next((found for one in space.parameters if (found := space.complaint_of(one, given))), None):
        raise BadInput(f"{row.place}: {complaint}")
    return {column: given[column] for column in space.columns}
