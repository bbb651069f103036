"""How a text file is probably written: a guess with the lines that speak for it, for a person to look at; never applied by itself."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.errors import BadInput
from orchestrator.importing.headers import bare
from orchestrator.importing.mapping import UNDECIDED
from orchestrator.numerals import NUMBER

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SINGLE: Final = ("cp1252", "iso8859-15", "mac-roman")
"""Encodings with a byte a character, as Windows, older Unix systems and older Macintoshes write."""
_USUAL: Final = frozenset("äöüÄÖÜßéèêëàâáåæçñóòôøúùûíìîïÉÅØÆ°µ±²³·×ΔΩ€£§«»„“”’–…‰≤≥√∞")
"""What tables of laboratories have beside ASCII: letters of Western European languages, signs of units and numbers."""
_DELIMITERS: Final = (";", "\t", ",", "|")
_NUMBER: Final = re.compile(rf"\s*{NUMBER}\s*%?\s*")
_COMMA: Final = re.compile(r"\s*[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\s*%?\s*")
_GROUPED: Final = re.compile(
    r"\s*[+-]?[1-9][0-9]{0,2}(?:(?P<group>[.,'’ \u00a0\u2009\u202f])[0-9]{3})(?:(?P=group)[0-9]{3})*(?P<rest>[.,][0-9]+)?\s*%?\s*"
)
_SHOWN: Final = 3
"""So many places a reason names."""


@dataclass
class Guess:
    """How a file is probably written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    header: int = 1
    units_row: bool = False
    comment: str = ""
    decimal: str = "."
    thousands: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    """Key of the mapping -> what speaks for its value, or why it is undecided."""


def guess_layout(content: bytes) -> Guess:
    """Guess how a text file is written."""
    guess = Guess()
    guess.encoding, guess.reasons["encoding"] = _encoding(content)
    lines = (
        content.decode("cp1252" if guess.encoding == UNDECIDED else guess.encoding, errors="replace").removeprefix("\ufeff").splitlines()
    )
    if any(line.lstrip().startswith("#") for line in lines):
        guess.comment = "#"
        guess.reasons["comment"] = f"{_places(n for n, line in enumerate(lines, 1) if line.lstrip().startswith('#'))} begin with it"
    rows = _find_table(lines, guess)
    guess_numbers(rows, guess)
    return guess


# ---------------------------------------------------------------------- encoding


def _encoding(content: bytes) -> tuple[str, str]:
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name, "the file begins with its byte-order mark"
    if content[1::2].count(0) > len(content) // 4:
        return "utf-16-le", "every second byte is 0"
    if content[::2].count(0) > len(content) // 4:
        return "utf-16-be", "every second byte is 0"
    try:
        content.decode("utf-8")
        return "utf-8", "all bytes are legal in it" if not content.isascii() else "the file has plain ASCII letters only"
    except UnicodeDecodeError:
        return _single_byte(content)


def _single_byte(content: bytes) -> tuple[str, str]:
    """Compare what the characters beside ASCII would be: letters and signs that are usual in tables, or odd ones."""
    strange = {name: [one for one in content.decode(name, errors="replace") if ord(one) > 127] for name in _SINGLE}
    misses = {name: sum(one not in _USUAL for one in found) for name, found in strange.items()}
    least = min(misses.values())
    best = [name for name in _SINGLE if misses[name] == least]
    shown = {name: " ".join(dict.fromkeys(strange[name])) for name in _SINGLE}
    if len({shown[name] for name in best}) > 1 or least:
        return UNDECIDED, f"not UTF-8; its characters beside ASCII would be {'; '.join(f'{one} in {name}' for name, one in shown.items())}"
    number = next(n for n, line in enumerate(content.splitlines(), 1) if not line.isascii())
    others = "; ".join(f"{shown[name]} in {name}" for name in _SINGLE if shown[name] != shown[best[0]])
    return best[0], f"not UTF-8 (line {number}); it has {shown[best[0]]}" + (f", which would be {others}" if others else "")


# ---------------------------------------------------------------------- where the table lies


def _find_table(lines: Sequence[str], guess: Guess) -> list[tuple[int, list[str]]]:
    """Guess delimiter, header and units' row; return the rows below, each with its line."""
    parted = {one: list(_rows(lines, one, guess.comment)) for one in _DELIMITERS}
    regions = {one: _region(rows) for one, rows in parted.items()}
    guess.delimiter = max(_DELIMITERS, key=lambda one: (len(regions[one]), len(regions[one][0][1]) if regions[one] else 0))
    region = regions[guess.delimiter]
    if not region:
        guess.reasons["delimiter"] = "no line has two cells by any of ; tabulator , |"
        region = [(number, [line]) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith(guess.comment or "\0")]
    else:
        width = len(region[0][1])
        guess.reasons["delimiter"] = f"it parts {len(region)} lines into {width} cells each, from line {region[0][0]}"
    if not region:
        return []
    begin = next((index for index, (_, cells) in enumerate(region) if all(map(str.strip, cells)) and not _has_number(cells)), 0)
    region = region[begin:]
    guess.header = region[0][0]
    guess.reasons["header"] = f"the first line with a name for each column: {' | '.join(region[0][1])}"
    rest = region[1:]
    if rest and is_units_row(rest[0][1]):
        guess.units_row = True
        guess.reasons["units_row"] = f"line {rest[0][0]} holds units: {' | '.join(rest[0][1])}"
        rest = rest[1:]
    return rest


def _rows(lines: Sequence[str], delimiter: str, comment: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((("" if comment and line.lstrip().startswith(comment) else line) + "\n" for line in lines), delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except (StopIteration, csv.Error):
            return


def _region(rows: Sequence[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Return the rows of the most frequent width of two cells or more, from the first one that has it."""
    widths = Counter(len(cells) for _, cells in rows if len(cells) > 1)
    if not widths:
        return []
    width = max(widths, key=lambda one: (widths[one], one))
    return [(line, cells) for line, cells in rows if len(cells) == width]


def is_units_row(cells: Sequence[str]) -> bool:
    """Say whether a row holds units: at least one, and nothing else but empty cells."""
    try:
        return any(bare(cell) is not None for cell in cells) and not _has_number(cells)
    except BadInput:
        return False


def _has_number(cells: Sequence[str]) -> bool:
    return any(one.fullmatch(cell) for cell in cells for one in (_NUMBER, _COMMA, _GROUPED))


# ---------------------------------------------------------------------- numbers


def guess_numbers(rows: Sequence[tuple[int, list[str]]], guess: Guess) -> None:
    """Guess decimal sign and thousands from the cells; undecided where they can be read in two ways."""
    said: dict[str, list[int]] = {".": [], ",": []}
    groups: dict[str, list[int]] = {}
    unclear: dict[str, list[int]] = {}
    for line, cells in rows:
        for cell in map(str.strip, cells):
            grouped = _GROUPED.fullmatch(cell)
            if grouped and grouped["group"] in ".," and not grouped["rest"] and cell.count(grouped["group"]) == 1:
                unclear.setdefault(grouped["group"], []).append(line)
            elif grouped:
                groups.setdefault(grouped["group"], []).append(line)
                if grouped["rest"]:
                    said[grouped["rest"][0]].append(line)
            elif _COMMA.fullmatch(cell):
                said[","].append(line)
            elif _NUMBER.fullmatch(cell) and "." in cell:
                said["."].append(line)
    _decide(said, groups, unclear, guess)


def _decide(said: Mapping[str, list[int]], groups: Mapping[str, list[int]], unclear: Mapping[str, list[int]], guess: Guess) -> None:
    """Decide by what numbers leave no choice; `unclear` are those like 1.234, which say nothing by themselves.

    Args:
        said: Lines of numbers whose fraction is behind this sign.
        groups: Lines of numbers in which this certainly parts thousands.
        unclear: Lines of numbers in which this may be either.
        guess: Gets the result.
    """
    evident = {sign for sign, lines in said.items() if lines}
    possible = (set() if len(evident) > 1 else evident or {".", ","}) - set(groups)
    where = "; ".join(f"{sign!r} on {_places(lines)}" for one in (said, groups, unclear) for sign, lines in one.items() if lines)
    if not possible or (len(possible) > 1 and unclear):
        guess.decimal, guess.reasons["decimal"] = UNDECIDED, f"{where}: nothing says whether it is a decimal sign or parts thousands"
        return
    guess.decimal = "." if "." in possible else ","
    guess.reasons["decimal"] = _places(said[guess.decimal]) if said[guess.decimal] else "no number has a fraction"
    if other := [sign for sign in (*groups, *unclear) if sign != guess.decimal]:
        guess.thousands = " " if other[0].isspace() else other[0].replace("’", "'")
        guess.reasons["thousands"] = _places((groups if other[0] in groups else unclear)[other[0]])


def _places(lines: "Iterator[int] | Sequence[int]") -> str:
    found = list(dict.fromkeys(lines))
    more = ", ..." if len(found) > _SHOWN else ""
    return f"line{'s' if len(found) > 1 else ''} {', '.join(map(str, found[:_SHOWN]))}{more}"
