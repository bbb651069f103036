"""What our side does of a server that is not what it should be: one line, nobody named, nothing sent."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from instruments.transport.opcua import OpcUaTransport
from instruments.transport.opcua_security import LinkSecurity, fetch_certificate
from instruments.trust.certificates import Certificate
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret
from orchestrator.errors import AccessError, LinkError, Sent
from tests.security.issued import CLIENT, SERVER, Issued, pem
from tests.security.servers import PASSWORD, USER, Door, Policy, Served, serving

THREE = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")


@pytest.fixture
def trust(tmp_path: Path) -> TrustFolder:
    """Make a lab's folder with a certificate of its own and none that it trusts."""
    folder = TrustFolder.of_lab(tmp_path)
    folder.keep_own(pem("client"), CLIENT.der)
    return folder


@pytest.fixture
def security(trust: TrustFolder, tmp_path: Path) -> LinkSecurity:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    return LinkSecurity("Basic256Sha256", "SignAndEncrypt", trust, USER, Secret(file))


def trusting(trust: TrustFolder, served: Served) -> None:
    trust.trust(Certificate.parse(fetch_certificate(served.url, seconds=5.0), what="the server's"))


def refused(served: Served, security: LinkSecurity) -> str:
    before = set(threading.enumerate())
    with pytest.raises(AccessError) as caught:
        OpcUaTransport(served.url, security).close()
    assert set(threading.enumerate()) == before
    assert caught.value.sent is Sent.NO
    assert caught.value.exit_code == 1
    line = str(caught.value)
    assert "\n" not in line
    assert PASSWORD not in line
    return line


# ---------------------------------------------------------------------- let in


@pytest.mark.parametrize("mode", ["SignAndEncrypt", "Sign"])
@pytest.mark.parametrize("policy", THREE)
def test_each_policy_and_mode_lets_the_right_user_read(policy: Any, mode: Any, security: LinkSecurity, trust: TrustFolder) -> None:
    with serving(policies=[ua.SecurityPolicyType[f"{policy}_{mode}"]]) as served:
        trusting(trust, served)
        transport = OpcUaTransport(served.url, replace(security, policy=policy, mode=mode))
        assert transport.objects(())
        transport.close()
        assert served.door.asked == [USER]


def test_a_user_may_be_a_certificate_with_its_key(security: LinkSecurity, trust: TrustFolder, tmp_path: Path) -> None:
    user = Issued("user", "urn:test:user", ())
    (tmp_path / "user.der").write_bytes(user.der)
    (tmp_path / "user.pem").write_bytes(pem("user"))
    (tmp_path / "user.pem").chmod(0o600)
    known = (tmp_path / "user.der").read_bytes()
    shown = replace(security, user=None, password=None, user_certificate=tmp_path / "user.der", user_key=tmp_path / "user.pem")
    with serving(tokens=[ua.X509IdentityToken], door=Door(certificates=(known,))) as served:
        trusting(trust, served)
        OpcUaTransport(served.url, shown).close()
        assert served.door.asked == ["nobody"]
        served.door.certificates = ()
        assert "refused the user's certificate" in refused(served, shown)
    (tmp_path / "user.pem").chmod(0o644)
    with pytest.raises(AccessError, match=r"user key .*user\.pem may be read by others \(mode 0644\); expected 0600"):
        OpcUaTransport("opc.tcp://127.0.0.1:1", shown)


# ---------------------------------------------------------------------- the server's certificate


def test_a_server_that_is_not_trusted_is_told_nothing(security: LinkSecurity, trust: TrustFolder) -> None:
    with serving() as served:
        line = refused(served, security)
        assert "is not trusted" in line
        assert Certificate.parse(SERVER.der, what="").subject in line
        assert served.door.asked == []
        trusting(trust, served)
        transport = OpcUaTransport(served.url, security)
        (mine,) = trust.trusted
        trust.revoke(mine)
        transport.close()
        assert "was revoked" in refused(served, security)
        assert served.door.asked == [USER]


BAD: dict[str, tuple[Issued, str]] = {
    "expired": (SERVER.but(days=(-10, -1)), "has expired: it was valid until"),
    "of the future": (SERVER.but(days=(1, 10)), "is not valid yet"),
    "of another host": (SERVER.but(hosts=("platform.lab", "10.0.0.7")), "is for platform.lab, 10.0.0.7; the url says 127.0.0.1"),
    "of no host": (SERVER.but(hosts=()), "is for no host"),
    "of another application": (SERVER.but(uri="urn:test:other"), "calls itself urn:test:server; its certificate says urn:test:other"),
    "that may not encipher": (SERVER.but(may_encipher=False), "may not sign and encipher"),
    "of a client": (SERVER.but(purposes=CLIENT.purposes[1:]), "may not be a server's"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_trusted_certificate_is_judged_all_the_same(case: str, security: LinkSecurity, trust: TrustFolder) -> None:
    shown, expected = BAD[case]
    with serving(shown) as served:
        trusting(trust, served)
        assert expected in refused(served, security)
        assert served.door.asked == []


def test_a_server_that_shows_the_certificate_of_another_is_told_nothing(security: LinkSecurity, trust: TrustFolder) -> None:
    with serving(key_of="impostor") as served:
        trusting(trust, served)
        with pytest.raises(LinkError, match="no answer on a channel that only the holder of its certificate's key can open") as caught:
            OpcUaTransport(served.url, security)
        assert caught.value.sent is Sent.NO
        assert served.door.asked == []


# ---------------------------------------------------------------------- downgrade


@pytest.mark.parametrize(
    ("offered", "there"),
    [
        ([Policy.NoSecurity], "it offers None None"),
        ([Policy.Basic256Sha256_Sign, Policy.NoSecurity], "it offers Basic256Sha256 Sign, None None"),
        ([Policy.Aes128Sha256RsaOaep_SignAndEncrypt], "it offers Aes128_Sha256_RsaOaep SignAndEncrypt"),
    ],
    ids=["none", "sign", "another"],
)
def test_nothing_weaker_and_nothing_else_is_taken(offered: list[Policy], there: str, security: LinkSecurity, trust: TrustFolder) -> None:
    with serving(policies=offered, tokens=[ua.UserNameIdentityToken, ua.AnonymousIdentityToken]) as served:
        trust.trust(Certificate.parse(SERVER.der, what="the server's"))
        line = refused(served, security)
        assert "offers no Basic256Sha256 SignAndEncrypt" in line
        assert there in line
        assert served.door.asked == []


def test_a_password_never_goes_in_clear_over_a_channel_that_is_only_signed(security: LinkSecurity, trust: TrustFolder) -> None:
    with serving(policies=[Policy.Basic256Sha256_Sign]) as served:
        trusting(trust, served)
        for endpoint in served.endpoints:
            endpoint.UserIdentityTokens[0].SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"
        assert "in clear" in refused(served, replace(security, mode="Sign"))
        assert served.door.asked == []


# ---------------------------------------------------------------------- the user


def test_a_wrong_user_and_a_wrong_password_are_one_line_and_are_not_tried_again(
    security: LinkSecurity, trust: TrustFolder, tmp_path: Path
) -> None:
    with serving() as served:
        trusting(trust, served)
        assert "refused user 'eve' with this password" in refused(served, replace(security, user="eve"))
        (tmp_path / "password").write_text("wrong")
        assert "refused user 'ada' with this password" in refused(served, security)
        assert served.door.asked == ["eve", USER]


def test_a_server_that_takes_no_names_is_not_given_one(security: LinkSecurity, trust: TrustFolder) -> None:
    with serving(tokens=[ua.AnonymousIdentityToken], door=Door(anonymous=True)) as served:
        trusting(trust, served)
        assert "lets nobody in by user name; it takes: anonymous" in refused(served, security)
        assert served.door.asked == []
        OpcUaTransport(served.url, replace(security, user=None, password=None)).close()


def _missing(file: Path) -> None:
    file.unlink()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (_missing, "password file .* cannot be read: No such file"),
    "open to others": (lambda file: file.chmod(0o640), r"may be read by others \(mode 0640\); expected 0600: chmod 600"),
    "empty": (lambda file: file.write_text("\n"), "holds nothing; expected one line"),
    "a pipe that nobody writes to": (_pipe, "password file .* is no plain file"),
    "of two lines": (lambda file: file.write_text("a\nb\n"), "holds several lines"),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_password_file_that_is_not_sound_opens_no_socket(case: str, security: LinkSecurity, tmp_path: Path) -> None:
    change, expected = PLACES[case]
    change(tmp_path / "password")
    with pytest.raises(AccessError, match=expected):
        OpcUaTransport("opc.tcp://127.0.0.1:1", security)


def test_a_password_that_is_not_in_the_environment_opens_no_socket(security: LinkSecurity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLATFORM_PASSWORD", raising=False)
    named = replace(security, password=Secret(variable="PLATFORM_PASSWORD"))
    with pytest.raises(AccessError, match="environment variable PLATFORM_PASSWORD, which is not set here"):
        OpcUaTransport("opc.tcp://127.0.0.1:1", named)
    monkeypatch.setenv("PLATFORM_PASSWORD", PASSWORD)
    with pytest.raises(LinkError, match="cannot connect"):
        OpcUaTransport("opc.tcp://127.0.0.1:1", named)


def test_a_lab_without_a_certificate_is_told_how_to_make_one(security: LinkSecurity, trust: TrustFolder) -> None:
    shutil.rmtree(trust.path)
    with pytest.raises(AccessError, match="athanor trust init"):
        OpcUaTransport("opc.tcp://127.0.0.1:1", security)


def test_an_unsecured_link_to_a_server_that_wants_security_is_one_line() -> None:
    with serving() as served, pytest.raises(AccessError, match="security"):
        OpcUaTransport(served.url)
