"""The address space of the platform: LADS (OPC 30500-1) shape by BrowseName, types and nodes, no behaviour."""

from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.structures104 import new_struct, new_struct_field
from asyncua.server.server import Server

from simulators.synthesis_platform import TEMPLATES, State

_DI = "http://opcfoundation.org/UA/DI/"
_LADS = "http://opcfoundation.org/UA/LADS/"
PLATFORM = "urn:athanor:platform"

UNECE = {"nm": (5_131_604, "nanometre"), "s": (5_457_219, "second"), "1": (4_404_529, "one"), "counts": (-1, "counts")}
"""Unit to UNECE unit id (packed common code, OPC 10000-8) and description; -1 where there is no code."""

UNECE_URI = "http://www.opcfoundation.org/UA/units/un/cefact"


@dataclass(frozen=True, slots=True)
class Names:
    """Namespace indices of one server."""

    di: int
    lads: int
    own: int

    def lads_name(self, name: str) -> ua.QualifiedName:
        """Make a BrowseName of the LADS namespace."""
        return ua.QualifiedName(name, self.lads)

    def own_name(self, name: str) -> ua.QualifiedName:
        """Make a BrowseName of the platform's own namespace."""
        return ua.QualifiedName(name, self.own)

    def di_name(self, name: str) -> ua.QualifiedName:
        """Make a BrowseName of the DI namespace."""
        return ua.QualifiedName(name, self.di)


@dataclass(frozen=True, slots=True)
class StructureTypes:
    """The classes that asyncua makes of the LADS structures."""

    key_value: type[Any]
    sample_info: type[Any]
    key_value_id: ua.NodeId
    sample_info_id: ua.NodeId


@dataclass(frozen=True, slots=True)
class PlatformNodes:
    """The nodes that live, with their namespaces."""

    names: Names
    structures: StructureTypes
    device: Node

    boot_id: Node
    uptime: Node
    heartbeat: Node
    watchdog: Node

    lamp_target: Node
    lamp_current: Node
    temperature: Node

    machine: Node
    """The unit's state machine, which bears the methods."""
    state: Node
    """Its `CurrentState`."""
    state_id: Node
    """`CurrentState/Id`."""
    state_ids: dict[State, ua.NodeId]

    template: Node
    run_id: Node
    """Of the active program, as its template."""
    runtime: Node
    results: Node
    version: Node


async def build_namespaces(server: Server) -> Names:
    """Register the namespaces; their order is nobody's business."""
    own = await server.register_namespace(PLATFORM)
    di = await server.register_namespace(_DI)
    lads = await server.register_namespace(_LADS)
    return Names(di, lads, own)


async def build_structures(server: Server, names: Names) -> StructureTypes:
    """Define KeyValueType and SampleInfoType, so that clients can load them from the server."""
    key_value = await _structure(server, names, "KeyValueType", ("Key", "Value"))
    sample_info = await _structure(server, names, "SampleInfoType", ("ContainerId", "SampleId", "Position", "CustomData"))
    await server.load_data_type_definitions()
    classes = {cls.__name__: cls for cls in ua.extension_objects_by_datatype.values()}
    return StructureTypes(classes["KeyValueType"], classes["SampleInfoType"], key_value, sample_info)


async def _structure(server: Server, names: Names, name: str, members: tuple[str, ...]) -> ua.NodeId:
    fields = [new_struct_field(member, ua.VariantType.String) for member in members]
    node, _ = await new_struct(server, names.lads, name, fields)
    return node.nodeid


async def variable(parent: Node, name: ua.QualifiedName, value: object, kind: ua.VariantType) -> Node:
    """Add a variable below an object; the node id is the server's choice."""
    return await parent.add_variable(ua.NodeId(NamespaceIndex=name.NamespaceIndex), name, value, kind)


async def folder(parent: Node, name: ua.QualifiedName) -> Node:
    """Add an object below another."""
    return await parent.add_object(ua.NodeId(NamespaceIndex=name.NamespaceIndex), name)


async def add_unit(node: Node, unit: str) -> None:
    """Add the EngineeringUnits property."""
    code, description = UNECE[unit]
    information = ua.EUInformation(
        NamespaceUri=UNECE_URI,
        UnitId=code,
        DisplayName=ua.LocalizedText(unit),
        Description=ua.LocalizedText(description),
    )
    await node.add_property(ua.NodeId(), ua.QualifiedName("EngineeringUnits", 0), information)


async def build_platform(server: Server, names: Names, structures: StructureTypes, serial_number: str) -> PlatformNodes:
    """Build DeviceSet/SynthesisPlatform with its one functional unit, Analyser."""
    device = await folder(await folder(server.nodes.objects, names.di_name("DeviceSet")), names.own_name("SynthesisPlatform"))
    await _identification(device, names, serial_number)
    unit = await folder(await folder(device, names.lads_name("FunctionalUnitSet")), names.own_name("Analyser"))
    machine, state_ids = await _state_machine(unit, names)
    nodes = PlatformNodes(
        names,
        structures,
        device,
        state_ids=state_ids,
        **await _health(device, names),
        **await _functions(unit, names),
        **machine,
        **await _programs(unit, names),
    )
    await nodes.watchdog.set_writable()
    await nodes.lamp_target.set_writable()
    return nodes


async def _health(device: Node, names: Names) -> dict[str, Node]:
    number = ua.VariantType.Double
    return {
        "boot_id": await variable(device, names.own_name("BootId"), "", ua.VariantType.String),
        "uptime": await variable(device, names.own_name("UptimeSeconds"), 0.0, number),
        "heartbeat": await variable(device, names.own_name("Heartbeat"), 0, ua.VariantType.UInt32),
        "watchdog": await variable(device, names.own_name("WatchdogTimeout"), 0.0, number),
    }


async def _functions(unit: Node, names: Names) -> dict[str, Node]:
    functions = await folder(unit, names.lads_name("FunctionSet"))
    lamp = await folder(functions, names.own_name("Lamp"))
    thermometer = await folder(functions, names.own_name("SpectrometerTemperature"))
    return {
        "lamp_target": await variable(lamp, names.lads_name("TargetValue"), False, ua.VariantType.Boolean),
        "lamp_current": await variable(lamp, names.lads_name("CurrentValue"), False, ua.VariantType.Boolean),
        "temperature": await variable(thermometer, names.lads_name("SensorValue"), 0.0, ua.VariantType.Double),
    }


async def _state_machine(unit: Node, names: Names) -> tuple[dict[str, Node], dict[State, ua.NodeId]]:
    machine = await folder(unit, names.lads_name("FunctionalUnitState"))
    text = ua.LocalizedText(State.STOPPED)
    current = await variable(machine, ua.QualifiedName("CurrentState", 0), text, ua.VariantType.LocalizedText)
    ids = {state: (await folder(machine, names.lads_name(state))).nodeid for state in State}
    number = await current.add_property(ua.NodeId(), ua.QualifiedName("Id", 0), ids[State.STOPPED], ua.VariantType.NodeId)
    return {"machine": machine, "state": current, "state_id": number}, ids


async def _programs(unit: Node, names: Names) -> dict[str, Node]:
    manager = await folder(unit, names.lads_name("ProgramManager"))
    await _templates(manager, names)
    active = await folder(manager, names.lads_name("ActiveProgram"))
    results = await folder(manager, names.lads_name("ResultSet"))
    text = ua.VariantType.String
    return {
        "template": await variable(active, names.lads_name("CurrentProgramTemplate"), "", text),
        "run_id": await variable(active, names.lads_name("DeviceProgramRunId"), "", text),
        "runtime": await variable(active, names.lads_name("CurrentRuntime"), 0.0, ua.VariantType.Double),
        "results": results,
        "version": await results.add_property(ua.NodeId(), ua.QualifiedName("NodeVersion", 0), "0", text),
    }


async def _identification(device: Node, names: Names, serial_number: str) -> None:
    identification = await folder(device, names.di_name("Identification"))
    texts = {"SerialNumber": serial_number, "Manufacturer": "Athanor Instruments (simulated)", "Model": "SynthesisPlatform"}
    for name, value in texts.items():
        await variable(identification, names.di_name(name), value, ua.VariantType.String)


async def _templates(manager: Node, names: Names) -> None:
    templates = await folder(manager, names.lads_name("ProgramTemplateSet"))
    for template, version in TEMPLATES.items():
        node = await folder(templates, names.own_name(template))
        await variable(node, names.lads_name("DeviceTemplateId"), template, ua.VariantType.String)
        await variable(node, names.lads_name("Version"), version, ua.VariantType.String)
