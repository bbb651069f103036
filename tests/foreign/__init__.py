"""Witnesses that nobody here wrote, each in a process and an environment of its own; `make foreign` installs them."""

import os
from pathlib import Path

import pytest

NODE = Path(__file__).parent / "node"
MODULES = NODE / "node_modules"
STACKS = Path(__file__).parents[2] / ".venv-foreign"
"""The environment of what others wrote in Python."""


def need(path: Path) -> Path:
    """Skip where a witness is not installed; in CI it is missed."""
    if not path.exists():
        why = f"{path.name} is not installed: `make foreign` installs what others wrote"
        (pytest.fail if "CI" in os.environ else pytest.skip)(why)
    return path
