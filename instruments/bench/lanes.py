"""In which thread an instrument is worked with: that of its link, or one of its own where it has none."""

import hashlib
import json
from collections.abc import Collection

from instruments.bench.link_names import LinkName
from instruments.bench.object_spec import ObjectSpec
from instruments.bench.spec import BenchSpec, InstrumentSpec
from instruments.drivers.protocol import Driver
from orchestrator.errors import BadInput


def lane_of(bench: BenchSpec, instrument: str) -> str:
    """Return the name of an instrument's lane: its link's, or its own in round brackets, which no link's name has."""
    return bench.instruments[instrument].link or f"({instrument})"


def lanes_of(bench: BenchSpec, instruments: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return lanes with their instruments, both in the order of the file: of some instruments, or of all."""
    lanes: dict[str, list[str]] = {}
    for name in bench.instruments if instruments is None else instruments:
        lanes.setdefault(lane_of(bench, name), []).append(name)
    return lanes


def lane_name(bench: BenchSpec, lane: str) -> LinkName:
    """Return what people call a lane; without a wire it has no endpoint."""
    return LinkName(lane, bench.links[lane].endpoint if lane in bench.links else "")


def wires_of(bench: BenchSpec, lanes: Collection[str]) -> list[str]:
    """Return where the wires of these lanes end, for their locks; an object is known by how it is made, functions have none."""
    objects = {lane_of(bench, name): spec.object for name, spec in bench.instruments.items()}
    linked = [bench.links[lane].endpoint for lane in lanes if lane in bench.links]
    return linked + [_object_endpoint(made) for lane in lanes if lane not in bench.links and (made := objects.get(lane)) is not None]


def _object_endpoint(made: ObjectSpec) -> str:
    """Name the device behind an object: whatever interpreter makes it, what is made alike is one."""
    text = json.dumps([made.make, made.arguments], sort_keys=True, separators=(",", ":"), default=str)
    return f"object://{made.make}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_objects(bench: BenchSpec) -> None:
    """Refuse two instruments that are made alike: they would be one device.

    Raises:
        BadInput: One line that names both.
    """
    seen: dict[str, str] = {}
    for name, spec in bench.instruments.items():
        if spec.object is not None and (first := seen.setdefault(_object_endpoint(spec.object), name)) != name:
            raise BadInput(f"instruments {first} and {name} are the same device: {spec.object.make} with the same arguments")


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
