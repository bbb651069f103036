"""The lock of a functional unit (OPC 10000-100, Locking): no other client acts on the unit while a bench host has it.

Servers exist that declare the lock and do not implement it; then nothing but the endpoint's own rules keeps others away,
which is said once.
"""

import logging
import time
from typing import Final

from instruments.drivers.lads_paths import di
from instruments.transport.base import Name, NodePath, NodeTransport, ServerRefusal
from orchestrator.errors import DeviceError, Sent

logger = logging.getLogger(__name__)

_OK: Final = 0
"""What InitLock, RenewLock and BreakLock answer when they were carried out [OPC 10000-100, 7.5 to 7.8]."""
_NOT_IMPLEMENTED: Final = frozenset({"BadInternalError", "BadNotImplemented", "BadNotSupported", "BadMethodInvalid"})
"""Answers of servers whose nodes for locking are there and do nothing."""
_SHARE: Final = 3.0
"""A lock is renewed after this share of its time."""


class UnitLock:
    """Holds the lock of one unit."""

    def __init__(self, transport: NodeTransport, unit: NodePath, who: str) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            unit: Path of the functional unit.
            who: Our name of the instrument, for messages and for whoever looks at the lock.
        """
        self._transport = transport
        self._path = (*unit, di("Lock"))
        self._unit = unit[-1].name
        self._who = who
        self._session = ""
        self._renew_at = 0.0
        self._absent = False

    def hold(self) -> None:
        """Take the lock, or renew it when it is time to; a lock that an earlier session of ours left behind is broken.

        Raises:
            DeviceError: Another client holds it (`sent` no).
            LinkError: The server cannot be asked.
        """
        if self._absent and self._session == self._transport.session:
            return
        if self._session != self._transport.session:
            self._take()
        elif time.monotonic() >= self._renew_at and self._call("RenewLock") != _OK:
            logger.warning("%s: the lock of unit %s had run out", self._who, self._unit)
            self._take()
        self._note()

    def _take(self) -> None:
        self._session, self._absent, self._renew_at = "", False, 0.0
        if not self._transport.exists((*self._path, di("InitLock"))):
            self._do_without("it offers none")
            return
        try:
            self._break_own()
            self._refuse_taken()
            answer = self._call("InitLock", context=self._who)
        except ServerRefusal as error:
            if error.status not in _NOT_IMPLEMENTED:
                raise
            self._do_without(f"its nodes are there and do nothing ({error.status})")
            return
        if answer != _OK:
            self._refuse_taken()
            raise DeviceError(f"{self._who}: unit {self._unit} could not be locked: InitLock answered {answer!r}", sent=Sent.NO)
        self._session = self._transport.session

    def _break_own(self) -> None:
        """Break a lock that an earlier session of ours left behind; where the server forbids it, the lock has to run out."""
        if self._owner() != self._transport.application_uri:
            return
        try:
            self._call("BreakLock")
        except ServerRefusal as error:
            if error.status in _NOT_IMPLEMENTED:
                raise
            logger.warning("%s: the lock of an earlier session on unit %s cannot be broken: %s", self._who, self._unit, error)

    def _do_without(self, why: str) -> None:
        self._session, self._absent = self._transport.session, True
        logger.warning("%s: unit %s cannot be locked, %s: nothing keeps other clients of the server away", self._who, self._unit, why)

    def _owner(self) -> str | None:
        """Get the application that holds the lock; None where nobody does, or where the server does not say."""
        locked, client = self._transport.look([(*self._path, di("Locked")), (*self._path, di("LockingClient"))])
        if locked is None or locked.quality == "bad" or not locked.value:
            return None
        return str(client.value or "") if client is not None else ""

    def _refuse_taken(self) -> None:
        owner = self._owner()
        if owner is None:
            return
        user, left = self._transport.look([(*self._path, di("LockingUser")), (*self._path, di("RemainingLockTime"))])
        names = [owner or "an application that does not name itself", *([f"user {user.value}"] if user is not None and user.value else [])]
        seconds = f", for another {left.value / 1e3:.0f} s unless it renews" if left is not None and isinstance(left.value, float) else ""
        message = f"{self._who}: unit {self._unit} is locked by {', '.join(names)}{seconds}; expected it free"
        raise DeviceError(message, sent=Sent.NO)

    def _note(self) -> None:
        """Remember when to renew."""
        if self._absent or time.monotonic() < self._renew_at:
            return
        (left,) = self._transport.look([(*self._path, di("RemainingLockTime"))])
        seconds = left.value / 1e3 if left is not None and isinstance(left.value, int | float) else 0.0
        self._renew_at = time.monotonic() + max(seconds, 0.0) / _SHARE

    def _call(self, method: str, context: str | None = None) -> object:
        name = Name(method, self._path[-1].namespace)
        answers = self._transport.call(self._path, name, {} if context is None else {"Context": context})
        return answers[0] if answers else _OK
