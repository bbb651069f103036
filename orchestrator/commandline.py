"""Command lines that people are shown: what is printed can be typed as it stands, whatever a path or a name holds."""

import shlex


def typed(*words: object, program: str = "athanor") -> str:
    """Return a command as a person types it into a shell, each word quoted where it has to be.

    Args:
        words: Command, options and values; placeholders such as NAME stand for themselves.
        program: The program's name, or its path.
    """
    return shlex.join((program, *map(str, words)))
