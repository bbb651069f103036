"""What is at an endpoint, before there is a bench file: for `athanor browse`."""

from contextlib import closing

from instruments.drivers.lads_browsing import bench_stub, offered
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.endpoint_names import is_url
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import AthanorError, BadInput


def browse_server(url: str) -> str:
    """Return what an OPC-UA server offers, as tables of a bench file; nothing is changed on it.

    Raises:
        BadInput: One line: no server's address, an occupied wire (who holds it), or a server that does not answer or has no
            LADS device.
    """
    if not is_url(url) or not url.lower().startswith("opc.tcp://"):
        raise BadInput(f"{url!r} is no address of an OPC-UA server; expected one like opc.tcp://host:4840")
    try:
        with EndpointLocks([url], what="browse"), closing(OpcUaTransport(url)) as transport:
            devices = offered(transport)
    except AthanorError as error:
        raise BadInput(f"{url} cannot be browsed: {error}") from error
    if not devices:
        raise BadInput(f"{url} offers no LADS device below DeviceSet")
    return bench_stub(devices, url)
