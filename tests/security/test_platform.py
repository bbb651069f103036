"""What the simulated platform does of a client that is not what it should be, over a real socket, against asyncua's bare client."""

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from instruments.lab_processes.plant_access import prepare_plant_access
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.trust.certificates import Certificate
from instruments.trust.folder import TrustFolder
from tests.security.issued import CLIENT, Issued, pem
from tests.simulator.plant_process import EXAMPLE

pytestmark = pytest.mark.slow
ASKED = {"platform": {"policy": "Aes256Sha256RsaPss", "mode": "SignAndEncrypt", "user": "ada"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lab")
    ensure_plant(folder, EXAMPLE, bench_sha256="ab" * 32, seed=1, rate=60.0, secured=ASKED)
    yield folder
    shutdown_plant(folder)


@pytest.fixture
def trusted(lab: Path) -> Iterator[TrustFolder]:
    """Hand out whom the platform trusts, to be changed."""
    folder = TrustFolder(lab / "plant" / "pki")
    yield folder
    for one in (*folder.trusted, *folder.rejected):
        if one.der != TrustFolder.of_lab(lab).own_certificate().der:
            folder.revoke(one)


def table(lab: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lab / "plant" / "endpoints.json").read_text())["endpoints"]["platform"]
    return found


def password(lab: Path) -> str:
    return (lab / "plant" / "pki" / "password").read_text().strip()


def answer(
    lab: Path, shown: Issued | None = CLIENT, *, policy: str = "Aes256Sha256RsaPss", mode: str = "SignAndEncrypt", **more: Any
) -> str:
    """Try to open a session; return what came of it."""

    async def attempt() -> str:
        client = Client(table(lab)["url"], timeout=4)
        client.application_uri = more.get("uri", CLIENT.uri)
        if more.get("user", "ada") is not None:
            client.set_user(more.get("user", "ada"))
            client.set_password(more.get("password", password(lab)))
        try:
            if shown is not None:
                keys = CertProperties(shown.der, "der"), CertProperties(pem(shown.whose), "pem")
                kind = getattr(security_policies, f"SecurityPolicy{policy}")
                own = CertProperties((lab / "plant/pki/own/certificate.der").read_bytes(), "der")
                await client.set_security(kind, *keys, server_certificate=own, mode=ua.MessageSecurityMode[mode])
            await client.connect()
        except UaStatusCodeError as error:
            return str(ua.StatusCode(error.code).name)
        except (UaError, OSError, TimeoutError) as error:
            return type(error).__name__
        await client.disconnect()
        return "let in"

    return asyncio.run(attempt())


def test_what_a_plant_announces_of_its_security_holds_no_secret(lab: Path) -> None:
    assert table(lab)["security"] == {**ASKED["platform"], "password": {"file": "pki/password"}}
    for path in lab.rglob("*"):
        if path.is_file() and path != lab / "plant/pki/password":
            assert password(lab).encode() not in path.read_bytes(), path
    secret = [lab / "pki/own/key.pem", lab / "plant/pki/own/key.pem", lab / "plant/pki/password"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600] * 3


def test_a_trusted_client_with_the_right_user_is_let_in(lab: Path, trusted: TrustFolder) -> None:
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    assert answer(lab) == "let in"


def test_a_client_that_is_not_trusted_or_no_more_is_refused(lab: Path, trusted: TrustFolder) -> None:
    assert answer(lab) == "BadCertificateUntrusted"
    client = Certificate.parse(CLIENT.der, what="client")
    trusted.trust(client)
    assert answer(lab) == "let in"
    trusted.revoke(client)
    assert answer(lab) == "BadCertificateUntrusted"


BAD = {
    "expired": (CLIENT.but(days=(-10, -1)), "BadCertificateTimeInvalid"),
    "of the future": (CLIENT.but(days=(1, 10)), "BadCertificateTimeInvalid"),
    "of another application": (CLIENT.but(uri="urn:test:other"), "BadCertificateUriInvalid"),
    "that may not encipher": (CLIENT.but(may_encipher=False), "BadCertificateUseNotAllowed"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_trusted_clients_certificate_is_judged_all_the_same(case: str, lab: Path, trusted: TrustFolder) -> None:
    shown, expected = BAD[case]
    trusted.trust(Certificate.parse(shown.der, what="client"))
    assert answer(lab, shown) == expected


@pytest.mark.parametrize("wrong", [{"user": "eve"}, {"password": "guessed"}, {"password": ""}], ids=str)
def test_a_wrong_user_or_password_is_refused(wrong: dict[str, Any], lab: Path, trusted: TrustFolder) -> None:
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    assert answer(lab, **wrong) == "BadUserAccessDenied"


def test_nobody_is_let_in_without_a_name(lab: Path, trusted: TrustFolder) -> None:
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    assert answer(lab, user=None) == "BadIdentityTokenRejected"


@pytest.mark.parametrize(("policy", "mode"), [("Basic256Sha256", "SignAndEncrypt"), ("Aes256Sha256RsaPss", "Sign")])
def test_another_policy_or_mode_is_not_served(policy: str, mode: str, lab: Path, trusted: TrustFolder) -> None:
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    assert answer(lab, policy=policy, mode=mode) != "let in"


def test_a_channel_without_security_is_good_for_asking_and_for_nothing_else(lab: Path, trusted: TrustFolder) -> None:
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    assert answer(lab, None) not in ("let in", "ConnectionError")
    assert answer(lab, None, user=None) not in ("let in", "ConnectionError")


def test_a_certificate_of_somebody_trusted_that_is_only_shown_lets_nobody_in(
    lab: Path, trusted: TrustFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session's request names a certificate; the channel proves one. The platform goes by what is proven."""
    trusted.trust(Certificate.parse(CLIENT.der, what="client"))
    stranger = Issued("stranger", CLIENT.uri, ())
    real = Client.create_session

    async def with_anothers(self: Client) -> Any:
        policy, own = self.security_policy, self.security_policy.host_certificate
        sent = self.uaclient.create_session

        async def named(parameters: ua.CreateSessionParameters) -> Any:
            parameters.ClientCertificate = CLIENT.der
            policy.host_certificate = own
            return await sent(parameters)

        monkeypatch.setattr(self.uaclient, "create_session", named)
        return await real(self)

    monkeypatch.setattr(Client, "create_session", with_anothers)
    assert answer(lab, stranger) == "BadUserAccessDenied"


def test_a_lab_that_was_made_before_goes_on_trusting_what_its_people_left(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    own, plant = TrustFolder.of_lab(lab), TrustFolder(lab / "plant" / "pki")
    own.make_own()
    first = own.own_certificate().fingerprint
    for _ in range(2):
        prepare_plant_access(lab, ASKED)
        assert own.own_certificate().fingerprint == first
        assert [one.fingerprint for one in plant.trusted] == [first]
        for one in own.trusted:
            own.revoke(one)
    assert own.trusted == ()
