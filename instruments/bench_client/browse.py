"""What is at an endpoint, before there is a bench file: for `athanor browse`."""

from contextlib import closing
from pathlib import Path

from instruments.drivers.lads_browsing import bench_stub, offered
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.endpoint_names import is_url
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opcua_security import LinkSecurity, ModeName, PolicyName
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret
from orchestrator.errors import AthanorError, BadInput


def security_of(
    lab: Path | None, policy: PolicyName | None, mode: ModeName, user: str | None, password_file: Path | None
) -> LinkSecurity | None:
    """Return how a server is reached that secures its channel; None where no policy is named.

    Raises:
        BadInput: Words that do not go together.
    """
    if (user is None) != (password_file is None):
        raise BadInput("--user and --password-file go together: the name, and the file that holds the password")
    if policy is None:
        if user is not None:
            raise BadInput("--user without --policy: no password is sent over a channel that is not secured")
        return None
    if lab is None:
        raise BadInput("--policy without --lab: a secured server asks for the certificate of a lab; expected its folder")
    return LinkSecurity(policy, mode, TrustFolder.of_lab(lab), user, Secret(password_file) if password_file else None)


def browse_server(url: str, security: LinkSecurity | None = None) -> str:
    """Return what an OPC-UA server offers, as tables of a bench file; nothing is changed on it.

    Raises:
        BadInput: One line: no server's address, an occupied wire (who holds it), or a server that does not answer or has no
            LADS device.
    """
    if not is_url(url) or not url.lower().startswith("opc.tcp://"):
        raise BadInput(f"{url!r} is no address of an OPC-UA server; expected one like opc.tcp://host:4840")
    try:
        with EndpointLocks([url], what="browse"), closing(OpcUaTransport(url, security)) as transport:
            devices = offered(transport)
    except AthanorError as error:
        raise BadInput(f"{url} cannot be browsed: {error}") from error
    if not devices:
        raise BadInput(f"{url} offers no LADS device below DeviceSet")
    return bench_stub(devices, url, _table(security) if security is not None else {})


def _table(security: LinkSecurity) -> dict[str, str]:
    table: dict[str, str] = {"policy": security.policy, "mode": security.mode}
    if security.user is not None and security.password is not None and security.password.file is not None:
        table |= {"user": security.user, "password": security.password.file.name}
    return table
