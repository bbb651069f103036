"""Application certificates of OPC-UA: making one, describing one, judging a server's before it is told anything.

X.509 version 3 with an application URI and host names [OPC 10000-6, 6.2.2]; judged in the order of [OPC 10000-4, 6.1.3].
Trust is in the certificate itself: an issuer that signed it vouches for nothing here.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator.errors import AccessError, BadInput

KEY_BITS: Final = 2048
"""The least that all three policies allow [OPC 10000-7, Basic256Sha256 and Aes256-Sha256-RsaPss: 2048 to 4096]."""
VALID_FOR: Final = timedelta(days=10 * 365)
_BACKDATED: Final = timedelta(hours=1)
"""Devices' clocks run behind: a certificate of this minute is none of the future to them."""
_PEM: Final = b"-----BEGIN CERTIFICATE"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a person compares before trusting a certificate."""

    der: bytes
    fingerprint: str
    """SHA-256 of the certificate, 32 bytes in capital hexadecimal, parted by colons."""
    subject: str
    application_uri: str
    """Empty where it has none."""
    hosts: tuple[str, ...]
    """Host names and addresses that it is for."""
    valid_from: datetime
    valid_until: datetime

    @classmethod
    def parse(cls, content: bytes, *, what: str) -> "Certificate":
        """Read a certificate, the first one where a chain follows it.

        Raises:
            BadInput: It is neither PEM nor DER.
        """
        try:
            found = x509.load_pem_x509_certificate(content) if _PEM in content else x509.load_der_x509_certificate(_first(content))
            return cls(
                der=found.public_bytes(Encoding.DER),
                fingerprint=found.fingerprint(hashes.SHA256()).hex(":").upper(),
                subject=found.subject.rfc4514_string(),
                application_uri=next(iter(_names(found, x509.UniformResourceIdentifier)), ""),
                hosts=(*_names(found, x509.DNSName), *_names(found, x509.IPAddress)),
                valid_from=found.not_valid_before_utc,
                valid_until=found.not_valid_after_utc,
            )
        except ValueError as error:
            raise BadInput(f"{what} is no certificate in PEM or DER") from error

    @property
    def lines(self) -> tuple[str, ...]:
        """What `trust show` prints of it."""
        return (
            f"subject          {self.subject}",
            f"fingerprint      {self.fingerprint}",
            f"application URI  {self.application_uri or 'none'}",
            f"hosts            {', '.join(self.hosts) or 'none'}",
            f"valid            {self.valid_from:%Y-%m-%d} to {self.valid_until:%Y-%m-%d}",
        )


def _first(der: bytes) -> bytes:
    """Cut the first certificate from a chain: a sequence whose length stands in bytes 2 and 3 [X.690, 8.1.3]."""
    return der[: int.from_bytes(der[2:4], "big") + 4] if der[:2] == b"\x30\x82" else der


def _names(certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier | x509.DNSName | x509.IPAddress]) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one) for one in names.get_values_for_type(kind)]


def make_certificate(
    name: str, *, application_uri: str, hosts: tuple[str, ...], now: datetime | None = None, valid_for: timedelta = VALID_FOR
) -> tuple[bytes, bytes]:
    """Make a key and a certificate that is signed with it.

    Args:
        name: Common name of the subject.
        application_uri: What the application calls itself in each session.
        hosts: Names and addresses of the machine.
        now: When it begins to be valid; None for now.
        valid_for: How long.

    Returns:
        The private key in PEM (PKCS8), without a password, and the certificate in DER.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64]), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Athanor")])
    begins = (now or datetime.now(UTC)) - _BACKDATED
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begins, begins + valid_for)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(application_uri), *map(_host, hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=True,  # it signs itself
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""What the key of an application instance certificate is for [OPC 10000-6, 6.2.2]."""


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def judge_server(certificate: Certificate, *, application_uri: str, host: str, now: datetime | None = None) -> None:
    """Judge a server's certificate by itself: key, time, host name, application URI, use.

    Args:
        certificate: What the server has shown.
        application_uri: What the server calls itself.
        host: Host of the url by which it was reached.
        now: The time; None for now.

    Raises:
        AccessError: What is wrong with it; nothing but the question for endpoints has been sent.
    """
    now = now or datetime.now(UTC)
    if now > certificate.valid_until:
        raise AccessError(f"the server's certificate has expired: it was valid until {certificate.valid_until:%Y-%m-%d %H:%M} UTC")
    if now < certificate.valid_from:
        raise AccessError(f"the server's certificate is not valid yet: it will be from {certificate.valid_from:%Y-%m-%d %H:%M} UTC")
    if not any(_is_same_host(host, one) for one in certificate.hosts):
        raise AccessError(f"the server's certificate is for {', '.join(certificate.hosts) or 'no host'}; the url says {host}")
    if application_uri != certificate.application_uri:
        theirs = certificate.application_uri or "nothing"
        raise AccessError(f"the server calls itself {application_uri or 'nothing'}; its certificate says {theirs}")
    if complaint := _misuse(x509.load_der_x509_certificate(certificate.der)):
        raise AccessError(f"the server's certificate is not for this: {complaint}")


def _is_same_host(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one.rstrip(".").lower() == other.rstrip(".").lower()


def _misuse(certificate: x509.Certificate) -> str | None:
    """Say why a certificate is none of a server [OPC 10000-6, 6.2.2; RFC 5280, 4.2.1.3 and 4.2.1.12]."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS:
        return f"its key is no RSA key of at least {KEY_BITS} bits"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "it does not say what its key may be used for"
    if not (usage.digital_signature and usage.key_encipherment and usage.data_encipherment):
        return "its key may not sign and encipher"
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if ExtendedKeyUsageOID.SERVER_AUTH in purposes else "its key may not be a server's"


def read_certificate(path: Path, *, what: str) -> Certificate:
    """Read a certificate's file.

    Raises:
        BadInput: It cannot be read, or is none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{what} {path} cannot be read: {error.strerror}") from error
    return Certificate.parse(content, what=f"{what} {path}")
