"""A LADS device of open62541, built from the types that `o6` has compiled of the published nodesets: `python ... PORT`.

One unit at rest, without programs, has a thermostat that can be started, set and stopped, and a pressure gauge.
"""

import asyncio
import sys
import threading
from typing import Any

import o6
from o6.ns import amb, di, ia, lads, machinery, ns0
from open62541_loop import Loopback
from typing_extensions import override

GOOD, INVALID_STATE = (o6.StatusCode.GOOD,), (o6.StatusCode.BAD_INVALID_STATE,)
STATES = {"Stopped": 5085, "Running": 5099}
"""Node of each state in the published nodeset of LADS."""
DEVICE_SET = "ns=di;i=5001"
STATE_SET = "ns=lads;ControlFunctionState"
UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"


class Policy(asyncio.DefaultEventLoopPolicy):
    """Gives o6's own thread a loop that listens for nobody but this machine."""

    @override
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = Loopback()
        return loop


def quantity(variable: Any, code: bytes, name: str, span: tuple[float, float]) -> None:
    """Say in which unit a variable is, by its common code [UNECE Recommendation 20], and how far it goes."""
    unit, limits = ns0.datatypes.EUInformation(), ns0.datatypes.Range()
    unit.namespaceUri, unit.unitId, unit.displayName = UNECE, int.from_bytes(code, "big"), o6.LocalizedText(name)
    limits.low, limits.high = span
    variable.engineeringUnits(unit)
    variable.eURange(limits)


def at_rest(machine: Any) -> None:
    """Put a state machine into its first state."""
    machine.currentState(o6.LocalizedText("Stopped"))
    machine.currentState.id(o6.NodeId(f"ns=lads;i={STATES['Stopped']}"))


class Thermostat:
    """It takes its value from its target when it is started, and keeps it."""

    def __init__(self, server: o6.Server, functions: Any) -> None:
        methods = dict.fromkeys(("ns=lads;Start", "ns=lads;StartWithTargetValue", "ns=lads;Stop"))
        self._node = lads.objtypes.AnalogControlFunctionType(parent=functions, browseName="Jacket", values={STATE_SET: methods})
        self._state = "Stopped"
        at_rest(self._node.controlFunctionState)
        for variable in (self._node.currentValue, self._node.targetValue):
            quantity(variable, b"CEL", "°C", (0.0, 150.0))
            variable(20.0)
        machine = self._node.controlFunctionState
        self._shown, self._id = machine.currentState, machine.currentState.id
        self._current, self._target = self._node.currentValue, self._node.targetValue
        server.implement(machine.startWithTargetValue, call=self._start_at)
        server.implement(machine.start, call=self._start)
        server.implement(machine.stop, call=self._stop)

    async def _to(self, state: str) -> None:
        self._state = state
        await self._id(o6.NodeId(f"ns=lads;i={STATES[state]}"))
        await self._shown(o6.LocalizedText(state))

    async def _start_at(self, _node: Any, target: Any) -> tuple[Any, ...]:
        await self._target(float(target))
        return await self._start(_node)

    async def _start(self, _node: Any) -> tuple[Any, ...]:
        if self._state != "Stopped":
            return INVALID_STATE
        await self._current(float(await self._target()))
        await self._to("Running")
        return GOOD

    async def _stop(self, _node: Any) -> tuple[Any, ...]:
        if self._state != "Running":
            return INVALID_STATE
        await self._to("Stopped")
        return GOOD


def build(server: o6.Server) -> Thermostat:
    """Build the device."""
    types = lads.objtypes
    device = types.LADSDeviceType(parent=DEVICE_SET, browseName="Witness")
    device.manufacturer(o6.LocalizedText("Nobody here"))
    device.model(o6.LocalizedText("Witness 1"))
    device.serialNumber("W-7")
    device.softwareRevision("62541")
    unit = types.FunctionalUnitType(parent=device.functionalUnitSet, browseName="Reactor", values={"ns=lads;FunctionSet": {}})
    at_rest(unit.functionalUnitState)
    pressure = types.AnalogScalarSensorFunctionType(parent=unit.functionSet, browseName="Pressure")
    quantity(pressure.sensorValue, b"BAR", "bar", (0.0, 10.0))
    pressure.sensorValue(1.5)
    return Thermostat(server, unit.functionSet)


asyncio.set_event_loop_policy(Policy())
running = o6.Server(port=int(sys.argv[1]))
for module in (di, amb, ia, machinery, lads):
    running.ns.append(module)
running.start()
built = build(running)
print("ready", flush=True)
threading.Event().wait()
