"""Witnesses that nobody here wrote, each in a process and an environment of its own; `make foreign` installs them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

NODE = Path(__file__).parent / "node"
MODULES = NODE / "node_modules"
BIN: Final = Path(__file__).parents[2] / ".venv-foreign" / "bin"
"""Of the environment of what others wrote in Python."""


def need(path: Path) -> Path:
    """Skip where a witness is not installed; in CI it is missed."""
    if not path.exists():
        why = f"{path.name} is not installed: `make foreign` installs what others wrote"
        (pytest.fail if "CI" in os.environ else pytest.skip)(why)
    return path


def told_by(script: str, *arguments: str) -> dict[str, Any]:
    """Let a public client speak; return what it says."""
    command = [str(need(BIN / "python")), str(Path(__file__).parent / script), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert found.returncode == 0, found.stderr
    return last_object(found.stdout)


def last_object(said: str) -> dict[str, Any]:
    """Return the last line that is a JSON object: a client's library may write to its output too, also when all is said."""
    line = next((line for line in reversed(said.splitlines()) if line.startswith("{")), None)
    assert line is not None, said
    answer: dict[str, Any] = json.loads(line)
    return answer
