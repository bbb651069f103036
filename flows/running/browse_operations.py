"""Commissioning: what an OPC-UA server offers, which serial ports there are, and who answers at one.

An operation takes values, returns what came of it, prints nothing, and raises AthanorError.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from flows.plans.lab import find_lab, lab_to_ask
from flows.plans.simulated import aimed
from instruments.bench.file import load_bench
from instruments.bench.link_spec import LinkSpec
from instruments.bench.security_spec import SecretSpec, SecuritySpec
from instruments.bench_client import browse, identify
from instruments.lab_processes.endpoint_names import is_url
from instruments.transport.opcua_security import LinkSecurity, PolicyName
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput


@dataclass(frozen=True, slots=True)
class Secured:
    """What a person says of a server's security; without a policy nothing is secured, and nobody named."""

    policy: PolicyName | None = None
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    user: str | None = None
    password_file: Path | None = None
    password_env: str | None = None

    def declared(self, folder: Path = Path()) -> SecuritySpec | None:
        """Return it as a bench file in a folder has it.

        Raises:
            BadInput: A user without a password, a password without a user, two places of it, or either without a policy.
        """
        if self.policy is None:
            if self.user is not None or self.password_file is not None or self.password_env is not None:
                raise BadInput("a user is named to a secured server alone; expected --policy beside --user")
            return None
        file = None if self.password_file is None else _named_from(folder.resolve(), self.password_file.resolve())
        try:
            password = None if file is None and self.password_env is None else SecretSpec(file=file, env=self.password_env)
            return SecuritySpec(policy=self.policy, mode=self.mode, user=self.user, password=password)
        except ValidationError as error:
            raise explain(error, what="--policy, --user, --password-file, --password-env") from error


def _named_from(folder: Path, file: Path) -> str:
    """Return what a file is called in a folder's bench file: the path from there, or all of it where it lies elsewhere."""
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


def browse_server(url: str, secured: Secured, *, lab: Path | None) -> str:
    """Return what a server offers, as tables of a bench file.

    Args:
        url: Its address.
        secured: How it is reached.
        lab: Whose certificate is shown, and whose trust counts; None for the only lab here.

    Raises:
        BadInput: One line: it cannot be reached, is not trusted, does not let us in, or offers no LADS device.
    """
    declared = secured.declared()
    if declared is None or secured.policy is None:
        return browse.browse_server(url)
    found = find_lab(lab, here=Path.cwd()).path
    password = None if declared.password is None else Secret(secured.password_file, secured.password_env)
    security = LinkSecurity(secured.policy, secured.mode, TrustFolder.of_lab(found), secured.user, password)
    return browse.browse_server(url, security, secured.declared(found.parent))


def browse_instrument(file: Path, instrument: str, *, lab: Path | None) -> str:
    """Return what the server of an instrument offers, reached as the bench file says.

    Raises:
        BadInput: As of `browse_server`; or no such instrument, or it hangs on no OPC-UA server.
    """
    bench = load_bench(file.resolve())
    identify.require_instrument(bench, instrument)
    folder = lab_to_ask(lab, beside=bench.path)
    return browse.browse_instrument(aimed(bench, folder), folder, instrument)


def browse_ports(port: str | None, *, driver: str | None, address: int | None, frame: str, baud: int) -> str:
    """List the serial ports, or one of them; with a driver, ask the device there who it is.

    Raises:
        BadInput: No such port, or nobody answers there as this driver's device does.
    """
    if driver is None and port is not None and is_url(port):
        raise BadInput(f"{port}: nothing is sent to a device unasked; --driver NAME says whose question for its identity may be")
    if driver is None:
        found = browse.serial_ports()
        wanted = found if port is None else tuple(one for one in found if Path(port).resolve() == Path(one.device).resolve())
        if port is not None and not wanted:
            raise BadInput(f"{port} is no serial port of this machine; it has {', '.join(one.device for one in found) or 'none'}")
        return "".join(f"{line}\n" for line in browse.lines_of(wanted)) or "this machine has no serial port\n"
    if port is None:
        raise BadInput("--driver asks a device at a port; expected PORT before it")
    try:
        is_tcp = port.lower().startswith("tcp://")
        link = LinkSpec(kind="tcp", url=port) if is_tcp else LinkSpec(kind="serial", port=port, frame=frame, baud=baud)
    except ValidationError as error:
        raise explain(error, what=port) from error
    found_there = browse.ask_port(link, driver, address)
    return f"{port}: {identify.in_words(found_there)}\n"
