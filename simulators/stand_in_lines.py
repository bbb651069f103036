"""Stand-ins that speak lines of text as their profile declares them: terminators, echo, checksums, answers of the declared shape.

Requests are known by the profile's own texts, answers are written into its regular expressions. Frames are made here a second
time, from the profile's words and not from the driver's code: the two meet on the wire.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import xor
from typing import Any, Final

import numpy as np
from typing_extensions import override

from orchestrator.errors import BadInput
from simulators.clock import Moment
from simulators.declarations import Value
from simulators.modbus_rtu import crc16
from simulators.pattern_text import replaced, shape_of, texts_of
from simulators.serial_line import LineProtocol, Request
from simulators.stand_in import StandIn
from simulators.truth import Record

_REPEATED: Final = 0x08
"""Bit of a sequence number that says: sent before (Tecan, Cavro XLP 6000 operating manual 734237-C, pages 3-4 to 3-6)."""
_SILENCE: Final = 1.0
"""s (wall); an unfinished line is dropped after it."""


@dataclass(frozen=True, slots=True)
class _Act:
    """One line that tells the device something."""

    pattern: re.Pattern[str]
    place: str
    """`commands`, `safe` or `watchdog`."""
    name: str
    is_last: bool
    """Whether the act is complete with it."""
    ack: str | None


class TextStandIn(StandIn):
    """A stand-in on a line of text."""

    def __init__(self, name: str, options: Mapping[str, Any], record: Record, random: np.random.Generator) -> None:
        """Read its profile, then switch it on."""
        self._profile = options["declaration"].profile
        self._fields: Mapping[str, Value] = options["declaration"].fields
        self.framing = Framing.of(self._profile["line"])
        self._line = self._profile["line"]
        self._prefix = re.compile(shape_of(self._line["prefix"], self._fields, {}))
        self._acts = list(self._all_acts())
        self._questions: dict[str, list[str]] = {}
        for channel, one in self._profile["channels"].items():
            self._questions.setdefault(one["query"].format(**self._fields), []).append(channel)
        self._heard_of: dict[str, dict[str, Value]] = {}
        self._error, self._last = "", ("", b"")
        super().__init__(name, options, record, random)
        for query, channels in self._questions.items():
            if self._written(channels, dict.fromkeys(channels, 0.0)) is None:
                raise BadInput(
                    f"stand-in {name}: no answer to {query!r} can be made of the patterns of {', '.join(channels)}; in a plant file, "
                    f"[stand_ins.{name}] with asked = 'calls' does without them"
                )

    # ----------------------------------------------------------------- what it understands

    def _all_acts(self) -> Iterator[_Act]:
        for place in ("commands", "safe"):
            for name, act in self._profile[place].items():
                yield from self._lines_of(place, name, act, act.get("ack") or self._line["ack"])
        if self._profile["watchdog"] is not None:
            yield from self._lines_of("watchdog", "watchdog", self._profile["watchdog"], self._profile["watchdog"]["reply"])

    def _lines_of(self, place: str, name: str, act: Mapping[str, Any], ack: str | None) -> Iterator[_Act]:
        sends = [act["send"]] if isinstance(act["send"], str) else act["send"]
        arguments = {"seconds": {"values": ()}} if place == "watchdog" else act.get("argument", {})
        for number, line in enumerate(sends, start=1):
            yield _Act(re.compile(shape_of(line, self._fields, arguments)), place, name, number == len(sends), ack)

    def hears(self, text: str) -> re.Match[str] | None:
        """Say whether a request's text is for this device: its own prefix, and something that it knows."""
        begun = self._prefix.match(text)
        return begun if begun is not None and self._knows(text[begun.end() :]) else None

    def _knows(self, text: str) -> bool:
        return text in self._questions or text in self._further or any(one.pattern.fullmatch(text) for one in self._acts)

    @property
    def _further(self) -> dict[str, Any]:
        """What is asked beside channels: who it is, whether it has an error."""
        identity, error = self._profile["identity"], self._line["error"]
        found = {identity["query"].format(**self._fields): identity["model"]} if identity else {}
        return {**({error["query"].format(**self._fields): error["ok"]} if error else {}), **found}

    # ----------------------------------------------------------------- what it answers

    @override
    def reply(self, line: bytes) -> bytes | None:
        """Carry out one request, without what frames it, and give the answer's text."""
        text = line.decode("latin-1")
        begun = self.hears(text)
        if begun is None:
            return None
        number = begun.groupdict().get("sequence")
        if number is not None and ord(number) & _REPEATED and self._last[0] == chr(ord(number) & ~_REPEATED):
            return self._last[1]  # sent again, with its number: it was carried out already
        answer = self._answer(text[begun.end() :])
        told = None if answer is None else answer.encode("latin-1")
        if number is not None:
            self._last = (chr(ord(number) & ~_REPEATED), told or b"")
        return told

    def _answer(self, text: str) -> str | None:
        self.hear()
        if text in self._questions:
            return self._frame(self._questions[text])
        if text in self._further:
            return self._told(self._further[text])
        return self._act(text)

    def _told(self, pattern: str) -> str | None:
        error = self._line["error"]
        if error and pattern == error["ok"] and self._error:
            found, self._error = self._error, ""
            return found
        candidates = [*([self.identity["model"]] if "model" in self.identity else []), *sorted(texts_of(pattern), key=len, reverse=True)]
        for candidate in candidates:
            text: str | None = candidate if re.fullmatch(pattern, candidate) else None
            for group in re.compile(pattern).groupindex:
                if text is not None and group in self.identity:
                    text = replaced(pattern, text, group, [self.identity[group]]) or text
            if text is not None:
                return text
        return None

    def _act(self, text: str) -> str | None:
        matches = [(one, found) for one in self._acts if (found := one.pattern.fullmatch(text)) is not None]
        is_safe = any(one.place == "safe" and one.is_last for one, _ in matches)
        refused = ""
        for one, found in matches:
            said = self._heard_of.setdefault(f"{one.place}.{one.name}", {})
            said |= found.groupdict()
            if not one.is_last:
                continue
            values = self._heard_of.pop(f"{one.place}.{one.name}")
            if one.place == "watchdog":
                self.hear(seconds=float(values["seconds"]))
            elif one.place == "safe":
                self.make_safe(one.name)
            else:
                refused = self.take(one.name, self._counted(one.name, values), switches_on=not is_safe) or refused
        if refused:
            self._error = "error"
            return self._example(self._line["refused"])
        return next((self._example(one.ack) for one, _ in matches if one.ack is not None), None)

    def _counted(self, command: str, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of a command's arguments, in their units, from the numbers on the wire."""
        arguments = self._profile["commands"][command]["argument"]
        given = {name: values[name] for name in arguments if name in values}
        return {
            name: value if arguments[name]["values"] else float(value) * float(arguments[name]["scale"]) for name, value in given.items()
        }

    def _example(self, pattern: str | None) -> str | None:
        return None if pattern is None else next(texts_of(pattern), None)

    def acknowledgement(self, text: str) -> bytes:
        """Return what it answers to a command that it took."""
        begun = self.hears(text)
        ack = next((one.ack for one in self._acts if begun and one.ack and one.pattern.fullmatch(text[begun.end() :])), None)
        return (self._example(ack) or "").encode("latin-1")

    # ----------------------------------------------------------------- answers with values

    def _frame(self, channels: Sequence[str]) -> str | None:
        """Write the one answer to a question that several channels may share: each finds its own value in it."""
        text = self._written(channels, {channel: self.value(channel) for channel in channels})
        return text or next((bad for shape in self._bad_of(channels) for bad in texts_of(shape)), None)

    def _written(self, channels: Sequence[str], values: Mapping[str, Value | None]) -> str | None:
        shapes = {channel: self._profile["channels"][channel]["reply"] for channel in channels}
        wanted = {channel: self._candidates(channel, values[channel]) for channel in channels}
        for begin in (text for shape in shapes.values() for text in texts_of(shape)):
            text = _with_values(begin, shapes, wanted)
            if text is not None and not any(re.fullmatch(one, text) for one in (*self._bad_of(channels), self._line["refused"] or "(?!)")):
                return text
        return None

    def _bad_of(self, channels: Sequence[str]) -> list[str]:
        """Return how it says that it has no value."""
        return [shape for one in channels if (shape := self._profile["channels"][one]["bad"]) is not None]

    def _candidates(self, channel: str, value: Value | None) -> tuple[str, ...] | None:
        """Write a value in the ways that a device may; None where any text will do."""
        one = self._profile["channels"][channel]
        if self.declared.channels[channel].text:
            return (value,) if isinstance(value, str) else None
        if value is None or isinstance(value, str):
            return () if value is None else (value,)
        return tuple(written(value / float(one["scale"])))

    @override
    def busy_value(self, channel: str, idle: Value) -> Value:
        one = self._profile["channels"][channel]
        told = [found["value"] for text in texts_of(one["reply"]) if (found := re.fullmatch(one["reply"], text)) is not None]
        if self.declared.channels[channel].text:
            return next((value for value in told if value != idle), "busy")
        return super().busy_value(channel, idle)


def written(number: float) -> Iterator[str]:
    """Write a number in the ways that devices do, the exact ones first."""
    number += 0.0  # no device says -0
    for digits, sign in product((4, 3, 2, 1, 0), ("", "+")):
        yield f"{number:{sign}.{digits}f}"
    for sign in ("", "+"):
        yield f"{number:{sign}.5E}"


def _with_values(text: str, shapes: Mapping[str, str], wanted: Mapping[str, tuple[str, ...] | None]) -> str | None:
    """Put each channel's value into a text that all their patterns match; None where that cannot be."""
    for channel, shape in shapes.items():
        candidates = wanted[channel]
        if candidates is None:
            if re.fullmatch(shape, text) is None:
                return None
            continue
        changed = replaced(shape, text, "value", candidates)
        if changed is None:
            return None
        text = changed
    fits = [
        (found := re.fullmatch(shape, text)) is not None and (wanted[name] is None or found["value"] in (wanted[name] or ()))
        for name, shape in shapes.items()
    ]
    return text if all(fits) else None


# ---------------------------------------------------------------------- frames


@dataclass(frozen=True, slots=True)
class Framing:
    """How lines are framed."""

    start: bytes
    end: bytes
    reply_end: bytes
    echo: bool
    checksum: str
    is_after_end: bool
    is_hex: bool

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> "Framing":
        """Read it from a profile."""
        end, reply_end = line["terminator"], line["reply_terminator"] or line["terminator"]
        after = line["checksum_place"] == "after-terminator"
        start, ends = line["start"].encode("latin-1"), (end.encode("latin-1"), reply_end.encode("latin-1"))
        return cls(start, *ends, line["echo"], line["checksum"], after, line["checksum_form"] == "hex")

    def seal(self, text: bytes, end: bytes) -> bytes:
        """Frame a text."""
        if self.is_after_end:
            return self.start + text + end + self._check(self.start + text + end)
        return self.start + text + self._check(self.start + text) + end

    def opened(self, buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
        """Take the first whole request off a buffer: its text, its bytes, what is left; None where there is none yet."""
        begin = buffer.find(self.start)
        while begin >= 0:
            end = buffer.find(self.end, begin + len(self.start))
            while end >= 0:
                text = self._text(buffer[begin + len(self.start) : end])
                raw = self.seal(text, self.end)
                if buffer.startswith(raw, begin):
                    return text, raw, buffer[begin + len(raw) :]
                end = buffer.find(self.end, end + 1)
            begin = buffer.find(self.start, begin + 1) if self.start else -1
        return None

    def _text(self, body: bytes) -> bytes:
        size = 0 if self.is_after_end else len(self._check(b""))
        return body[: len(body) - size] if size else body

    def _check(self, data: bytes) -> bytes:
        if self.checksum == "none":
            return b""
        check = crc16(data) if self.checksum == "crc16" else bytes((sum(data) & 0xFF if self.checksum == "sum" else reduce(xor, data, 0),))
        return check.hex().upper().encode() if self.is_hex else check


@dataclass(frozen=True, slots=True)
class _TextRequest(Request):
    """One line for one stand-in."""

    body: TextStandIn
    line: bytes
    raw: bytes

    @override
    def execute(self, now: Moment) -> bytes:
        self.body.live(now)
        return self._framed(self.body.reply(self.line))

    @override
    def acknowledge(self) -> bytes:
        return self._framed(self.body.acknowledgement(self.line.decode("latin-1")))

    @override
    def is_refusal(self, reply: bytes) -> bool:
        return reply != self.acknowledge()

    def _framed(self, answer: bytes | None) -> bytes:
        framing = self.body.framing
        echo = self.raw if framing.echo else b""
        return echo + (framing.seal(answer, framing.reply_end) if answer else b"")


class StandInLine(LineProtocol):
    """The stand-ins on one serial line, all framed alike."""

    def __init__(self, bodies: Sequence[TextStandIn]) -> None:
        super().__init__(_SILENCE)
        self._bodies, self._framing = bodies, bodies[0].framing

    @override
    def _take(self) -> list[Request]:
        requests: list[Request] = []
        while (found := self._framing.opened(self._buffer)) is not None:
            text, raw, self._buffer = found
            asked = text.decode("latin-1")
            requests += [_TextRequest(one.name, asked, one, text, raw) for one in self._bodies if one.hears(asked)]
        return requests
