"""What commands print: one console, one way to fail."""

import io
import json
import logging
import shutil
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from typing_extensions import override

LOG_BYTES: Final = 1_000_000
LOG_FILES: Final = 3
SPINNER: Final = "line"
"""Drawn in ASCII: every terminal has it."""

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)  # a log file is read while the campaign runs
console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""For people, on standard output; what they wrote, and how their files are called, is shown as it is."""


def emit(document: Any) -> None:
    """Print a JSON document for a program to read."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def fail(message: str) -> None:
    """Print one clear line on standard error."""
    (sys.__stderr__ if isinstance(sys.stderr, LineLog) and sys.__stderr__ else sys.stderr).write(f"athanor: {message}\n")


class LineLog(io.TextIOBase):
    """A text file that logs what is written to it, line by line."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._begun = ""

    @override
    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self._log("%s", line.rstrip())
        return len(text)


class CalmHandler(RotatingFileHandler):
    """A log on a full disk loses lines; it must not bury the one that tells of the full disk.

    Prefect, when it is imported, puts the terminal in the place of a root handler whose class has no public name.
    """

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        return


def log_to(path: Path) -> None:
    """Let everything that the program logs go to a file: standard error is for the one line that a person needs.

    So does what libraries write there themselves: Prefect's threads, whose server is away, would bury the progress.
    """
    handler = CalmHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the view's client would log every request
    sys.stderr = LineLog(logging.getLogger("stderr").warning)


def program() -> str:
    """Return what a person types to call this program again: its name, or its path where the shell would not find it."""
    beside = Path(sys.executable).with_name("athanor")
    return "athanor" if shutil.which("athanor") else str(beside) if beside.exists() else sys.argv[0]
