"""What the published nodesets say of the nodes that the platform shows: numbers, types and members, by name.

Source: the OPC Foundation's nodesets of DI 1.05.0, AMB, Machinery 1.04.1 and LADS 1.0.0 (npm package `node-opcua-nodesets`), which
`tests/foreign/test_lads_address_space.py` holds against the running server member by member. Types are shown as nodes with
their chain of supertypes, states and transitions; their other members stand in the nodesets, which clients have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

BASE = "http://opcfoundation.org/UA/"
DI = "http://opcfoundation.org/UA/DI/"
AMB = "http://opcfoundation.org/UA/AMB/"
MACHINERY = "http://opcfoundation.org/UA/Machinery/"
LADS = "http://opcfoundation.org/UA/LADS/"
PUBLISHED = (BASE, DI, AMB, MACHINERY, LADS)

DEVICE_SET = 5001
"""DI: the object below Objects that has all devices."""
MAX_INACTIVE_LOCK_TIME = 6387
"""DI: the property of ServerCapabilities (OPC 10000-100, 7.4)."""


@dataclass(frozen=True, slots=True)
class TypeNode:
    """An object type: its number in its namespace and the type that it is derived from."""

    space: str
    number: int
    supertype: str
    is_abstract: bool = False


BASE_TYPES: Mapping[str, int] = {
    "BaseObjectType": 58,
    "FolderType": 61,
    "BaseDataVariableType": 63,
    "PropertyType": 68,
    "DataTypeEncodingType": 76,
    "StateType": 2307,
    "InitialStateType": 2309,
    "TransitionType": 2310,
    "TwoStateDiscreteType": 2373,
    "FiniteStateVariableType": 2760,
    "FiniteStateMachineType": 2771,
    "AnalogUnitType": 17497,
    "AnalogUnitRangeType": 17570,
}
"""Types of the base nodeset, which every server has."""

OBJECT_TYPES: Mapping[str, TypeNode] = {
    "TopologyElementType": TypeNode(DI, 1001, "BaseObjectType", is_abstract=True),
    "FunctionalGroupType": TypeNode(DI, 1005, "FolderType"),
    "LockingServicesType": TypeNode(DI, 6388, "BaseObjectType"),
    "ComponentType": TypeNode(DI, 15063, "TopologyElementType", is_abstract=True),
    "DeviceType": TypeNode(DI, 1002, "ComponentType", is_abstract=True),
    "MachineryItemIdentificationType": TypeNode(MACHINERY, 1004, "FunctionalGroupType", is_abstract=True),
    "MachineIdentificationType": TypeNode(MACHINERY, 1012, "MachineryItemIdentificationType"),
    "LADSDeviceType": TypeNode(LADS, 1002, "DeviceType"),
    "FunctionalUnitType": TypeNode(LADS, 1003, "TopologyElementType"),
    "ProgramManagerType": TypeNode(LADS, 1006, "TopologyElementType"),
    "ProgramTemplateType": TypeNode(LADS, 1018, "BaseObjectType"),
    "ActiveProgramType": TypeNode(LADS, 1040, "BaseObjectType"),
    "ResultType": TypeNode(LADS, 1021, "BaseObjectType"),
    "SetType": TypeNode(LADS, 61, "FolderType", is_abstract=True),
    "FunctionalUnitSetType": TypeNode(LADS, 1023, "SetType"),
    "FunctionSetType": TypeNode(LADS, 1026, "SetType"),
    "ProgramTemplateSetType": TypeNode(LADS, 1019, "SetType"),
    "ResultSetType": TypeNode(LADS, 1020, "SetType"),
    "ResultFileSetType": TypeNode(LADS, 1022, "SetType"),
    "VariableSetType": TypeNode(LADS, 1041, "SetType"),
    "FunctionType": TypeNode(LADS, 1004, "TopologyElementType", is_abstract=True),
    "BaseSensorFunctionType": TypeNode(LADS, 1005, "FunctionType", is_abstract=True),
    "AnalogSensorFunctionType": TypeNode(LADS, 1046, "BaseSensorFunctionType", is_abstract=True),
    "AnalogScalarSensorFunctionType": TypeNode(LADS, 1016, "AnalogSensorFunctionType"),
    "BaseControlFunctionType": TypeNode(LADS, 1007, "FunctionType", is_abstract=True),
    "DiscreteControlFunctionType": TypeNode(LADS, 1017, "BaseControlFunctionType", is_abstract=True),
    "TwoStateDiscreteControlFunctionType": TypeNode(LADS, 1042, "DiscreteControlFunctionType"),
    "LADSDeviceStateMachineType": TypeNode(LADS, 1039, "FiniteStateMachineType"),
    "FunctionalStateMachineType": TypeNode(LADS, 1038, "FiniteStateMachineType", is_abstract=True),
    "FunctionalUnitStateMachineType": TypeNode(LADS, 1043, "FunctionalStateMachineType"),
    "ControlFunctionStateMachineType": TypeNode(LADS, 1044, "FunctionalStateMachineType"),
}
"""Supertypes come first."""


@dataclass(frozen=True, slots=True)
class StructureNode:
    """A structured data type: its number, its binary encoding's, and its fields with their types."""

    space: str
    number: int
    encoding: int
    fields: Mapping[str, str]


STRUCTURES: Mapping[str, StructureNode] = {
    "NameNodeIdDataType": StructureNode(AMB, 3003, 5012, {"Name": "LocalizedText", "NodeId": "NodeId"}),
    "KeyValueType": StructureNode(LADS, 3003, 5045, {"Key": "String", "Value": "String"}),
    "SampleInfoType": StructureNode(
        LADS, 3002, 5042, {"ContainerId": "String", "SampleId": "String", "Position": "String", "CustomData": "String"}
    ),
}


@dataclass(frozen=True, slots=True)
class StateNode:
    """A state of a machine: its node and its number's node in LADS, and its number."""

    node: int
    number_node: int
    number: int
    german: str
    """A text of ours, for servers that translate."""


@dataclass(frozen=True, slots=True)
class TransitionNode:
    """A transition of a machine, in LADS."""

    node: int
    number_node: int
    number: int
    source: str
    target: str


STATES: Mapping[str, Mapping[str, StateNode]] = {
    "FunctionalStateMachineType": {
        "Aborted": StateNode(5160, 6475, 1, "Abgebrochen"),
        "Aborting": StateNode(5159, 6474, 2, "Bricht ab"),
        "Clearing": StateNode(5143, 6449, 3, "Setzt zurück"),
        "Stopped": StateNode(5085, 6508, 4, "Angehalten"),
        "Running": StateNode(5099, 6509, 5, "Läuft"),
        "Stopping": StateNode(5100, 6511, 6, "Hält an"),
    },
    "LADSDeviceStateMachineType": {
        "Initialization": StateNode(5177, 6329, 1, "Startet"),
        "Operate": StateNode(5178, 6330, 2, "In Betrieb"),
        "Sleep": StateNode(5259, 6525, 3, "Ruht"),
        "Shutdown": StateNode(5180, 6351, 4, "Schaltet ab"),
    },
}
INITIAL_STATES = frozenset({"Stopped", "Initialization"})

TRANSITIONS: Mapping[str, Mapping[str, TransitionNode]] = {
    "FunctionalStateMachineType": {
        "AbortedToClearing": TransitionNode(5165, 6486, 1, "Aborted", "Clearing"),
        "AbortingToAborted": TransitionNode(5126, 6432, 2, "Aborting", "Aborted"),
        "StoppingToStopped": TransitionNode(5101, 6512, 4, "Stopping", "Stopped"),
        "StoppedToRunning": TransitionNode(5102, 6513, 5, "Stopped", "Running"),
        "RunningToAborting": TransitionNode(5103, 6528, 6, "Running", "Aborting"),
        "ClearingToStopped": TransitionNode(5104, 6529, 7, "Clearing", "Stopped"),
        "RunningToStopping": TransitionNode(5105, 6534, 8, "Running", "Stopping"),
    },
    "LADSDeviceStateMachineType": {
        "InitializationToOperate": TransitionNode(5181, 6352, 1, "Initialization", "Operate"),
        "OperateToSleep": TransitionNode(5260, 6556, 2, "Operate", "Sleep"),
        "SleepToOperate": TransitionNode(5083, 6482, 3, "Sleep", "Operate"),
        "OperateToShutdown": TransitionNode(5184, 6355, 4, "Operate", "Shutdown"),
    },
}

PROPERTIES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "LADSDeviceType": (
        DI,
        {
            "Manufacturer": "LocalizedText",
            "Model": "LocalizedText",
            "SerialNumber": "String",
            "DeviceRevision": "String",
            "SoftwareRevision": "String",
            "HardwareRevision": "String",
            "DeviceManual": "String",
            "AssetId": "String",
            "ComponentName": "LocalizedText",
            "ProductInstanceUri": "String",
            "RevisionCounter": "Int32",
        },
    ),
    "LockingServicesType": (
        DI,
        {"Locked": "Boolean", "LockingClient": "String", "LockingUser": "String", "RemainingLockTime": "Duration"},
    ),
    "ProgramTemplateType": (
        LADS,
        {
            "Author": "String",
            "Created": "DateTime",
            "Modified": "DateTime",
            "Description": "LocalizedText",
            "DeviceTemplateId": "String",
            "Version": "String",
        },
    ),
    "ActiveProgramType": (
        LADS,
        {"CurrentProgramTemplate": "NameNodeIdDataType", "DeviceProgramRunId": "String", "CurrentRuntime": "Duration"},
    ),
    "ResultType": (
        LADS,
        {
            "ApplicationUri": "String",
            "Description": "LocalizedText",
            "SupervisoryJobId": "String",
            "SupervisoryTaskId": "String",
            "Samples": "SampleInfoType[]",
            "Started": "DateTime",
            "Stopped": "DateTime",
            "User": "String",
            "Properties": "KeyValueType[]",
            "DeviceProgramRunId": "String",
            "TotalRuntime": "Duration",
        },
    ),
}
"""Namespace and data types of the properties that objects of a type have here: all mandatory ones and the optional ones we show."""

METHODS: Mapping[str, tuple[str, Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]]] = {
    "FunctionalUnitStateMachineType": (
        LADS,
        {
            "StartProgram": (
                {
                    "ProgramTemplateId": "String",
                    "Properties": "KeyValueType[]",
                    "SupervisoryJobId": "String",
                    "SupervisoryTaskId": "String",
                    "Samples": "SampleInfoType[]",
                },
                {"DeviceProgramRunId": "String"},
            ),
            "Stop": ({}, {}),
            "Abort": ({}, {}),
            "Clear": ({}, {}),
        },
    ),
    "ControlFunctionStateMachineType": (
        LADS,
        {
            "Start": ({}, {}),
            "StartWithTargetValue": ({"TargetValue": "Boolean"}, {}),
            "Stop": ({}, {}),
            "Abort": ({}, {}),
            "Clear": ({}, {}),
        },
    ),
    "LockingServicesType": (
        DI,
        {
            "InitLock": ({"Context": "String"}, {"InitLockStatus": "Int32"}),
            "RenewLock": ({}, {"RenewLockStatus": "Int32"}),
            "ExitLock": ({}, {"ExitLockStatus": "Int32"}),
            "BreakLock": ({}, {"BreakLockStatus": "Int32"}),
        },
    ),
}
"""Namespace, inputs and outputs of the methods; StartWithTargetValue as on a TwoStateDiscreteControlFunctionType."""

COMMON_CODES: Mapping[str, tuple[str, str, str]] = {
    "nm": ("C45", "nm", "nanometre"),
    "s": ("SEC", "s", "second [unit of time]"),
    "1": ("C62", "1", "one"),
    "degC": ("CEL", "°C", "degree Celsius"),
}
"""Unit to UNECE common code, display name and description (UNECE Recommendation 20, as OPC 10000-8 lists it)."""

UNECE_URI = "http://www.opcfoundation.org/UA/units/un/cefact"


def unit_id(common_code: str) -> int:
    """Pack a common code into the UnitId of EUInformation (OPC 10000-8, 5.6.3)."""
    return int.from_bytes(common_code.encode(), "big")
