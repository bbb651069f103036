"""Messages to people: to every address in ATHANOR_NOTIFY, in the background, each event once.

The variable holds apprise URLs (mail, chats, phones, `json://host:port`, ...), separated by blanks or commas. They hold
secrets: they go into no log, journal or ledger. Whoever has something to tell never waits and never fails: each address
has a queue and a thread of its own, which loads apprise with the first message.
"""

import hashlib
import importlib
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

logger = logging.getLogger(__name__)

_VARIABLE: Final = "ATHANOR_NOTIFY"
SENT_FOLDER: Final = "notified"
"""Below the lab: an empty file for each message that an address was given, so that no restart tells it again."""
SEND_SECONDS: Final = 20.0
"""Wall seconds for one message; apprise itself waits 4 s for a connection and 4 s for each part of an answer."""
RETRY_PAUSES: Final = (10.0, 60.0)
"""Wall seconds before a message that did not arrive is sent again."""
_CLOSE_SECONDS: Final = 5.0
"""Wall seconds that a process waits at its end for messages under way."""
QUEUE_LENGTH: Final = 100
"""More than a campaign tells in a night; what comes on top is dropped, with a line in the log."""
_BETWEEN: Final = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
"""Blanks and commas also stand within an address."""
Send = Callable[[str, str, str], bool]
"""Sends title and body to an address; returns whether they arrived."""


class Event(StrEnum):
    """What people are told of."""

    WAITING = "waiting for you"
    FINISHED = "finished"
    PAUSED = "paused"
    UNKNOWN = "run unknown"
    OVERDUE = "value overdue"
    ENOUGH = "little is left to find"
    DRIFT = "the bench drifts"
    SAFE_STATE = "safe state entered"


def send_by_apprise(address: str, title: str, body: str) -> bool:
    """Send one message with apprise; False also for an address that it does not understand."""
    apprise = importlib.import_module("apprise")  # here: nothing starts slower for it
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would log the address
    sender = apprise.Apprise()
    return bool(sender.add(address)) and bool(sender.notify(title=title, body=body))


@dataclass(frozen=True, slots=True)
class _Message:
    key: str
    title: str
    body: str


class Notifier:
    """Tells people; every method returns at once, but for `close`."""

    def __init__(self, addresses: Sequence[str], folder: Path | None = None, *, send: Send = send_by_apprise) -> None:
        """Prepare; nothing is started before the first message.

        Args:
            addresses: apprise URLs; with none, nothing is ever sent.
            folder: Where it is remembered what was sent; None remembers it in this process alone.
            send: Carries a message.
        """
        self._lanes = tuple(_Lane(address, folder, send) for address in dict.fromkeys(addresses))
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, lab: Path | None = None, *, send: Send = send_by_apprise) -> Self:
        """Take the addresses from ATHANOR_NOTIFY and remember in a lab what was sent."""
        found = [one for one in _BETWEEN.split(os.environ.get(_VARIABLE, "").strip(" \t\n,")) if one]
        addresses = [one for one in found if "://" in one]
        if len(addresses) < len(found):
            logger.warning("%s: what stands first is no address; expected one like 'json://host:port'", _VARIABLE)
        return cls(addresses, None if lab is None else lab / SENT_FOLDER, send=send)

    def notify(self, event: Event, title: str, body: str, *, key: str) -> None:
        """Tell people of an event, once; never waits, never raises.

        Args:
            event: What kind of event.
            title: One line: which campaign or bench.
            body: What a person needs to know, and the command to type.
            key: Names this event for ever; the same key is sent once.
        """
        with self._lock:
            if key in self._told:
                return
            self._told.add(key)
            for lane in self._lanes:
                lane.put(_Message(key, f"Athanor ({event}): {title}", body))

    def close(self, within: float = _CLOSE_SECONDS) -> None:
        """Wait for messages under way, for so many wall seconds in all; what has not arrived is given up."""
        end = time.monotonic() + within
        for lane in self._lanes:
            lane.close()
        for lane in self._lanes:
            lane.ended.wait(max(0.0, end - time.monotonic()))


class _Lane:
    """One address: its queue, its thread, and whether it is reachable."""

    def __init__(self, address: str, folder: Path | None, send: Send) -> None:
        self._address = address
        self._folder = folder
        self._send = send
        self._waiting: queue.Queue[_Message | None] = queue.Queue(QUEUE_LENGTH)
        self._thread: threading.Thread | None = None
        self._failing = False
        self._closing = threading.Event()
        self.ended = threading.Event()
        """Set when nothing waits any more after `close`."""

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return f"{self._address.partition('://')[0]}://***"

    # ----------------------------------------------------------------- the caller's side

    def put(self, message: _Message) -> None:
        """Queue a message; a full queue drops it."""
        try:
            self._waiting.put_nowait(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="notification", daemon=True)
                self._thread.start()
        except queue.Full:
            self._complain(f"{QUEUE_LENGTH} messages wait already")
        except RuntimeError as error:  # no thread can be started any more
            self._complain(str(error))

    def close(self) -> None:
        """Take no further pause, and end after what waits."""
        self._closing.set()
        if self._thread is None:
            self.ended.set()
            return
        with suppress(queue.Full):  # so much is lost that nobody waits for it
            self._waiting.put_nowait(None)

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            self._deliver(message)
        self.ended.set()

    def _deliver(self, message: _Message) -> None:
        if not self._claim(message.key):
            return
        for pause in (0.0, *RETRY_PAUSES):
            if pause and self._closing.wait(pause):
                break
            if self._attempt(message):
                self._failing = False
                return
        if self._folder is not None:  # so that the next process tries it again
            self._place(message.key).unlink(missing_ok=True)

    def _attempt(self, message: _Message) -> bool:
        """Send once, in a thread that is left behind when it takes too long."""
        results: queue.SimpleQueue[bool | Exception] = queue.SimpleQueue()
        threading.Thread(target=lambda: results.put(self._try(message)), name="notification-send", daemon=True).start()
        try:
            result = results.get(timeout=SEND_SECONDS)
        except queue.Empty:
            result = TimeoutError()
        if result is not True:
            self._complain("not delivered" if result is False else type(result).__name__)  # its text may hold the address
        return result is True

    def _try(self, message: _Message) -> bool | Exception:
        try:
            return self._send(self._address, message.title, message.body)
        except Exception as error:  # the edge of foreign code: whatever it raises, a message is lost and nothing else
            return error

    def _complain(self, reason: str) -> None:
        if not self._failing:
            logger.warning("message to %s: %s; told again only after one has arrived", self.shown, reason)
        self._failing = True

    # ----------------------------------------------------------------- once

    def _place(self, key: str) -> Path:
        name = hashlib.sha256(f"{self._address}\n{key}".encode()).hexdigest()[:32]
        return (self._folder or Path()) / name

    def _claim(self, key: str) -> bool:
        """Take an event for this address, before it is sent; False when it was sent before, by any process of the lab."""
        if self._folder is None:
            return True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._place(key).touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError as error:  # a full disk: better twice than never
            logger.warning("cannot remember what was told: %s", error)
        return True
