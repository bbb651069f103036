"""One New Era pump on a serial line: modes, time-outs, alarms and the shapes of its replies (NE-1000 manual)."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from instruments.transport.base import LineTransport
from instruments.transport.framing import PumpReply, basic_request, pump_replies, pump_reply_from, safe_request
from orchestrator.errors import DeviceError, LinkError, ProtocolError, Sent
from orchestrator.units import convert

logger = logging.getLogger(__name__)

DEADLINE: Final = 0.7
"""Wall seconds for a reply; the pump answers within tens of milliseconds."""
WORST_REPLY: Final = 1.4
"""Wall seconds after which a reply to an earlier command comes no more."""
PROBE_DEADLINE: Final = 0.5
"""Wall seconds for each attempt to find a lost pump; together they stay far below what a watcher takes for a hang."""

NOTHING: Final = re.compile(r"")
VERSION_REPLY: Final = re.compile(r"(?P<model>NE\d+[A-Z]*)V(?P<firmware>\d+(?:\.\d+)?)")
RATE: Final = re.compile(r"(?P<number>\d*\.?\d+|\d+\.)(?P<unit>UM|MM|UH|MH)")
VOLUME: Final = re.compile(r"(?P<number>\d*\.?\d+|\d+\.)(?P<unit>UL|ML)")
DISPENSED: Final = re.compile(r"I(?P<infused>\d*\.?\d+|\d+\.)W(?P<withdrawn>\d*\.?\d+|\d+\.)(?P<unit>UL|ML)")
DIRECTION: Final = re.compile(r"INF|WDR")
DIAMETER: Final = re.compile(r"(?P<number>\d*\.?\d+|\d+\.)")
FUNCTION: Final = re.compile(r"[A-Z]{3}[0-9A-Z.]*")

_NUMBERS: Final = {"RAT": (RATE, "flow", "mL/min"), "VOL": (VOLUME, "volume", "mL")}
_UNITS: Final = {"UM": "uL/min", "MM": "mL/min", "UH": "uL/h", "MH": "mL/h", "UL": "uL", "ML": "mL"}
_REFUSALS: Final = {
    "?": "does not know it",
    "?NA": "says that it is not applicable now",
    "?OOR": "says that the value is out of range",
    "?IGN": "ignored it",
}
ALARMS: Final = {
    "R": "was reset",
    "S": "stalled",
    "T": "its communication time-out ran out",
    "E": "program error",
    "O": "program phase out of range",
}
_STATES: Final = {"I": "infusing", "W": "withdrawing", "S": "stopped", "P": "paused", "A": "alarm"}
_DAMAGED: Final = "?COM"
_DIGITS: Final = 4


def pump_number(value: float) -> str:
    """Write a positive number the way the pump takes it: at most four digits and a point."""
    for decimals in (3, 2, 1, 0):
        text = f"{value:.{decimals}f}"
        if sum(character.isdigit() for character in text) <= _DIGITS:
            return text
    raise ValueError(f"{value:g} has more than {_DIGITS} digits before the point")


def resolution(text: str) -> float:
    """Return half a unit of the last digit of a pump's number."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


@dataclass(frozen=True, slots=True)
class Totals:
    """What the pump's totaliser says."""

    prompt: str
    infused: float
    """mL since it was cleared."""
    raw: bytes

    @property
    def state(self) -> str:
        """The run state in words."""
        return _STATES.get(self.prompt, self.prompt)


def amount(match: re.Match[str], group: str = "number") -> float:
    """Return a number of a reply in mL or mL/min."""
    unit = _UNITS[match["unit"]]
    return convert(float(match[group]), unit, "mL/min" if "/" in unit else "mL")


class PumpLink:
    """Sends commands to one address and keeps what the pump said unasked: its mode and its alarms."""

    def __init__(self, transport: LineTransport, name: str, address: int) -> None:
        self._transport = transport
        self._name = name
        self._address = address
        self._in_step = False
        self.safe_mode = False
        """Whether the pump's last reply was a safe packet."""
        self._alarms: list[str] = []
        self.alarm_count = 0
        """Alarms heard since the driver was built."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """Letters of the alarms heard since `forget_alarms`, oldest first."""
        return tuple(self._alarms)

    def forget_alarms(self) -> None:
        """Begin anew: later alarms belong to what comes now."""
        self._alarms.clear()

    def send(self, command: str, shape: re.Pattern[str]) -> PumpReply:
        """Send a command exactly once and return the pump's reply, a refusal or an alarm included."""
        if not self._in_step:
            self._find_step()
        return self._exchange(self._frame(command), shape, DEADLINE, WORST_REPLY)

    def send_repeatable(self, command: str, shape: re.Pattern[str]) -> PumpReply:
        """Send a query or a state-setting command, once more when its reply was lost."""
        try:
            reply = self.send(command, shape)
        except LinkError as error:
            if error.sent is Sent.NO:
                raise
            logger.warning("%s: %s is sent once more: %s", self._name, command, error)
            return self.send(command, shape)
        return self.send(command, shape) if reply.data == _DAMAGED else reply

    def set(self, command: str) -> None:
        """Send a state-setting command, once more when its reply was lost; raises when it is not acknowledged."""
        self.check_acknowledged(command, self.send_repeatable(command, NOTHING))

    def set_number(self, name: str, text: str, *, suffix: str = "") -> None:
        """Set the flow ("RAT") or the volume ("VOL") and compare the readback; DeviceError when it is another one."""
        shape, what, unit = _NUMBERS[name]
        self.set(f"{name}{text}{suffix}")
        match, _ = self.ask(name, shape)
        if abs(amount(match) - float(text)) > resolution(text):
            message = f"{self._name} acknowledged {what} {text} {unit} but reads back {amount(match):g} {unit}"
            raise DeviceError(message, sent=Sent.YES)

    def ask(self, command: str, shape: re.Pattern[str]) -> tuple[re.Match[str], PumpReply]:
        """Send a query, once more when its reply was lost or was an alarm.

        Raises:
            DeviceError: The pump refuses the query.
            ProtocolError: It answers with an alarm again.
        """
        reply = self.send_repeatable(command, shape)
        if reply.alarm is not None:
            reply = self.send_repeatable(command, shape)
        self.check_refusal(command, reply)
        match = shape.fullmatch(reply.data)
        if match is None:
            message = f"{self._name} answered {reply.data!r} (prompt {reply.prompt}) to {command}; expected {shape.pattern}"
            raise ProtocolError(message, sent=Sent.MAYBE)
        return match, reply

    def totals(self) -> Totals:
        """Get the run state and the volumes dispensed."""
        match, reply = self.ask("DIS", DISPENSED)
        return Totals(reply.prompt, amount(match, "infused"), reply.raw)

    def diameter(self) -> float:
        """Get the inside diameter (mm) of the syringe that the pump counts with."""
        return float(self.ask("DIA", DIAMETER)[0]["number"])

    def second_phase(self) -> str | None:
        """Get what the pump does after a volume ("STP": it stops); None for one without a pumping program, or that is at work."""
        reply = self.send_repeatable("PHN2", NOTHING)
        if reply.alarm is not None:
            reply = self.send_repeatable("PHN2", NOTHING)
        if reply.data in ("?", "?NA"):
            return None
        self.check_acknowledged("PHN2", reply)
        try:
            return self.ask("FUN", FUNCTION)[0][0]
        finally:
            self.set("PHN1")

    def check_refusal(self, command: str, reply: PumpReply) -> None:
        """Raise DeviceError when the reply is a refusal, ProtocolError when the command did not come through whole."""
        if reply.data == _DAMAGED:
            raise ProtocolError(f"{self._name} received {command} damaged", sent=Sent.MAYBE)
        if reply.data.startswith("?"):
            said = _REFUSALS.get(reply.data, "refused")
            raise DeviceError(f"{self._name} answered {reply.data!r} to {command}: it {said}", sent=Sent.YES)

    def check_acknowledged(self, command: str, reply: PumpReply) -> None:
        """Raise as `check_refusal` does, and DeviceError when the reply is an alarm instead of an acknowledgement."""
        self.check_refusal(command, reply)
        if reply.alarm is not None:
            said = ALARMS.get(reply.alarm, "unknown alarm")
            raise DeviceError(f"{self._name} answered alarm {reply.alarm} ({said}) to {command}", sent=Sent.MAYBE)

    def _frame(self, command: str) -> bytes:
        return safe_request(self._address, command) if self.safe_mode else basic_request(self._address, command)

    def _exchange(self, request: bytes, shape: re.Pattern[str], deadline: float, worst_reply: float) -> PumpReply:
        def accepts(reply: PumpReply) -> bool:
            return reply.alarm is not None or reply.data.startswith("?") or shape.fullmatch(reply.data) is not None

        reply_of = pump_reply_from(self._address, accepts)
        try:
            raw = self._transport.exchange(request, reply_of, deadline=deadline, worst_reply=worst_reply)
        except LinkError:
            self._in_step = False
            raise
        reply = pump_replies(raw)[0][0]
        self.safe_mode = raw[1] < ord("0")
        if reply.alarm is not None:
            self._alarms.append(reply.alarm)
            self.alarm_count += 1
            logger.warning("%s: alarm %s (%s)", self._name, reply.alarm, ALARMS.get(reply.alarm, "unknown"))
        return reply

    def _find_step(self) -> None:
        """Find out in which mode the pump listens, and make sure that its next reply belongs to our next command.

        The question is VER, whose reply looks like no other, so that none of them need be waited out. The end of line in
        the last attempt closes what an unfinished command may have left in the pump.
        """
        heard: LinkError | None = None
        for request in self._probes():
            try:
                reply = self._exchange(request, VERSION_REPLY, PROBE_DEADLINE, 0.0)
                if VERSION_REPLY.fullmatch(reply.data) is None:  # an alarm, or a basic packet that a pump in safe mode complains of
                    reply = self._exchange(self._frame("VER"), VERSION_REPLY, PROBE_DEADLINE, 0.0)
            except LinkError as error:
                heard = error
                continue
            if VERSION_REPLY.fullmatch(reply.data) is not None:
                self._in_step = True
                return
        message = f"{self._name} (address {self._address}) does not answer VER in either mode; the command was not sent"
        raise LinkError(message, sent=Sent.NO) from heard

    def _probes(self) -> Iterator[bytes]:
        basic, safe = basic_request(self._address, "VER"), safe_request(self._address, "VER")
        yield from (safe, basic) if self.safe_mode else (basic, safe)
        yield b"\r" + basic
