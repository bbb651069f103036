"""Markdown, small: a table, a heading, a word of code."""

from collections.abc import Iterable, Sequence


def code(text: object) -> str:
    """Mark a word as one to type."""
    return f"`{text}`" if text not in ("", None) else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells are single lines."""
    lines = (f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines, ""])


def section(title: str, *parts: str, level: int = 2) -> str:
    """Write a heading and what stands below it, blank lines between."""
    return "\n\n".join([f"{'#' * level} {title}", *(part for part in parts if part)]) + "\n\n"


def plain(docstring: str | None) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((docstring or "").strip().split("\n\n")[0].split())
