"""What each driver makes of each fault, from the table that the tests carry out; and what became of killed processes."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from docs.extension.reference.markdown import code, section, table
from tests.faults.table import ENDS, GROUPS, OTHERS, TITLES, Cell, Fault
from tests.faults.table import table as faults

RESULTS: Final = Path(__file__).parents[3] / "benchmarks" / "results"
_TITLES: Final = {"link": "Of the link", "device": "Of the device", "measurement": "Of the measurement"}


def written() -> str:
    """Write the table, group by group, and what its words mean."""
    found = faults()
    tested = [cell for fault in found for cell in fault.cells if cell.is_tested]
    counts = Counter(cell.word for fault in found for cell in fault.cells)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return "\n\n".join(
        (
            table(("word", "what it means"), ((code(word), meaning) for word, meaning in {**ENDS, **OTHERS}.items())),
            f"{len(found)} faults, {len(found) * len(TITLES)} cells; the table's own test carries {len(tested)} out: {said}.",
            *(_group(group, [fault for fault in found if fault.group == group]) for group in GROUPS),
        )
    )


def _group(group: str, rows: list[Fault]) -> str:
    heads = ("fault", *TITLES.values())
    lines = ((f"**{fault.name}**: {fault.says}", *(cell.word for cell in fault.cells)) for fault in rows)
    reasons = "\n".join(
        f"- **{fault.name}**: {'; '.join(_reasons(fault.cells))}" for fault in rows if any(cell.reason for cell in fault.cells)
    )
    return section(_TITLES[group], table(heads, lines), "Where it is no end, why:" if reasons else "", reasons).rstrip()


def _reasons(cells: Iterable[Cell]) -> Iterable[str]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.reason:
            by_reason.setdefault((cell.word, cell.reason), []).append(TITLES[cell.column])
    for (word, reason), columns in by_reason.items():
        shown = code(reason) if word == "elsewhere" else reason
        yield f"{'all' if len(columns) == len(TITLES) else ', '.join(columns)}: {word}, {shown}"


def kills(file: str) -> str:
    """Write what became of campaigns whose processes were killed, from a file of the results."""
    document: dict[str, Any] = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    heads = ("bench", "what does the work", "campaigns", "kills", "runs", "a person typed", "lost or double")
    rows = [_bed(bed, links, [one for one in document["sittings"] if one["bed"] == bed]) for bed, links in document["beds"].items()]
    total = sum(sum(one["kills"].values()) for one in document["sittings"])
    wrong = sum(len(one["complaints"]) for one in document["sittings"])
    said = f"{total} kills of {document['wanted']} that were asked for, seed {document['seed']}: {wrong} lost or double."
    return f"{table(heads, rows)}\n{said}"


def _bed(bed: str, links: str, sittings: list[dict[str, Any]]) -> tuple[str, ...]:
    killed, runs, asked = (_sum(one[key] for one in sittings) for key in ("kills", "runs", "asked"))
    wrong = sum(len(one["complaints"]) for one in sittings)
    return bed, links, str(len(sittings)), killed, runs, asked or "nothing else", str(wrong)


def _sum(counts: Iterable[dict[str, int]]) -> str:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return ", ".join(f"{count} {word}" for word, count in total.most_common())
