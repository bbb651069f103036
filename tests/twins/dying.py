"""A command of Athanor in a process that dies at a moment of its work.

The words are MOMENT and those of the command; a moment is `before` or `after`, MODULE:NAME and which call of it that is, from one. The
product has no hook: what is called is wrapped here, in this process.
"""

import functools
import os
import signal
import sys
from importlib import import_module
from typing import Any

from flows.cli import main as command_line


def die(moment: str) -> None:
    """Wrap a function so that the process is gone around one of its calls."""
    when, place, number = moment.split()
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, import_module(module))
    original, seen = getattr(owner, name), 0

    @functools.wraps(original)
    def wrapped(*given: Any, **named: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == int(number) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = original(*given, **named)
        if seen == int(number) and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    setattr(owner, name, wrapped)


def main() -> int:
    """Run the command until it dies."""
    _, moment, *words = sys.argv
    die(moment)
    sys.argv = [str(command_line.__file__), *words]
    command_line.main()
    return 0
