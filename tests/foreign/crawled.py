"""A running server's whole address space, read over the wire, in the shape in which the nodesets are read."""

from collections.abc import Iterable
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds

from tests.foreign.nodesets import BASE, Key, Node

_BATCH = 50
_ATTRIBUTES = (AttributeIds.DataType, AttributeIds.ValueRank, AttributeIds.IsAbstract)


async def crawl(client: Client) -> dict[Key, Node]:
    """Follow every hierarchical reference from Root; attributes are read of what does not belong to the base namespace."""
    spaces = [BASE, *(await client.get_namespace_array())[1:]]
    names: dict[ua.NodeId, Node] = {client.nodes.root.nodeid: Node("Object", (BASE, "Root"))}
    waiting = list(names)
    while waiting:
        below = []
        for ids in _parts(waiting):
            for source, result in zip(ids, await client.uaclient.browse(_all_of(ids)), strict=True):
                for one in result.References:
                    names[source].references.append((_key(one.ReferenceTypeId, spaces), one.IsForward, _key(one.NodeId, spaces)))
                    if one.NodeId not in names:
                        name = (spaces[one.BrowseName.NamespaceIndex], one.BrowseName.Name)
                        names[one.NodeId] = Node(ua.NodeClass(one.NodeClass).name, name)
                        below.append(one.NodeId)
        waiting = below
    await _read_attributes(client, {key: node for key, node in names.items() if key.NamespaceIndex > 0}, spaces)
    return {_key(key, spaces): node for key, node in names.items()}


def _parts(ids: list[ua.NodeId]) -> Iterable[tuple[ua.NodeId, ...]]:
    return (tuple(ids[start : start + _BATCH]) for start in range(0, len(ids), _BATCH))


def _all_of(ids: tuple[ua.NodeId, ...]) -> ua.BrowseParameters:
    descriptions = [
        ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Both,
            ReferenceTypeId=ua.NodeId(),
            IncludeSubtypes=True,
            NodeClassMask=ua.UInt32(0),
            ResultMask=ua.UInt32(63),
        )
        for node in ids
    ]
    return ua.BrowseParameters(NodesToBrowse=descriptions)


async def _read_attributes(client: Client, nodes: dict[ua.NodeId, Node], spaces: list[str]) -> None:
    for ids in _parts(list(nodes)):
        for attribute in _ATTRIBUTES:
            for key, value in zip(ids, await client.uaclient.read_attributes(list(ids), attribute), strict=True):
                if value.Value is not None and (value.StatusCode is None or value.StatusCode.is_good()):
                    _set(nodes[key], attribute, value.Value.Value, spaces)


def _set(node: Node, attribute: AttributeIds, value: Any, spaces: list[str]) -> None:
    if attribute == AttributeIds.DataType:
        node.data_type = _key(value, spaces)
    elif attribute == AttributeIds.ValueRank:
        node.rank = int(value)
    else:
        node.is_abstract = bool(value)


def _key(node: ua.NodeId, spaces: list[str]) -> Key:
    return spaces[node.NamespaceIndex], node.to_string().rpartition(";")[2]
