"""Sessions of an OPC-UA server that know who asks: for locks, for results that name their client, for limits per request."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Caller:
    """A client as its session names it."""

    application_uri: str
    """Of CreateSession."""
    user: str
    """Of the identity token; empty for an anonymous one."""
    session: str


NOBODY = Caller("", "", "")
CALLER: ContextVar[Caller] = ContextVar("CALLER", default=NOBODY)
"""Who calls the method that runs in this context."""

Guard = Callable[[Caller, ua.NodeId], ua.StatusCode | None]
"""Says why a caller may not write a variable or call a method; None: it may."""

_LIMITED = ("MaxNodesPerRead", "MaxNodesPerWrite", "MaxNodesPerMethodCall", "MaxNodesPerBrowse", "MaxNodesPerTranslateBrowsePathsToNodeIds")


class Sessions(InternalServer):
    """asyncua's inner server with sessions of ours."""

    def __init__(self, *, most_nodes: int | None = None, **options: Any) -> None:
        """Limit the nodes of one request to `most_nodes`, if any; `options` are asyncua's."""
        self.most_nodes = most_nodes
        self.guard: Guard = lambda _caller, _node: None
        self.ended: Callable[[str], None] = lambda _session: None
        """Told when a session is over."""
        super().__init__(**options)

    async def show_limits(self) -> None:
        """Write the limit where clients look for it (OPC 10000-5, OperationLimits)."""
        if self.most_nodes is None:
            return
        for name in _LIMITED:
            node = ua.NodeId(ua.Int32(getattr(ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")))
            await self.write_attribute_value(node, ua.DataValue(ua.Variant(self.most_nodes, ua.VariantType.UInt32)))

    @override
    def create_session(self, name: str, user: User = User(role=UserRole.Anonymous), external: bool = False) -> InternalSession:  # noqa: B008
        return _Session(self, self.aspace, self.subscription_service, name, user=user, external=external)


class _Session(InternalSession):
    """One client's session."""

    iserver: Sessions
    _application_uri = ""

    @property
    def caller(self) -> Caller:
        name = getattr(self.user, "name", None)
        return Caller(self._application_uri, name or "", self.session_id.to_string())

    @override
    async def create_session(self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None) -> ua.CreateSessionResult:
        self._application_uri = params.ClientDescription.ApplicationUri or ""
        return await super().create_session(params, sockname)

    @override
    async def close_session(self, delete_subs: bool = True) -> None:
        await super().close_session(delete_subs)
        self.iserver.ended(self.caller.session)

    @override
    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        self._count(params.NodesToRead)
        return await super().read(params)

    @override
    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        self._count(params.NodesToBrowse)
        return await super().browse(params)

    @override
    async def translate_browsepaths_to_nodeids(self, params: list[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        self._count(params)
        return await super().translate_browsepaths_to_nodeids(params)

    @override
    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        self._count(params.NodesToWrite)
        refused = [self.iserver.guard(self.caller, value.NodeId) for value in params.NodesToWrite]
        allowed = [value for value, status in zip(params.NodesToWrite, refused, strict=True) if status is None]
        written = iter(await super().write(ua.WriteParameters(NodesToWrite=allowed)))
        return [next(written) if status is None else status for status in refused]

    @override
    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        self._count(params)
        CALLER.set(self.caller)
        results = []
        for request in params:
            refused = self.iserver.guard(self.caller, request.MethodId)
            results += [ua.CallMethodResult(StatusCode=refused)] if refused is not None else await super().call([request])
        return results

    def _count(self, asked: Sequence[object]) -> None:
        if self.iserver.most_nodes is not None and len(asked) > self.iserver.most_nodes:
            raise ServiceError(ua.UInt32(StatusCodes.BadTooManyOperations))
