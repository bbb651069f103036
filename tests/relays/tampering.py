"""What a relay does to one exchange between a driver and its device: the faults of links, each a rule over bytes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Change = Callable[[bytes], bytes]
"""A whole answer -> what arrives in its place."""


class Trouble(StrEnum):
    """What becomes of an exchange that is struck."""

    LOSE_REQUEST = "lose-request"
    REFUSE = "refuse"
    """The request does not reach the device; `data` comes back in its place."""
    LOSE_REPLY = "lose-reply"
    DELAY = "delay"
    """The answer comes `seconds` later, into whatever is asked then."""
    DROP_MIDDLE = "drop-middle"
    """A byte in the middle of the answer is lost."""
    HALF = "half"
    """The first half of the answer, then silence."""
    DUPLICATE = "duplicate"
    GLUE = "glue"
    """The answer to the question before is sent again, in one piece with this one."""
    REORDER = "reorder"
    """The answer is held back and comes behind the next one."""
    FLIP = "flip"
    """One bit in the middle of the answer is damaged."""
    CHECKSUM = "checksum"
    """The last byte but `data` of the answer is damaged: where checksums stand."""
    BEFORE = "before"
    """`data` comes before the answer: an alarm, a banner, noise."""
    CHANGE = "change"
    """`change` makes another answer of it."""
    GARBLE = "garble"
    """Every byte of the answer is another one, as at a wrong baud rate."""
    CUT = "cut"
    """The connection breaks once the request has passed, and is back after `seconds`."""
    MUTE = "mute"
    """Nothing passes either way for `seconds` from this request on."""


REPLIES: Final = frozenset(Trouble) - {Trouble.LOSE_REQUEST, Trouble.REFUSE, Trouble.CUT, Trouble.MUTE}
"""What is done to the answer."""


@dataclass
class Tampering:
    """One fault of a link, armed."""

    trouble: Trouble
    request: bytes = b""
    """Regular expression of the requests that are struck; empty for any."""
    nth: int = 1
    """First matching request that is struck; 1 is the next one."""
    count: int = 1
    """How many requests are struck; 0: until disarmed."""
    seconds: float = 0.0
    data: bytes = b""
    change: Change = bytes
    seen: int = 0
    struck: int = 0
    changed: int = 0
    """How many answers arrived otherwise than they were."""

    def strikes(self, request: bytes) -> bool:
        """Say whether this request is struck, and count it."""
        if (self.count and self.struck == self.count) or not re.search(self.request, request, re.DOTALL):
            return False
        self.seen += 1
        if self.seen < self.nth:
            return False
        self.struck += 1
        return True

    def arriving(self, reply: bytes, before: bytes) -> bytes:
        """Return what arrives at once of an answer, given the one before it."""
        middle = len(reply) // 2
        match self.trouble:
            case Trouble.LOSE_REPLY | Trouble.DELAY | Trouble.REORDER:
                return b""
            case Trouble.DROP_MIDDLE:
                return reply[:middle] + reply[middle + 1 :]
            case Trouble.HALF:
                return reply[:middle]
            case Trouble.DUPLICATE:
                return reply + reply
            case Trouble.GLUE:
                return before + reply
            case Trouble.FLIP:
                return damaged(reply, middle)
            case Trouble.CHECKSUM:
                return damaged(reply, len(reply) - 1 - len(self.data))
            case Trouble.BEFORE:
                return self.data + reply
            case Trouble.GARBLE:
                return bytes(byte ^ 0x55 for byte in reply)
            case Trouble.CHANGE:
                return self.change(reply)
        return reply


def damaged(frame: bytes, place: int) -> bytes:
    """Damage the lowest bit of one byte."""
    return frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]
