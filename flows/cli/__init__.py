"""What a person types. Before anything else is imported: elsewhere than on Linux a line says what is needed, and not a missing module."""

import sys

if sys.platform != "linux":
    sys.stderr.write(
        f"athanor: Linux is needed (on Windows: WSL), this is {sys.platform!r}: "
        "kernel locks, pseudo-terminals and /proc tell Athanor's processes apart and drive its wires\n"
    )
    sys.exit(4)
