"""Small unit-checked expressions that people write in bench and campaign files.

Numbers, names and `+ - * / **` only. A dotted name such as `stocks.se.Se` is one name; attributes, calls, comparisons
and subscripts are refused. Units are checked once, with pint; values are then computed in base units on whatever
carries arithmetic (floats, numpy arrays, torch tensors), so that a search may differentiate through a constraint.
"""

import ast
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

import pint
from simpleeval import InvalidExpression, SimpleEval
from typing_extensions import override

from orchestrator.errors import BadInput
from orchestrator.numerals import misreading, number
from orchestrator.units import REGISTRY, quantity, unit

_OPERATORS: Final = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_NODES: Final = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Constant, ast.Load)
_MAX_EXPONENT: Final = 8
"""A larger power is a typing error, and a way to hang the process."""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise BadInput(f"{ast.unparse(node)!r} is not a name")


class _Evaluator(SimpleEval):  # type: ignore[misc]  # simpleeval ships no types
    """Resolves dotted names in the table of names; never touches an attribute of a value."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(operators=_OPERATORS, functions={}, names=dict(names))
        self.nodes[ast.Attribute] = self._lookup

    def _lookup(self, node: ast.Attribute) -> Any:
        return self.names[_dotted(node)]

    @override
    def _eval_name(self, node: ast.Name) -> Any:
        return self.names[node.id]


@dataclass(frozen=True)
class Expression:
    """One checked expression; `names` are what it needs."""

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if not isinstance(node, (*_NODES, ast.operator, ast.unaryop)) or (
                isinstance(node, ast.operator | ast.unaryop) and type(node) not in _OPERATORS
            ):
                raise BadInput(
                    f"{self.text!r}: {type(node).__name__} is not allowed{misreading(self.text)}; expected numbers, names and + - * / **"
                )
            if isinstance(node, ast.Constant) and (isinstance(node.value, bool) or not isinstance(node.value, int | float)):
                raise BadInput(f"{self.text!r}: {node.value!r} is not a number")
            if isinstance(node, ast.Constant):
                number(ast.get_source_segment(self.text.strip(), node) or "", what=repr(self.text))
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                self._check_power(node)

    def _check_power(self, node: ast.BinOp) -> None:
        exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        if not isinstance(exponent, ast.Constant) or abs(cast("float", exponent.value)) > _MAX_EXPONENT:
            raise BadInput(f"{self.text!r}: an exponent is a plain number of at most {_MAX_EXPONENT}")

    @cached_property
    def _tree(self) -> ast.Expression:
        try:
            return ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError) as error:
            raise BadInput(f"{self.text!r} is not an expression{misreading(self.text)}; expected numbers, names and + - * / **") from error

    @cached_property
    def names(self) -> frozenset[str]:
        """The dotted names that the expression reads."""
        found: set[str] = set()

        def visit(node: ast.AST) -> None:
            if isinstance(node, ast.Name | ast.Attribute):
                found.add(_dotted(node))
                return
            for child in ast.iter_child_nodes(node):
                visit(child)

        visit(self._tree.body)
        return frozenset(found)

    def check(self, units: Mapping[str, str], expected: str) -> None:
        """Check that the expression's value converts to a unit.

        Args:
            units: The unit of each name that may be used.
            expected: The unit wanted.

        Raises:
            BadInput: Unknown name, or dimensions that do not fit.
        """
        self._require(units)
        # 1.0 of a base unit each: dimensions do not depend on values, and no offset unit enters the arithmetic
        names = {name: REGISTRY.Quantity(1.0, quantity(1.0, units[name]).to_base_units().units) for name in self.names}
        try:
            value = REGISTRY.Quantity(self._run(names))
        except ZeroDivisionError:
            return
        except pint.errors.PintError as error:
            raise BadInput(f"{self.text!r}: {error}") from error
        if value.dimensionality != unit(expected).dimensionality:
            raise BadInput(f"{self.text!r} gives {value.dimensionality}; expected a quantity in {expected or '1'}")

    def evaluate(self, values: Mapping[str, Any], units: Mapping[str, str], expected: str) -> Any:
        """Compute the expression.

        Args:
            values: Value of each name in its unit: floats, arrays or tensors.
            units: The unit of each name.
            expected: The unit of the result.

        Raises:
            BadInput: Unknown name, division by zero, or a root of a negative number (arrays and tensors hold NaN there).
        """
        self._require(values)
        names = {name: to_base(values[name], units[name]) for name in self.names}
        try:
            value = from_base(self._run(names), expected)
        except (ZeroDivisionError, OverflowError) as error:
            raise BadInput(f"{self.text!r} has no value at {self._shown(values)}: {error}") from error
        if isinstance(value, complex):
            raise BadInput(f"{self.text!r} has no value at {self._shown(values)}: a root of a negative number")
        return value

    def _shown(self, values: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} = {values[name]}" for name in sorted(self.names))

    def _require(self, known: Mapping[str, Any]) -> None:
        for name in sorted(self.names):
            if name not in known:
                raise BadInput(f"{self.text!r}: unknown name {name!r}; known: {', '.join(sorted(known)) or 'none'}")

    def _run(self, names: Mapping[str, Any]) -> Any:
        try:
            return _Evaluator(names).eval(self.text.strip(), previously_parsed=self._tree.body)
        except InvalidExpression as error:
            raise BadInput(f"{self.text!r}: {error}") from error


_SCALES: dict[str, tuple[float, float]] = {}


def _scale(unit_text: str) -> tuple[float, float]:
    """Return (factor, offset) with base = factor * value + offset."""
    if unit_text not in _SCALES:
        zero = float(quantity(0.0, unit_text).to_base_units().magnitude)
        one = float(quantity(1.0, unit_text).to_base_units().magnitude)
        _SCALES[unit_text] = (one - zero, zero)
    return _SCALES[unit_text]


def to_base(value: Any, unit_text: str) -> Any:
    """Express a float, array or tensor in base units."""
    factor, offset = _scale(unit_text)
    return value * factor + offset


def from_base(value: Any, unit_text: str) -> Any:
    """Express a float, array or tensor of base units in `unit_text`."""
    factor, offset = _scale(unit_text)
    return (value - offset) / factor
