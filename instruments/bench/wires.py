"""One thread per wire: it alone touches the drivers of its link, feeds their watchdogs and serves an urgent lane first.

An instrument that needs no link has a thread of its own, by the same rules.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from instruments.bench.file import BenchFile
from instruments.bench.lanes import lane_name, lanes_of
from instruments.bench.link_names import LinkName
from instruments.drivers.protocol import Driver, Identity
from orchestrator.clock import Clock
from orchestrator.domain.records import Reading
from orchestrator.errors import AthanorError, DeviceError, InstrumentError, LinkError, Sent

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
IDLE_TURN: Final = 0.25
"""Wall seconds after which an idle wire thread turns once more, so that its age tells a dead thread from an idle one."""
_CLOSE_SECONDS: Final = 5.0
"""Wall seconds that the last exchange on a wire may take at the end; a wedged driver does not keep the host alive."""
REFRESHES_PER_WATCHDOG: Final = 3
"""A watchdog is fed at least every third of its time: two lost refreshes do no harm."""


Connect = Callable[[BenchFile, str, Clock], Mapping[str, Driver]]
"""Opens a link of a bench and builds the drivers of all instruments on it, by name; LinkError when it cannot be opened."""


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to do in the wire's thread."""

    work: Callable[[], None]
    fail: Callable[[InstrumentError], None]


class Wire:
    """One link and its thread."""

    def __init__(self, name: LinkName, connect: Callable[[], Mapping[str, Driver]], supervised: Callable[[], bool]) -> None:
        """Prepare; nothing is opened before `open`.

        Args:
            name: The link's name and endpoint.
            connect: Opens the link; called in the wire's thread, again after the link was lost.
            supervised: Says whether watchdogs may be fed.
        """
        self.name = name
        self.identities: dict[str, Identity] = {}
        self._connect = connect
        self._supervised = supervised
        self._drivers: Mapping[str, Driver] = {}
        self._unarmed: Mapping[str, Driver] = {}
        """Identified, and refused or lost when they were to be armed."""
        self._urgent: deque[_Job] = deque()
        self._normal: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._complaints: dict[str, str] = {}
        self._halted = False
        self._closing = False
        self._turn = time.monotonic()
        self._refreshed = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"wire-{name.link}", daemon=True)

    # ----------------------------------------------------------------- from other threads

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def age(self) -> float:
        """Wall seconds since the thread's last turn."""
        return time.monotonic() - self._turn

    def open(self, *, tick: Callable[[], None] | None = None) -> None:
        """Open the link anew, identify every device and arm the watchdogs.

        Args:
            tick: Called several times a second while waiting.

        Raises:
            InstrumentError: The link or a device is absent, or a device is not the one that the bench file names.
        """
        _await(self.begin_open(), tick)

    def begin_open(self) -> Future[None]:
        """Have the link opened anew, as by `open`, and return at once."""
        return self._submit(self._open, urgent=True)

    def begin_read(self, instrument: str, channel: str) -> Future[tuple[Reading, ...]]:
        """Have a channel read when the wire is free, and return at once; a link that is closed is not opened for it."""
        return self._submit(lambda: self._read(instrument, channel), urgent=False)

    def call(self, instrument: str, work: Callable[[Driver], _T], *, urgent: bool = False, tick: Callable[[], None] | None = None) -> _T:
        """Do something with a driver in the wire's thread and wait for it.

        Args:
            instrument: Whose driver.
            work: Gets the driver.
            urgent: Use the lane for stop, abort and safe state, which is open in every state.
            tick: Called several times a second while waiting.

        Raises:
            InstrumentError: What the driver raised; LinkError (not sent) when the link is closed or halted.
        """
        return _await(self._submit(lambda: self._asked(instrument, work), urgent=urgent), tick)

    def attempt(self, instrument: str, work: Callable[[Driver], _T], *, seconds: float, urgent: bool = True) -> _T:
        """Do something, waiting for at most so many wall seconds; also where a device was found that could not be armed.

        Raises:
            InstrumentError: What the driver raised, or LinkError when the thread gave no answer in time.
        """
        future = self._submit(lambda: self._attempted(instrument, work), urgent=urgent)
        try:
            return future.result(timeout=seconds)
        except NotYet as error:
            raise LinkError(f"{self.name}, {instrument}: no answer for {seconds:g} s", sent=Sent.MAYBE) from error

    def take_complaints(self) -> dict[str, str]:
        """Return, once, what devices said of themselves when their watchdogs were fed: a trip, an alarm, a restart."""
        with self._changed:
            complaints, self._complaints = self._complaints, {}
        return complaints

    def halt(self) -> None:
        """Refuse the normal lane, also what waits in it: nothing but stop and safe state reaches the wire."""
        with self._changed:
            self._halted = True
            waiting = list(self._normal)
            self._normal.clear()
        for job in waiting:
            job.fail(LinkError(f"{self.name} is halted", sent=Sent.NO))

    def release(self) -> None:
        """Open the normal lane again."""
        with self._changed:
            self._halted = False

    def close(self) -> None:
        """End the thread and close the link; sends nothing."""
        self.begin_close()
        self._thread.join(_CLOSE_SECONDS)

    def begin_close(self) -> None:
        """Have the thread end, as by `close`, and return at once."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _submit(self, work: Callable[[], _T], *, urgent: bool) -> Future[_T]:
        future: Future[_T] = Future()

        job = _Job(partial(fulfil, future, work), future.set_exception)
        with self._changed:
            if self._closing or (self._halted and not urgent):
                job.fail(LinkError(f"{self.name} is {'closed' if self._closing else 'halted'}", sent=Sent.NO))
                return future
            (self._urgent if urgent else self._normal).append(job)
            self._changed.notify_all()
        return future

    # ----------------------------------------------------------------- in the wire's thread

    def _run(self) -> None:
        while True:
            job = self._next()
            self._turn = time.monotonic()
            if job is not None:
                job.work()
            elif self._closing:
                break
            self._refresh_when_due()
        self._close_drivers()

    def _next(self) -> _Job | None:
        with self._changed:
            if not self._urgent and not self._normal and not self._closing:
                self._changed.wait(IDLE_TURN)
            if self._urgent:
                return self._urgent.popleft()
            return self._normal.popleft() if self._normal else None

    def _open(self) -> None:
        self._close_drivers()
        drivers = self._connect()
        try:
            identities = {name: self._prefixed(driver, driver.identify) for name, driver in drivers.items()}
        except InstrumentError:
            _close(drivers)
            raise
        self._unarmed = drivers
        for driver in drivers.values():
            self._prefixed(driver, driver.arm)
        self._unarmed, self._drivers, self.identities = {}, drivers, identities
        self._refreshed = time.monotonic()

    def _asked(self, instrument: str, work: Callable[[Driver], _T]) -> _T:
        driver = self._driver(instrument)
        return self._prefixed(driver, lambda: work(driver))

    def _read(self, instrument: str, channel: str) -> tuple[Reading, ...]:
        driver = self._drivers.get(instrument)
        if driver is None:
            raise LinkError(f"{self.name} is closed", sent=Sent.NO)
        return self._prefixed(driver, lambda: driver.read([channel]))

    def _attempted(self, instrument: str, work: Callable[[Driver], _T]) -> _T:
        """Ask a driver of devices that are who they should be, armed or not: one that another client has locked is made safe too."""
        try:
            driver = self._driver(instrument)
        except InstrumentError:
            if instrument not in self._unarmed:
                raise
            driver = self._unarmed[instrument]
        return self._prefixed(driver, lambda: work(driver))

    def _prefixed(self, driver: Driver, ask: Callable[[], _T]) -> _T:
        with self.name.prefixing_errors(driver.settings.name):
            try:
                return ask()
            except AthanorError:
                raise
            except Exception as error:  # a plug-in may raise anything; its run ends, the host goes on
                logger.exception("%s: its driver failed", driver.settings.name)
                message = f"{driver.settings.name}: its driver failed: {type(error).__name__}: {error}"
                raise DeviceError(message, sent=Sent.MAYBE) from error

    def _driver(self, instrument: str) -> Driver:
        if not self._drivers:
            self._open()
        return self._drivers[instrument]

    def _close_drivers(self) -> None:
        for drivers in (self._drivers, self._unarmed):
            _close(drivers)
        self._drivers, self._unarmed = {}, {}

    def _refresh_when_due(self) -> None:
        watched = [(driver, driver.settings.watchdog) for driver in self._drivers.values() if driver.HAS_WATCHDOG]
        times = [seconds for _, seconds in watched if seconds is not None]
        if not times or time.monotonic() - self._refreshed < min(times) / REFRESHES_PER_WATCHDOG or not self._supervised():
            return
        self._refreshed = time.monotonic()
        for driver, seconds in watched:
            if seconds is not None:
                self._refresh(driver)

    def _refresh(self, driver: Driver) -> None:
        try:
            self._prefixed(driver, driver.refresh)
        except DeviceError as error:
            logger.error("%s: %s", driver.settings.name, error)
            with self._changed:
                self._complaints[driver.settings.name] = str(error)
        except InstrumentError as error:
            logger.warning("watchdog of %s not refreshed: %s", driver.settings.name, error)


class Wires:
    """All links of a bench."""

    def __init__(self, bench: BenchFile, connect: Connect, clock: Clock, supervised: Callable[[], bool]) -> None:
        lanes = lanes_of(bench.spec)
        self._wires = {lane: Wire(lane_name(bench.spec, lane), partial(connect, bench, lane, clock), supervised) for lane in lanes}
        self._lane_of = {name: lane for lane, names in lanes.items() for name in names}

    def start(self) -> None:
        """Start all threads."""
        for wire in self._wires.values():
            wire.start()

    def open(self, *, tick: Callable[[], None] | None = None) -> None:
        """Open all links anew, side by side: the slowest says how long it takes. Identify the devices and arm their watchdogs.

        Raises:
            InstrumentError: Of the first link, in the order of the file, that failed; by then each has come to its end.
        """
        opening = [wire.begin_open() for wire in self._wires.values()]
        failed = [error for error in [_failure(each, tick) for each in opening] if error is not None]
        for error in failed[1:]:
            logger.error("%s", error)
        if failed:
            raise failed[0]

    def of(self, instrument: str) -> Wire:
        """Return the wire that an instrument hangs on."""
        if instrument not in self._lane_of:
            raise DeviceError(f"the bench has no instrument {instrument!r}", sent=Sent.NO)
        return self._wires[self._lane_of[instrument]]

    @property
    def identities(self) -> dict[str, Identity]:
        """What each device said that it is."""
        return {name: one for wire in self._wires.values() for name, one in wire.identities.items()}

    @property
    def ages(self) -> dict[str, float]:
        """Wall seconds since the last turn of each wire's thread."""
        return {name: wire.age for name, wire in self._wires.items()}

    def neighbours(self, instrument: str) -> set[str]:
        """Return all instruments on the same link, itself included."""
        return {name for name, lane in self._lane_of.items() if lane == self._lane_of[instrument]}

    def take_complaints(self) -> dict[str, str]:
        """Return, once, what devices said of themselves when their watchdogs were fed."""
        return {name: line for wire in self._wires.values() for name, line in wire.take_complaints().items()}

    def halt(self) -> None:
        """Let nothing but stop and safe state through."""
        for wire in self._wires.values():
            wire.halt()

    def release(self) -> None:
        """Open the normal lanes again."""
        for wire in self._wires.values():
            wire.release()

    def close(self) -> None:
        """End all threads, side by side, and close all links."""
        for wire in self._wires.values():
            wire.begin_close()
        for wire in self._wires.values():
            wire.close()


def _close(drivers: Mapping[str, Driver]) -> None:
    for driver in drivers.values():
        driver.close()


def fulfil(future: Future[_T], work: Callable[[], _T]) -> None:
    """Do something and hand its result, or whatever it raises, to the one who waits for it."""
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _await(future: Future[_T], tick: Callable[[], None] | None) -> _T:
    if (error := _failure(future, tick)) is not None:
        raise error
    return future.result()


def _failure(future: Future[_T], tick: Callable[[], None] | None) -> BaseException | None:
    """Wait for the end of some work; return what it raised."""
    while True:
        try:
            return future.exception(timeout=IDLE_TURN)
        except NotYet:
            if tick is not None:
                tick()
