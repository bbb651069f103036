"""What a serial line's protocol offers to its server: bytes in, addressed requests out, each executed or not."""

from typing import Protocol

from simulators.clock import Instant


class Request(Protocol):
    """One complete command for one device of the line."""

    @property
    def device(self) -> str:
        """Name the device that is addressed."""
        ...

    @property
    def text(self) -> str:
        """Give the command as text, for fault patterns and the log."""
        ...

    def execute(self, now: Instant) -> bytes:
        """Carry the command out and give the reply's bytes; empty when the device stays silent."""
        ...

    def acknowledge(self) -> bytes:
        """Give the reply of a success without carrying anything out."""
        ...

    def is_refusal(self, reply: bytes) -> bool:
        """Tell whether a reply refuses the command's value."""
        ...


class LineProtocol(Protocol):
    """Bytes to requests; holds the unfinished frame between calls."""

    def feed(self, data: bytes, now: Instant) -> list[Request]:
        """Take bytes as they came and give the requests that are complete."""
        ...
