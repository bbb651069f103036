"""Opens a bench's links and builds its drivers: what host, supervisor and `stop` do alike."""

from collections.abc import Mapping

from instruments.bench.access import security_of
from instruments.bench.file import BenchFile
from instruments.bench.link_names import LinkName
from instruments.drivers.protocol import Driver
from instruments.drivers.registry import build_driver
from instruments.transport.opening import open_link
from orchestrator.clock import Clock


def connect(bench: BenchFile, link: str, clock: Clock) -> Mapping[str, Driver]:
    """Open one link and build the drivers of all instruments on it, in the order of the bench file.

    Raises:
        LinkError: The link cannot be opened.
        AccessError: One side does not trust the other.
        BadInput: An instrument's settings do not fit its driver.
    """
    spec = bench.spec.links[link]
    with LinkName(link, spec.endpoint).prefixing_errors():
        security = security_of(bench, link)
        transport = open_link(kind=spec.kind, port=spec.port, url=spec.url, frame=spec.frame, baud=spec.baud, security=security)
    return {
        name: build_driver(one.driver, transport, bench.settings(name), clock)
        for name, one in bench.spec.instruments.items()
        if one.link == link
    }
