"""The nodes of one OPC-UA server by their names, in requests no larger than the server takes."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from typing import Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from instruments.transport.base import BASE, Name, NodePath, NodeValue
from instruments.transport.opcua_values import learn_encoding, node_value, unknown_structures
from orchestrator.errors import DeviceError, Sent

REQUEST_LIMIT: Final = 3.0
"""Wall seconds for one question."""
_LARGEST: Final = 500
"""Nodes in one request, also where the server sets no limit."""
_REFERENCES: Final = ua.UInt32(1000)
"""References in one answer; the others are asked for with its continuation point."""
_LIMITS: Final = {
    "read": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "translate": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
}
_OBJECTS: Final = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
_HIERARCHICAL: Final = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
_HAS_PROPERTY: Final = ua.NodeId(ua.Int32(ObjectIds.HasProperty))
_HAS_SUBTYPE: Final = ua.NodeId(ua.Int32(ObjectIds.HasSubtype))
_HAS_TYPE: Final = ua.NodeId(ua.Int32(ObjectIds.HasTypeDefinition))
_SHOWN: Final = ua.BrowseResultMask.ReferenceTypeId | ua.BrowseResultMask.NodeClass | ua.BrowseResultMask.BrowseName
_WHOLE: Final = 4294967295
"""The index that says that a browse path was followed to its end."""
_T = TypeVar("_T")


class AddressSpace:
    """What is known of a server's nodes; forgotten with each connection, since a restarted server may have changed all of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.forget()

    def forget(self) -> None:
        """Drop everything."""
        self.prepared = False
        self.forget_nodes()
        self._namespaces: list[str] = []
        self._limits = dict.fromkeys(_LIMITS, _LARGEST)

    def forget_nodes(self) -> None:
        """Drop where nodes were: one of them is not there any more."""
        self._known: dict[NodePath, ua.NodeId] = {(): _OBJECTS}
        self._arguments: dict[NodePath, tuple[ua.Argument, ...]] = {}

    async def prepare(self, client: Client) -> None:
        """Learn namespaces and operation limits, once per connection."""
        if self.prepared:
            return
        self._client = client
        self._namespaces = await _soon(client.get_namespace_array())
        for service, node in _LIMITS.items():
            (value,) = await _soon(client.uaclient.read_attributes([ua.NodeId(ua.Int32(node))], AttributeIds.Value))
            limit = value.Value.Value if value.Value is not None else None
            self._limits[service] = min(limit, _LARGEST) if isinstance(limit, int) and limit > 0 else _LARGEST
        self.prepared = True

    # ----------------------------------------------------------------- finding

    async def find(self, path: NodePath) -> ua.NodeId | None:
        """Walk down from the Objects folder; None when a name is missing."""
        return (await self.find_all([path]))[0]

    async def resolve(self, path: NodePath) -> ua.NodeId:
        """Find a node that has to be there.

        Raises:
            DeviceError: It is not (`sent` no).
        """
        return (await self.resolve_all([path]))[0]

    async def resolve_all(self, paths: Sequence[NodePath]) -> list[ua.NodeId]:
        """Find nodes that all have to be there."""
        found = []
        for path, node in zip(paths, await self.find_all(paths), strict=True):
            if node is None:
                raise DeviceError(f"{self._url} has no node {text(path)}", sent=Sent.NO)
            found.append(node)
        return found

    async def find_all(self, paths: Sequence[NodePath]) -> list[ua.NodeId | None]:
        """Find many nodes, parents first, with as few requests as the server allows; None for each that is missing."""
        wanted = [path for path in dict.fromkeys(paths) if path not in self._known]
        found: dict[NodePath, ua.NodeId | None] = {}
        if wanted:
            parents = list(dict.fromkeys(path[:-1] for path in wanted))
            nodes = dict(zip(parents, await self.find_all(parents), strict=True))
            below = [(path, node) for path in wanted if (node := nodes[path[:-1]]) is not None]
            found |= await self._translate([one for one in below if one[0][-1].namespace is not None])
            for path, parent in below:
                if path[-1].namespace is None:
                    found[path] = await self._browse_for(parent, path)
        self._known |= {path: node for path, node in found.items() if node is not None}
        return [self._known.get(path) for path in paths]

    async def _translate(self, below: Sequence[tuple[NodePath, ua.NodeId]]) -> dict[NodePath, ua.NodeId | None]:
        """Find children by their full names, many at once."""
        found: dict[NodePath, ua.NodeId | None] = {}
        known = [one for one in below if one[0][-1].namespace in self._namespaces]
        for chunk in _chunks(known, self._limits["translate"]):
            asked = [self._browse_path(parent, path[-1]) for path, parent in chunk]
            answers = await _soon(self._client.uaclient.translate_browsepaths_to_nodeids(asked))
            for (path, parent), answer in zip(chunk, answers, strict=True):
                found[path] = await self._translated(path, parent, answer)
        return found

    def _browse_path(self, parent: ua.NodeId, name: Name) -> ua.BrowsePath:
        element = ua.RelativePathElement(
            ReferenceTypeId=_HIERARCHICAL,
            IsInverse=False,  # type: ignore[arg-type]  # asyncua's Boolean is bool in all but name
            TargetName=ua.QualifiedName(name.name, ua.UInt16(self._namespaces.index(name.namespace or ""))),
        )
        return ua.BrowsePath(StartingNode=parent, RelativePath=ua.RelativePath(Elements=[element]))

    async def _translated(self, path: NodePath, parent: ua.NodeId, answer: ua.BrowsePathResult) -> ua.NodeId | None:
        if answer.StatusCode.is_good():
            return self._the_one(path, {one.TargetId for one in answer.Targets if one.RemainingPathIndex == _WHOLE})
        if answer.StatusCode.name == "BadNoMatch":
            return None
        return await self._browse_for(parent, path)  # a server that cannot translate

    async def _browse_for(self, parent: ua.NodeId, path: NodePath) -> ua.NodeId | None:
        wanted = path[-1]
        children = await self.browse(parent)
        same = (one for one in children if one.BrowseName.Name == wanted.name)
        return self._the_one(path, {one.NodeId for one in same if wanted.namespace in (None, self._namespace(one.BrowseName))})

    def _the_one(self, path: NodePath, found: set[ua.NodeId]) -> ua.NodeId | None:
        if len(found) > 1:
            raise DeviceError(f"{self._url}: {text(path)} is ambiguous: {len(found)} nodes have that name", sent=Sent.NO)
        return next(iter(found), None)

    # ----------------------------------------------------------------- browsing

    async def browse(
        self,
        node: ua.NodeId,
        reference: ua.NodeId = _HIERARCHICAL,
        direction: ua.BrowseDirection = ua.BrowseDirection.Forward,
        node_class: ua.NodeClass = ua.NodeClass.Unspecified,
    ) -> list[ua.ReferenceDescription]:
        """List a node's references, however many answers the server needs for them."""
        asked = ua.BrowseDescription(node, direction, reference, True, node_class, _SHOWN)
        view = ua.ViewDescription(Timestamp=ua.get_win_epoch())
        parameters = ua.BrowseParameters(view, RequestedMaxReferencesPerNode=_REFERENCES, NodesToBrowse=[asked])
        (result,) = await _soon(self._client.uaclient.browse(parameters))
        result.StatusCode.check()
        found = list(result.References or ())
        while result.ContinuationPoint:
            onwards = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[result.ContinuationPoint])
            (result,) = await _soon(self._client.uaclient.browse_next(onwards))
            result.StatusCode.check()
            found += result.References or ()
        return found

    async def children(self, path: NodePath, node_class: ua.NodeClass) -> tuple[NodePath, ...]:
        """List children of a class by HasComponent, Organizes and the like; the same node by two references is one."""
        children: dict[ua.NodeId, NodePath] = {}
        for child in await self.browse(await self.resolve(path), node_class=node_class):
            if child.ReferenceTypeId != _HAS_PROPERTY and child.NodeId not in children:
                children[child.NodeId] = (*path, Name(child.BrowseName.Name, self._namespace(child.BrowseName)))
        self._known |= {child: node for node, child in children.items()}
        return tuple(children.values())

    async def types(self, path: NodePath) -> tuple[Name, ...]:
        """Name the type definition of a node and what it is derived from, nearest first."""
        names: list[Name] = []
        found = await self.browse(await self.resolve(path), _HAS_TYPE)
        while found:
            names.append(Name(found[0].BrowseName.Name, self._namespace(found[0].BrowseName)))
            found = await self.browse(found[0].NodeId, _HAS_SUBTYPE, ua.BrowseDirection.Inverse)
        return tuple(names)

    async def browse_name(self, node: ua.NodeId) -> Name | None:
        """Return the name of a node; None where the server does not know it."""
        (value,) = await _soon(self._client.uaclient.read_attributes([node], AttributeIds.BrowseName))
        name = value.Value.Value if value.Value is not None else None
        return Name(name.Name, self._namespace(name)) if isinstance(name, ua.QualifiedName) and name.Name else None

    def _namespace(self, name: ua.QualifiedName) -> str:
        return self._namespaces[name.NamespaceIndex] if name.NamespaceIndex < len(self._namespaces) else ""

    # ----------------------------------------------------------------- values

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[NodeValue]:
        """Read values; structures that asyncua does not know yet are learnt and read once more."""
        values = await self._read(nodes)
        strange = {encoding for value in values for encoding in unknown_structures(value)}
        for encoding in strange:
            await learn_encoding(self._client, encoding)
        return [node_value(value) for value in (await self._read(nodes) if strange else values)]

    async def _read(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        values: list[ua.DataValue] = []
        for chunk in _chunks(nodes, self._limits["read"]):
            values += await _soon(self._client.uaclient.read_attributes(list(chunk), AttributeIds.Value))
        return values

    async def arguments(self, method: NodePath) -> tuple[ua.Argument, ...]:
        """Read what a method takes; empty where it says nothing."""
        if method not in self._arguments:
            node = await self.find((*method, Name("InputArguments", BASE)))
            (value,) = await self._read([node]) if node is not None else (ua.DataValue(),)
            self._arguments[method] = tuple(value.Value.Value or ()) if value.Value is not None else ()
        return self._arguments[method]


async def _soon(request: Awaitable[_T]) -> _T:
    return await asyncio.wait_for(request, REQUEST_LIMIT)


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def text(path: NodePath) -> str:
    """Write a path for people."""
    return "/".join(name.name for name in path) or "Objects"
