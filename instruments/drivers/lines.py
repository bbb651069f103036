"""A driver of a device that answers each line of text with a line."""

import re
from typing import ClassVar

from instruments.drivers.device import Device
from orchestrator.errors import DeviceError, Sent


class LineDriver(Device):
    """One device that is asked and told in lines of text; each line has one line as its answer."""

    TERMINATOR: ClassVar[bytes] = b"\r\n"
    """Ends every line, both ways."""
    DEADLINE: ClassVar[float] = 1.0
    """Wall seconds to wait for an answer."""
    WORST_REPLY: ClassVar[float] = 2.0
    """Wall seconds after which an answer comes no more; a later command waits for it, so that no answer is taken for another's."""

    def ask(self, line: str, shape: str) -> re.Match[str]:
        """Send one line, once, and return its answer.

        Args:
            line: What is sent, without its end.
            shape: Regular expression of the whole answer.

        Raises:
            LinkError: The link is lost, or no answer in time.
            DeviceError: Another answer.
        """
        self._heard = self.link.exchange(
            line.encode("ascii") + self.TERMINATOR, self._first_line, deadline=self.DEADLINE, worst_reply=self.WORST_REPLY
        )
        answer = self._heard.removesuffix(self.TERMINATOR).decode("ascii", "backslashreplace")
        match = re.fullmatch(shape, answer)
        if match is None:
            raise DeviceError(f"{self.settings.name} answered {answer!r} to {line!r}; expected {shape}", sent=Sent.YES)
        return match

    def _first_line(self, received: bytes) -> bytes | None:
        line, end, _ = received.partition(self.TERMINATOR)
        return line + end if end else None
