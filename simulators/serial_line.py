"""What a serial line's protocol offers to its server: bytes in, addressed requests out, each executed or not."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from simulators.clock import Moment


@dataclass(frozen=True, slots=True)
class Request(ABC):
    """One complete command for one device of the line."""

    device: str
    """Name of the device that is addressed."""

    text: str
    """The command as text, for fault patterns and the log."""

    @abstractmethod
    def execute(self, now: Moment) -> bytes:
        """Carry the command out and give the reply's bytes; empty when the device stays silent."""

    @abstractmethod
    def acknowledge(self) -> bytes:
        """Give the reply of a success without carrying anything out."""

    @abstractmethod
    def is_refusal(self, reply: bytes) -> bool:
        """Tell whether a reply refuses the command's value."""


class LineProtocol(ABC):
    """Bytes to requests; holds the unfinished frame between calls, and drops it after a silence."""

    def __init__(self, silence: float) -> None:
        """Wait for the first byte; `silence` is in wall seconds."""
        self._silence = silence
        self._buffer = b""
        self._last_byte = 0.0

    def feed(self, data: bytes, now: Moment) -> list[Request]:
        """Take bytes as they came and give the requests that are complete."""
        if now.wall - self._last_byte > self._silence:
            self._buffer = b""
        self._last_byte = now.wall
        self._buffer += data
        return self._take()

    @abstractmethod
    def _take(self) -> list[Request]:
        """Take complete requests off the buffer's front."""
