"""Everything that Athanor raises on purpose.

    AthanorError
    ├── BadInput                what a person wrote is wrong: correct the file or the command     exit 1
    ├── NeedsPerson             something only a person may settle (unknown outcome, hold)         exit 3
    │   └── BenchLatched        the bench was stopped: resume it
    ├── Fault                   Athanor or its surroundings are broken: stop                       exit 4
    │   ├── StoreError          the ledger refuses (damaged, of a newer schema, fenced off)
    │   ├── HostError           the bench host cannot be reached or refuses
    │   │   └── HostRefusal     it answers, and would refuse the same again
    │   └── LockHeld            another living process owns it; the message has its pid, start and age
    └── InstrumentError         every one says `sent: no | maybe | yes`
        ├── LinkError           nothing, or nothing in time, on the wire             retry if not sent
        ├── ProtocolError       an answer that is none                               sent = maybe
        ├── DeviceError         the device understood and refused, or is faulty      ask the operator
        ├── AccessError         certificate, user or password: nobody was let in     sent = no; exit 1
        ├── LimitError          outside a limit; never reaches the wire              sent = no
        ├── InterlockError      a condition over several values does not hold        sent = no
        └── OutcomeUnknown      nobody can say whether it happened                   ask a person

Only `sent == no`, or a state-setting command, may ever be sent again.
"""

from enum import StrEnum
from typing import ClassVar


class Sent(StrEnum):
    """Whether the bytes of a command left for the device."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class AthanorError(Exception):
    """Base of all errors; `exit_code` is what the command line leaves with."""

    exit_code: ClassVar[int] = 4


class BadInput(AthanorError):
    """A person's file or command is wrong; the message names the thing, what came and what is legal."""

    exit_code: ClassVar[int] = 1


class NeedsPerson(AthanorError):
    """Only a person may settle this; the message holds the line to type."""

    exit_code: ClassVar[int] = 3


class BenchLatched(NeedsPerson):
    """The bench was stopped and takes no run before a person resumes it."""


class Fault(AthanorError):
    """Athanor or its surroundings are broken."""


class StoreError(Fault):
    """The ledger refuses: damaged, of a newer schema, locked by another, or fenced off."""


class HostError(Fault):
    """The bench host cannot be reached, or it refused a request."""


class HostRefusal(HostError):
    """The bench host answers, and refuses what does not fit how things stand there: the same again would be refused again."""


class LockHeld(Fault):
    """Another living process owns what was asked for; the message has its pid, start and age."""


class InstrumentError(AthanorError):
    """An instrument did not do what was asked."""

    def __init__(self, message: str, *, sent: Sent) -> None:
        super().__init__(message)
        self.sent = sent


class LinkError(InstrumentError):
    """The wire is closed, lost or silent."""


class ProtocolError(InstrumentError):
    """An answer of the wrong shape, checksum or sender."""


class DeviceError(InstrumentError):
    """The device refused, ignored the command, is in the wrong state, or is not the device expected."""


class AccessError(InstrumentError):
    """Two sides do not trust each other: a certificate, a user or a password; no command was sent, and none will be."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, sent: Sent = Sent.NO) -> None:
        super().__init__(message, sent=sent)


class LimitError(InstrumentError):
    """A value outside its limits; it was not sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=Sent.NO)


class InterlockError(InstrumentError):
    """A declared condition over several values does not hold; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=Sent.NO)


class OutcomeUnknown(InstrumentError):
    """Nobody can say from here whether the command was carried out."""
