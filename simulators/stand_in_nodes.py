"""Stand-ins that are plain OPC-UA servers with the nodes and methods that their profile declares."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.common.callback import Callback, CallbackType, ServerItemCallback
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError
from typing_extensions import override

from simulators.declarations import Value
from simulators.pattern_text import shape_of, texts_of
from simulators.stand_in import StandIn
from simulators.truth import Record

_OWN: Final = "urn:athanor:stand-in"
"""Namespace of names that a profile writes without one."""
_TYPES: Final = {"bool": ua.VariantType.Boolean, "int": ua.VariantType.Int64, "float": ua.VariantType.Double}
_REFUSED: Final = ua.StatusCode(ua.UInt32(StatusCodes.BadInvalidArgument))
_Path = tuple[tuple[str | None, str], ...]


def path_of(written: str | Sequence[str]) -> _Path:
    """Take a profile's browse path apart: namespace and name of each part."""
    if not isinstance(written, str):
        return tuple((one.rpartition("|")[0] or None, one.rpartition("|")[2]) for one in written)
    uri, _, names = written.rpartition("|")
    return tuple((uri or None, name) for name in names.split("/") if name)


class NodeStandIn(StandIn):
    """A stand-in with an address space."""

    def __init__(self, name: str, options: Mapping[str, Any], record: Record, random: np.random.Generator) -> None:
        """Read its profile, then switch it on."""
        self._profile = options["declaration"].profile
        self._nodes: dict[_Path, Node] = {}
        self._channels: dict[str, tuple[Node, ua.VariantType]] = {}
        self._server: Server | None = None
        super().__init__(name, options, record, random)

    # ----------------------------------------------------------------- its address space

    @override
    async def build(self, server: Any) -> None:
        self._server = server
        await server.register_namespace(_OWN)
        for name, one in self._profile["channels"].items():
            kind = ua.VariantType.String if one["text"] else _TYPES.get(self._type_of(one["node"]), ua.VariantType.Double)
            node = await self._variable(path_of(one["node"]), kind)
            if node is not None:
                self._channels[name] = node, kind
        identity = self._profile["identity"]
        if identity is not None and (node := await self._variable(path_of(identity["node"]), ua.VariantType.String)) is not None:
            await node.write_value(next(texts_of(identity["model"]), "") if self.declared.model is None else self.declared.model)
        for _, _, act in self._acts():
            await self._offer(act)
        server.subscribe_server_callback(CallbackType.PostWrite, self._written)

    def _type_of(self, written: Any) -> str:
        return next((act["type"] for _, _, act in self._acts() if act["node"] == written and act["type"]), "float")

    async def _variable(self, path: _Path, kind: ua.VariantType) -> Node | None:
        """Make a variable that clients may write; None where the server has such a node of its own."""
        if path in self._nodes:
            return self._nodes[path]
        parent = await self._parent(path[:-1])
        if await self._found(parent, path[-1][1]) is not None:
            return None
        start: Any = "" if kind is ua.VariantType.String else False if kind is ua.VariantType.Boolean else 0
        node = await parent.add_variable(ua.NodeId(), await self._name(path[-1]), ua.Variant(start, kind))
        await node.set_writable()
        self._nodes[path] = node
        return node

    async def _parent(self, path: _Path) -> Node:
        assert self._server is not None
        if not path:
            return self._server.nodes.objects
        if path not in self._nodes:
            above = await self._parent(path[:-1])
            found = await self._found(above, path[-1][1])
            self._nodes[path] = found or await above.add_object(ua.NodeId(), await self._name(path[-1]))
        return self._nodes[path]

    @staticmethod
    async def _found(parent: Node, name: str) -> Node | None:
        """Find a child that the server had before (of namespace 0)."""
        try:
            return await parent.get_child(ua.QualifiedName(name, ua.UInt16(0)))
        except UaError:
            return None

    async def _name(self, part: tuple[str | None, str]) -> ua.QualifiedName:
        assert self._server is not None
        return ua.QualifiedName(part[1], ua.UInt16(await self._server.register_namespace(part[0] or _OWN)))

    async def _offer(self, act: Mapping[str, Any]) -> None:
        if act["method"] is None:
            await self._variable(path_of(act["node"]), _TYPES.get(act["type"] or "float", ua.VariantType.Double))
            return
        path = path_of(act["method"])
        if path in self._nodes:
            return
        taken = [_argument(line.partition("=")[0].strip()) for line in _lines(act)]

        async def call(_parent: ua.NodeId, *given: ua.Variant) -> list[ua.Variant] | ua.StatusCode:
            self.catch_up()
            done = self._call(path, [str(one.Value) for one in given])
            await self.show()
            return [] if done else _REFUSED

        parent = await self._parent(path[:-1])
        self._nodes[path] = await parent.add_method(ua.NodeId(), await self._name(path[-1]), call, taken, [])

    # ----------------------------------------------------------------- what it shows

    @override
    async def show(self) -> None:
        for name, (node, kind) in self._channels.items():
            value = self.value(name)
            if isinstance(value, float | int):
                value = float(value) / float(self._profile["channels"][name]["scale"])
            if kind is ua.VariantType.String:
                shown: Any = "stand-in" if value is None else str(value)
            else:
                shown = (
                    bool(value)
                    if kind is ua.VariantType.Boolean
                    else round(float(value or 0))
                    if kind is ua.VariantType.Int64
                    else float(value or 0)
                )
            if await node.read_value() != shown:
                await node.write_value(ua.Variant(shown, kind))

    # ----------------------------------------------------------------- what it is told

    def _acts(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for place in ("commands", "safe"):
            yield from ((place, name, act) for name, act in self._profile[place].items())
        if self._profile["watchdog"] is not None:
            yield "watchdog", "watchdog", self._profile["watchdog"]

    async def _written(self, event: Callback, _service: object) -> None:
        if not isinstance(event, ServerItemCallback) or not event.is_external:
            return
        self.catch_up()
        paths = {node.nodeid: path for path, node in self._nodes.items()}
        for written, status in zip(event.request_params.NodesToWrite, event.response_params, strict=True):
            if status.is_good() and written.NodeId in paths:
                self._write(paths[written.NodeId], written.Value.Value.Value)
        await self.show()

    def _write(self, path: _Path, value: Any) -> None:
        acts = [(place, name, act) for place, name, act in self._acts() if act["node"] is not None and path_of(act["node"]) == path]
        fitting = [one for one in acts if _fits(one[2], value)]
        self._carry_out([(place, name, _values(act, value)) for place, name, act in fitting])

    def _call(self, path: _Path, texts: Sequence[str]) -> bool:
        found = []
        for place, name, act in self._acts():
            if act["method"] is None or path_of(act["method"]) != path:
                continue
            arguments = act.get("argument", {})
            shapes = [shape_of(line.partition("=")[2].strip(), self.declared.fields, arguments) for line in _lines(act)]
            matches = [re.fullmatch(shape, text) for shape, text in zip(shapes, texts, strict=False)]
            if len(shapes) == len(texts) and all(matches):
                said = {key: text for one in matches if one is not None for key, text in one.groupdict().items()}
                found.append((place, name, {key: _typed(arguments[key], text) for key, text in said.items() if key in arguments}))
        return bool(found) and self._carry_out(found)

    def _carry_out(self, acts: Sequence[tuple[str, str, Mapping[str, Value]]]) -> bool:
        self.hear()
        is_safe, is_done = any(place == "safe" for place, _, _ in acts), True
        for place, name, values in acts:
            if place == "watchdog":
                self.hear(seconds=float(next(iter(values.values()), 0.0)))
            elif place == "safe":
                self.make_safe(name)
            else:
                is_done = self.take(name, values, switches_on=not is_safe) is None and is_done
        return is_done


def _lines(act: Mapping[str, Any]) -> Sequence[str]:
    return [act["send"]] if isinstance(act["send"], str) else act["send"] or ()


def _argument(name: str) -> ua.Argument:
    return ua.Argument(name, ua.NodeId(ua.Int32(ObjectIds.String)), ua.Int32(-1))


def _fits(act: Mapping[str, Any], value: Any) -> bool:
    return isinstance(act["value"], str | None) or float(act["value"]) == float(value)


def _values(act: Mapping[str, Any], value: Any) -> dict[str, Value]:
    arguments = act.get("argument", {"seconds": {"values": (), "scale": 1.0}} if act["value"] is None else {})
    name = act["value"] if act["value"] in arguments else next(iter(arguments), None) if act["value"] is None else None
    return {} if name is None else {name: _typed(arguments[name], value)}


def _typed(argument: Mapping[str, Any], value: Any) -> Value:
    return str(value) if argument["values"] else float(value) * float(argument["scale"])
