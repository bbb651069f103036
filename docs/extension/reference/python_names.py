"""The public names of `athanor` and of its modules for authors of plug-ins, documented where they stand."""

import inspect
from collections.abc import Sequence
from types import ModuleType

import athanor
import athanor.chemistries
import athanor.devices
import athanor.drivers
import athanor.reductions
import athanor.twins
from docs.extension.reference.markdown import plain, section

AUTHORS = (athanor.drivers, athanor.devices, athanor.reductions, athanor.chemistries, athanor.twins)


def written() -> str:
    """Write a directive for each public name, so that a new one appears by itself."""
    if not athanor.__all__:
        return "This version has no public names.\n"
    return _directives(athanor, athanor.__all__)


def written_for_authors() -> str:
    """Write the names of each module that authors of plug-ins import."""
    return "".join(section(f"`{one.__name__}`", plain(one.__doc__), _directives(one, one.__all__)) for one in AUTHORS)


def _directives(module: ModuleType, names: Sequence[str]) -> str:
    lines = [line for name in names for line in _directive(module, name)]
    return "\n".join(["```{eval-rst}", f".. currentmodule:: {module.__name__}", "", *lines, "```", ""])


def _directive(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    twice = ["   :no-index:"] if module is not athanor and name in athanor.__all__ else []
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", "   :inherited-members: BaseModel, Exception, tuple, dict, str", *twice, ""]
    kind = "autofunction" if callable(value) else "autodata"
    return [f".. {kind}:: {name}", *twice, ""]
