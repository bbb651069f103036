"""The log of a process that carries a lab's work: a file, since standard error is for the one line that a person needs."""

import io
import logging
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from typing_extensions import override

_LOG_BYTES: Final = 1_000_000
_LOG_FILES: Final = 3


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
    """Let everything that the program logs go to a file.

    So does what libraries write to standard error themselves: Prefect's threads, whose server is away, would bury the progress.
    """
    handler = CalmHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the view's client would log every request
    sys.stderr = LineLog(logging.getLogger("stderr").warning)
