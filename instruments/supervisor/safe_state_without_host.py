"""The safe state without a bench host: for the supervisor and for `stop`, once the host is dead.

    python -m instruments.supervisor.safe_state_without_host --lab DIR --bench FILE [--bench FILE ...] [--endpoints FILE]

prints a JSON object: `actions`, what became of each, and `notes`; or `refused`, why nothing was driven. A further bench
file (the one as it stands today, after the copy that the host kept) is for the links on which the ones before it failed.

All wires are opened at once, each in a thread of its own, so that one that hangs does not keep the heater on another one
hot; the safe actions go out in the order of the bench file. No device is identified first: a pump that is missing must
not keep its neighbours running.
"""

import argparse
import json
import logging
import queue
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from instruments.bench.connect import Usable, connect_for_safety, load_drivers
from instruments.bench.endpoints import at_plant, plant_clock, read_endpoints
from instruments.bench.file import BenchFile, read_bench
from instruments.bench.lanes import lane_name, lane_of, lanes_of, wires_of
from instruments.bench.link_names import LinkName
from instruments.bench.safe_state import ACTION_SECONDS, SafeAction, declared
from instruments.bench.wires import Connect, fulfil
from instruments.drivers.protocol import Driver
from instruments.lab_processes.endpoint_locks import ENDPOINT_LOCKS, EndpointLocks
from orchestrator.clock import Clock, LiveClock
from orchestrator.errors import AthanorError, Fault, LinkError, Sent
from orchestrator.plugins import LOADING_SECONDS

logger = logging.getLogger(__name__)

_PASSES: Final = 2
"""What failed is tried once more after everything else was tried."""


class _LinkThread:
    """One wire in a daemon thread: takes its lock, opens it, and does one thing after another."""

    def __init__(self, link: LinkName, open_link: Callable[[], Mapping[str, Driver]], lock: EndpointLocks) -> None:
        self._link = link
        self._open = open_link
        self._lock = lock
        self._drivers: Mapping[str, Driver] = {}
        self._refused: Exception | None = None
        self._hangs = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"safe-state-{link.link}", daemon=True)

    def start(self) -> None:
        """Start the thread, which opens the wire first."""
        self._jobs.put(self._try_to_open)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        self._close()
        self._lock.release()

    def _try_to_open(self) -> None:
        try:
            self._lock.take_over()
            self._drivers = self._open()
            self._refused = None
        except (AthanorError, OSError) as error:
            self._lock.release()
            self._refused = error

    def try_again(self) -> None:
        """Begin another pass: wait once more, and open once more where that was refused or a driver was missing."""
        self._hangs = False
        self._jobs.put(self._open_again)

    def _open_again(self) -> None:
        lacking = isinstance(self._drivers, Usable) and bool(self._drivers.missing)
        if lacking:
            self._close()
            self._lock.release()
        if lacking or self._refused is not None:
            self._try_to_open()

    def _close(self) -> None:
        for driver in self._drivers.values():
            driver.close()

    def make_safe(self, instrument: str, action: str, *, seconds: float) -> SafeAction:
        """Carry out one safe action in the wire's thread; never raises for a device."""
        if self._hangs:  # the one before waited already: the next wire's turn
            return SafeAction(instrument, action, done=False, reason=f"{self._link} hangs")
        future: Future[None] = Future()
        self._jobs.put(partial(fulfil, future, partial(self._make_safe, instrument, action)))
        try:
            future.result(timeout=seconds)
        except NotYet:
            self._hangs = True
            return SafeAction(instrument, action, done=False, reason=f"{self._link}: no answer for {seconds:g} s")
        except Exception as error:  # whatever a driver raises, the others are still to be made safe
            return SafeAction(instrument, action, done=False, reason=str(error) or type(error).__name__)
        return SafeAction(instrument, action, done=True)

    def _make_safe(self, instrument: str, action: str) -> None:
        with self._link.prefixing_errors(instrument):
            self._driver(instrument).make_safe(action)

    def _driver(self, instrument: str) -> Driver:
        if self._refused is not None:
            why = str(self._refused).removeprefix(f"{self._link}: ")
            raise LinkError(f"{self._link} cannot be opened: {why}", sent=Sent.NO) from self._refused
        return self._drivers[instrument]

    def finish(self, seconds: float) -> None:
        """Close the wire; a hanging thread is left behind (it ends with the process)."""
        self._jobs.put(None)
        self._thread.join(seconds)


@dataclass(frozen=True, slots=True)
class SafeStateWithoutHost:
    """Everything needed to drive a bench safe, held in memory."""

    bench: BenchFile
    connect: Connect
    lab: Path
    what: str
    """Who drives, for the locks."""
    endpoints: Path | None = None
    """`endpoints.json` of a plant; None on a live bench."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What stood in it when this was made."""
    lock_folder: Path = ENDPOINT_LOCKS

    @classmethod
    def prepare(cls, bench: BenchFile, connect: Connect, *, lab: Path, what: str, endpoints: Path | None = None) -> Self:
        """Read all files now, those of plug-ins in a thread of its own: they may be gone when they are needed."""
        threading.Thread(target=load_drivers, args=(bench, LOADING_SECONDS), name="plug-ins", daemon=True).start()
        return cls(bench, connect, lab, what, endpoints, read_endpoints(endpoints) if endpoints else {})

    def drive(self, *, seconds: float = ACTION_SECONDS, only: Callable[[str], bool] = lambda _: True) -> tuple[SafeAction, ...]:
        """Take the wires, drive the declared safe state and let go; never raises for a device or a lock.

        Args:
            seconds: Wall seconds that a wire may take for one action.
            only: Says of an instrument whether it is driven.

        Raises:
            BadInput: The plant's document does not name every link.
        """
        bench, clock = self._aimed()
        results = {wanted: SafeAction(*wanted, done=False) for wanted in declared(bench) if only(wanted[0])}
        threads = self._start_threads(bench, clock, {name for name, _ in results})
        try:
            for number in range(_PASSES):
                for thread in threads.values() if number else ():
                    thread.try_again()
                for wanted in [wanted for wanted, result in results.items() if not result.done]:
                    thread = threads[lane_of(bench.spec, wanted[0])]
                    results[wanted] = thread.make_safe(*wanted, seconds=seconds)
        finally:
            for thread in threads.values():
                thread.finish(seconds)
        return tuple(results.values())

    def _aimed(self) -> tuple[BenchFile, Clock]:
        bench = self.bench.in_lab(self.lab)
        if self.endpoints is None:
            return bench, LiveClock()
        document = read_endpoints(self.endpoints) or self.known  # a plant that was started again has other ports
        return at_plant(bench, document), plant_clock(document)

    def _start_threads(self, bench: BenchFile, clock: Clock, instruments: Collection[str]) -> dict[str, _LinkThread]:
        threads = {}
        for lane in lanes_of(bench.spec, [name for name in bench.spec.instruments if name in instruments]):
            lock = EndpointLocks(wires_of(bench.spec, [lane]), what=self.what, lab=self.lab, folder=self.lock_folder)
            threads[lane] = _LinkThread(lane_name(bench.spec, lane), partial(self.connect, bench, lane, clock), lock)
            threads[lane].start()
        return threads


Prepared = Callable[[], SafeStateWithoutHost]
"""Reads a bench file, when it is its turn."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What became of a safe state that was driven by several bench files."""

    actions: tuple[SafeAction, ...] = ()
    notes: tuple[str, ...] = ()
    """What else people should know: bench files that cannot be read, what has no safe action."""
    failed_links: frozenset[str] = frozenset()

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object: `actions` and `notes`, and `refused` where there was no action to take."""
        if self.actions:
            return {"actions": [one.document() for one in self.actions], "notes": list(self.notes)}
        *notes, refused = self.notes
        return {"actions": [], "notes": notes, "refused": refused}


def drive_in_turn(files: Sequence[Prepared]) -> Driven:
    """Drive the safe state by the first bench file that can be read, and by the next ones what has failed until then."""
    driven, used = Driven(), set[str]()
    for prepare in files:
        if driven.actions and all(one.done for one in driven.actions):
            break
        try:
            safe_state = prepare()
            if safe_state.bench.sha256 not in used:
                driven = _go_on(driven, safe_state)
            used.add(safe_state.bench.sha256)
        except AthanorError as error:
            driven = replace(driven, notes=(*driven.notes, str(error)))
    return driven


def _go_on(before: Driven, safe_state: SafeStateWithoutHost) -> Driven:
    """Drive what is not done yet: everything at first, then the instruments that failed, and those on the links that failed."""
    bench, failed = safe_state.bench, {one.instrument for one in before.actions if not one.done}
    if not before.actions:
        if not (has_actions := {name for name, _ in declared(bench)}):
            return replace(before, notes=(*before.notes, f"bench file {bench.path} declares no safe action"))
        actions = safe_state.drive()
        without = [name for name in bench.spec.instruments if name not in has_actions]
        notes = (*before.notes, *(f"{name}: no safe action is declared for it" for name in without))
        links = frozenset(lane_of(bench.spec, one.instrument) for one in actions if not one.done)
        return Driven(actions, notes, links)
    links = before.failed_links | {lane_of(bench.spec, name) for name in bench.spec.instruments if name in failed}
    again = {(one.instrument, one.action): one for one in safe_state.drive(only=lambda name: lane_of(bench.spec, name) in links)}
    known = {(one.instrument, one.action) for one in before.actions}
    actions = tuple(_better(one, again.get((one.instrument, one.action)), bench.path) for one in before.actions)
    return replace(before, actions=(*actions, *(one for key, one in again.items() if key not in known)))


def _better(before: SafeAction, after: SafeAction | None, file: Path) -> SafeAction:
    if before.done or after is None:
        return before
    return after if after.done else replace(before, reason=f"{before.reason}; by {file}: {after.reason}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive the declared safe state of a bench and print what became of each action."""
    parser = argparse.ArgumentParser(prog="python -m instruments.supervisor.safe_state_without_host", description=main.__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True, action="append")
    parser.add_argument("--endpoints", type=Path)
    chosen = parser.parse_args(arguments)

    def prepared(file: Path) -> Prepared:
        return lambda: SafeStateWithoutHost.prepare(
            read_bench(file), connect_for_safety, lab=chosen.lab, what="stop", endpoints=chosen.endpoints
        )

    with redirect_stdout(sys.stderr):  # a plug-in may print
        driven = drive_in_turn([prepared(file) for file in chosen.bench])
    sys.stdout.write(json.dumps(driven.document()) + "\n")
    return 0 if driven.actions and all(one.done for one in driven.actions) else Fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
