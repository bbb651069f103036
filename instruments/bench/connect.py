"""Opens a bench's links and builds its drivers: what host, supervisor and `stop` do alike."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from instruments.bench.access import security_of
from instruments.bench.file import BenchFile
from instruments.bench.lanes import lanes_of
from instruments.bench.link_names import LinkName
from instruments.drivers.protocol import Driver, Settings
from instruments.drivers.registry import bind
from instruments.transport.base import Transport
from instruments.transport.opening import open_link
from orchestrator.clock import Clock
from orchestrator.errors import BadInput, DeviceError, Sent

_PATIENCE: Final = 3.0
"""Wall seconds for which a link's safe state waits for the imports of its plug-ins, all of them together."""


class Usable(dict[str, Driver]):
    """The drivers of a link that could be built; whoever asks for another one is told why there is none."""

    def __init__(self, drivers: Mapping[str, Driver], missing: Mapping[str, str]) -> None:
        super().__init__(drivers)
        self.missing = missing

    def __missing__(self, instrument: str) -> Driver:
        raise DeviceError(self.missing.get(instrument, f"the link has no instrument {instrument!r}"), sent=Sent.NO)


def connect(bench: BenchFile, link: str, clock: Clock) -> Mapping[str, Driver]:
    """Open one link and build the drivers of all instruments on it, in the order of the bench file.

    Raises:
        LinkError: The link cannot be opened.
        AccessError: One side does not trust the other.
        BadInput: An instrument's settings do not fit its driver, or its driver cannot be loaded.
    """
    settings = {name: bench.settings(name) for name in _on(bench, link)}
    transport = _open(bench, link)
    try:
        return {name: _build(bench, name, transport, one, clock) for name, one in settings.items()}
    except BadInput:
        if transport is not None:
            transport.close()
        raise


def connect_for_safety(bench: BenchFile, link: str, clock: Clock) -> Usable:
    """Open one link and build the drivers that can be built: one that cannot must not shield its neighbours.

    Raises:
        LinkError: The link cannot be opened.
    """
    transport, drivers, missing = _open(bench, link), dict[str, Driver](), dict[str, str]()
    load_drivers(bench, 0.0)
    until = time.monotonic() + _PATIENCE
    for name in _on(bench, link):
        try:
            bench.driver(name, seconds=max(0.0, until - time.monotonic()))
            drivers[name] = _build(bench, name, transport, bench.settings(name), clock)
        except Exception as error:  # a plug-in may raise anything
            missing[name] = str(error) or type(error).__name__
    return Usable(drivers, missing)


def load_drivers(bench: BenchFile, seconds: float) -> None:
    """Begin the imports of all plug-ins of a bench, and wait so many wall seconds for each; never raises."""
    for name in bench.spec.instruments:
        with suppress(BadInput):  # told when the driver is asked for
            bench.driver(name, seconds=seconds)


def _build(bench: BenchFile, name: str, transport: Transport | None, settings: Settings, clock: Clock) -> Driver:
    return bind(bench.driver(name), bench.spec.instruments[name].driver, transport, settings, clock)


def _on(bench: BenchFile, link: str) -> list[str]:
    return lanes_of(bench.spec)[link]


def _open(bench: BenchFile, link: str) -> Transport | None:
    """Open a link; None for one whose drivers open their devices themselves, and where there is no link."""
    spec = bench.spec.links.get(link)
    if spec is None or spec.kind == "own":
        return None
    with LinkName(link, spec.endpoint).prefixing_errors():
        security = security_of(bench, link)
        port = spec.port or spec.resource
        return open_link(kind=spec.kind, port=port, url=spec.url, frame=spec.frame, baud=spec.baud, security=security, library=spec.library)
