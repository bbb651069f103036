"""The links of a bench are opened and closed side by side: as long as the slowest takes, however many there are."""

from collections.abc import Mapping
from pathlib import Path
from threading import Barrier
from typing import Final, cast

import pytest

from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.lanes import lanes_of
from instruments.bench.wires import Wires
from instruments.drivers.protocol import Driver, Settings
from orchestrator.clock import Clock, LiveClock
from orchestrator.errors import LinkError, Sent

CDSE = Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml"
BENCH: Final = parse_bench(CDSE.read_text(), CDSE)
LANES: Final = tuple(lanes_of(BENCH.spec))
PATIENCE: Final = 10.0
"""Wall s for which one device waits for the others: one after another they would wait for good."""


class Slow:
    """A driver that is identified, and closed, only together with those of all other links."""

    HAS_WATCHDOG = False

    def __init__(self, name: str, opening: Barrier, closing: Barrier, *, absent: bool) -> None:
        self.settings = Settings(name)
        self._opening, self._closing, self._absent = opening, closing, absent

    def identify(self) -> str:
        self._opening.wait(PATIENCE)
        if self._absent:
            raise LinkError("nobody there", sent=Sent.NO)
        return "a device"

    def arm(self) -> None:
        """Nothing to arm."""

    def close(self) -> None:
        self._closing.wait(PATIENCE)


def wires(closing: Barrier, *, absent: str | None = None) -> Wires:
    opening = Barrier(len(LANES))

    def connect(_bench: BenchFile, lane: str, _clock: Clock) -> Mapping[str, Driver]:
        return cast(Mapping[str, Driver], {lane: Slow(lane, opening, closing, absent=lane == absent)})

    made = Wires(BENCH, connect, LiveClock(), lambda: True)
    made.start()
    return made


def test_all_links_are_opened_and_closed_at_once() -> None:
    closed: list[None] = []
    bench = wires(Barrier(len(LANES), action=lambda: closed.append(None)))
    assert len(LANES) > 2
    bench.open()
    assert set(bench.identities) == set(LANES)
    bench.close()
    assert closed == [None], "all of them met once"


def test_one_that_cannot_be_opened_is_told_once_the_others_are_open() -> None:
    bench = wires(Barrier(1), absent=LANES[0])
    with pytest.raises(LinkError, match="nobody there"):
        bench.open()
    assert set(bench.identities) == set(LANES[1:])
    bench.close()
