"""Whom a lab trusts on secured links: its own certificate is made, servers' are shown, trusted and revoked.

An operation takes values, returns what came of it, prints nothing, and raises AthanorError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flows.plans.lab import Lab
from instruments.lab_processes.endpoint_names import is_url
from instruments.transport.opcua_security import fetch_certificate
from instruments.trust.certificates import Certificate, read_certificate
from instruments.trust.folder import TrustFolder, plain
from orchestrator.errors import AccessError, BadInput, InstrumentError

_SECONDS: Final = 5.0
"""Wall seconds that a server may take to show its certificate."""

Agreed = Callable[[Certificate], bool]
"""Shows a certificate to a person and says whether it is to be trusted."""


@dataclass(frozen=True, slots=True)
class Own:
    """A lab's own certificate."""

    certificate: Certificate
    path: Path
    was_made: bool


def make_own_certificate(lab: Lab) -> Own:
    """Make a lab's key and certificate where there are none.

    Raises:
        BadInput: They cannot be written, or what is there is no certificate.
    """
    trust = TrustFolder.of_lab(lab.path)
    try:
        made = trust.make_own()
    except OSError as error:
        raise BadInput(f"{trust.path} cannot be written: {error.strerror}") from error
    return Own(trust.own_certificate(), trust.own, made)


def own_certificate(lab: Lab) -> Own:
    """Return a lab's own certificate.

    Raises:
        AccessError: There is none yet.
    """
    trust = TrustFolder.of_lab(lab.path)
    return Own(trust.own_certificate(), trust.own, was_made=False)


def shown_by(source: str) -> Certificate:
    """Return the certificate of a server, by its url, or of a file.

    Raises:
        BadInput: The file is none, or the server cannot be reached or shows none.
    """
    if not is_url(source):
        return read_certificate(Path(source), what="certificate")
    if "@" in urlsplit(source).netloc:
        raise BadInput("the url holds a user or a password; expected one without: a certificate is shown to everybody")
    try:
        shown = fetch_certificate(source, seconds=_SECONDS)
    except InstrumentError as error:
        raise BadInput(str(error)) from error
    return Certificate.parse(shown, what=f"what {source} shows")


def trust(lab: Lab, certificate: Certificate, *, fingerprint: str | None, agreed: Agreed) -> bool:
    """Trust a server's certificate from now on; return whether it was agreed to.

    Args:
        lab: Whose servers.
        certificate: The server's.
        fingerprint: What it must be, where the person has it from elsewhere; nobody is asked then.
        agreed: Asks the person.

    Raises:
        BadInput: It is another one than the fingerprint says.
    """
    if fingerprint is not None and plain(fingerprint) != plain(certificate.fingerprint):
        raise BadInput(f"nothing is trusted: the fingerprint is {certificate.fingerprint}; expected {fingerprint}")
    if fingerprint is None and not agreed(certificate):
        return False
    TrustFolder.of_lab(lab.path).trust(certificate)
    return True


def revoke(lab: Lab, fingerprint: str) -> Certificate:
    """Trust a server no more: its certificate is moved to those that are rejected.

    Raises:
        BadInput: No trusted certificate has that fingerprint, or several begin so.
    """
    folder = TrustFolder.of_lab(lab.path)
    found = folder.find(fingerprint)
    folder.revoke(found)
    return found


def known(lab: Lab) -> tuple[tuple[str, Certificate], ...]:
    """Return all certificates of a lab: `own`, `trusted` or `rejected`, and which."""
    folder = TrustFolder.of_lab(lab.path)
    try:
        own: tuple[Certificate, ...] = (folder.own_certificate(),)
    except AccessError:
        own = ()
    kinds = (("own", own), ("trusted", folder.trusted), ("rejected", folder.rejected))
    return tuple((kind, one) for kind, several in kinds for one in several)
