"""How a secured OPC-UA session is opened: the server is judged first, then told who we are, and nothing weaker is ever tried.

asyncua checks no server's certificate by itself, and its host name never; it would send a password in clear where a server
asks for it so. So: endpoints are asked for over an unsecured channel, which carries nothing of ours; the certificate of the
one that we want is judged; the channel is opened for that certificate's key alone; and what the server says of itself and
of its users is taken from the session's answer, which came through that channel, before the user is named [OPC 10000-4,
5.5.4, 5.7.2 and 6.1.3].
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import (
    SecurityPolicy,
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509
from typing_extensions import override

from instruments.trust.certificates import Certificate, judge_server, read_certificate
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret, read_private
from orchestrator.errors import AccessError, BadInput, LinkError, Sent

PolicyName = Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
ModeName = Literal["Sign", "SignAndEncrypt"]
_POLICIES: Final[dict[str, type[SecurityPolicy]]] = {
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": SecurityPolicyAes256Sha256RsaPss,
}
_USER_REFUSED: Final = frozenset({"BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid"})
_WE_REFUSED: Final = frozenset(
    {
        "BadCertificateUntrusted",
        "BadCertificateInvalid",
        "BadCertificateTimeInvalid",
        "BadCertificateRevoked",
        "BadCertificateUriInvalid",
        "BadCertificateUseNotAllowed",
        "BadCertificateHostNameInvalid",
        "BadCertificateChainIncomplete",
        "BadSecurityChecksFailed",
        "BadSecurityPolicyRejected",
        "BadSecurityModeRejected",
    }
)
"""What a server says that does not like our certificate [OPC 10000-4, table 106]."""
_TOKENS: Final = {
    ua.UserTokenType.Anonymous: "anonymous",
    ua.UserTokenType.UserName: "user name",
    ua.UserTokenType.Certificate: "certificate",
}


@dataclass(frozen=True, slots=True)
class LinkSecurity:
    """What a secured link is opened with; it holds places of secrets, never a secret."""

    policy: PolicyName
    mode: ModeName
    trust: TrustFolder
    user: str | None = None
    password: Secret | None = None
    user_certificate: Path | None = None
    user_key: Path | None = None

    @property
    def token(self) -> ua.UserTokenType:
        """How we say who we are."""
        if self.user is not None:
            return ua.UserTokenType.UserName
        return ua.UserTokenType.Anonymous if self.user_certificate is None else ua.UserTokenType.Certificate

    @property
    def who(self) -> str:
        """How a message calls us."""
        if self.user is not None:
            return f"user {self.user!r} with this password"
        return "anonymous users" if self.user_certificate is None else f"the user's certificate {self.user_certificate}"


class SecuredClient(Client):
    """A client that opens its channel for a trusted certificate alone."""

    def __init__(self, url: str, security: LinkSecurity, **settings: Any) -> None:
        super().__init__(url, **settings)
        self._security = security
        self._server: Certificate | None = None
        self._refused: AccessError | None = None

    async def prepare(self) -> None:
        """Read our own side, ask the server for its endpoints, and judge the one that we want.

        Raises:
            AccessError: Something of ours is missing, or the server is not to be trusted; no session was asked for.
        """
        own = self._security.trust.own_certificate()
        self.application_uri = own.application_uri
        await self._take_user()
        policy = _POLICIES[self._security.policy]
        endpoint = self._wanted(await self.connect_and_get_server_endpoints(), policy)
        if not endpoint.ServerCertificate:
            raise AccessError("the server shows no certificate")
        server = _parsed(endpoint.ServerCertificate)
        self._judge(server, endpoint.Server)
        await self.set_security(
            policy,
            uacrypto.CertProperties(own.der, "der"),
            uacrypto.CertProperties(read_private(self._security.trust.key, what="private key"), "pem"),
            server_certificate=uacrypto.CertProperties(server.der, "der"),
            mode=ua.MessageSecurityMode[self._security.mode],
        )
        self._server = server

    async def _take_user(self) -> None:
        security = self._security
        if security.user is not None:
            self.set_user(security.user)
            self.set_password("" if security.password is None else security.password.read())
        if security.user_certificate is not None and security.user_key is not None:
            self.user_certificate = x509.load_der_x509_certificate(read_certificate(security.user_certificate, what="user certificate").der)
            self.user_private_key = await uacrypto.load_private_key(read_private(security.user_key, what="user key"), extension="pem")

    def _wanted(self, endpoints: Iterable[ua.EndpointDescription], policy: type[SecurityPolicy]) -> ua.EndpointDescription:
        offered = [one for one in endpoints if one.EndpointUrl.startswith(ua.OPC_TCP_SCHEME)]
        for one in offered:
            if one.SecurityPolicyUri == policy.URI and one.SecurityMode.name == self._security.mode:
                return one
        there = sorted({f"{one.SecurityPolicyUri.rpartition('#')[2]} {one.SecurityMode.name.rstrip('_')}" for one in offered})
        raise AccessError(
            f"the server offers no {self._security.policy} {self._security.mode}; it offers {', '.join(there) or 'nothing'}; "
            "nothing weaker is taken in its place"
        )

    def _judge(self, server: Certificate, described: ua.ApplicationDescription) -> None:
        self._security.trust.require_trusted(server)
        judge_server(server, application_uri=described.ApplicationUri or "", host=self.server_url.hostname or "")

    @override
    async def open_secure_channel(self, renew: bool = False) -> None:
        """Open or renew the channel, unless trust has ended meanwhile or the server does not want us."""
        if self._refused is not None:
            raise self._refused
        if self._server is not None:
            self._security.trust.require_trusted(self._server)
        try:
            await super().open_secure_channel(renew)
        except TimeoutError:
            if self._server is None:
                raise
            raise TimeoutError("no answer on a channel that only the holder of its certificate's key can open") from None
        except ConnectionError as error:
            if self._server is None:
                raise
            own = self._security.trust.own.absolute()  # node-opcua hangs up without a code that asyncua could read
            raise AccessError(f"the server hung up when it was shown this lab's certificate; it must trust {own}") from error

    @override
    async def create_session(self) -> ua.CreateSessionResult:
        """Create a session and judge what the server says of itself in it: the first word that nobody else can have said."""
        answer = await super().create_session()
        endpoint = Client.find_endpoint(answer.ServerEndpoints, self.security_policy.Mode, self.security_policy.URI)
        self._judge(_parsed(answer.ServerCertificate), endpoint.Server)
        policies = [one for one in endpoint.UserIdentityTokens if one.TokenType == self._security.token]
        if not policies:
            there = ", ".join(sorted({_TOKENS.get(one.TokenType, one.TokenType.name) for one in endpoint.UserIdentityTokens}))
            wanted = _TOKENS[self._security.token]
            raise AccessError(f"the server lets nobody in by {wanted}; it takes: {there or 'nothing'}")
        if self._security.user is not None and self._security.mode == "Sign" and not any(map(_enciphers, policies)):
            raise AccessError("the server wants the password in clear on a channel that is only signed; mode SignAndEncrypt hides it")
        return answer

    @override
    async def activate_session(self, *arguments: Any, **named: Any) -> ua.ActivateSessionResult:
        """Say who we are; once refused, never again by itself: servers lock users out."""
        if self._refused is not None:
            raise self._refused
        try:
            return await super().activate_session(*arguments, **named)
        except UaStatusCodeError as error:
            if ua.StatusCode(error.code).name in _USER_REFUSED:
                self._refused = AccessError(f"the server refused {self._security.who} ({ua.StatusCode(error.code).name})")
                raise self._refused from None
            raise


def _parsed(der: bytes) -> Certificate:
    try:
        return Certificate.parse(der, what="what the server shows")
    except BadInput as error:
        raise AccessError(str(error)) from error


def _enciphers(policy: ua.UserTokenPolicy) -> bool:
    """Whether a password is enciphered by itself; no word of its own means: as the channel [OPC 10000-4, 7.42]."""
    return not policy.SecurityPolicyUri or any(policy.SecurityPolicyUri == one.URI for one in _POLICIES.values())


async def open_client(url: str, security: LinkSecurity | None, **settings: Any) -> Client:
    """Return a client that is ready to connect: secured where that is asked for, else as asyncua makes it.

    Args:
        url: The endpoint.
        security: None for a channel without security.
        settings: asyncua's own.

    Raises:
        AccessError: The server is not to be trusted, or something of ours is missing.
        OSError: The server cannot be reached.
    """
    if security is None:
        return Client(url, **settings)
    client = SecuredClient(url, security, **settings)
    await client.prepare()
    return client


def refusal(error: Exception, security: LinkSecurity | None) -> AccessError | None:
    """Return what an error of connecting means where it is about trust; None where it is about anything else."""
    if isinstance(error, AccessError):
        return error
    name = ua.StatusCode(error.code).name if isinstance(error, UaStatusCodeError) else ""
    if name in _USER_REFUSED:
        return AccessError(f"the server refused {security.who if security else 'anonymous users'} ({name})")
    if name in _WE_REFUSED:
        shown = "there is none" if security is None else f"it must trust {security.trust.own.absolute()}"
        return AccessError(f"the server refused this lab's certificate ({name}); {shown}")
    if isinstance(error, UaError) and security is None and str(error).startswith("No matching endpoints"):
        return AccessError("the server lets nobody in on an unsecured channel; the link's table `security` says how it is secured")
    return None


def fetch_certificate(url: str, *, seconds: float) -> bytes:
    """Ask a server for its certificate (DER), over an unsecured channel that carries nothing of ours.

    Args:
        url: The endpoint.
        seconds: Wall seconds for each request.

    Raises:
        LinkError: It cannot be reached.
        AccessError: It shows none.
    """
    try:
        endpoints = asyncio.run(Client(url, timeout=seconds).connect_and_get_server_endpoints())
    except (OSError, TimeoutError, UaError, ValueError) as error:
        raise LinkError(f"{url} cannot be asked for its certificate: {error!r}", sent=Sent.NO) from error
    for one in endpoints:
        if one.ServerCertificate and one.SecurityMode != ua.MessageSecurityMode.None_:
            return bytes(one.ServerCertificate)
    raise AccessError(f"{url} shows no certificate: it offers no secured channel")
