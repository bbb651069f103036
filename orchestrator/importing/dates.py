"""Dates in tables: each in the form that is declared, with a time zone, or refused; nothing is guessed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.errors import BadInput
from orchestrator.numerals import shown
from orchestrator.tablefile import Cell

ISO: Final = "iso"
EXCEL: Final = "excel"
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
"""ISO 8601 as calendar date, alone or with time; `datetime.fromisoformat` reads weeks and dates without hyphens too."""
_DAY_ZERO: Final = datetime(1899, 12, 30)
"""Day 0 of serial dates from March 1900 on (openpyxl.utils.datetime.CALENDAR_WINDOWS_1900): spreadsheets count a 29 February 1900."""
_FIRST: Final = 61.0
"""1 March 1900: from here on all spreadsheets count alike."""
_LAST: Final = 2958466.0
"""Behind 31 December 9999, the last day of a spreadsheet."""
_DIRECTIVES: Final = frozenset("YymdbBHIMSfpzj%")
"""What a pattern may hold: all of a calendar date and a time; no weekdays and weeks, and nothing that a locale changes as a whole."""


def check_format(pattern: str) -> None:
    """Refuse a pattern that does not say year, month and day.

    Raises:
        ValueError: Says what is missing or not legal.
    """
    if pattern in (ISO, EXCEL):
        return
    found = set(re.findall(r"%(.?)", pattern, re.DOTALL))
    if strange := sorted(found - _DIRECTIVES):
        raise ValueError(f"date = {pattern!r}: {'%' + strange[0]} is no part of a date; expected `iso`, `excel` or a pattern like %d.%m.%Y")
    if not (found & {"Y", "y"} and ("j" in found or (found & {"m", "b", "B"} and "d" in found))):
        raise ValueError(f"date = {pattern!r} does not say year, month and day; expected `iso`, `excel` or a pattern like %d.%m.%Y")


def read_date(cell: Cell, pattern: str, zone: ZoneInfo | None) -> datetime:
    """Read a date, or a date with a time; without a time it is the beginning of the day.

    Args:
        cell: The cell.
        pattern: `iso`, `excel`, or a pattern of `strptime`.
        zone: Time zone of a date that names none.

    Returns:
        The moment, in UTC.

    Raises:
        BadInput: It is no such date, no time zone is known, or the clocks of the zone show that time never or twice.
    """
    found = _serial(cell) if pattern == EXCEL else _written(cell, pattern)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    if zone is None:
        raise BadInput(f"{cell.place}: {shown(cell)} has no time zone; say in the mapping which one: [table] zone")
    first, second = (found.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first != second:
        gap = first.astimezone(zone).replace(tzinfo=None) != found
        raise BadInput(
            f"{cell.place}: clocks in {zone.key} show {found} {'never' if gap else 'twice'}; write it with its offset, as ISO 8601"
        )
    return first


def _serial(cell: Cell) -> datetime:
    days = cell.number()
    if not _FIRST <= days < _LAST:
        raise BadInput(f"{cell.place}: {shown(cell)} is no date of a spreadsheet; expected days from {_FIRST:g} (1 March 1900) on")
    return _DAY_ZERO + timedelta(milliseconds=round(days * 86_400_000))


def _written(cell: Cell, pattern: str) -> datetime:
    text = cell.strip()
    expected = "a date like 2026-12-31 or 2026-12-31 14:05" if pattern == ISO else f"one like {pattern}"
    try:
        if pattern != ISO:
            return datetime.strptime(text, pattern)
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{cell.place}: {shown(cell)} is not a date as declared; expected {expected}") from error
    raise BadInput(f"{cell.place}: {shown(cell)} is not a date as declared; expected {expected}")
