"""Certificates of servers and clients, sound or with one defect, made by a builder that is not ours."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

URI = "urn:test:server"
CLIENT_URI = "urn:athanor:bench-host:test"


@cache
def key(which: str) -> rsa.RSAPrivateKey:
    """Return one key a process for each name: making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if which == "short" else 2048)


def pem(which: str) -> bytes:
    return key(which).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Issued:
    """One certificate, signed with its own key."""

    whose: str
    uri: str = URI
    hosts: tuple[str, ...] = ("127.0.0.1",)
    days: tuple[float, float] = (-1, 365)
    """From and until, in days from now."""
    may_encipher: bool = True
    purposes: Sequence[x509.ObjectIdentifier] = field(default=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH))

    def but(self, **changes: Any) -> "Issued":
        return replace(self, **changes)

    @cached_property
    def der(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.whose)])
        now, mine = datetime.now(UTC), key(self.whose)
        begins, ends = (now + timedelta(days=one) for one in self.days)
        names = [x509.UniformResourceIdentifier(self.uri), *map(_name, self.hosts)]
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=True,
            key_encipherment=self.may_encipher,
            data_encipherment=self.may_encipher,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = x509.CertificateBuilder(name, name, mine.public_key(), 4711, begins, ends)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), critical=False)
        return builder.sign(mine, hashes.SHA256()).public_bytes(Encoding.DER)


def _name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)


SERVER = Issued("server")
CLIENT = Issued("client", CLIENT_URI, ())
