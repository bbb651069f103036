"""What a client of a LADS device does, said once for every stack: `python lads_client.py open62541|freeopcua`.

A line of JSON on standard input says where to and as whom; what was seen is a line of JSON, the last one of standard output.
"""

import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

DI, LADS = "http://opcfoundation.org/UA/DI/", "http://opcfoundation.org/UA/LADS/"
OWN = "urn:athanor:platform"
LIMIT = 60.0
Path = Sequence[tuple[str, str]]
"""Namespace URI and name of each step below Objects; no URI is the base namespace."""
UNIT = [(DI, "DeviceSet"), (OWN, "SynthesisPlatform"), (LADS, "FunctionalUnitSet"), (OWN, "Analyser")]
MACHINE = [*UNIT, (LADS, "FunctionalUnitState")]
PROGRAMS = [*UNIT, (LADS, "ProgramManager")]
LAMP = [*UNIT, (LADS, "FunctionSet"), (OWN, "Lamp")]


class Stack(Protocol):
    """A client of one stack, connected."""

    def value(self, path: Path) -> Any:
        """Read a value in plain terms."""

    def write(self, path: Path, value: bool) -> str:
        """Write a value; return the status."""

    def names(self, path: Path) -> list[str]:
        """Browse the names of what stands below a node."""

    def arguments(self, path: Path) -> list[str]:
        """Name the arguments of a method."""

    def call(self, path: Path, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """Call a method; return status and outputs."""

    def structures(self, kind: str, items: Sequence[dict[str, str]]) -> Any:
        """Make an array of a structure of LADS."""

    def watch(self, path: Path, seen: list[str]) -> None:
        """Keep what a NodeId becomes, as its number."""

    def close(self) -> None:
        """Disconnect."""


def start(stack: Stack, task: str, position: str) -> tuple[str, list[Any]]:
    """Start a program with its arguments by name, in the order that the server declares."""
    method = [*MACHINE, (LADS, "StartProgram")]
    given = {
        "ProgramTemplateId": "Characterise",
        "Properties": stack.structures("KeyValueType", [{"Key": "integration_time", "Value": "0.1"}]),
        "SupervisoryJobId": "campaign",
        "SupervisoryTaskId": task,
        "Samples": stack.structures("SampleInfoType", [{"ContainerId": "rack", "SampleId": "s", "Position": position, "CustomData": ""}]),
    }
    return stack.call(method, [given[name] for name in stack.arguments(method)])


def until(stack: Stack, state: str) -> None:
    """Wait for a state of the unit."""
    end = time.monotonic() + LIMIT
    while stack.value([*MACHINE, ("", "CurrentState")]) != state:
        assert time.monotonic() < end, f"not {state} in time"
        time.sleep(0.05)


def result(stack: Stack, name: str) -> dict[str, Any]:
    """Read a result."""
    top = [*PROGRAMS, (LADS, "ResultSet"), (OWN, name)]
    return {
        "task": stack.value([*top, (LADS, "SupervisoryTaskId")]),
        "template": stack.value([*top, (LADS, "ProgramTemplate"), (LADS, "DeviceTemplateId")]),
        "application": stack.value([*top, (LADS, "ApplicationUri")]),
        "user": stack.value([*top, (LADS, "User")]),
        "properties": stack.value([*top, (LADS, "Properties")]),
        "samples": stack.value([*top, (LADS, "Samples")]),
        "points": len(stack.value([*top, (LADS, "VariableSet"), (OWN, "Wavelength")])),
        "unit": stack.value([*top, (LADS, "VariableSet"), (OWN, "Wavelength"), ("", "EngineeringUnits")]),
        "outcome": stack.value([*top, (LADS, "VariableSet"), (OWN, "Outcome")]),
    }


def lamp(stack: Stack) -> list[Any]:
    """Let the lamp burn, and put it out."""
    states = [stack.call([*LAMP, (LADS, "ControlFunctionState"), (LADS, "Start")], [])[0]]
    for on in (True, False):
        states += [stack.write([*LAMP, (LADS, "TargetValue")], on), stack.value([*LAMP, (LADS, "CurrentValue")])]
    return states


def use(stack: Stack, name: str, vials: Sequence[str]) -> dict[str, Any]:
    """Use the device as a client would; return what was seen."""
    seen: dict[str, Any] = {"states": []}
    seen["model"] = stack.value([*UNIT[:2], (DI, "Model")])
    seen["templates"] = sorted(stack.names([*PROGRAMS, (LADS, "ProgramTemplateSet")]))
    stack.watch([*MACHINE, ("", "CurrentState"), ("", "Id")], seen["states"])
    seen["start"] = start(stack, f"{name} 1", vials[0])
    seen["active"] = stack.value([*PROGRAMS, (LADS, "ActiveProgram"), (LADS, "CurrentProgramTemplate")])
    seen["second"] = start(stack, f"{name} 2", vials[0])[0]
    until(stack, "Stopped")
    seen["result"] = result(stack, seen["start"][1][0])
    start(stack, f"{name} 3", vials[1])
    for method in ("Abort", "Clear", "Clear"):
        seen.setdefault("ended", []).append(stack.call([*MACHINE, (LADS, method)], [])[0])
    seen["lamp"] = lamp(stack)
    end = time.monotonic() + LIMIT
    while len(seen["states"]) < 9 and time.monotonic() < end:
        time.sleep(0.05)
    return seen


def main() -> None:
    """Connect, use, say."""
    name = sys.argv[1]
    link = json.loads(sys.stdin.readline())
    stack: Stack = import_module(f"{name}_client").connect(link)
    try:
        print(json.dumps(use(stack, name, link["vials"])), flush=True)
    finally:
        stack.close()


if __name__ == "__main__":
    main()
