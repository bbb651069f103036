"""The kinds of functions of a LADS unit, and what a bench file's declarations of them offer."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads_functions import (
    AnalogArraySensor,
    AnalogControl,
    AnalogScalarSensor,
    Cover,
    MultiModeControl,
    MultiStateControl,
    MultiStateSensor,
    TimerControl,
    TotalizingControl,
    TwoStateControl,
    TwoStateSensor,
    UnitFunction,
)
from orchestrator.errors import BadInput

KINDS: Final[Mapping[FunctionKind, type[UnitFunction]]] = {
    FunctionKind.ANALOG_CONTROL: AnalogControl,
    FunctionKind.TOTALIZING_CONTROL: TotalizingControl,
    FunctionKind.MULTI_MODE_CONTROL: MultiModeControl,
    FunctionKind.TIMER_CONTROL: TimerControl,
    FunctionKind.TWO_STATE_CONTROL: TwoStateControl,
    FunctionKind.MULTI_STATE_CONTROL: MultiStateControl,
    FunctionKind.COVER: Cover,
    FunctionKind.ANALOG_SCALAR_SENSOR: AnalogScalarSensor,
    FunctionKind.ANALOG_ARRAY_SENSOR: AnalogArraySensor,
    FunctionKind.TWO_STATE_SENSOR: TwoStateSensor,
    FunctionKind.MULTI_STATE_SENSOR: MultiStateSensor,
}
"""What each kind offers."""


def functions_of(name: str, functions: Mapping[str, Function]) -> dict[str, UnitFunction]:
    """Return what each declared function offers.

    Raises:
        BadInput: A declaration that contradicts itself, or two that offer something of the same name.
    """
    found: dict[str, UnitFunction] = {}
    for label, declared in functions.items():
        try:
            found[label] = KINDS[declared.kind](label, declared)
        except BadInput as error:
            raise BadInput(f"instrument {name}: {error}") from error
    words = [word for one in found.values() for word in (*one.commands, *one.channels)]
    if twice := sorted({word for word in words if words.count(word) > 1}):
        raise BadInput(f"instrument {name}: two functions offer {twice[0]!r}; expected names that keep them apart")
    return found
