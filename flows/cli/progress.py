"""Progress on the terminal."""

from collections.abc import Mapping

from rich.table import Table

from orchestrator.attained import attained_line
from orchestrator.domain.objective import Objective
from orchestrator.history import History, best
from orchestrator.summary import NONE_KEPT, kept_word


def progress_table(history: History, objective: Objective, budget: int) -> Table:
    """Show how far a campaign is, what is attained, and its last experiment."""
    runs = history.attempts()
    ended = sum(run.status.is_terminal for run in runs)
    table = Table(title=f"{history.campaign.name}: {ended} of {budget} experiments", title_justify="left", expand=False)
    scored, limits = objective.kind == "utility", ("limits",) if objective.outcomes else ()
    for heading in (
        "",
        "objective" if scored else "attained",
        *(f"{one.name} {one.unit}".strip() for one in objective.measured),
        *limits,
        "status",
    ):
        table.add_column(heading)
    if history.campaign.advice is not None:
        table.caption, table.caption_justify = history.campaign.advice.line, "left"
    values, found = history.accepted, best(history, objective) if scored else None
    if not scored:
        table.add_row("so far", attained_line(history, objective), *("" for _ in objective.measured), "")
    elif found is not None:
        table.add_row("best", f"{found[1]:.4f}", *_cells(values.get(found[0].run_key, {}), objective), str(found[0].status))
    if runs:
        last = values.get(runs[-1].run_key, {})
        score = objective.score_measured(last) if scored else None
        if objective.outcomes and found is None:
            table.caption = NONE_KEPT
        table.add_row("last", "-" if score is None else f"{score:.4f}", *_cells(last, objective), str(runs[-1].status))
    return table


def _cells(values: Mapping[str, float], objective: Objective) -> list[str]:
    cells = [f"{values[name]:.4g}" if name in values else "-" for name in objective.names]
    return cells if (kept := objective.keeps(values)) is None else [*cells, kept_word(kept)]


def split_table(phases: Mapping[str, float], inside: Mapping[str, float]) -> Table:
    """Show where the wall time went: phases of the command, and the parts of the campaign itself."""
    table = Table(title="wall seconds", title_justify="left")
    table.add_column("phase")
    table.add_column("s", justify="right")
    for name, seconds in phases.items():
        table.add_row(name, f"{seconds:.1f}")
        if name == "campaign":
            for part, spent in inside.items():
                table.add_row(f"  {part}", f"{spent:.1f}")
            table.add_row("  other (Prefect, loop)", f"{max(0.0, seconds - sum(inside.values())):.1f}")
    table.add_row("total", f"{sum(phases.values()):.1f}")
    return table
