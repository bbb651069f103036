"""A campaign on a secured platform: whatever is written about it, no password and no key is in it."""

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.trust.folder import TrustFolder
from tests.crash.campaigns import athanor
from tests.faults.laboratory import Laboratory

pytestmark = pytest.mark.slow
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


def test_a_live_bench_is_reached_stopped_and_refused_as_its_people_say(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plant plays a real platform: its people trust this lab's certificate, and have given out a password."""
    laboratory.start_plant()
    live, beside = laboratory.file.parent / ".athanor", laboratory.bench.parent
    (beside / "platform.password").write_text((laboratory.lab / "plant/pki/password").read_text())
    (beside / "platform.password").chmod(0o600)
    text = laboratory.bench.read_text().replace("opc.tcp://platform.lab:4840", laboratory.port("platform"))
    for link in ("oven", "pumps"):
        text = text.replace(f"/dev/serial/by-id/usb-{link}", laboratory.port(link))
    laboratory.bench.write_text(text)
    connect = ("check", str(laboratory.file), "--connect")

    without = athanor(*connect)
    assert (without.returncode, "athanor trust init" in without.stderr) == (1, True)
    made = athanor("trust", "init", "--live", "--lab", str(live))
    assert made.returncode == 0, made.stderr
    stranger = athanor(*connect)
    assert (stranger.returncode, "is not trusted" in stranger.stderr) == (1, True)
    asked = athanor("trust", "add", laboratory.port("platform"), "--lab", str(live))
    assert (asked.returncode, "--fingerprint" in asked.stderr) == (3, True)
    fingerprint = next(line.split()[1] for line in asked.stdout.splitlines() if line.startswith("fingerprint"))
    other = athanor("trust", "add", laboratory.port("platform"), "--lab", str(live), "--fingerprint", "00:11")
    assert (other.returncode, "nothing is trusted" in other.stderr) == (1, True)
    added = athanor("trust", "add", laboratory.port("platform"), "--lab", str(live), "--fingerprint", fingerprint)
    assert added.returncode == 0, added.stderr
    unknown = athanor(*connect)
    assert unknown.returncode == 1
    assert "refused this lab's certificate (BadCertificateUntrusted)" in unknown.stderr

    TrustFolder(laboratory.lab / "plant/pki").trust(TrustFolder.of_lab(live).own_certificate())
    reached = athanor(*connect)
    assert reached.returncode == 0, reached.stderr
    assert "SP-0042" in reached.stdout

    from instruments.lab_processes.bench_process import ensure_bench
    from instruments.lab_processes.stop import host_of, supervisor_of

    ensure_bench(live, laboratory.bench)
    laboratory.bench.rename(beside / "moved.toml")  # the host's copy is what is left; the password is beside the file, not the copy
    for process in (supervisor_of(live), host_of(live)):
        assert process is not None
        assert process.kill()
    stopped = athanor("stop", "--lab", str(live))
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "platform.abort: done" in stopped.stdout
    (beside / "moved.toml").rename(laboratory.bench)

    revoked = athanor("trust", "revoke", fingerprint[:11], "--lab", str(live))
    assert revoked.returncode == 0, revoked.stderr
    listed = athanor("trust", "list", "--lab", str(live))
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["own", "rejected"]
    refused = athanor(*connect)
    assert refused.returncode == 1
    assert "was revoked" in refused.stderr
    run = athanor("run", str(laboratory.file), "--no-view")
    assert run.returncode == 3, run.stderr  # latched
    athanor("resume", "--lab", str(live), "--by", "Ada", "--reason", "looked")
    run = athanor("run", str(laboratory.file), "--no-view")
    assert (run.returncode, "the bench host did not start: link platform" in run.stderr, "was revoked" in run.stderr) == (1, True, True)
    assert len(run.stderr.splitlines()) == 1
    assert os.environ.get("PLATFORM_PASSWORD") is None
