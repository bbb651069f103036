"""What leaves the chip: collected while every stream flows, the first and the last of it led to waste."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from athanor.devices import Feed
from lipid_mixing.measuring import Room
from lipid_mixing.mixing import Mixture

BUFFER_PH: Final = 4.0
"""Of the acid buffer, where the plant file does not say it."""
IONISABLE_SHARE: Final = 0.5
"""Of the lipids, by moles: the 50 : 10 : 38.5 : 1.5 of common formulations."""
LIPID, PEG, PHOSPHATE = "lipid", "peg", "phosphate"
"""Species of the stocks; what brings lipid is the ethanol's side. PEG-lipid counts as lipid, too."""
WATER_DENSITY: Final = 0.997
ETHANOL_DENSITY: Final = 0.785
"""g/mL at 25 degC (tables); volumes are added."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A while in which every stream flowed."""

    since: float
    until: float
    """Lab s."""
    volumes: Mapping[str, float]
    """mL by stream."""

    @property
    def volume(self) -> float:
        """All of it (mL)."""
        return sum(self.volumes.values())


def stretches(feeds: Mapping[str, Feed], since: float, until: float) -> list[Stretch]:
    """Find when every stream flowed between two lab times (s), pieces of constant flow that follow each other joined."""
    times = sorted({since, until, *(time for feed in feeds.values() for time in feed.flow.times if since < time < until)})
    found: list[Stretch] = []
    for start, end in pairwise(times):
        if not feeds or min(feed.flow.held(start) for feed in feeds.values()) <= 0.0:
            continue
        begun = found.pop().since if found and found[-1].until == start else start
        found.append(Stretch(begun, end, {name: feed.volume(begun, end) for name, feed in feeds.items()}))
    return found


def weight(feeds: Mapping[str, Feed], stretch: Stretch) -> float:
    """Return what a stretch weighs (g)."""
    return sum(volume * (ETHANOL_DENSITY if LIPID in feeds[name].species else WATER_DENSITY) for name, volume in stretch.volumes.items())


def mixture_of(feeds: Mapping[str, Feed], stretch: Stretch, room: Room, ph: float) -> Mixture | None:
    """Say what was mixed; None where one of the two sides brought nothing."""
    ethanol = sum(volume for name, volume in stretch.volumes.items() if LIPID in feeds[name].species)
    lipid, peg, phosphate = (
        sum(volume * feeds[name].species.get(species, 0.0) for name, volume in stretch.volumes.items())
        for species in (LIPID, PEG, PHOSPHATE)
    )
    if min(ethanol, stretch.volume - ethanol, lipid, phosphate) <= 0.0:
        return None
    return Mixture.of(
        flow=60.0 * stretch.volume / (stretch.until - stretch.since),
        ratio=(stretch.volume - ethanol) / ethanol,
        lipid=1e3 * lipid / ethanol,
        np_ratio=IONISABLE_SHARE * lipid / phosphate,
        peg=100.0 * peg / lipid,
        ph=ph,
        kelvin=room.kelvin,
        hold=room.hold,
    )
