"""A serial line that plays a transcript from a device's manual and fails at the first wrong byte."""

from collections.abc import Iterable

from typing_extensions import override

from instruments.transport.base import LineTransport, ReplyOf
from orchestrator.errors import LinkError, Sent


class WrongScript(AssertionError):
    """What was sent is not what the transcript has, or part of it was never asked for."""


class ScriptedTransport(LineTransport):
    """Answers each request of a transcript, in its order."""

    def __init__(self, script: Iterable[tuple[bytes, bytes]]) -> None:
        """Load a transcript of (request, reply) pairs; an empty reply is a time-out."""
        self._script = list(script)
        self._next = 0
        self.closed = False

    @property
    @override
    def kind(self) -> str:
        return "serial"

    @override
    def exchange(self, request: bytes, reply_of: ReplyOf, *, deadline: float, worst_reply: float) -> bytes:
        answer = self._play(request)
        reply = reply_of(answer)
        if reply is None:
            raise LinkError(f"no reply to {request!r} within {deadline:g} s; heard {answer!r}", sent=Sent.MAYBE)
        return reply

    @override
    def tell(self, request: bytes) -> None:
        self._play(request)

    def _play(self, request: bytes) -> bytes:
        if self.closed:
            raise LinkError("the scripted line is closed", sent=Sent.NO)
        if self._next == len(self._script):
            raise WrongScript(f"sent {request!r} after the end of the transcript")
        expected, answer = self._script[self._next]
        if request != expected:
            raise WrongScript(f"exchange {self._next + 1}: sent {request!r}, the transcript has {expected!r}")
        self._next += 1
        return answer

    def finish(self) -> None:
        """Check that the whole transcript was played.

        Raises:
            WrongScript: Something is left over.
        """
        left = len(self._script) - self._next
        if left:
            raise WrongScript(f"{left} exchanges were never asked for, the first one {self._script[self._next][0]!r}")

    @override
    def close(self) -> None:
        self.closed = True
