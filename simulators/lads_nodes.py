"""The platform's instances in the address space: a LADS device (OPC 30500-1) with its one functional unit; no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.node import Node
from asyncua.ua.object_ids import ObjectIds

from simulators.address_space import HAS_ADD_IN, HAS_COMPONENT, HAS_PROPERTY, ORGANIZES, AddressSpace, Method, standard
from simulators.lads_types import (
    BASE,
    COMMON_CODES,
    DEVICE_SET,
    DI,
    LADS,
    MAX_INACTIVE_LOCK_TIME,
    STATES,
    TRANSITIONS,
    UNECE_URI,
    unit_id,
)
from simulators.synthesis_platform import Nameplate, Template

FUNCTIONAL, DEVICE_STATES = "FunctionalStateMachineType", "LADSDeviceStateMachineType"
"""The types that have the states of functions and units, and of devices."""

_MADE = datetime(2026, 11, 1, tzinfo=UTC)
"""When the templates came with the platform."""
_HOUSING = (-20.0, 80.0)
"""degC, range of the thermometer in the spectrometer's housing."""


@dataclass(frozen=True, slots=True)
class MachineNodes:
    """A state machine; it bears its methods."""

    node: ua.NodeId
    states: str
    """The type that has its states."""
    state: Node
    """`CurrentState`, a text for people."""
    state_id: Node
    number: Node
    effective: Node | None


@dataclass(frozen=True, slots=True)
class FunctionNodes:
    """The platform's functions."""

    lamp_target: Node
    lamp_current: Node
    lamp_state: MachineNodes
    temperature: tuple[Node, Node]
    """SensorValue and RawValue."""


@dataclass(frozen=True, slots=True)
class PlatformNodes:
    """The nodes that live."""

    space: AddressSpace
    plate: Nameplate
    offered: Mapping[str, Template]
    """The programs."""
    device: ua.NodeId
    device_state: MachineNodes
    watchdog: Node

    lock: Mapping[str, Node]
    functions: FunctionNodes | None
    """None: a unit that offers programs alone."""

    machine: MachineNodes
    """The unit's."""

    templates: Mapping[str, ua.NodeId]
    active: Mapping[str, Node]
    results: ua.NodeId
    version: Node

    guarded: frozenset[ua.NodeId]
    """What the unit's lock keeps from other applications: methods and writable variables."""


@dataclass(frozen=True, slots=True)
class Methods:
    """What is done when a client calls, by name."""

    unit: Mapping[str, Method]
    lamp: Mapping[str, Method]
    lock: Mapping[str, Method]
    kick: Method


@dataclass(frozen=True, slots=True)
class Offer:
    """What a device is and offers."""

    plate: Nameplate
    serial_number: str
    templates: Mapping[str, Template]
    longest_lock: float
    """s."""
    has_functions: bool = True
    """Whether it has the platform's lamp and thermometer."""


async def build_platform(space: AddressSpace, methods: Methods, offer: Offer) -> PlatformNodes:
    """Build a device with its unit below DeviceSet."""
    plate, node_id = offer.plate, space.node_id(DI, DEVICE_SET)
    devices = space.add_object(standard(ObjectIds.ObjectsFolder), space.name(DI, "DeviceSet"), "BaseObjectType", ORGANIZES, node_id)
    device = space.add_object(devices, space.own(plate.device), "LADSDeviceType")
    _nameplate(space, device, plate, offer.serial_number)
    units = space.add_object(device, space.name(LADS, "FunctionalUnitSet"), "FunctionalUnitSetType")
    space.add_property(units, "NodeVersion", "1", "String")
    unit = space.add_object(units, space.own(plate.unit), "FunctionalUnitType")
    lock = _lock(space, unit, methods.lock, offer.longest_lock)
    machine = _machine(space, unit, ("FunctionalUnitState", "FunctionalUnitStateMachineType"), FUNCTIONAL)
    offered = space.add_methods(machine.node, "FunctionalUnitStateMachineType", methods.unit)
    guarded = {offered["StartProgram"], offered["Clear"]}
    functions = space.add_object(unit, space.name(LADS, "FunctionSet"), "FunctionSetType")
    shown, kept = await _functions(space, functions, methods) if offer.has_functions else (None, set())
    watchdog = space.add_variable(device, space.own("WatchdogTimeout"), 0.0, "Double")
    await watchdog.set_writable()
    space.add_method(device, space.own("Kick"), methods.kick)
    templates, active, results, version = _programs(space, unit, offer)
    return PlatformNodes(
        space,
        plate,
        offer.templates,
        device,
        _machine(space, device, ("DeviceState", DEVICE_STATES), DEVICE_STATES),
        watchdog,
        lock=lock,
        functions=shown,
        machine=machine,
        templates=templates,
        active=active,
        results=results,
        version=version,
        guarded=frozenset(guarded | kept),
    )


async def _functions(space: AddressSpace, functions: ua.NodeId, methods: Methods) -> tuple[FunctionNodes, set[ua.NodeId]]:
    """Add lamp and thermometer; name what the unit's lock guards of them."""
    target, current, lamp_state, lamp_methods = await _lamp(space, functions, methods.lamp)
    guarded = {target.nodeid, *(lamp_methods[name] for name in _GUARDED_OF_LAMP)}
    return FunctionNodes(target, current, lamp_state, _thermometer(space, functions)), guarded


_GUARDED_OF_LAMP = ("Start", "StartWithTargetValue", "Clear")
"""Stop and Abort stay open to everybody."""


def _nameplate(space: AddressSpace, device: ua.NodeId, said: Nameplate, serial_number: str) -> None:
    """Add the device's properties, which its Identification shows too."""
    plate = {
        "Manufacturer": ua.LocalizedText(said.manufacturer),
        "Model": ua.LocalizedText(said.device),
        "SerialNumber": serial_number,
        "DeviceRevision": "1",
        "SoftwareRevision": said.revision,
        "HardwareRevision": "1",
        "DeviceManual": "",
        "AssetId": "",
        "ComponentName": ua.LocalizedText(said.device),
        "ProductInstanceUri": f"urn:athanor:platform:{serial_number}",
        "RevisionCounter": 0,
    }
    nodes = space.add_properties(device, "LADSDeviceType", plate)
    identification = space.add_object(device, space.name(DI, "Identification"), "MachineIdentificationType", HAS_ADD_IN)
    for node in nodes.values():
        space.refer(identification, HAS_PROPERTY, node.nodeid)


def _lock(space: AddressSpace, unit: ua.NodeId, methods: Mapping[str, Method], longest: float) -> dict[str, Node]:
    lock = space.add_object(unit, space.name(DI, "Lock"), "LockingServicesType")
    free = {"Locked": False, "LockingClient": "", "LockingUser": "", "RemainingLockTime": 0.0}
    nodes = space.add_properties(lock, "LockingServicesType", free)
    space.add_methods(lock, "LockingServicesType", methods)
    capabilities, node_id = standard(ObjectIds.Server_ServerCapabilities), space.node_id(DI, MAX_INACTIVE_LOCK_TIME)
    name = space.name(DI, "MaxInactiveLockTime")
    space.add_variable(capabilities, name, 1e3 * longest, "Duration", "PropertyType", node_id)
    return nodes


def _machine(space: AddressSpace, parent: ua.NodeId, named: tuple[str, str], states: str) -> MachineNodes:
    """Add a state machine in its initial state; `named` is its name and its type, `states` the type that has its states."""
    name, type_name = named
    node = space.add_object(parent, space.name(LADS, name), type_name)
    initial = "Stopped" if states == FUNCTIONAL else "Initialization"
    text = ua.LocalizedText(initial, "en")
    current = space.add_variable(node, space.name(BASE, "CurrentState"), text, "LocalizedText", "FiniteStateVariableType")
    state_id = space.add_property(current.nodeid, "Id", space.state_id(states, initial), "NodeId")
    number = space.add_property(current.nodeid, "Number", STATES[states][initial].number, "UInt32")
    effective = None
    if type_name == "FunctionalUnitStateMachineType":
        effective = space.add_property(current.nodeid, "EffectiveDisplayName", text, "LocalizedText")
    if states == FUNCTIONAL:
        known = [space.state_id(states, state) for state in STATES[states]]
        steps = [space.node_id(LADS, step.node) for step in TRANSITIONS[states].values()]
        space.add_variable(node, space.name(BASE, "AvailableStates"), known, "NodeId[]")
        space.add_variable(node, space.name(BASE, "AvailableTransitions"), steps, "NodeId[]")
    return MachineNodes(node, states, current, state_id, number, effective)


async def _lamp(
    space: AddressSpace, functions: ua.NodeId, methods: Mapping[str, Method]
) -> tuple[Node, Node, MachineNodes, dict[str, ua.NodeId]]:
    lamp = space.add_object(functions, space.own("Lamp"), "TwoStateDiscreteControlFunctionType")
    space.add_property(lamp, "IsEnabled", True, "Boolean", LADS)
    values = {}
    for name in ("TargetValue", "CurrentValue"):
        node = space.add_variable(lamp, space.name(LADS, name), False, "Boolean", "TwoStateDiscreteType")
        for state, text in (("FalseState", "off"), ("TrueState", "on")):
            space.add_property(node.nodeid, state, ua.LocalizedText(text, "en"), "LocalizedText")
        values[name] = node
    await values["TargetValue"].set_writable()
    machine = _machine(space, lamp, ("ControlFunctionState", "ControlFunctionStateMachineType"), FUNCTIONAL)
    offered = space.add_methods(machine.node, "ControlFunctionStateMachineType", methods)
    shown = [machine.state.nodeid, *(node.nodeid for node in values.values()), *offered.values()]
    _operational(space, lamp, shown)
    return values["TargetValue"], values["CurrentValue"], machine, offered


def _operational(space: AddressSpace, function: ua.NodeId, shown: list[ua.NodeId]) -> None:
    """Add the group by which people operate a function."""
    group = space.add_object(function, space.name(LADS, "Operational"), "FunctionalGroupType", HAS_COMPONENT)
    for node in shown:
        space.refer(group, ORGANIZES, node)


def _thermometer(space: AddressSpace, functions: ua.NodeId) -> tuple[Node, Node]:
    sensor = space.add_object(functions, space.own("SpectrometerTemperature"), "AnalogScalarSensorFunctionType")
    space.add_property(sensor, "IsEnabled", True, "Boolean", LADS)
    nodes = []
    for name in ("SensorValue", "RawValue"):
        node = space.add_variable(sensor, space.name(LADS, name), 0.0, "Double", "AnalogUnitRangeType")
        add_unit(space, node, "degC")
        low, high = _HOUSING
        space.add_property(node.nodeid, "EURange", ua.Range(Low=low, High=high), "Range")
        nodes.append(node)
    _operational(space, sensor, [node.nodeid for node in nodes])
    return nodes[0], nodes[1]


def add_unit(space: AddressSpace, node: Node, unit: str) -> None:
    """Add the EngineeringUnits property; a unit without a common code is the platform's own."""
    code, display, description = COMMON_CODES.get(unit, ("", unit, unit))
    information = ua.EUInformation(
        NamespaceUri=UNECE_URI if code else "urn:athanor:platform",
        UnitId=ua.Int32(unit_id(code) if code else -1),
        DisplayName=ua.LocalizedText(display),
        Description=ua.LocalizedText(description),
    )
    space.add_property(node.nodeid, "EngineeringUnits", information, "EUInformation")


def _programs(space: AddressSpace, unit: ua.NodeId, offer: Offer) -> tuple[dict[str, ua.NodeId], dict[str, Node], ua.NodeId, Node]:
    manager = space.add_object(unit, space.name(LADS, "ProgramManager"), "ProgramManagerType")
    shelf = space.add_object(manager, space.name(LADS, "ProgramTemplateSet"), "ProgramTemplateSetType")
    space.add_property(shelf, "NodeVersion", "1", "String")
    templates = {name: add_template(space, shelf, space.own(name), (name, one), offer.plate) for name, one in offer.templates.items()}
    active = space.add_object(manager, space.name(LADS, "ActiveProgram"), "ActiveProgramType")
    nothing = space.structures["NameNodeIdDataType"](Name=ua.LocalizedText(""), NodeId=ua.NodeId())
    idle = {"CurrentProgramTemplate": nothing, "DeviceProgramRunId": "", "CurrentRuntime": 0.0}
    nodes = space.add_properties(active, "ActiveProgramType", idle)
    results = space.add_object(manager, space.name(LADS, "ResultSet"), "ResultSetType")
    return templates, nodes, results, space.add_property(results, "NodeVersion", "0", "String")


def add_template(
    space: AddressSpace, parent: ua.NodeId, name: ua.QualifiedName, template: tuple[str, Template], plate: Nameplate
) -> ua.NodeId:
    """Add a program template, by its id and what it is; or the copy of it that a result keeps."""
    template_id, told = template
    node = space.add_object(parent, name, "ProgramTemplateType")
    known = {
        "Author": plate.manufacturer,
        "Created": _MADE,
        "Modified": _MADE,
        "Description": ua.LocalizedText(told.description, "en"),
        "DeviceTemplateId": template_id,
        "Version": told.version,
    }
    space.add_properties(node, "ProgramTemplateType", known)
    return node
