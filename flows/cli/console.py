"""What commands print: one console, one way to fail."""

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from flows.running.log_file import LineLog

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


def program() -> str:
    """Return what a person types to call this program again: its name, or its path where the shell would not find it."""
    beside = Path(sys.executable).with_name("athanor")
    return "athanor" if shutil.which("athanor") else str(beside) if beside.exists() else sys.argv[0]
