"""The public names of `athanor`, documented where they stand."""

import inspect

import athanor


def written() -> str:
    """Write a directive for each public name, so that a new one appears by itself."""
    if not athanor.__all__:
        return "This version has no public names.\n"
    lines = [line for name in athanor.__all__ for line in _directive(name)]
    return "\n".join(["```{eval-rst}", ".. currentmodule:: athanor", "", *lines, "```", ""])


def _directive(name: str) -> list[str]:
    value = getattr(athanor, name)
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", "   :inherited-members: BaseModel, Exception, tuple, dict, str", ""]
    kind = "autofunction" if callable(value) else "autodata"
    return [f".. {kind}:: {name}", ""]
