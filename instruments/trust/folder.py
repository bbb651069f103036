"""Whom a lab trusts: `LAB/pki/{own,trusted,rejected}`, one file a certificate.

A self-signed certificate has no revocation list: to revoke one is to move it to `rejected`. The files are read whenever a
link is opened, so that what a person changes holds from the next opening on.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instruments.trust.certificates import Certificate, make_certificate, read_certificate
from instruments.trust.secret import read_private, write_private
from orchestrator.errors import AccessError, BadInput

PKI: Final = "pki"
APPLICATION: Final = "urn:athanor:bench-host"
"""What bench hosts call themselves to a server; each adds its machine's name."""
_SUFFIX: Final = ".der"


def machine() -> str:
    """Return this machine's name."""
    return socket.gethostname() or "localhost"


def application() -> str:
    """Return what this machine's bench hosts call themselves: servers know the holder of a lock by it."""
    return f"{APPLICATION}:{machine()}"


@dataclass(frozen=True, slots=True)
class TrustFolder:
    """A lab's own certificate, and those of servers that it trusts or has rejected."""

    path: Path

    @classmethod
    def of_lab(cls, lab: Path) -> "TrustFolder":
        """Return the one of a lab; it need not be there yet."""
        return cls(lab / PKI)

    @property
    def own(self) -> Path:
        """Where the lab's own certificate is."""
        return self.path / "own" / f"certificate{_SUFFIX}"

    @property
    def key(self) -> Path:
        """Where its private key is."""
        return self.path / "own" / "key.pem"

    @property
    def trusted(self) -> tuple[Certificate, ...]:
        """The certificates of trusted servers."""
        return _all_in(self.path / "trusted")

    @property
    def rejected(self) -> tuple[Certificate, ...]:
        """The certificates that were revoked."""
        return _all_in(self.path / "rejected")

    def make_own(self) -> bool:
        """Make the lab's own key and certificate where there are none; return whether they were made.

        Raises:
            OSError: They cannot be written.
        """
        if self.own.exists() and self.key.exists():
            return False
        host = machine()
        pem, der = make_certificate(f"Athanor bench host on {host}", application_uri=application(), hosts=(host,))
        self.keep_own(pem, der)
        return True

    def keep_own(self, pem: bytes, der: bytes) -> None:
        """Write a key and its certificate; the certificate last, so that a half of them counts as none."""
        write_private(self.key, pem)
        write_private(self.own, der)
        for name in ("trusted", "rejected"):
            (self.path / name).mkdir(exist_ok=True)

    def own_certificate(self) -> Certificate:
        """Return the lab's own certificate.

        Raises:
            AccessError: There is none yet, or its key may be read by others.
        """
        if not self.own.exists():
            raise AccessError(f"there is no certificate in {self.path.absolute()}: athanor trust init makes the lab's own")
        read_private(self.key, what="private key")
        return read_certificate(self.own, what="certificate")

    def trust(self, certificate: Certificate) -> None:
        """Trust a server's certificate, also one that was revoked."""
        write_private(self._file("trusted", certificate), certificate.der)
        self._file("rejected", certificate).unlink(missing_ok=True)

    def revoke(self, certificate: Certificate) -> None:
        """Move a certificate to those that are rejected."""
        write_private(self._file("rejected", certificate), certificate.der)
        self._file("trusted", certificate).unlink(missing_ok=True)

    def require_trusted(self, certificate: Certificate) -> None:
        """Refuse a server whose certificate is not among the trusted ones.

        Raises:
            AccessError: It was revoked, or never trusted.
        """
        shown = f"{certificate.subject}, sha256 {certificate.fingerprint}"
        if certificate.der in {one.der for one in self.rejected}:
            raise AccessError(f"the server's certificate was revoked: {shown} lies in {(self.path / 'rejected').absolute()}")
        if certificate.der not in {one.der for one in self.trusted}:
            raise AccessError(f"the server's certificate is not trusted: {shown}; athanor trust add URL asks whether it is to be")

    def find(self, fingerprint: str) -> Certificate:
        """Return the trusted certificate whose fingerprint begins so, in capitals or not, with colons or not.

        Raises:
            BadInput: None does, or several.
        """
        begins = plain(fingerprint)
        found = [one for one in self.trusted if begins and plain(one.fingerprint).startswith(begins)]
        if len(found) != 1:
            raise BadInput(f"{len(found) or 'no'} trusted certificates have a fingerprint that begins with {fingerprint}; expected one")
        return found[0]

    def _file(self, folder: str, certificate: Certificate) -> Path:
        return self.path / folder / f"{plain(certificate.fingerprint).lower()}{_SUFFIX}"


def plain(fingerprint: str) -> str:
    """Return a fingerprint as it is compared: capital hexadecimal alone."""
    return fingerprint.replace(":", "").replace(" ", "").upper()


def _all_in(folder: Path) -> tuple[Certificate, ...]:
    return tuple(read_certificate(path, what="certificate") for path in sorted(folder.glob(f"*{_SUFFIX}")))
