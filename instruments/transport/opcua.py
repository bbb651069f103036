"""An OPC-UA session behind blocking calls: asyncua's client in an event loop on a thread of its own.

Measured on asyncua 2.1: a call whose reply is lost may have been carried out; a watchdog interval below 5 s declares busy
links lost; requests made during an outage would wait for the reconnection and then be sent late. So the state of the
link is looked at before every request, nothing is ever sent twice, and an outage fails at once.
"""

import asyncio
import dataclasses
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.common.node import Node
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from typing_extensions import override

from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, Structure, Structures
from instruments.transport.opcua_security import LinkSecurity, open_client, refusal
from instruments.trust.folder import APPLICATION
from orchestrator.errors import AccessError, DeviceError, InstrumentError, LinkError, ProtocolError, Sent

logger = logging.getLogger(__name__)

REQUESTED_SESSION: Final = 10.0
"""Wall seconds after which the server may forget us once we have vanished; servers' own choice is often ten minutes."""
_REQUEST_LIMIT: Final = 3.0
"""Wall seconds for one request."""
_CALL_LIMIT: Final = 6.0
"""Wall seconds for one of our methods, which may need several requests (browsing after a reconnection)."""
_CONNECT_LIMIT: Final = 15.0
_WATCHDOG: Final = 5.0
"""Wall seconds between asyncua's own questions for the server's state; less breaks on a busy machine."""
_RECONNECT_DELAY: Final = 3.0
"""Longest pause between attempts to connect again; the default overshoots a restart by many seconds."""
_NO_WAITING: Final = 0.05
"""Wall seconds for which a request may wait for a reconnection: practically none, so that none is sent late."""
_CLOSE_LIMIT: Final = 5.0
_LOST: Final = (ConnectionError, OSError, asyncio.TimeoutError)
_SESSION_GONE: Final = frozenset(
    {
        "BadSessionIdInvalid",
        "BadSessionClosed",
        "BadSessionNotActivated",
        "BadSecureChannelIdInvalid",
        "BadSecureChannelClosed",
        "BadUserAccessDenied",
        "BadConnectionClosed",
        "BadServerHalted",
        "BadShutdown",
        "BadTimeout",
    }
)
"""Codes of the link, not of the device; the last but few slip out while a session is made anew."""
_OBJECTS: Final = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
_HAS_PROPERTY: Final = ua.NodeId(ua.Int32(ObjectIds.HasProperty))
_NULL_TIME: Final = datetime(1601, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


class OpcUaTransport(NodeTransport):
    """One session with one server, reconnecting by itself."""

    def __init__(self, url: str, security: LinkSecurity | None = None) -> None:
        """Connect.

        Args:
            url: The endpoint.
            security: What the channel and the user are secured with; None for neither.

        Raises:
            AccessError: One side does not trust the other.
            LinkError: The server cannot be reached, or refuses (`sent` no).
        """
        self._url = url
        self._security = security
        self._closed = False
        self._life = uuid.uuid4().hex[:12]
        self._losses = 0
        self._known: dict[NodePath, ua.NodeId] = {}
        self._types: dict[ua.NodeId, ua.VariantType] = {}
        self._namespaces: list[str] = []
        self._prepared = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"opcua {url}", daemon=True)
        self._thread.start()
        try:
            self._client = self._await(self._connect(), _CONNECT_LIMIT)
        except (*_LOST, UaError, AccessError) as error:
            self._end_loop()
            raise refusal(error, security) or LinkError(f"cannot connect to {url}: {error!r}", sent=Sent.NO) from error

    async def _connect(self) -> Client:
        client = await open_client(
            self._url,
            self._security,
            timeout=_REQUEST_LIMIT,
            watchdog_intervall=_WATCHDOG,
            auto_reconnect=True,
            reconnect_max_delay=_RECONNECT_DELAY,
            reconnect_request_timeout=_NO_WAITING,
        )
        client.name = client.description = "Athanor"
        if self._security is None:
            client.application_uri = APPLICATION  # else its certificate says it
        client.session_timeout = int(REQUESTED_SESSION * 1000)
        client.connection_lost_callback = self._on_lost
        await client.connect()
        return client

    async def _on_lost(self, error: Exception) -> None:
        logger.warning("%s: connection lost: %r", self._url, error)
        self._losses += 1
        self._forget()

    def _forget(self) -> None:
        """Drop what a restarted server may have changed: node ids, namespace indices, type definitions."""
        self._prepared = False
        self._known = {}
        self._types = {}

    @property
    @override
    def kind(self) -> str:
        return "opcua"

    @property
    @override
    def session(self) -> str:
        # not the server's token: a restarted server may give the same one again
        return f"{self._life}-{self._losses}"

    @property
    @override
    def granted_session(self) -> float:
        return float(self._client.session_timeout) / 1000.0

    @override
    def exists(self, path: NodePath) -> bool:
        async def look(_: Client) -> bool:
            return await self._find(path) is not None

        return self._run(f"looking for {_text(path)}", look, Sent.NO)

    @override
    def objects(self, path: NodePath) -> tuple[NodePath, ...]:
        return self._run(f"browsing {_text(path)}", lambda _: self._children(path, ua.NodeClass.Object), Sent.NO)

    @override
    def variables(self, path: NodePath) -> tuple[NodePath, ...]:
        return self._run(f"browsing {_text(path)}", lambda _: self._children(path, ua.NodeClass.Variable), Sent.NO)

    @override
    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        async def read(client: Client) -> tuple[NodeValue, ...]:
            nodes = [await self._resolve(path) for path in paths]
            values = await client.uaclient.read_attributes(nodes, AttributeIds.Value) if nodes else []
            return tuple(_node_value(value) for value in values)

        values = self._run(f"reading {', '.join(_text(path) for path in paths[:3])}", read, Sent.NO)
        if any(value.status in ("BadNodeIdUnknown", "BadNodeIdInvalid") for value in values):
            self._known = {}
        return values

    @override
    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        what = f"writing {_text(path)} = {value!r}"

        async def prepare(client: Client) -> tuple[Node, ua.VariantType]:
            node = client.get_node(await self._resolve(path))
            if node.nodeid not in self._types:
                self._types[node.nodeid] = await node.read_data_type_as_variant_type()
            return node, self._types[node.nodeid]

        node, declared = self._run(what, prepare, Sent.NO)
        plain = ua.DataValue(ua.Variant(value, declared), StatusCode=None)
        self._run(what, lambda _: node.write_attribute(AttributeIds.Value, plain), Sent.MAYBE)

    @override
    def call(self, path: NodePath, method: Name, arguments: Sequence[str | Structures]) -> tuple[Any, ...]:
        what = f"calling {_text((*path, method))}"

        async def prepare(client: Client) -> tuple[Node, ua.NodeId, list[ua.Variant]]:
            node = client.get_node(await self._resolve(path))
            return node, await self._resolve((*path, method)), [_variant(argument) for argument in arguments]

        node, method_id, variants = self._run(what, prepare, Sent.NO)

        async def call(_: Client) -> Any:
            return await node.call_method(method_id, *variants)

        result = self._run(what, call, Sent.MAYBE)
        many = result if isinstance(result, list) else [] if result is None else [result]
        return tuple(_plain(value) for value in many)

    async def _find(self, path: NodePath) -> ua.NodeId | None:
        """Walk down from the Objects folder; None when a name is missing."""
        if not path:
            return _OBJECTS
        if path in self._known:
            return self._known[path]
        parent = await self._find(path[:-1])
        if parent is None:
            return None
        wanted = path[-1]
        found = {
            child.NodeId: child.BrowseName
            for child in await self._browse(parent)
            if child.BrowseName.Name == wanted.name and wanted.namespace in (None, self._namespace(child.BrowseName.NamespaceIndex))
        }
        if len(found) > 1:
            message = f"{self._url}: {_text(path)} is ambiguous: {len(found)} nodes have that name"
            raise DeviceError(message, sent=Sent.NO)
        if not found:
            return None
        self._known[path] = next(iter(found))
        return self._known[path]

    async def _resolve(self, path: NodePath) -> ua.NodeId:
        node = await self._find(path)
        if node is None:
            raise DeviceError(f"{self._url} has no node {_text(path)}", sent=Sent.NO)
        return node

    async def _browse(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        return await self._client.get_node(node).get_references(
            refs=ObjectIds.HierarchicalReferences, direction=ua.BrowseDirection.Forward, includesubtypes=True
        )

    async def _children(self, path: NodePath, node_class: ua.NodeClass) -> tuple[NodePath, ...]:
        """List children of a class by HasComponent, Organizes and the like; the same node by two references is one."""
        children: dict[ua.NodeId, NodePath] = {}
        for child in await self._browse(await self._resolve(path)):
            is_property = child.ReferenceTypeId == _HAS_PROPERTY
            if child.NodeClass == node_class and not is_property and child.NodeId not in children:
                name = Name(child.BrowseName.Name, self._namespace(child.BrowseName.NamespaceIndex))
                children[child.NodeId] = (*path, name)
                self._known[children[child.NodeId]] = child.NodeId
        return tuple(children.values())

    def _namespace(self, index: int) -> str:
        return self._namespaces[index] if index < len(self._namespaces) else ""

    async def _prepare(self) -> None:
        """Learn namespaces and structure types, once per connection."""
        if self._prepared:
            return
        self._namespaces = await self._client.get_namespace_array()
        await self._client.load_data_type_definitions()
        self._prepared = True

    def _run(self, what: str, request: Callable[[Client], Awaitable[_T]], sent: Sent) -> _T:
        """Run a request now or not at all.

        Args:
            what: What is done, for messages.
            request: Makes the coroutine.
            sent: What a loss after this point means.
        """
        if self._closed or self._client.state is not UaClientState.CONNECTED:
            raise LinkError(f"{self._url} is not connected; {what} was not tried", sent=Sent.NO)
        self._guard(f"preparing for {what}", self._prepare(), Sent.NO)

        async def run() -> _T:
            return await request(self._client)

        return self._guard(what, run(), sent)

    def _guard(self, what: str, coroutine: Coroutine[Any, Any, _T], sent: Sent) -> _T:
        try:
            return self._await(coroutine, _CALL_LIMIT)
        except InstrumentError:
            raise
        except _LOST as error:
            raise LinkError(f"{self._url}: lost while {what}: {error!r}", sent=sent) from error
        except UaStatusCodeError as error:
            raise self._refusal(what, error, sent) from error
        except UaError as error:
            raise ProtocolError(f"{self._url}: {what} brought no valid answer: {error!r}", sent=sent) from error

    def _refusal(self, what: str, error: UaStatusCodeError, sent: Sent) -> InstrumentError:
        name = ua.StatusCode(error.code).name
        if name in _SESSION_GONE:
            return LinkError(f"{self._url}: {name} while {what}", sent=sent)
        return DeviceError(f"{self._url} refused {what}: {name}", sent=Sent.NO if sent is Sent.NO else Sent.YES)

    def _await(self, coroutine: Coroutine[Any, Any, _T], limit: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(limit)
        except TimeoutError:
            future.cancel()
            raise

    @override
    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._await(asyncio.wait_for(self._client.disconnect(), _CLOSE_LIMIT), 2 * _CLOSE_LIMIT)
        except (*_LOST, UaError) as error:
            logger.warning("%s did not close cleanly: %r", self._url, error)
        self._end_loop()

    def _end_loop(self) -> None:
        """Cancel what is left, and end loop and thread."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(_CLOSE_LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


def _text(path: NodePath) -> str:
    return "/".join(name.name for name in path) or "Objects"


def _node_value(value: ua.DataValue) -> NodeValue:
    status = value.StatusCode or ua.StatusCode()
    quality: Literal["good", "uncertain", "bad"] = "bad" if status.is_bad() else "uncertain" if status.is_uncertain() else "good"
    plain = _plain(value.Value.Value) if value.Value is not None else None
    return NodeValue(plain, status.name, quality, _plain(value.SourceTimestamp))


def _plain(value: Any) -> Any:
    """Turn a value of asyncua's types into one of the types that NodeValue names."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return tuple(_plain(item) for item in value)
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return None if aware <= _NULL_TIME else aware
        case ua.LocalizedText():
            return value.Text or ""
        case ua.QualifiedName():
            return value.Name
        case ua.NodeId():
            return value.to_string()
        case bytes():
            return value.hex()
        case _ if dataclasses.is_dataclass(value):
            fields = (field.name for field in dataclasses.fields(value))
            return Structure(type(value).__name__, {name: _plain(getattr(value, name)) for name in fields if name != "Encoding"})
    return str(value)


def _variant(argument: str | Structures) -> ua.Variant:
    if isinstance(argument, str):
        return ua.Variant(argument, ua.VariantType.String)
    return ua.Variant([_structure(item) for item in argument.items], ua.VariantType.ExtensionObject, is_array=True)


def _structure(structure: Structure) -> Any:
    generated = vars(ua).get(structure.type_name)
    if generated is None:
        raise DeviceError(f"the server does not define the structure {structure.type_name}", sent=Sent.NO)
    return generated(**structure.fields)
