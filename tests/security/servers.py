"""Secured servers on real sockets, each with what a case says is wrong with it; they note who has asked to be let in."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from typing_extensions import override

from tests.security.issued import SERVER, Issued, pem

Policy = ua.SecurityPolicyType
USER, PASSWORD = "ada", "correct horse battery staple"


@dataclass
class Door(UserManager):
    """Lets one user in and notes everybody who gives a name."""

    users: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    certificates: tuple[bytes, ...] = ()
    asked: list[str] = field(default_factory=list)
    anonymous: bool = False

    @override
    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: bytes | None = None
    ) -> User | None:
        self.asked.append(username or "nobody")
        right = (username is not None and self.users.get(username) == password) or certificate in self.certificates
        return User(UserRole.User, name="x") if right or (self.anonymous and username is None) else None


@dataclass
class Served:
    url: str
    door: Door
    endpoints: list[ua.EndpointDescription]
    """What the server says of itself."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="secured servers", daemon=True).start()
    return loop


@cache
def _server() -> Server:
    """Return one server a process, which each case dresses anew: filling its address space takes seconds."""
    server = Server()
    _await(server.init())
    return server


def _await(work: Coroutine[Any, Any, Any]) -> None:
    asyncio.run_coroutine_threadsafe(work, _loop()).result(60)


async def _start(server: Server, port: int, shown: Issued, uri: str, key_of: str) -> None:
    await server.set_application_uri(uri)
    await server.load_certificate(shown.der, "der")
    await server.load_private_key(pem(key_of), format="pem")
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/secured")
    await server.start()


@contextmanager
def serving(
    shown: Issued = SERVER,
    *,
    policies: Sequence[Policy] = (Policy.Basic256Sha256_SignAndEncrypt,),
    tokens: Sequence[type] = (ua.UserNameIdentityToken,),
    door: Door | None = None,
    uri: str = SERVER.uri,
    key_of: str | None = None,
) -> Iterator[Served]:
    """Serve for as long as the block lasts.

    Args:
        shown: The certificate.
        policies: What is offered.
        tokens: How users may say who they are.
        door: Who is let in.
        uri: What the server calls itself.
        key_of: Whose private key it has; None for the certificate's.
    """
    server, door, port = _server(), door or Door(), free_port()
    server._policies.clear()
    server.iserver.endpoints.clear()
    server.set_security_policy(list(policies))
    server.set_identity_tokens(list(tokens))
    server.iserver.set_user_manager(door)
    _await(_start(server, port, shown, uri, key_of or shown.whose))
    try:
        yield Served(f"opc.tcp://127.0.0.1:{port}/secured", door, server.iserver.endpoints)
    finally:
        _await(server.stop())
