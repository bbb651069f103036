"""Reading a bench's devices without running anything: for `check --connect` and `probe`; writes nothing.

Where the lab's bench host lives, it alone touches the wires and is asked; else they are locked and opened here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instruments.bench.connect import connect
from instruments.bench.file import BenchFile
from instruments.bench.lanes import lane_name, lane_of, lanes_of, wires_of
from instruments.bench.probing import CHANNEL, ChannelRead, read_channel
from instruments.bench_client.client import HostClient
from instruments.drivers.protocol import Driver, Identity
from instruments.lab_processes.bench_process import host_alive
from instruments.lab_processes.endpoint_locks import EndpointLocks
from orchestrator.clock import LiveClock
from orchestrator.errors import AthanorError, BadInput


@dataclass(frozen=True, slots=True)
class Probed:
    """One device as it was found: who it says that it is, and one reading of each channel."""

    instrument: str
    identity: str
    through: str | None
    """The lab whose live bench host has read it; None where its wire was opened here."""
    channels: tuple[ChannelRead, ...]


def read_identities(bench: BenchFile, lab: Path) -> dict[str, str]:
    """Ask every device what it is: through the live host where there is one, else under the wires' locks.

    Raises:
        BadInput: One line: an occupied wire (who holds it), an absent device, or one that is not the one expected; or the
            host serves another bench.
    """
    if host_alive(lab):
        with _host_of(bench, lab, tuple(bench.spec.instruments)) as (_, identities):
            return {name: identities[name] for name in bench.spec.instruments}
    found: dict[str, str] = {}
    with _wires(bench, lab, "check --connect", tuple(wires_of(bench.spec, lanes_of(bench.spec)))):
        for lane in lanes_of(bench.spec):
            with opened(bench.in_lab(lab), lane) as drivers:
                for name, driver in drivers.items():
                    found[name] = identified(bench, name, driver)
    return {name: found[name] for name in bench.spec.instruments}


def probe(bench: BenchFile, lab: Path, instrument: str) -> Probed:
    """Read one device: its identity and each of its channels, through the live host where there is one.

    Raises:
        BadInput: One line: no such instrument, an occupied wire, an absent device, one that is not the one expected, or a host
            that serves another bench or carries out a run.
    """
    require_instrument(bench, instrument)
    channels = bench.driver(instrument).CHANNELS
    if host_alive(lab):
        with _host_of(bench, lab, (instrument,)) as (host, identities):
            found = tuple(CHANNEL.validate_json(host.read_channel(instrument, channel)) for channel in channels)
            return Probed(instrument, identities[instrument], str(lab), found)
    lane = lane_of(bench.spec, instrument)
    with _wires(bench, lab, "probe", tuple(wires_of(bench.spec, [lane]))), opened(bench.in_lab(lab), lane) as drivers:
        return probed(bench, instrument, drivers[instrument])


def probed(bench: BenchFile, instrument: str, driver: Driver) -> Probed:
    """Read one device whose link is open."""
    identity = identified(bench, instrument, driver)
    return Probed(instrument, identity, None, tuple(read_channel(driver, channel) for channel in driver.CHANNELS))


def identified(bench: BenchFile, instrument: str, driver: Driver) -> str:
    """Ask a device whose link is open what it is, in words."""
    with lane_name(bench.spec, lane_of(bench.spec, instrument)).prefixing_errors(instrument):
        return in_words(driver.identify())


def require_instrument(bench: BenchFile, instrument: str) -> None:
    """Refuse an instrument that a bench does not have."""
    if instrument not in bench.spec.instruments:
        raise BadInput(f"{bench.path.name} has no instrument {instrument!r}; it has {', '.join(bench.spec.instruments)}")


@contextmanager
def opened(bench: BenchFile, lane: str) -> Iterator[Mapping[str, Driver]]:
    """Give the drivers of one lane, whose lock is held, and close it."""
    drivers = connect(bench, lane, LiveClock())
    try:
        yield drivers
    finally:
        for driver in drivers.values():
            driver.close()


@contextmanager
def _wires(bench: BenchFile, lab: Path, what: str, endpoints: tuple[str, ...]) -> Iterator[None]:
    try:
        with EndpointLocks(endpoints, what=what, lab=lab):
            yield
    except AthanorError as error:
        raise BadInput(f"{bench.path.name}: {error}") from error


@contextmanager
def _host_of(bench: BenchFile, lab: Path, instruments: tuple[str, ...]) -> Iterator[tuple[HostClient, dict[str, str]]]:
    """Give the lab's live host and what its devices say that they are, once it is known to serve these instruments."""
    try:
        with HostClient.of_lab(lab) as client:
            status = client.status()
            known = {name: one["driver"] for name, one in status["drivers"].items()}
            if strangers := [name for name in instruments if known.get(name) != bench.spec.instruments[name].driver]:
                raise BadInput(
                    f"the live bench host of lab {lab} serves bench {status['bench']!r}, which has no {strangers[0]!r} with driver "
                    f"{bench.spec.instruments[strangers[0]].driver!r}; it has {', '.join(known)}"
                )
            yield client, {name: _shown(one) for name, one in status["identities"].items()}
    except AthanorError as error:
        raise BadInput(f"{bench.path.name}: {error}") from error


def in_words(identity: Identity) -> str:
    """Write what a device says that it is."""
    return _shown(asdict(identity))


def _shown(identity: Mapping[str, Any]) -> str:
    return f"{identity['model']}, serial number {identity['serial_number'] or '-'}, firmware {identity['firmware'] or '-'}"
