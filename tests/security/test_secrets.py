"""A campaign on a secured platform: whatever is written about it, no password and no key is in it."""

import base64
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.main import app
from instruments.lab_processes.bench_process import ensure_bench
from instruments.lab_processes.stop import host_of, supervisor_of
from instruments.trust.folder import TrustFolder
from orchestrator.errors import AthanorError
from tests.crash.campaigns import athanor
from tests.faults.laboratory import Laboratory

pytestmark = [pytest.mark.slow, pytest.mark.long]
REAL = "the-real-platforms-password"


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    made = Laboratory.new(tmp_path / "bench", budget=2, rate=1000.0)
    yield made
    made.close()


def traces(folders: list[Path], secret: bytes, *, but: Path) -> list[Path]:
    """Return the files that hold a secret, as it is or in base64; a database and its journals are files as well."""
    forms = (secret, base64.b64encode(secret).rstrip(b"="), secret.hex().encode())
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path != but]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def test_no_secret_is_in_ledger_journal_logs_report_export_or_prefects_database(laboratory: Laboratory, tmp_path: Path) -> None:
    password = laboratory.bench.parent / "platform.password"
    password.write_text(f"{REAL}\n")
    password.chmod(0o600)
    done = laboratory.ended(laboratory.dry_run(view="--view"))
    assert done.code == 0, done.err
    assert laboratory.type("export", "--raw", "--out", str(tmp_path / "exported")).code == 0
    lab = laboratory.lab
    for name in ("ledger.db", "journal.sqlite", "host.log", "supervisor.log", "plant.log", "prefect/prefect.db", "reports/cdse-600.html"):
        assert (lab / name).exists(), name
    assert list((tmp_path / "exported").rglob("*"))
    plants = lab / "plant/pki/password"
    assert traces([tmp_path], plants.read_bytes().strip(), but=plants) == []
    assert traces([tmp_path], REAL.encode(), but=password) == []
    for key in (TrustFolder.of_lab(lab).key, TrustFolder(lab / "plant/pki").key):
        assert traces([tmp_path], key.read_bytes().splitlines()[1], but=key) == []
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for ended in (done.out, done.err):
        assert plants.read_text().strip() not in ended


@pytest.fixture
def live(laboratory: Laboratory) -> Path:
    """Let the plant play a real platform, whose people have given out a password: a live bench on its wires, and no lab yet."""
    laboratory.start_plant()
    password = laboratory.bench.parent / "platform.password"
    password.write_text((laboratory.lab / "plant/pki/password").read_text())
    password.chmod(0o600)
    text = laboratory.bench.read_text().replace("opc.tcp://platform.lab:4840", laboratory.port("platform"))
    for link in ("oven", "pumps"):
        text = text.replace(f"/dev/serial/by-id/usb-{link}", laboratory.port(link))
    laboratory.bench.write_text(text)
    return laboratory.file.parent / ".athanor"


def refused(*words: str, code: int = 1) -> str:
    """Give a command that is to end with one line; return the line."""
    with pytest.raises(AthanorError) as caught:
        app(words, standalone_mode=False)
    assert caught.value.exit_code == code
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Typed:
    """What commands print that end well."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> str:
        self._capsys.readouterr()
        app(words, standalone_mode=False)
        return self._capsys.readouterr().out


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(capsys)


def make_acquainted(laboratory: Laboratory, live: Path, typed: Typed) -> str:
    """Let both sides trust each other, by what people type; return the server's fingerprint."""
    url, connect = laboratory.port("platform"), ("check", str(laboratory.file), "--connect")
    assert "athanor trust init" in refused(*connect)
    typed("trust", "init", "--live", "--lab", str(live))
    assert "is not trusted" in refused(*connect)
    assert "with --fingerprint" in refused("trust", "add", url, "--lab", str(live), code=3)
    fingerprint = next(line.split()[1] for line in typed("trust", "show", url).splitlines() if line.startswith("fingerprint"))
    assert "nothing is trusted" in refused("trust", "add", url, "--lab", str(live), "--fingerprint", "00:11")
    typed("trust", "add", url, "--lab", str(live), "--fingerprint", fingerprint)
    assert "refused this lab's certificate (BadCertificateUntrusted)" in refused(*connect)
    TrustFolder(laboratory.lab / "plant/pki").trust(TrustFolder.of_lab(live).own_certificate())
    assert "SP-0042" in typed(*connect)
    return fingerprint


def test_a_live_bench_is_reached_and_stopped_without_its_host_and_is_out_of_reach_once_trust_is_gone(
    laboratory: Laboratory, live: Path, typed: Typed
) -> None:
    fingerprint, bench = make_acquainted(laboratory, live, typed), laboratory.bench
    ensure_bench(live, bench)
    bench.rename(bench.with_name("moved.toml"))  # the host's copy is what is left; the password is beside the file, not the copy
    for process in (supervisor_of(live), host_of(live)):
        assert process is not None
        assert process.kill()
    assert "platform.abort: done" in typed("stop", "--lab", str(live))
    assert list(live.rglob("platform.password")) == []
    bench.with_name("moved.toml").rename(bench)

    typed("trust", "revoke", fingerprint[:11], "--lab", str(live))
    assert [line.split()[0] for line in typed("trust", "list", "--lab", str(live)).splitlines()] == ["own", "rejected"]
    assert "was revoked" in refused("check", str(laboratory.file), "--connect")
    run = athanor("run", str(laboratory.file), "--no-view")
    (line,) = run.stderr.splitlines()
    assert (run.returncode, line.partition(" (")[0]) == (1, "athanor: the bench host did not start: link platform")
    assert "was revoked" in line
