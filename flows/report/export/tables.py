"""All tables of a campaign, by name."""

from collections.abc import Callable, Mapping
from typing import Final

from flows.report.export.columns import Table
from flows.report.export.course import adaptations_table, events_table
from flows.report.export.decisions import answers_table, decisions_table, restrictions_table, signatures_table
from flows.report.export.experiments import experiments_table
from flows.report.export.measurements import measurements_table
from flows.report.export.proposals import proposals_table
from flows.report.export.runs import runs_table
from flows.report.export.source import Source
from flows.report.export.work import work_answers_table

TABLES: Final[Mapping[str, Callable[[Source], Table]]] = {
    "experiments": experiments_table,
    "runs": runs_table,
    "proposals": proposals_table,
    "measurements": measurements_table,
    "decisions": decisions_table,
    "signatures": signatures_table,
    "answers": answers_table,
    "work_answers": work_answers_table,
    "restrictions": restrictions_table,
    "adaptations": adaptations_table,
    "events": events_table,
}


def tables_of(source: Source) -> tuple[Table, ...]:
    """Make all tables of a campaign."""
    return tuple(make(source) for make in TABLES.values())
