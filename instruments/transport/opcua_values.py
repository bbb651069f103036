"""Values of asyncua's types, turned into those that NodeValue names, and back into what a method's argument declares."""

import dataclasses
from datetime import UTC, datetime
from typing import Any, Final, Literal

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.structures104 import load_custom_struct
from asyncua.common.ua_utils import data_type_to_variant_type
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from instruments.transport.base import NodeValue, Structure, Structures, Value
from orchestrator.errors import DeviceError, Sent

_NULL_TIME: Final = datetime(1601, 1, 1, tzinfo=UTC)
_ABSTRACT: Final = {
    ObjectIds.Number: ua.VariantType.Double,
    ObjectIds.Integer: ua.VariantType.Int64,
    ObjectIds.UInteger: ua.VariantType.UInt64,
}
"""What is sent where a method takes any number."""
_REAL: Final = frozenset({ua.VariantType.Float, ua.VariantType.Double})
_WHOLE: Final = frozenset(getattr(ua.VariantType, f"{sign}Int{bits}") for sign in ("", "U") for bits in (16, 32, 64)) | {
    ua.VariantType.SByte,
    ua.VariantType.Byte,
}


def node_value(value: ua.DataValue) -> NodeValue:
    """Turn what a server gave into a NodeValue."""
    status = value.StatusCode or ua.StatusCode()
    quality: Literal["good", "uncertain", "bad"] = "bad" if status.is_bad() else "uncertain" if status.is_uncertain() else "good"
    content = plain(value.Value.Value) if value.Value is not None else None
    return NodeValue(content, status.name, quality, plain(value.SourceTimestamp))


def plain(value: Any) -> Any:
    """Turn a value of asyncua's types into one of the types that NodeValue names."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return tuple(plain(item) for item in value)
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return None if aware <= _NULL_TIME else aware
        case ua.LocalizedText():
            return value.Text or ""
        case ua.QualifiedName():
            return value.Name
        case ua.NodeId():
            return node_text(value)
        case bytes():
            return value.hex()
        case _ if dataclasses.is_dataclass(value):
            fields = (field.name for field in dataclasses.fields(value))
            return Structure(type(value).__name__, {name: plain(getattr(value, name)) for name in fields if name != "Encoding"})
    return str(value)


def node_text(node: ua.NodeId) -> str:
    """Write a NodeId as text, the same one whatever service it came by; empty for the null NodeId."""
    return "" if node.is_null() else ua.NodeId(node.Identifier, node.NamespaceIndex).to_string()


def unknown_structures(value: ua.DataValue) -> set[ua.NodeId]:
    """Name the encodings of structures in a value that asyncua could not decode."""
    content = value.Value.Value if value.Value is not None else None
    items = content if isinstance(content, list) else [content]
    return {item.TypeId for item in items if isinstance(item, ua.ExtensionObject) and not item.TypeId.is_null()}


async def learn_structure(client: Client, data_type: ua.NodeId) -> None:
    """Read how the server defines a structure, and the structures that it is made of, so that values of it can be written and read.

    All of a server's types are hundreds, and asyncua reads them in larger requests than some servers take.

    Raises:
        UaError: The server does not say it.
    """
    if data_type in ua.extension_objects_by_datatype:
        return
    node = client.get_node(data_type)
    definition = await node.read_data_type_definition()
    for field in definition.Fields if isinstance(definition, ua.StructureDefinition) else ():
        if field.DataType.NamespaceIndex != 0:
            await learn_structure(client, field.DataType)
    await load_custom_struct(node)


async def learn_encoding(client: Client, encoding: ua.NodeId) -> None:
    """Learn the structure that an encoding belongs to; what cannot be learnt stays as it came."""
    try:
        references = await client.get_node(encoding).get_references(ObjectIds.HasEncoding, ua.BrowseDirection.Inverse)
        for reference in references:
            await learn_structure(client, ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex))
    except UaError:
        return


async def variant(client: Client, value: Value, declared: ua.Argument) -> ua.Variant:
    """Turn an argument into the type that its method declares; a number may come as text.

    Raises:
        DeviceError: The server does not define the structure, or wants a number that the text is not (`sent` no).
    """
    if isinstance(value, Structures):
        items = [await _structure(client, item, declared.DataType) for item in value.items]
        return ua.Variant(items, ua.VariantType.ExtensionObject, is_array=True)
    if declared.DataType.NamespaceIndex == 0 and declared.DataType.Identifier in _ABSTRACT:
        kind = _ABSTRACT[declared.DataType.Identifier]
    else:
        kind = await data_type_to_variant_type(client.get_node(declared.DataType))
    return ua.Variant(_number(value, kind, str(declared.Name)) if isinstance(value, str) else value, kind)


def _number(text: str, kind: ua.VariantType, name: str) -> str | int | float:
    try:
        return float(text) if kind in _REAL else int(text) if kind in _WHOLE else text
    except ValueError as error:
        raise DeviceError(f"argument {name} = {text!r}; the method takes a number", sent=Sent.NO) from error


async def _structure(client: Client, structure: Structure, data_type: ua.NodeId) -> Any:
    try:
        await learn_structure(client, data_type)
        return ua.extension_objects_by_datatype[data_type](**structure.fields)
    except (UaError, KeyError, TypeError) as error:
        message = f"the server does not define the structure {structure.type_name} as {', '.join(structure.fields)}: {error!r}"
        raise DeviceError(message, sent=Sent.NO) from error
