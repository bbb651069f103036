"""The string below each field of a class, read from the source: pydantic could read it too, at each start of each command."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise


@cache
def descriptions(owner: type) -> dict[str, str]:
    """Return the string below each field, fields of base classes included.

    Args:
        owner: A class whose source can be read.
    """
    found: dict[str, str] = {}
    for one in reversed(owner.__mro__):
        if one.__module__.partition(".")[0] not in ("builtins", "pydantic", "typing", "abc"):
            found |= dict(_written_below(ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]))
    return found


def _written_below(node: ast.stmt) -> Iterator[tuple[str, str]]:
    assert isinstance(node, ast.ClassDef)
    for field, below in pairwise(node.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value) if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                yield field.target.id, " ".join(text.split())
