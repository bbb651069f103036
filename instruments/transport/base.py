"""What a driver needs of a wire: exchanges of bytes, or values of nodes. No meaning, no simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

ReplyOf = Callable[[bytes], bytes | None]
"""Given all bytes received since the request, the awaited reply, or None as long as it is not complete."""


class Transport(Protocol):
    """A wire, opened; shared by the drivers on it, which run on the one thread that owns it."""

    @property
    def kind(self) -> str:
        """`serial`, `tcp` or `opcua`."""
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


class NodeTransport(Transport, Protocol):
    """An OPC-UA session.

    Every method raises LinkError (not connected: `sent` no; lost or silent: maybe) or DeviceError (the server refused;
    the message holds the status code's name).
    """

    @property
    def session(self) -> str:
        """Names this stretch of connection; changes with each loss, and with each process."""
        ...

    @property
    def granted_session(self) -> float:
        """Wall seconds for which the server keeps the session of a client that has vanished."""
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

    def read(self, paths: Sequence[NodePath]) -> tuple[NodeValue, ...]:
        """Read values in one request; a bad status is part of the value."""
        ...

    def write(self, path: NodePath, value: bool | int | float | str) -> None:
        """Write a value in the node's declared type, without timestamps."""
        ...

    def call(self, path: NodePath, method: Name, arguments: Sequence[str | Structures]) -> tuple[Any, ...]:
        """Call a method of an object, once; never sent again."""
        ...
