"""In which thread an instrument is worked with: that of its link, or one of its own where it has none."""

from collections.abc import Iterable

from instruments.bench.link_names import LinkName
from instruments.bench.spec import BenchSpec, InstrumentSpec
from instruments.drivers.protocol import Driver
from orchestrator.errors import BadInput


def lane_of(bench: BenchSpec, instrument: str) -> str:
    """Return the name of an instrument's lane: its link's, or its own in round brackets, which no link's name has."""
    return bench.instruments[instrument].link or f"({instrument})"


def lanes_of(bench: BenchSpec, instruments: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Return lanes with their instruments, both in the order of the file: of some instruments, or of all."""
    lanes: dict[str, list[str]] = {}
    for name in bench.instruments if instruments is None else instruments:
        lanes.setdefault(lane_of(bench, name), []).append(name)
    return lanes


def lane_name(bench: BenchSpec, lane: str) -> LinkName:
    """Return what people call a lane; without a wire it has no endpoint."""
    return LinkName(lane, bench.links[lane].endpoint if lane in bench.links else "")


def wires_of(bench: BenchSpec, lanes: Iterable[str]) -> list[str]:
    """Return where the wires of these lanes end, for their locks; an instrument without a link has none."""
    return [bench.links[lane].endpoint for lane in lanes if lane in bench.links]


def check_lane(name: str, spec: InstrumentSpec, driver: type[Driver]) -> None:
    """Refuse an instrument whose driver needs a link and has none, or the other way round.

    Raises:
        BadInput: One line that names the instrument and the driver.
    """
    if spec.link is None and driver.LINKS:
        kinds = " or ".join(driver.LINKS)
        raise BadInput(
            f"instrument {name}: driver {spec.driver!r} needs a link of kind {kinds}; expected link = the name of one in [links]"
        )
    if spec.link is not None and not driver.LINKS:
        raise BadInput(f"instrument {name}: driver {spec.driver!r} needs no link; link = {spec.link!r} is to be left out")
