"""Secured sessions with node-opcua, which made its certificates and its cryptography itself: its server for us, its client for ours."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.transport.base import Name
from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opcua_security import LinkSecurity, PolicyName, fetch_certificate
from instruments.trust.certificates import Certificate, read_certificate
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret, write_private
from orchestrator.errors import AccessError
from tests.foreign import MODULES, NODE, need
from tests.simulator.plant_process import EXAMPLE

pytestmark = [pytest.mark.foreign, pytest.mark.slow]
USER, PASSWORD = "ada", "pass:word with blanks"
POLICIES: dict[PolicyName, str] = {
    "Basic256Sha256": "Basic256Sha256",
    "Aes128Sha256RsaOaep": "Aes128_Sha256_RsaOaep",
    "Aes256Sha256RsaPss": "Aes256_Sha256_RsaPss",
}
"""What we and node-opcua call them."""


class Script:
    """A script of ours for node-opcua, in a process of its own; both sides speak JSON lines."""

    def __init__(self, name: str, *arguments: str) -> None:
        need(MODULES / "node-opcua")
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, str(NODE / name), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.heard: list[dict[str, Any]] = []

    def listen(self, key: str) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.heard.append(json.loads(line))
                if key in self.heard[-1]:
                    return self.heard[-1][key]
        raise AssertionError(f"it ended without a word of {key}: {self.heard}")

    def ask(self, line: str, key: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.listen(key)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def script(name: str, *arguments: str) -> Iterator[Script]:
    made = Script(name, *arguments)
    try:
        yield made
    finally:
        made.kill()


# ---------------------------------------------------------------------- its server


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> LinkSecurity:
    folder = tmp_path_factory.mktemp("lab")
    trust = TrustFolder.of_lab(folder)
    trust.make_own()
    write_private(folder / "password", PASSWORD.encode())
    return LinkSecurity("Basic256Sha256", "SignAndEncrypt", trust, USER, Secret(folder / "password"))


@pytest.fixture(scope="module")
def server(security: LinkSecurity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Script, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with script("secured_server.js", port, str(tmp_path_factory.mktemp("node")), str(security.trust.own), USER, PASSWORD) as running:
        assert running.listen("ready") == "urn:node:secured"
        yield running, f"opc.tcp://127.0.0.1:{port}/secured"


def refused(url: str, security: LinkSecurity) -> str:
    with pytest.raises(AccessError) as caught:
        OpcUaTransport(url, security)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_node_opcua_is_reached_by_whom_both_sides_trust(server: tuple[Script, str], security: LinkSecurity) -> None:
    running, url = server
    assert "is not trusted" in refused(url, security)
    security.trust.trust(Certificate.parse(fetch_certificate(url, seconds=5.0), what="the server's"))
    assert f"must trust {security.trust.own}" in refused(url, security)
    assert "asked" not in {key for one in running.heard for key in one}
    running.ask("trust us", "trusted")
    for policy in POLICIES:
        transport = OpcUaTransport(url, replace(security, policy=policy))
        assert transport.read([(Name("Server"), Name("NamespaceArray"))])[0].value[1] == "urn:node:secured"
        transport.close()


def test_node_opcua_refuses_another_password_and_we_refuse_what_it_does_not_offer(
    server: tuple[Script, str], security: LinkSecurity
) -> None:
    _, url = server
    write_private(security.trust.path.parent / "wrong", b"wrong")
    wrong = replace(security, password=Secret(security.trust.path.parent / "wrong"))
    assert "refused user 'ada' with this password" in refused(url, wrong)
    assert "offers no Basic256Sha256 Sign" in refused(url, replace(security, mode="Sign"))
    assert "lets nobody in by anonymous" in refused(url, replace(security, user=None, password=None))
    assert "; the url says localhost" in refused(url.replace("127.0.0.1", "localhost"), security)


# ---------------------------------------------------------------------- its client


def test_node_opcuas_client_is_let_into_the_simulated_platform_as_its_certificate_and_user_deserve(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    asked = {"platform": {"policy": "Aes256Sha256RsaPss", "mode": "SignAndEncrypt", "user": USER}}
    ensure_plant(lab, EXAMPLE, bench_sha256="ab" * 32, seed=1, rate=60.0, secured=asked)
    try:
        plant = TrustFolder(lab / "plant" / "pki")
        url = json.loads((lab / "plant" / "endpoints.json").read_text())["endpoints"]["platform"]["url"]
        right = {"url": url, "policy": POLICIES["Aes256Sha256RsaPss"], "mode": "SignAndEncrypt", "user": USER}
        right["password"] = (lab / "plant" / "pki" / "password").read_text().strip()
        with script("secured_client.js", str(tmp_path / "node"), str(plant.own)) as client:
            theirs = read_certificate(Path(client.listen("certificate")), what="node's")

            def came(**changes: str | None) -> Any:
                return client.ask(json.dumps({**right, **changes}), "came")

            assert "BadCertificateUntrusted" in str(came())
            plant.trust(theirs)
            assert came() == 0  # ServerState Running
            assert "BadUserAccessDenied" in came(password="guessed")
            assert "BadUserAccessDenied" in came(user="eve")
            for weaker in ({"user": None}, {"policy": POLICIES["Basic256Sha256"]}, {"mode": "Sign"}, {"policy": "None", "mode": "None"}):
                assert came(**weaker) != 0
            plant.revoke(theirs)
            assert "BadCertificateUntrusted" in str(came())
    finally:
        shutdown_plant(lab)
