"""A mapping for a file that has none yet, with the reasons for each line: a draft for a person, who decides what stands as `?`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.importing.dates import EXCEL, ISO
from orchestrator.importing.guessing import Guess, guess_layout, is_units_row
from orchestrator.importing.headers import bare, parted
from orchestrator.importing.mapping import UNDECIDED, LayoutSpec
from orchestrator.importing.opening import Opened, Source, open_table
from orchestrator.units import same_dimension, unit

_DATES: Final = (
    (ISO, re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)),
    ("%d.%m.%Y", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}", re.ASCII)),
    ("%d.%m.%Y %H:%M", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}", re.ASCII)),
    ("%d.%m.%Y %H:%M:%S", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}", re.ASCII)),
    (UNDECIDED, re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}( .*)?", re.ASCII)),
)
"""Forms of dates: DIN 5008 writes day.month.year; with slashes the day stands first or second."""
_SERIAL: Final = re.compile(r"[2-7]\d{4}([.,]\d+)?")
"""Days of a spreadsheet from 1954 to 2119."""
_DATED: Final = re.compile(r"date|time|datum|zeit|tag|day|measured", re.IGNORECASE)
_RUN: Final = re.compile(r"run|run[ _-]?(key|code|id)|code", re.IGNORECASE)
_MEANT: Final = r"(?:u|sd|std|stdev|s|σ|sigma|err|error|uncertainty|unc|±)"
_SPREAD: Final = re.compile(rf"{_MEANT}[ _.]*\(?\s*(?P<after>.*?)\)?|(?P<before>.*?)[ _.]*{_MEANT}", re.IGNORECASE)
_BELOW: Final = re.compile(r"\s*[<≤]")
_ABOVE: Final = re.compile(r"\s*[>≥]")
_WORDS: Final = re.compile(r"n\.?\s?[dn]\.?|lod|loq|<\s?lo[dq]|bdl", re.IGNORECASE)
"""Not detected, `nicht nachgewiesen`, limit of detection or of quantification, below detection limit."""

_SUMMARY: Final = re.compile(
    r"(total|sum|summe|gesamt|mean|average|mittelwert|mw|median|min|max|std|sd|standardabweichung|Σ|ø)\.?:?", re.IGNORECASE
)
"""What rows begin with that hold no experiment but something computed from the others."""


@dataclass
class Proposal:
    """A mapping that a person may take, and what speaks for it."""

    text: str
    """As TOML, with a reason behind each line."""
    undecided: list[str]
    """What a person must decide."""
    columns: Mapping[str, str]
    """What is proposed for each column, as TOML."""


@dataclass
class _Draft:
    """What is proposed, and what has its place already."""

    space: SearchSpace
    targets: Mapping[str, str]
    columns: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    undecided: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    """Parameters that an undecided column may hold."""
    needs_zone: bool = False
    """Whether dates name no time zone."""

    def add(self, column: str, table: str, reason: str) -> None:
        self.columns[column] = table
        self.lines.append(f"{_key(column)} = {{ {table} }}  # {_line(reason)}")
        if f'"{UNDECIDED}"' in table:
            self.undecided.append(f"column {column!r}: {reason}")

    def numbers(self, written: str | None) -> tuple[str, ...]:
        """Return what is a number and has no column yet, of the dimension of a unit where that is known."""
        free = {name: own for name, own in {**self.space.units, **self.targets}.items() if name not in self.held}
        return tuple(name for name, own in free.items() if written is None or same_dimension(written, own))


def propose(source: Source, campaign: CampaignFile, sheet: str | None = None) -> tuple[Proposal, Opened]:
    """Propose a mapping for a file, and return the table as it was looked at.

    Raises:
        BadInput: It is no table in any way.
    """
    guess, workbook = (Guess(), source.workbook()) if source.is_workbook else (guess_layout(source.content), None)
    if workbook is not None:
        sheet = sheet or (workbook.sheets[0] if len(workbook.sheets) == 1 else None)
        guess.header, guess.units_row = _in_sheet(workbook.cells(sheet))
        guess.reasons["header"] = "the first row with a name for each column"
    elif sheet is not None:
        raise BadInput(f"{source.name} is no Excel file (.xlsx) and has no sheet {sheet!r}")
    opened = open_table(source, _looked_at(guess, sheet))
    draft = _Draft(campaign.space(), campaign.objective.units)
    skipped, looked_at = _without_summaries(opened)
    for name in opened.table.columns:
        _propose_column(name, looked_at, draft)
    layout = _layout(guess, sheet, opened, draft)
    if skipped:
        layout.append(
            f"skip = {_toml(list(skipped))}  # {_line(', '.join(skipped.values()))} begins like something computed from the others"
        )
    constants = _constants(draft)
    censored = _censored(opened, draft)
    text = "\n".join((*layout, "", "[columns]", *draft.lines, *constants, *censored, ""))
    return Proposal(text, draft.undecided, draft.columns), opened


def _looked_at(guess: Guess, sheet: str | None) -> LayoutSpec:
    """Return the layout by which columns are looked at: what is undecided of it does not matter for that."""
    return LayoutSpec(
        delimiter=guess.delimiter,
        encoding="cp1252" if guess.encoding == UNDECIDED else guess.encoding,
        decimal="," if guess.decimal == "," and guess.delimiter != "," else ".",
        header=guess.header,
        units_row=guess.units_row,
        comment=guess.comment,
        sheet=sheet,
    )


def _in_sheet(rows: Mapping[int, Sequence[str]]) -> tuple[int, bool]:
    """Return the header's row, and whether units stand below it."""
    widest = max((sum(map(bool, cells)) for cells in rows.values()), default=0)
    header = next((number for number, cells in rows.items() if sum(map(bool, cells)) == widest), 1)
    below = next((cells for number, cells in rows.items() if number > header), [])
    return header, bool(below) and is_units_row(below)


def _without_summaries(opened: Opened) -> tuple[dict[str, str], Opened]:
    """Return what rows begin with that hold no experiment, with their places, and the table without them."""
    found: dict[str, str] = {}
    kept = []
    for row in opened.table.rows:
        first = next(cell.strip() for cell in row.cells if cell.strip())
        if _SUMMARY.fullmatch(first):
            found.setdefault(first, f"line {row.line}")
        else:
            kept.append((row.line, list(row.cells)))
    return found, replace(opened, table=replace(opened.table, lines=tuple(kept)))


# ---------------------------------------------------------------------- sections


def _layout(guess: Guess, sheet: str | None, opened: Opened, draft: _Draft) -> list[str]:
    keys: dict[str, object] = {"sheet": sheet} if sheet is not None else {}
    if not opened.table.letters:
        keys |= {"delimiter": guess.delimiter, "decimal": guess.decimal, "thousands": guess.thousands, "encoding": guess.encoding}
    keys |= {"header": guess.header, "units_row": guess.units_row, "comment": guess.comment}
    lines = ["[table]"]
    for key, value in keys.items():
        reason = guess.reasons.get(key, "")
        if value == UNDECIDED:
            draft.undecided.append(f"{key}: {reason}")
        if value not in ("", False):
            lines.append(f"{key} = {_toml(value)}{f'  # {_line(reason)}' if reason else ''}")
    if draft.needs_zone:
        draft.undecided.append("zone: dates of the file name no time zone")
        lines.append(f'zone = "{UNDECIDED}"  # dates of the file name none; for example Europe/Berlin')
    return lines


def _constants(draft: _Draft) -> list[str]:
    lacking = [name for name in draft.space.columns if name not in draft.held | draft.asked]
    if not lacking or any("run = true" in line for line in draft.lines):
        return []
    draft.undecided += [f"{name}: no column is called so; name its column, or give it a value" for name in lacking]
    return ["", "[constants]", *(f'{_key(name)} = "{UNDECIDED}"  # no column is called so' for name in lacking)]


def _censored(opened: Opened, draft: _Draft) -> list[str]:
    cells = [(row.place, cell.strip()) for row in opened.table.rows for cell in row.cells]
    lines = []
    for side, form in (("below", _BELOW), ("above", _ABOVE)):
        if found := [(place, cell) for place, cell in cells if form.match(cell)]:
            lines.append(f'{side} = "refuse"  # {_line(f"{found[0][1]!r} ({found[0][0]})")}; "quarantine" keeps it without a value')
    if words := list(dict.fromkeys(cell for _, cell in cells if _WORDS.fullmatch(cell))):
        draft.undecided.append(f"{', '.join(map(repr, words))}: below detection (words under [censored]), or an empty cell (missing)?")
        lines.append(f"# words = {_toml(words)}  # if they mean below detection; or `missing` under [table]")
    return ["", "[censored]", *lines] if lines else []


# ---------------------------------------------------------------------- columns


def _propose_column(name: str, opened: Opened, draft: _Draft) -> None:
    cells = [cell for row in opened.table.rows if (cell := row[name].strip())]
    quantity, written = parted(name)
    if opened.units:
        try:
            written = bare(opened.units[opened.table.position(name)]) or written
        except BadInput:
            written = None
    for judge in (_as_named, _as_spread, _as_date, _as_run):
        if found := judge(quantity, written, cells, draft):
            draft.add(name, *found)
            return
    if (lacking := draft.numbers(written)) and cells and _is_numeric(cells):
        draft.add(name, *_as_any_of(lacking, written, draft))
    else:
        draft.add(name, "ignored = true", "no parameter or target is called so")


_Found = tuple[str, str] | None


def _as_named(quantity: str, written: str | None, _cells: Sequence[str], draft: _Draft) -> _Found:
    same = str if quantity in (*draft.space.columns, *draft.targets) else _folded  # `t` is not `T` where the campaign has both
    for role, names in (("parameter", draft.space.columns), ("target", tuple(draft.targets))):
        for held in names:
            if same(held) == same(quantity) and held not in draft.held:
                draft.held.add(held)
                own = draft.space.units.get(held) if role == "parameter" else draft.targets[held]
                return f'{role} = "{held}"{_unit(written, own)}', f"the campaign has a {role} of this name"
    return None


def _as_any_of(names: Sequence[str], written: str | None, draft: _Draft) -> tuple[str, str]:
    """Ask which of several a column is: where all are of one role, or there is one, only the name is to be put in."""
    parameters = [name for name in names if name not in draft.targets]
    draft.asked.update(parameters)
    role = "parameter" if len(parameters) == len(names) else "target"
    which = "parameter or target" if 0 < len(parameters) < len(names) else role
    unit_of = f", unit = {_toml(written)}" if written else ""
    return f'{role} = "{UNDECIDED}"{unit_of}', f"is it {', '.join(names)} ({which}), or ignored = true?"


def _as_spread(quantity: str, written: str | None, _cells: Sequence[str], draft: _Draft) -> _Found:
    found = _SPREAD.fullmatch(quantity)
    of = _folded((found["after"] or found["before"] or "") if found else "")
    for held, own in draft.targets.items():
        if of and of == _folded(held):
            return f'uncertainty = "{held}"{_unit(written, own)}', f"its name says a spread of {held}; is it a standard uncertainty?"
    return None


def _as_date(quantity: str, _written: str | None, cells: Sequence[str], draft: _Draft) -> _Found:
    for pattern, form in _DATES:
        if cells and all(form.fullmatch(cell) for cell in cells):
            if pattern == UNDECIDED:
                return f'date = "{UNDECIDED}"', f"{cells[0]!r}: day/month (%d/%m/%Y) or month/day (%m/%d/%Y)?"
            draft.needs_zone |= any(re.search(r":\d{2}.*(Z|[+-]\d{2}:?\d{2})$", cell) is None for cell in cells)
            return f'date = "{pattern}"', f"all cells are like {cells[0]!r}"
    if cells and _DATED.search(quantity) and all(_SERIAL.fullmatch(cell) for cell in cells):
        draft.needs_zone = True
        return f'date = "{EXCEL}"', f"cells like {cells[0]!r} are days as a spreadsheet counts them"
    return None


def _as_run(quantity: str, _written: str | None, cells: Sequence[str], draft: _Draft) -> _Found:
    if _RUN.fullmatch(quantity) and cells and not any(name in draft.held for name in draft.space.columns):
        return "run = true", "its name says a run; does it hold the codes or keys of runs that the ledger has?"
    return None


def _unit(written: str | None, own: str | None) -> str:
    """Write the unit: the file's where it is one of the right dimension, else the campaign's; a person sees which."""
    if own is None:
        return ""
    if written is not None and unit(written).dimensionality == unit(own).dimensionality:
        return f", unit = {_toml(written)}"
    return f", unit = {_toml(own)}" if own and written is None else f', unit = "{UNDECIDED}"' if written is not None else ""


def _is_numeric(cells: Sequence[str]) -> bool:
    return sum(bool(re.match(r"[<>≤≥ ]*[+-]?[0-9]", cell)) for cell in cells) > len(cells) / 2


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


# ---------------------------------------------------------------------- TOML


def _toml(value: object) -> str:
    """Write a text, number, truth or list; JSON's forms of these are TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _line(reason: str) -> str:
    """Keep a reason on its line of a comment."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in reason)
