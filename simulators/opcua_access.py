"""Who may reach a simulated platform: clients whose certificate it trusts, in one policy and mode, as one user.

Its folder is laid out like any application's of OPC-UA: `pki/own`, `pki/trusted`. Trust is read anew for each session.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.status_codes import StatusCodes
from cryptography import x509
from typing_extensions import override

from orchestrator.errors import BadInput

_TOKENS = {"user": ua.UserNameIdentityToken, "user_certificate": ua.X509IdentityToken}


@dataclass(frozen=True)
class PlatformAccess(UserManager):
    """What a platform asks of its clients, and what it shows them."""

    folder: Path
    """The plant's; the table's files are named from there."""
    table: Mapping[str, Any]
    """`policy`, `mode`, and `user` with `password.file`, or `user_certificate`, or neither: as announced."""

    @classmethod
    def load(cls, file: Path, folder: Path) -> dict[str, "PlatformAccess"]:
        """Read what a plant asks, by link.

        Raises:
            BadInput: The file cannot be read.
        """
        try:
            tables = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise BadInput(f"plant security {file}: {error}") from error
        return {link: cls(folder, table) for link, table in tables.items()}

    async def secure(self, server: Server) -> None:
        """Let a server offer the one policy and mode, show its certificate and ask for ours; before it listens."""
        own = self.folder / "pki" / "own"
        certificate = x509.load_der_x509_certificate((own / "certificate.der").read_bytes())
        await server.set_application_uri(_uris(certificate)[0])
        await server.load_certificate(own / "certificate.der")
        await server.load_private_key(own / "key.pem")
        server.set_security_policy([ua.SecurityPolicyType[f"{self.table['policy']}_{self.table['mode']}"]])
        server.set_identity_tokens([next((kind for key, kind in _TOKENS.items() if self.table.get(key)), ua.AnonymousIdentityToken)])
        server.set_certificate_validator(self._judge)
        server.iserver.set_user_manager(self)

    async def _judge(self, certificate: x509.Certificate, client: ua.ApplicationDescription) -> None:
        """Refuse a client's certificate: trust, time, application URI, use [OPC 10000-4, 6.1.3]."""
        if certificate not in self._trusted():
            raise ServiceError(StatusCodes.BadCertificateUntrusted)
        if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
            raise ServiceError(StatusCodes.BadCertificateTimeInvalid)
        if client.ApplicationUri not in _uris(certificate):
            raise ServiceError(StatusCodes.BadCertificateUriInvalid)
        try:
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            raise ServiceError(StatusCodes.BadCertificateUseNotAllowed) from None
        if not (usage.digital_signature and usage.data_encipherment):
            raise ServiceError(StatusCodes.BadCertificateUseNotAllowed)

    @override
    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: bytes | None = None
    ) -> User | None:
        """Say whether a user is let in; asyncua asks when a session is activated.

        Args:
            iserver: The server that asks.
            username: Of a user who gives a name.
            password: Theirs.
            certificate: Of the channel (DER); or the user's own, where users show one.
        """
        if self.table.get("user_certificate"):
            known = (self.folder / self.table["user_certificate"]).read_bytes()
            return User(UserRole.User, name="user") if certificate == known else None
        # a session's certificate is the client's word; that of its channel is proven
        if certificate is None or x509.load_der_x509_certificate(certificate) not in self._trusted():
            return None
        if self.table.get("user") is None:
            return User(UserRole.User)
        right = (self.folder / self.table["password"]["file"]).read_bytes().strip()
        fits = hmac.compare_digest((password or "").encode(), right) and username == self.table["user"]
        return User(UserRole.User, name=username) if fits else None

    def _trusted(self) -> list[x509.Certificate]:
        return [x509.load_der_x509_certificate(path.read_bytes()) for path in (self.folder / "pki" / "trusted").glob("*.der")]


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
