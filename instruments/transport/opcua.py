"""An OPC-UA session behind blocking calls: asyncua's client in an event loop on a thread of its own.

Measured on asyncua 2.1: a call whose reply is lost may have been carried out; a watchdog interval below 5 s declares busy
links lost; requests made during an outage would wait for the reconnection and then be sent late. So the state of the
link is looked at before every request, nothing is ever sent twice, and an outage fails at once.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.common.node import Node
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from typing_extensions import override

from instruments.transport import exchanges
from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue, ServerRefusal, Value
from instruments.transport.opcua_nodes import AddressSpace, text
from instruments.transport.opcua_security import LinkSecurity, open_client, refusal
from instruments.transport.opcua_values import node_text, plain, variant
from instruments.trust.folder import application
from orchestrator.errors import AccessError, DeviceError, InstrumentError, LinkError, ProtocolError, Sent

logger = logging.getLogger(__name__)

REQUESTED_SESSION: Final = 10.0
"""Wall seconds after which the server may forget us once we have vanished; servers' own choice is often ten minutes."""
_METHOD_LIMIT: Final = 5.0
"""Wall seconds for a method of the device: some start their program before they answer. More, and a bench host whose wire
stands still for so long would be taken for stuck."""
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
        "BadConnectionClosed",
        "BadServerHalted",
        "BadShutdown",
        "BadTimeout",
    }
)
"""Codes of the link, not of the device."""
_CONNECTION: Final = "BadTcp"
"""Begins the codes with which a server breaks a connection off (OPC 10000-6, 7.1.5): after a message that was lost or damaged."""
_NOT_ACTIVATED: Final = "BadUserAccessDenied"
"""Slips out while a session is made anew; at any other time the device means it."""
_ACTIVATION: Final = 10.0
"""Wall seconds after a loss within which a session is made anew."""
_NAMED: Final = 3
"""Nodes of a long request that a message names."""
_NODE_GONE: Final = frozenset({"BadNodeIdUnknown", "BadNodeIdInvalid"})
_T = TypeVar("_T")
_V = TypeVar("_V", bound=NodeValue | None)


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
        self._lost_at = -_ACTIVATION
        self._types: dict[ua.NodeId, ua.VariantType] = {}
        self._space = AddressSpace(url)
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
            timeout=_METHOD_LIMIT,
            watchdog_intervall=_WATCHDOG,
            auto_reconnect=True,
            reconnect_max_delay=_RECONNECT_DELAY,
            reconnect_request_timeout=_NO_WAITING,
        )
        client.name = client.description = "Athanor"
        if self._security is None:
            client.application_uri = application()  # else its certificate says it
        client.session_timeout = int(REQUESTED_SESSION * 1000)
        client.connection_lost_callback = self._on_lost
        await client.connect()
        return client

    async def _on_lost(self, error: Exception) -> None:
        logger.warning("%s: connection lost: %r", self._url, error)
        self._losses += 1
        self._lost_at = time.monotonic()
        self._forget()

    def _forget(self) -> None:
        """Drop what a restarted server may have changed: node ids, namespace indices, types of values."""
        self._types = {}
        self._space.forget()

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

    @property
    @override
    def application_uri(self) -> str:
        return str(self._client.application_uri)

    @override
    def exists(self, path: NodePath) -> bool:
        async def look(_: Client) -> bool:
            return await self._space.find(path) is not None

        return self._run(f"looking for {text(path)}", look, Sent.NO)

    @override
    def objects(self, path: NodePath) -> tuple[NodePath, ...]:
        return self._run(f"browsing {text(path)}", lambda _: self._space.children(path, ua.NodeClass.Object), Sent.NO)

    @override
    def variables(self, path: NodePath) -> tuple[NodePath, ...]:
        return self._run(f"browsing {text(path)}", lambda _: self._space.children(path, ua.NodeClass.Variable), Sent.NO)

    @override
    def types(self, path: NodePath) -> tuple[Name, ...]:
        return self._run(f"asking for the type of {text(path)}", lambda _: self._space.types(path), Sent.NO)

    @override
    def node(self, path: NodePath) -> str:
        async def look(_: Client) -> str:
            return node_text(await self._space.resolve(path))

        return self._run(f"looking for {text(path)}", look, Sent.NO)

    @override
    def browse_name(self, node: str) -> Name | None:
        return self._run(f"asking for the name of {node}", lambda _: self._space.browse_name(ua.NodeId.from_string(node)), Sent.NO)

    @override
    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        async def read(_: Client) -> tuple[NodeValue, ...]:
            return tuple(await self._space.read(await self._space.resolve_all(paths)))

        return self._checked(paths, self._run(_reading(paths), read, Sent.NO))

    @override
    def look(self, paths: Sequence[NodePath]) -> tuple[NodeValue | None, ...]:
        async def read(_: Client) -> tuple[NodeValue | None, ...]:
            nodes = await self._space.find_all(paths)
            values = iter(await self._space.read([node for node in nodes if node is not None]))
            return tuple(None if node is None else next(values) for node in nodes)

        return self._checked(paths, self._run(_reading(paths), read, Sent.NO))

    def _checked(self, paths: Sequence[NodePath], values: tuple[_V, ...]) -> tuple[_V, ...]:
        for path, one in zip(paths, values, strict=True):
            told = "no such node" if one is None else f"{one.value!r} {one.status} {one.source_timestamp or ''}".rstrip()
            exchanges.tell(f"read {text(path)}", told)
        if any(value is not None and value.status in _NODE_GONE for value in values):
            self._space.forget_nodes()
        return values

    @override
    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        what = f"writing {text(path)} = {value!r}"

        async def prepare(client: Client) -> tuple[Node, ua.VariantType]:
            node = client.get_node(await self._space.resolve(path))
            if node.nodeid not in self._types:
                self._types[node.nodeid] = await node.read_data_type_as_variant_type()
            return node, self._types[node.nodeid]

        node, declared = self._run(what, prepare, Sent.NO)
        plain_value = ua.DataValue(ua.Variant(value, declared), StatusCode=None)
        self._run(what, lambda _: node.write_attribute(AttributeIds.Value, plain_value), Sent.MAYBE)
        exchanges.tell(what, "")

    @override
    def arguments(self, path: NodePath, method: Name) -> tuple[str, ...]:
        async def ask(_: Client) -> tuple[str, ...]:
            return tuple(str(one.Name) for one in await self._space.arguments((*path, method)))

        return self._run(f"asking for the arguments of {text((*path, method))}", ask, Sent.NO)

    @override
    def call(self, path: NodePath, method: Name, arguments: Mapping[str, Value]) -> tuple[Any, ...]:
        what = f"calling {text((*path, method))}"

        async def prepare(client: Client) -> tuple[Node, ua.NodeId, list[ua.Variant]]:
            node, found = await self._space.resolve_all([path, (*path, method)])
            declared = await self._space.arguments((*path, method))
            if {str(one.Name) for one in declared} != set(arguments):
                takes = ", ".join(str(one.Name) for one in declared) or "nothing"
                raise DeviceError(f"{self._url}: {text((*path, method))} takes {takes}; expected {', '.join(arguments)}", sent=Sent.NO)
            return client.get_node(node), found, [await variant(client, arguments[str(one.Name)], one) for one in declared]

        node, method_id, variants = self._run(what, prepare, Sent.NO)

        async def call(_: Client) -> Any:
            return await node.call_method(method_id, *variants)

        result = self._run(what, call, Sent.MAYBE, limit=_METHOD_LIMIT + 1.0)
        many = result if isinstance(result, list) else [] if result is None else [result]
        answer = tuple(plain(value) for value in many)
        exchanges.tell(what, repr(answer))
        return answer

    def _run(self, what: str, request: Callable[[Client], Awaitable[_T]], sent: Sent, limit: float = _CALL_LIMIT) -> _T:
        """Run a request now or not at all.

        Args:
            what: What is done, for messages.
            request: Makes the coroutine.
            sent: What a loss after this point means.
            limit: Wall seconds for it.
        """
        if self._closed or self._client.state is not UaClientState.CONNECTED:
            raise LinkError(f"{self._url} is not connected; {what} was not tried", sent=Sent.NO)
        if not self._space.prepared:
            self._guard(f"preparing for {what}", self._space.prepare(self._client), Sent.NO, _CALL_LIMIT)

        async def run() -> _T:
            return await request(self._client)

        return self._guard(what, run(), sent, limit)

    def _guard(self, what: str, coroutine: Coroutine[Any, Any, _T], sent: Sent, limit: float) -> _T:
        try:
            return self._await(coroutine, limit)
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
        is_activated = time.monotonic() - self._lost_at >= _ACTIVATION
        if name in _SESSION_GONE or name.startswith(_CONNECTION) or (name == _NOT_ACTIVATED and not is_activated):
            return LinkError(f"{self._url}: {name} while {what}", sent=sent)
        return ServerRefusal(f"{self._url} refused {what}: {name}", status=name, sent=Sent.NO if sent is Sent.NO else Sent.YES)

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


def _reading(paths: Sequence[NodePath]) -> str:
    more = ", ..." if len(paths) > _NAMED else ""
    return f"reading {', '.join(text(path) for path in paths[:_NAMED])}{more}"
