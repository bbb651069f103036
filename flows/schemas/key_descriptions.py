"""The string below each field of a class, read from the source: pydantic could read it too, at each start of each command."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise


def descriptions(owner: type) -> dict[str, str]:
    """Return the string below each field, fields of base classes included.

    Args:
        owner: A class whose source can be read.
    """
    found: dict[str, str] = {}
    for one in reversed(owner.__mro__):
        if one.__module__.partition(".")[0] not in ("builtins", "pydantic", "typing", "abc", "enum"):
            found |= dict(_written_below(ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]))
    return found


def members(owner: type[Enum]) -> dict[str, str]:
    """Return the string below each member of an enumeration, by the member's name; empty where there is none."""
    return {name: descriptions(owner).get(name, "") for name in owner.__members__}


def _written_below(node: ast.stmt) -> Iterator[tuple[str, str]]:
    assert isinstance(node, ast.ClassDef)
    for field, below in pairwise(node.body):
        target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0] if isinstance(field, ast.Assign) else None
        if isinstance(target, ast.Name) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield target.id, " ".join(str(below.value.value).split())
