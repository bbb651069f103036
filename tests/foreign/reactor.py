"""The reactor of the witness as a bench file would declare it, and how its driver is asked."""

from collections.abc import Mapping

from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads import LadsUnit
from instruments.drivers.protocol import Call, Driver, Settings
from instruments.transport.opcua import OpcUaTransport
from tests.instrument.cases import CLOCK

LIMIT = 30.0
KIND = FunctionKind
FUNCTIONS = {
    "jacket": Function(("Jacket",), KIND.ANALOG_CONTROL, "degC", span=(0.0, 100.0)),
    "inlet": Function(("Jacket", "Inlet"), KIND.ANALOG_SCALAR_SENSOR, "degC"),
    "pump": Function(("Pump",), KIND.TOTALIZING_CONTROL, "mL/min", "mL"),
    "lamp": Function(("Lamp",), KIND.TWO_STATE_CONTROL),
    "valve": Function(("Valve",), KIND.MULTI_STATE_CONTROL, states=("closed", "waste", "product")),
    "speed": Function(("Drive", "Speed"), KIND.MULTI_MODE_CONTROL, "percent", span=(0.0, 100.0)),
    "drive_flow": Function(("Drive", "Flow"), KIND.MULTI_MODE_CONTROL, "mL/min"),
    "signal": Function(("Detector", "Signal254"), KIND.ANALOG_SCALAR_SENSOR, "V"),
    "second_signal": Function(("Detector", "Signal280"), KIND.ANALOG_SCALAR_SENSOR, "V"),
    "hold": Function(("Hold",), KIND.TIMER_CONTROL),
    "lid": Function(("Lid",), KIND.COVER),
    "pressure": Function(("Pressure",), KIND.ANALOG_SCALAR_SENSOR, "bar"),
    "spectrum": Function(("Spectrum",), KIND.ANALOG_ARRAY_SENSOR, "V"),
    "door": Function(("Door",), KIND.TWO_STATE_SENSOR),
    "rack": Function(("Rack",), KIND.MULTI_STATE_SENSOR, states=("empty", "full")),
}


def settings(unit: str = "Reactor", functions: Mapping[str, Function] | None = None) -> Settings:
    options = {"device": "Witness", "unit": unit, "outcome": "Ende"}
    return Settings("reactor", serial_number="W-7", model="Witness 1", options=options, functions=functions or {})


def driver_of(wire: OpcUaTransport, declared: Settings) -> Driver:
    return LadsUnit.declared(declared)(wire, declared, CLOCK)


def ask(command: str, **arguments: float | str) -> Call:
    return Call(command, arguments, "run", "campaign")
