"""What commands print: one console, one way to fail."""

import io
import json
import sys
from typing import Any

from rich.console import Console

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)  # a log file is read while the campaign runs
console = Console(highlight=False, soft_wrap=True)
"""For people, on standard output."""


def emit(document: Any) -> None:
    """Print a JSON document for a program to read."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def fail(message: str) -> None:
    """Print one clear line on standard error."""
    sys.stderr.write(f"athanor: {message}\n")
