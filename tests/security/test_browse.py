"""`athanor browse` of a secured server: as a link of a bench, one line for each refusal, nobody named to whom is not trusted."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from instruments.bench.access import remarks_on_links
from instruments.bench.file import parse_bench
from instruments.lab_processes.state_files import LAB, write_state_file
from instruments.transport.opcua_security import fetch_certificate
from instruments.trust.certificates import Certificate
from instruments.trust.folder import TrustFolder
from orchestrator.errors import BadInput
from tests.security.issued import CLIENT, Issued, pem
from tests.security.servers import PASSWORD, USER, Served, serving

HOW = ("--policy", "Basic256Sha256", "--user", USER)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    write_state_file(tmp_path / LAB, {"kind": "live"})
    TrustFolder.of_lab(tmp_path).keep_own(pem("client"), CLIENT.der)
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return tmp_path


def refusal(lab: Path, *words: str, trusting: Served | None = None) -> str:
    if trusting is not None:
        shown = Certificate.parse(fetch_certificate(trusting.url, seconds=5.0), what="the server's")
        TrustFolder.of_lab(lab).trust(shown)
    ended = CliRunner().invoke(app, ["browse", *words, "--lab", str(lab)])
    assert isinstance(ended.exception, BadInput), ended.output
    line = str(ended.exception)
    assert "\n" not in line
    assert PASSWORD not in line
    return line


def test_a_trusted_server_lets_the_user_browse_and_says_what_it_has(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as served:
        line = refusal(lab, served.url, *HOW, "--password-file", str(lab / "password"), trusting=served)
        assert line == f"{served.url} offers no LADS device below DeviceSet"
        monkeypatch.setenv("BENCH_PASSWORD", PASSWORD)
        assert "offers no LADS device" in refusal(lab, served.url, *HOW, "--password-env", "BENCH_PASSWORD")
        assert served.door.asked == [USER, USER]


def test_a_server_that_nobody_trusts_is_told_nothing(lab: Path) -> None:
    with serving() as served:
        assert "is not trusted" in refusal(lab, served.url, *HOW, "--password-file", str(lab / "password"))
        assert not served.door.asked


@pytest.mark.parametrize(
    ("shown", "said"), [(Issued("server", days=(-9, -1)), "has expired"), (Issued("server", hosts=("bench.lab",)), "is for bench.lab")]
)
def test_an_expired_certificate_and_one_of_another_host_are_refused_though_trusted(lab: Path, shown: Issued, said: str) -> None:
    with serving(shown) as served:
        assert said in refusal(lab, served.url, *HOW, "--password-file", str(lab / "password"), trusting=served)
        assert not served.door.asked


def test_a_wrong_password_an_open_file_and_a_missing_policy_are_refused(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PASSWORD", "wrong")
    with serving() as served:
        assert "refused user 'ada'" in refusal(lab, served.url, *HOW, "--password-env", "BENCH_PASSWORD", trusting=served)
        (lab / "password").chmod(0o644)
        assert "expected 0600" in refusal(lab, served.url, *HOW, "--password-file", str(lab / "password"))
        assert "expected --policy beside --user" in refusal(lab, served.url, "--user", USER, "--password-env", "BENCH_PASSWORD")
        assert "user and password go together" in refusal(lab, served.url, *HOW)
        assert "lets nobody in on an unsecured channel" in refusal(lab, served.url)


def test_a_password_in_the_url_is_refused_and_not_repeated(lab: Path) -> None:
    assert "the url holds a user or a password" in refusal(lab, f"opc.tcp://ada:{PASSWORD.replace(' ', '')}@127.0.0.1:9")


# ---------------------------------------------------------------------- what `check` says before it is too late


def test_check_names_certificates_that_end_soon_with_the_days_that_are_left(lab: Path) -> None:
    text = (Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml").read_text()
    bench = parse_bench(text, lab / "bench.toml")
    trust = TrustFolder.of_lab(lab)
    for issued in (Issued("server", days=(-9, 20.5)), Issued("server", days=(-9, -1)), Issued("server", days=(-9, 300))):
        trust.trust(Certificate.parse(issued.der, what="the server's"))
    said = [line for line in remarks_on_links(bench, lab) if "trusted certificate" in line]
    assert len(said) == 2
    assert any(re.search(r"^the trusted certificate of a server, .*, ends in 20 days \(\d{4}-\d\d-\d\d\)$", line) for line in said)
    assert any(re.search(r"^the trusted certificate of a server, .*, has ended \(", line) for line in said)
    own = [line for line in remarks_on_links(bench, lab, now=datetime.now(UTC) + timedelta(days=330)) if "own certificate" in line]
    assert len(own) == 1
    assert "ends in 3" in own[0]
    begin, end = text.index("[links.platform.security]"), text.index("[instruments.oven]")
    assert not list(remarks_on_links(parse_bench(text[:begin] + text[end:], bench.path), lab))
