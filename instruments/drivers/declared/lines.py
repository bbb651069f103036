"""The engine of text protocols: each request is a line; answers are known by their shape, whatever comes between is skipped."""

import logging
import re
import time
from typing import Final

from typing_extensions import override

from instruments.drivers.declared.complaints import lines_of
from instruments.drivers.declared.engine import Engine, Heard, Values
from instruments.drivers.declared.framing import framed, frames_in
from instruments.drivers.declared.spec import ActSpec, CommandSpec, LineSpec, QuestionSpec, WatchdogSpec
from instruments.transport.base import LineTransport
from orchestrator.errors import DeviceError, InstrumentError, LinkError, Sent

logger = logging.getLogger(__name__)

_LATE: Final = 2.0
"""An answer may come until so many times its time-out; a later request waits for it."""
_NUMBERS: Final = 7
"""Sequence numbers go from 1 to this (Tecan, Cavro XLP 6000 operating manual 734237-C, pages 3-4 to 3-6)."""
_REPEATED: Final = 0x08
"""Bit of a sequence number that says: sent before (same pages)."""
_REPEATS: Final = 2
"""How often a numbered request is sent again: the device carries it out once."""


class LineEngine(Engine):
    """Asks and tells one device in lines of text."""

    def __init__(self, transport: LineTransport, name: str, spec: LineSpec, fields: Values) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The open link.
            name: What messages call the device.
            spec: How lines are framed.
            fields: What patterns may name beside arguments: address, options.
        """
        self._transport, self._name, self._spec, self._fields = transport, name, spec, fields
        self._is_numbered = "{sequence}" in spec.prefix
        self._number = 0
        self._free_at = time.monotonic() + spec.gap

    @override
    def ask(self, question: QuestionSpec, *shapes: str) -> Heard:
        assert question.query is not None
        text, raw = self._exchange(question.query.format(**self._fields), shapes, question.timeout)
        return Heard(text, raw)

    @override
    def act(self, act: ActSpec, values: Values, *, bare: bool = False) -> None:
        own = act.ack if isinstance(act, CommandSpec) else None
        ack = act.reply if isinstance(act, WatchdogSpec) else own or self._spec.ack
        timeout = act.timeout if isinstance(act, CommandSpec) else None
        failed: InstrumentError | None = None
        for line in lines_of(act):
            try:
                self._command(line.format(**self._fields, **values), ack, timeout)
            except InstrumentError as error:
                if not bare:
                    raise
                failed = failed or error
        if failed is not None:
            raise failed
        if self._spec.error is not None and not bare:
            self._ask_for_errors()

    def _command(self, text: str, ack: str | None, timeout: float | None) -> None:
        if ack is not None:
            self._exchange(text, (ack,), timeout)
            return
        self._await_gap()
        self._number = self._number % _NUMBERS + 1
        self._transport.tell(self._framed(text, repeated=False))
        self._free_at = time.monotonic() + self._spec.gap

    def _ask_for_errors(self) -> None:
        assert self._spec.error is not None
        text, _ = self._exchange(self._spec.error.query.format(**self._fields), (".*",), None)
        if re.fullmatch(self._spec.error.ok, text) is None:
            raise DeviceError(f"{self._name} reports {text!r}; expected {self._spec.error.ok}", sent=Sent.YES)

    def _exchange(self, text: str, shapes: tuple[str, ...], timeout: float | None) -> tuple[str, bytes]:
        """Send one request and return its answer; one with a sequence number is sent again when there is none."""
        self._number = self._number % _NUMBERS + 1
        for left in reversed(range(1 + (_REPEATS if self._is_numbered else 0))):
            try:
                return self._once(text, shapes, timeout or self._spec.timeout, repeated=self._is_numbered and left < _REPEATS)
            except LinkError as error:
                if not left or error.sent is Sent.NO:
                    raise
                logger.warning("%s: %r is sent again with its number: %s", self._name, text, error)
        raise AssertionError  # the loop returns or raises

    def _once(self, text: str, shapes: tuple[str, ...], timeout: float, *, repeated: bool) -> tuple[str, bytes]:
        request = self._framed(text, repeated=repeated)
        wanted = (*shapes, *([self._spec.refused] if self._spec.refused else []))

        def reply_of(buffer: bytes) -> bytes | None:
            if self._spec.echo:
                _, echo, buffer = buffer.partition(request)
                if not echo:
                    return None
            return next((raw for answer, raw in frames_in(self._spec, buffer) if _has_shape(answer, wanted)), None)

        self._await_gap()
        try:
            raw = self._transport.exchange(request, reply_of, deadline=timeout, worst_reply=_LATE * timeout)
        finally:
            self._free_at = time.monotonic() + self._spec.gap
        answer = next(frames_in(self._spec, raw))[0]
        if not _has_shape(answer, shapes):
            raise DeviceError(f"{self._name} refused {text!r}: {answer!r}", sent=Sent.YES)
        return answer, raw

    def _framed(self, text: str, *, repeated: bool) -> bytes:
        number = chr(0x30 | self._number | (_REPEATED if repeated else 0))
        return framed(self._spec, self._spec.prefix.format(**self._fields, sequence=number) + text)

    def _await_gap(self) -> None:
        time.sleep(max(0.0, self._free_at - time.monotonic()))


def _has_shape(answer: str, shapes: tuple[str, ...]) -> bool:
    return any(re.fullmatch(shape, answer) for shape in shapes)
