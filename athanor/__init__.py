"""Athanor from Python: look into labs, steer campaigns, or ask and tell without any bench.

Names are bound when they are first used, so that `import athanor` loads nothing else.
"""

from importlib import import_module
from typing import Any, Final

_HOMES: Final[dict[str, str]] = {}
"""Public name -> the module that it stands in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'athanor' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
