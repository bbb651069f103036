"""Reads the laboratory's environment beside runs, in a thread of its own; the wires' threads do the reading, each in its turn.

What is due is asked for and collected when it has come, so that a slow device delays no other. What cannot be read is noted
and changes nothing of any run; neither does an error here.
"""

import logging
import math
import threading
from concurrent.futures import Future
from typing import Final

from instruments.bench.environment import at_lab, environment_channels, passive_instruments
from instruments.bench.file import BenchFile
from instruments.bench.wires import Wires
from instruments.host.journal import Journal
from instruments.host.journal_records import sample_of
from orchestrator.clock import Clock
from orchestrator.domain.environment import EnvironmentChannel, Sample
from orchestrator.domain.records import Reading
from orchestrator.errors import AthanorError, Fault, LinkError

logger = logging.getLogger(__name__)

SHORTEST: Final = 0.05
"""Wall seconds between two readings, however fast a dry run's clock is: a wire is there for the procedure first."""
_TURN: Final = 0.2
"""Wall seconds after which the thread turns once more; each change of the journal wakes it too."""
_CLOSE_SECONDS: Final = 5.0
"""Wall seconds that the last turn may take at the end."""


class Sampler:
    """Keeps what is read of the environment in the journal, with each run that has begun and not ended."""

    def __init__(self, bench: BenchFile, journal: Journal, wires: Wires, clock: Clock) -> None:
        """Prepare; nothing is read before the first turn with a run.

        Raises:
            BadInput: What the bench file declares cannot be read.
        """
        self._channels = at_lab(environment_channels(bench), clock)
        self._passive = passive_instruments(bench)
        self._journal = journal
        journal.declare(self._channels)
        self._wires = wires
        self._clock = clock
        self._watched: frozenset[str] = frozenset()
        self._due = {one.name: -math.inf for one in self._channels if one.read}
        """Lab seconds at which each is read next."""
        self._asked: dict[str, Future[tuple[Reading, ...]]] = {}
        self._opening: dict[str, Future[None]] = {}
        """By instrument: links that are opened anew."""
        self._failing: set[str] = set()
        self._changed = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="environment", daemon=True)

    def start(self) -> None:
        """Start the thread, where anything is declared."""
        if self._due:
            self._journal.on_change(self._changed.set)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except Fault as error:  # of the journal: the executor meets it too, and decides
                logger.error("the environment is not recorded: %s", error)
            self._changed.wait(self._pause)
            self._changed.clear()

    @property
    def _pause(self) -> float:
        if not self._watched:
            return _TURN
        left = self._clock.wall_seconds(min(self._due.values()) - self._clock.lab())
        return min(_TURN, SHORTEST if self._asked else max(SHORTEST, left))

    def _turn(self) -> None:
        """Take what has come, and ask for what is due."""
        self._take()
        running = self._journal.running()
        if running - self._watched:
            self._due = dict.fromkeys(self._due, -math.inf)
        self._watched = running
        if running:
            self._ask(self._clock.lab())

    def _ask(self, lab: float) -> None:
        for one in self._channels:
            if one.name not in self._due or lab < self._due[one.name] or one.name in self._asked:
                continue
            following = self._due[one.name] + one.every
            self._due[one.name] = following if following > lab else lab + one.every
            instrument, _, channel = one.channel.partition(".")
            self._asked[one.name] = self._wires.of(instrument).begin_read(instrument, channel)

    def _take(self) -> None:
        for one in self._channels:
            asked = self._asked.get(one.name)
            if asked is not None and asked.done():
                del self._asked[one.name]
                self._keep(one, asked)

    def _keep(self, one: EnvironmentChannel, asked: Future[tuple[Reading, ...]]) -> None:
        try:
            mine = [found for found in asked.result() if found.name == one.channel]
            sample = sample_of(mine[-1]) if mine else Sample(lab=self._clock.lab(), value=None, reason="it gave no reading")
        except AthanorError as error:
            sample = Sample(lab=self._clock.lab(), value=None, reason=str(error))
            if isinstance(error, LinkError):
                self._open_again(one)
        if sample.reason is not None and one.name not in self._failing:
            logger.warning("environment %s (%s) cannot be read: %s", one.name, one.channel, sample.reason)
        (self._failing.discard if sample.reason is None else self._failing.add)(one.name)
        self._journal.add_sample(one.name, sample)

    def _open_again(self, one: EnvironmentChannel) -> None:
        """Open a lost link anew where nothing is set on it; of all others the run in hand sees to it, and to its settings."""
        instrument = one.channel.partition(".")[0]
        opening = self._opening.get(instrument)
        if instrument in self._passive and (opening is None or opening.done()):
            self._opening[instrument] = self._wires.of(instrument).begin_open()
