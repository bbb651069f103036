"""The tensor half of each kind of parameter; the other half is in `orchestrator.domain.parameters`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.inputs.codes.categorical import CategoricalCode
from models.inputs.codes.code import Bend, Code
from models.inputs.codes.composition import CompositionCode
from models.inputs.codes.number import ContinuousCode, DiscreteCode
from orchestrator.domain.parameters import Parameter

__all__ = ["Bend", "Code", "code_of"]

_CODES: Final[Mapping[str, Callable[[Any, Any], Code]]] = {
    "continuous": ContinuousCode,
    "discrete": DiscreteCode,
    "categorical": CategoricalCode,
    "composition": CompositionCode,
}


def code_of(parameter: Parameter, legal: Parameter) -> Code:
    """Return the code at the scale of one parameter that decodes to what is legal now."""
    return _CODES[legal.kind](parameter, legal)
