"""Adds nodes to a server exactly as told: names by namespace, published types, data types, ranks and references.

asyncua's own helpers guess data types and references from values; a published model leaves nothing to guess. Node ids of
instances are their paths in the platform's own namespace, so that they are the same after a restart.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.structures104 import make_structure, new_struct_field
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds

from simulators.lads_types import (
    BASE,
    BASE_TYPES,
    INITIAL_STATES,
    LADS,
    METHODS,
    OBJECT_TYPES,
    PROPERTIES,
    PUBLISHED,
    STATES,
    STRUCTURES,
    TRANSITIONS,
    StructureNode,
)

PLATFORM = "urn:athanor:platform"
"""The platform's own namespace."""

Method = Callable[..., Coroutine[Any, Any, list[ua.Variant] | ua.StatusCode]]


def standard(number: int) -> ua.NodeId:
    """Make a node id of the base namespace."""
    return ua.NodeId(ua.Int32(number))


HAS_COMPONENT = standard(ObjectIds.HasComponent)
HAS_PROPERTY = standard(ObjectIds.HasProperty)
HAS_SUBTYPE = standard(ObjectIds.HasSubtype)
HAS_ADD_IN = standard(ObjectIds.HasAddIn)
ORGANIZES = standard(ObjectIds.Organizes)


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one data type are carried."""

    data_type: ua.NodeId
    variant: ua.VariantType
    is_array: bool = False


class AddressSpace:
    """Builds one server's nodes; everything is there when a call returns."""

    def __init__(self, server: Server, indices: Mapping[str, int]) -> None:
        self._server = server
        self._indices = indices
        self.structures: dict[str, type[Any]] = {}
        """Python classes of the published structures."""

    @classmethod
    async def of(cls, server: Server) -> "AddressSpace":
        """Register the namespaces, whose order is nobody's business, and add the published types."""
        uris = (PLATFORM, *PUBLISHED[1:])
        space = cls(server, {BASE: 0, **{uri: await server.register_namespace(uri) for uri in uris}})
        space._add_types()
        space._add_machines()
        for name, node in STRUCTURES.items():
            space.structures[name] = space._add_structure(name, node)
        return space

    def name(self, space: str, text: str) -> ua.QualifiedName:
        """Make a BrowseName."""
        return ua.QualifiedName(text, ua.UInt16(self._indices[space]))

    def own(self, text: str) -> ua.QualifiedName:
        """Make a BrowseName of the platform's own namespace."""
        return self.name(PLATFORM, text)

    def node_id(self, space: str, number: int) -> ua.NodeId:
        """Make the node id that a nodeset publishes."""
        return ua.NodeId(ua.Int32(number), ua.Int16(self._indices[space]))

    def type_id(self, name: str) -> ua.NodeId:
        """Find the node id of a type."""
        if name in BASE_TYPES:
            return standard(BASE_TYPES[name])
        return self.node_id(OBJECT_TYPES[name].space, OBJECT_TYPES[name].number)

    def state_id(self, machine: str, state: str) -> ua.NodeId:
        """Find the node id of a state, as `CurrentState/Id` names it."""
        return self.node_id(LADS, STATES[machine][state].node)

    def kind(self, data_type: str) -> Kind:
        """Find how a data type is carried; `X[]` is an array of X."""
        name, is_array = data_type.removesuffix("[]"), data_type.endswith("[]")
        if name in STRUCTURES:
            node = STRUCTURES[name]
            return Kind(self.node_id(node.space, node.number), ua.VariantType.ExtensionObject, is_array)
        carried = {"Duration": "Double", "EUInformation": "ExtensionObject", "Range": "ExtensionObject", "Argument": "ExtensionObject"}
        return Kind(standard(getattr(ObjectIds, name)), ua.VariantType[carried.get(name, name)], is_array)

    def variant(self, value: object, data_type: str) -> ua.Variant:
        """Wrap a value as its data type is carried."""
        kind = self.kind(data_type)
        return ua.Variant(value, kind.variant, is_array=kind.is_array)

    def add_object(
        self,
        parent: ua.NodeId,
        name: ua.QualifiedName,
        type_name: str,
        by: ua.NodeId = HAS_COMPONENT,
        node_id: ua.NodeId | None = None,
    ) -> ua.NodeId:
        """Add an instance of a type."""
        attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(name.Name), EventNotifier=ua.Byte(0))
        return self._add(parent, by, name, ua.NodeClass.Object, attributes, type_id=self.type_id(type_name), node_id=node_id)

    def add_variable(
        self,
        parent: ua.NodeId,
        name: ua.QualifiedName,
        value: object,
        data_type: str,
        type_name: str = "BaseDataVariableType",
        node_id: ua.NodeId | None = None,
    ) -> Node:
        """Add a variable; a property where the type says so."""
        by = HAS_PROPERTY if type_name == "PropertyType" else HAS_COMPONENT
        kind, readable = self.kind(data_type), ua.Byte(ua.AccessLevel.CurrentRead.mask)
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name.Name),
            Value=self.variant(value, data_type),
            DataType=kind.data_type,
            ValueRank=ua.Int32(1 if kind.is_array else -1),
            ArrayDimensions=[ua.UInt32(0)] if kind.is_array else [],
            AccessLevel=readable,
            UserAccessLevel=readable,
        )
        type_id = self.type_id(type_name)
        return self.node(self._add(parent, by, name, ua.NodeClass.Variable, attributes, type_id=type_id, node_id=node_id))

    def add_property(self, parent: ua.NodeId, text: str, value: object, data_type: str, space: str = BASE) -> Node:
        """Add one property."""
        return self.add_variable(parent, self.name(space, text), value, data_type, "PropertyType")

    def add_properties(self, parent: ua.NodeId, type_name: str, values: Mapping[str, object]) -> dict[str, Node]:
        """Add all properties that objects of a type have here, in the published namespace and types."""
        space, members = PROPERTIES[type_name]
        return {member: self.add_property(parent, member, values[member], data_type, space) for member, data_type in members.items()}

    def add_methods(self, parent: ua.NodeId, type_name: str, callbacks: Mapping[str, Method]) -> dict[str, ua.NodeId]:
        """Add the methods of a type with their published arguments."""
        space, methods = METHODS[type_name]
        return {
            method: self.add_method(parent, self.name(space, method), callbacks[method], inputs, outputs)
            for method, (inputs, outputs) in methods.items()
        }

    def add_method(
        self,
        parent: ua.NodeId,
        name: ua.QualifiedName,
        callback: Method,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> ua.NodeId:
        """Add a method."""
        attributes = ua.MethodAttributes(DisplayName=ua.LocalizedText(name.Name), Executable=True, UserExecutable=True)
        method = self._add(parent, HAS_COMPONENT, name, ua.NodeClass.Method, attributes)
        for arguments, property_name in ((inputs, "InputArguments"), (outputs, "OutputArguments")):
            if arguments:
                listed = [self._argument(argument, data_type) for argument, data_type in arguments.items()]
                self.add_property(method, property_name, listed, "Argument[]")
        self._server.iserver.isession.add_method_callback(method, callback)
        return method

    def refer(self, source: ua.NodeId, reference: ua.NodeId, target: ua.NodeId) -> None:
        """Add a reference in both directions."""
        for start, end, forward in ((source, target, True), (target, source, False)):
            item = ua.AddReferencesItem(SourceNodeId=start, ReferenceTypeId=reference, IsForward=forward, TargetNodeId=end)
            for status in self._server.iserver.node_mgt_service.add_references([item]):
                status.check()

    def node(self, node_id: ua.NodeId) -> Node:
        """Make the object that reads and writes a node."""
        return self._server.get_node(node_id)

    def _argument(self, name: str, data_type: str) -> ua.Argument:
        kind = self.kind(data_type)
        rank, dimensions = (1, [ua.UInt32(0)]) if kind.is_array else (-1, [])
        return ua.Argument(Name=name, DataType=kind.data_type, ValueRank=ua.Int32(rank), ArrayDimensions=dimensions)

    def _add(
        self,
        parent: ua.NodeId,
        by: ua.NodeId,
        name: ua.QualifiedName,
        node_class: ua.NodeClass,
        attributes: Any,
        *,
        type_id: ua.NodeId | None = None,
        node_id: ua.NodeId | None = None,
    ) -> ua.NodeId:
        item = ua.AddNodesItem(
            ParentNodeId=parent,
            ReferenceTypeId=by,
            RequestedNewNodeId=node_id or self._path_id(parent, name),
            BrowseName=name,
            NodeClass=node_class,
            NodeAttributes=attributes,
            TypeDefinition=type_id or ua.NodeId(),
        )
        (result,) = self._server.iserver.node_mgt_service.add_nodes([item])
        result.StatusCode.check()
        added: ua.NodeId = result.AddedNodeId
        return added

    def _path_id(self, parent: ua.NodeId, name: ua.QualifiedName) -> ua.NodeId:
        above = f"{parent.Identifier}/" if isinstance(parent.Identifier, str) else ""
        return ua.NodeId(ua.String(f"{above}{name.Name}"), ua.Int16(self._indices[PLATFORM]))

    def _add_types(self) -> None:
        for name, node in OBJECT_TYPES.items():
            attributes = ua.ObjectTypeAttributes(DisplayName=ua.LocalizedText(name), IsAbstract=node.is_abstract)
            self._add(
                self.type_id(node.supertype),
                HAS_SUBTYPE,
                self.name(node.space, name),
                ua.NodeClass.ObjectType,
                attributes,
                node_id=self.type_id(name),
            )

    def _add_machines(self) -> None:
        """Add the states and transitions of the published machines, which are components of their types."""
        for machine, states in STATES.items():
            for state, node in states.items():
                kind = "InitialStateType" if state in INITIAL_STATES else "StateType"
                self._add_step(machine, state, kind, ("StateNumber", node.node, node.number_node, node.number))
            for transition, step in TRANSITIONS[machine].items():
                numbers = ("TransitionNumber", step.node, step.number_node, step.number)
                added = self._add_step(machine, transition, "TransitionType", numbers)
                self.refer(added, standard(ObjectIds.FromState), self.state_id(machine, step.source))
                self.refer(added, standard(ObjectIds.ToState), self.state_id(machine, step.target))

    def _add_step(self, machine: str, name: str, type_name: str, numbers: tuple[str, int, int, int]) -> ua.NodeId:
        label, node, number_node, number = numbers
        parent, node_id = self.type_id(machine), self.node_id(LADS, node)
        added = self.add_object(parent, self.name(LADS, name), type_name, node_id=node_id)
        number_id = self.node_id(LADS, number_node)
        self.add_variable(added, self.name(BASE, label), number, "UInt32", "PropertyType", node_id=number_id)
        return added

    def _add_structure(self, name: str, node: StructureNode) -> type[Any]:
        """Add a structured data type with its encoding and definition; give the class that carries its values."""
        data_type, encoding = self.node_id(node.space, node.number), self.node_id(node.space, node.encoding)
        definition = ua.StructureDefinition(
            DefaultEncodingId=encoding,
            BaseDataType=standard(ObjectIds.Structure),
            StructureType=ua.StructureType.Structure,
            Fields=[new_struct_field(field, self.kind(kind).data_type) for field, kind in node.fields.items()],
        )
        attributes = ua.DataTypeAttributes(DisplayName=ua.LocalizedText(name), IsAbstract=False)
        attributes.DataTypeDefinition = definition  # type: ignore[attr-defined]  # asyncua types the other class of this name
        by, parent = HAS_SUBTYPE, standard(ObjectIds.Structure)
        self._add(parent, by, self.name(node.space, name), ua.NodeClass.DataType, attributes, node_id=data_type)
        by, binary = standard(ObjectIds.HasEncoding), self.name(BASE, "Default Binary")
        self.add_object(data_type, binary, "DataTypeEncodingType", by, encoding)
        made: type[Any] = make_structure(data_type, name, definition)[name]
        ua.register_extension_object(name, encoding, made, data_type)
        return made
