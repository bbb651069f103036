"""What is at an endpoint, before there is a bench file, or beside one: for `athanor browse`; nothing is changed there."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from serial.tools.list_ports import comports

from instruments.bench.access import security_of
from instruments.bench.file import BenchFile
from instruments.bench.link_spec import LinkSpec
from instruments.bench.security_spec import SecuritySpec
from instruments.drivers.lads_browsing import bench_stub, offered
from instruments.drivers.protocol import Identity, Settings
from instruments.drivers.registry import build_driver, find_driver
from instruments.lab_processes.endpoint_locks import EndpointLocks, lock_holder
from instruments.lab_processes.endpoint_names import is_url
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opcua_security import LinkSecurity
from instruments.transport.opening import open_link
from orchestrator.clock import LiveClock
from orchestrator.errors import AthanorError, BadInput

_BY_ID: Final = Path("/dev/serial/by-id")
"""Where udev names ports by their adapter (systemd's 60-serial.rules): such a name stays when adapters are plugged in elsewhere."""


def browse_server(url: str, security: LinkSecurity | None = None, declared: SecuritySpec | None = None) -> str:
    """Return what an OPC-UA server offers, as tables of a bench file; nothing is changed on it.

    Args:
        url: Its address.
        security: What channel and user are secured with; None for neither.
        declared: The same as a bench file has it, for the tables.

    Raises:
        BadInput: One line: no server's address, an occupied wire (who holds it), a server that does not answer, is not trusted
            or lets us not in, or that has no LADS device.
    """
    if not is_url(url) or not url.lower().startswith("opc.tcp://"):
        raise BadInput(f"{url!r} is no address of an OPC-UA server; expected one like opc.tcp://host:4840")
    if "@" in urlsplit(url).netloc:
        raise BadInput("the url holds a user or a password; --user and --password-file or --password-env say who you are")
    try:
        with EndpointLocks([url], what="browse"), closing(OpcUaTransport(url, security)) as transport:
            devices = offered(transport)
    except AthanorError as error:
        raise BadInput(f"{url} cannot be browsed: {error}") from error
    if not devices:
        raise BadInput(f"{url} offers no LADS device below DeviceSet")
    return bench_stub(devices, url, None if declared is None else declared.model_dump(mode="json", exclude_none=True))


def browse_instrument(bench: BenchFile, lab: Path, instrument: str) -> str:
    """Return what the server offers on which an instrument of a bench file hangs, secured as the file says.

    Raises:
        BadInput: As of `browse_server`; or its link is no OPC-UA one.
    """
    link = bench.spec.instruments[instrument].link
    if link is None:
        raise BadInput(f"{instrument} hangs on no link; only OPC-UA servers tell what they offer")
    spec = bench.spec.links[link]
    if spec.kind != "opcua" or spec.url is None:
        raise BadInput(f"{instrument} hangs on link {link}, which is {spec.kind}; only OPC-UA servers tell what they offer")
    try:
        security = security_of(bench.in_lab(lab), link)
    except AthanorError as error:
        raise BadInput(f"{spec.url} cannot be browsed: {error}") from error
    return browse_server(spec.url, security, spec.security)


# ---------------------------------------------------------------------- serial ports


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port of this machine."""

    device: str
    """The kernel's name, which may change when adapters are plugged in."""
    by_id: str | None
    """The name that stays; None where the adapter has none."""
    what: str
    """What the adapter says that it is."""
    holder: str | None
    """The process of Athanor that holds it; None where none does."""


def serial_ports() -> tuple[Port, ...]:
    """List the serial ports of this machine; none is opened."""
    links = {str(one.resolve()): str(one) for one in sorted(_BY_ID.glob("*"))}
    found = sorted(comports(), key=lambda one: str(one.device))
    return tuple(Port(one.device, links.get(one.device), _adapter(one.description, one.hwid), lock_holder(one.device)) for one in found)


def _adapter(*told: str | None) -> str:
    return ", ".join(dict.fromkeys(one for one in told if one and one != "n/a")) or "no adapter that says what it is"


def ask_port(link: LinkSpec, driver: str, address: int | None) -> Identity:
    """Ask the device at a port who it is, with the one question that its driver or profile has for this; nothing else is sent.

    Args:
        link: The serial or tcp link.
        driver: A driver's or a profile's name.
        address: The device's on the line, where it needs one.

    Raises:
        BadInput: One line: an unknown driver, an occupied port, or no answer as this device gives it.
    """
    find_driver(driver, Path())
    try:
        with EndpointLocks([link.endpoint], what="browse"):
            transport = open_link(kind=link.kind, port=link.port, url=link.url, frame=link.frame, baud=link.baud)
            with closing(transport):
                return build_driver(driver, transport, Settings("device", address=address), LiveClock()).identify()
    except AthanorError as error:
        raise BadInput(f"{link.endpoint} asked as {driver}: {error}") from error


def lines_of(ports: tuple[Port, ...]) -> Iterator[str]:
    """Say of each port how a bench file names it, what it is and who holds it."""
    for one in ports:
        yield f"{one.by_id or one.device}: {one.what}{f' ({one.device})' if one.by_id else ''}"
        if one.holder is not None:
            yield f"  held by {one.holder}"
