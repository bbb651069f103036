"""What a driver needs of a wire: exchanges of bytes, or values of nodes. No meaning, no simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from orchestrator.errors import DeviceError, Sent

BASE: Final = "http://opcfoundation.org/UA/"
"""Namespace of OPC-UA itself."""

ReplyOf = Callable[[bytes], bytes | None]
"""Given all bytes received since the request, the awaited reply, or None as long as it is not complete."""


class Transport(Protocol):
    """A wire, opened; shared by the drivers on it, which run on the one thread that owns it."""

    @property
    def kind(self) -> str:
        """`serial`, `tcp`, `visa` or `opcua`."""
        ...

    def close(self) -> None:
        """Close it; may be repeated."""
        ...


class LineTransport(Transport, Protocol):
    """A serial line, or a connection that carries the same bytes."""

    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        """Drain stale bytes, send the request once and read until its reply has come.

        Args:
            request: The bytes to send.
            reply_of: Recognises the reply; bytes before and between are skipped.
            deadline: Wall seconds to wait for the reply.
            worst_reply: Wall seconds after sending until which a reply may still come. After a time-out the next exchange
                waits until then and drains, so that a late reply is not taken for its own.

        Raises:
            LinkError: Closed or lost (`sent` no or maybe), or no reply in time (`sent` maybe).
        """
        ...

    def tell(self, request: bytes) -> None:
        """Drain stale bytes and send something that is not answered, once.

        Raises:
            LinkError: Closed or lost (`sent` no or maybe).
        """
        ...


@dataclass(frozen=True, slots=True)
class Name:
    """A BrowseName, with its namespace by URI."""

    name: str
    namespace: str | None = None
    """None: any namespace, provided that only one child has the name."""


NodePath = tuple[Name, ...]
"""BrowseNames from the Objects folder downwards."""


@dataclass(frozen=True, slots=True)
class NodeValue:
    """A value as the server gave it."""

    value: Any
    """None, bool, int, float, str, datetime (aware), a Structure, or a tuple of these; text of a LocalizedText."""
    status: str
    """Name of the OPC-UA status code."""
    quality: Literal["good", "uncertain", "bad"]
    source_timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Structure:
    """A value of a structure type that the server defines."""

    type_name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Structures:
    """An array of structures (possibly empty, so that the type must be said)."""

    items: Sequence[Structure]


Value = bool | int | float | str | Structures
"""What a method's argument may be."""


class ServerRefusal(DeviceError):
    """A server refused a request."""

    def __init__(self, message: str, *, status: str, sent: Sent) -> None:
        super().__init__(message, sent=sent)
        self.status = status
        """Name of the OPC-UA status code."""


class NodeTransport(Transport, Protocol):
    """An OPC-UA session.

    Every method raises LinkError (not connected: `sent` no; lost or silent: maybe) or DeviceError (a node is missing, or
    ServerRefusal). Long lists of nodes are asked for in as many requests as the server wants.
    """

    @property
    def session(self) -> str:
        """Names this stretch of connection; changes with each loss, and with each process."""
        ...

    @property
    def granted_session(self) -> float:
        """Wall seconds for which the server keeps the session of a client that has vanished."""
        ...

    @property
    def application_uri(self) -> str:
        """What this client calls itself: the server names the owner of a lock by it."""
        ...

    def exists(self, path: NodePath) -> bool:
        """Say whether the server has a node at this path."""
        ...

    def objects(self, path: NodePath) -> tuple[NodePath, ...]:
        """List the objects below a node."""
        ...

    def variables(self, path: NodePath) -> tuple[NodePath, ...]:
        """List the variables below a node, properties left out."""
        ...

    def types(self, path: NodePath) -> tuple[Name, ...]:
        """Name the type definition of a node and the types that it is derived from, nearest first."""
        ...

    def node(self, path: NodePath) -> str:
        """Return the NodeId at a path, as values that refer to it name it in this session."""
        ...

    def browse_name(self, node: str) -> Name | None:
        """Return the name of the node that a value refers to, which no server translates; None where there is no such node."""
        ...

    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        """Read values; a bad status is part of the value, a missing node is a DeviceError."""
        ...

    def look(self, paths: Sequence[NodePath]) -> tuple[NodeValue | None, ...]:
        """Read values of nodes of which some may be missing: None for these."""
        ...

    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        """Write a value in the node's declared type, without timestamps."""
        ...

    def arguments(self, path: NodePath, method: Name) -> tuple[str, ...]:
        """Name the arguments that a method of an object takes, in its order."""
        ...

    def call(self, path: NodePath, method: Name, arguments: Mapping[str, Value]) -> tuple[Any, ...]:
        """Call a method of an object, once; never sent again.

        Args:
            path: The object.
            method: Its method.
            arguments: By name: servers differ in their order. DeviceError (`sent` no) unless the method takes exactly these.
        """
        ...
