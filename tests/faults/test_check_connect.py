"""`athanor check --connect` and `probe` on wires that are free, occupied, absent or lead to the wrong device; they write nothing."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from flows.plans.lab import make_lab
from instruments.bench_client.client import HostClient
from instruments.lab_processes.bench_process import shutdown_bench
from instruments.lab_processes.process_identity import Process
from instruments.trust.folder import PKI
from tests.crash.campaigns import athanor
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import Ended, Laboratory, eventually

pytestmark = [pytest.mark.slow, pytest.mark.long]

PORTS: Final = {"oven": "/dev/serial/by-id/usb-oven", "pumps": "/dev/serial/by-id/usb-pumps", "platform": "opc.tcp://platform.lab:4840"}
AS_ADA: Final = ("--by", "Ada", "--reason", "the front panel", "--yes")
HOLDER: Final = """
import sys, time
from instruments.lab_processes.endpoint_locks import EndpointLocks
with EndpointLocks([sys.argv[1]], what="a person's script"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def laboratory(make_laboratory: MakeLaboratory) -> Laboratory:
    made = make_laboratory(budget=1, rate=60.0)
    made.start_plant()
    return made


@pytest.fixture(scope="module")
def live(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live lab that the plant takes for its own: it shows the same certificate and trusts the same servers."""
    lab = make_lab(tmp_path_factory.mktemp("live") / ".athanor", beside=laboratory.bench, kind="live").path
    shutil.copytree(laboratory.lab / PKI, lab / PKI)
    return lab


@pytest.fixture
def check(laboratory: Laboratory, live: Path, tmp_path: Path) -> Iterator[Callable[..., Ended]]:
    """Type the command for a live bench whose ports are the plant's, with something replaced in the bench file.

    The plant lets in whom it knows, as a user whose password is in its folder.
    """

    def typed(*, lab: Path = live, replace: tuple[str, str] = ("", "")) -> Ended:
        text = laboratory.bench.read_text().replace("platform.password", str(laboratory.lab / "plant/pki/password"))
        for link, port in PORTS.items():
            text = text.replace(port, laboratory.port(link))
        assert replace[0] in text
        (tmp_path / "bench.toml").write_text(text.replace(*replace) if replace[0] else text)
        (tmp_path / "campaign.toml").write_text(laboratory.file.read_text())
        before = laboratory.truth()
        done = athanor("check", str(tmp_path / "campaign.toml"), "--connect", "--lab", str(lab))
        assert laboratory.truth() == before
        return Ended(done.returncode, done.stdout, done.stderr)

    yield typed
    assert {path.name for path in tmp_path.iterdir()} == {"bench.toml", "campaign.toml"}


def test_free_wires_are_read_and_nothing_is_written(check: Callable[..., Ended]) -> None:
    sound = check()
    assert sound.code == 0, sound.err
    assert "oven: 3216, serial number -, firmware 0214" in sound.out
    assert "pump_se: NE1000" in sound.out
    assert "serial number SP-0042" in sound.out


def test_a_wire_that_another_process_holds_is_named_with_its_holder(laboratory: Laboratory, check: Callable[..., Ended]) -> None:
    with holding(laboratory.port("pumps")) as holder:
        refused = check()
    assert refused.code == 1
    assert f"process {holder.pid} " in refused.line
    assert f"started {holder.started[:16]}" in refused.line
    assert " s ago" in refused.line


@pytest.mark.parametrize("link", ["oven", "platform"])
def test_an_absent_device_is_named(laboratory: Laboratory, check: Callable[..., Ended], link: str) -> None:
    absent = "/dev/ttyABSENT" if link == "oven" else "opc.tcp://127.0.0.1:9"
    refused = check(replace=(laboratory.port(link), absent))
    assert refused.code == 1
    assert absent in refused.line


@pytest.mark.parametrize(("right", "wrong"), [("3216", "3208"), ("SP-0042", "SP-0043")])
def test_a_device_of_another_model_or_serial_number_is_refused_naming_both(check: Callable[..., Ended], right: str, wrong: str) -> None:
    refused = check(replace=(right, wrong))
    assert refused.code == 1
    assert right in refused.line
    assert wrong in refused.line


def test_decimals_that_the_controller_does_not_count_are_refused_naming_both(check: Callable[..., Ended]) -> None:
    refused = check(replace=("decimals = 1", "decimals = 0"))
    assert refused.code == 1
    assert "oven: it counts temperatures with 1 decimal places (register 525)" in refused.line
    assert refused.line.endswith("the bench file expects options.decimals = 0")


def test_each_device_of_the_bench_is_probed_and_its_own_log_shows_that_nothing_was_written(laboratory: Laboratory) -> None:
    before = laboratory.truth()
    for instrument, shown in (
        ("oven", "holding register 75 = "),
        ("pump_se", r"2DIS\r -> \x0202S"),
        ("platform", "FunctionalUnitState/CurrentState -> 'Stopped' Good"),
    ):
        probed = athanor("probe", str(laboratory.bench), instrument, "--lab", str(laboratory.lab))
        assert probed.returncode == 0, probed.stderr
        assert shown in probed.stdout
    browsed = athanor("browse", "platform", "--bench", str(laboratory.bench), "--lab", str(laboratory.lab))
    assert browsed.returncode == 0, browsed.stderr
    assert '[links.server.security]\npolicy = "Basic256Sha256"\nmode = "SignAndEncrypt"\nuser = "athanor"\n' in browsed.stdout
    assert 'serial_number = "SP-0042"' in browsed.stdout
    assert laboratory.truth() == before


def test_a_set_by_hand_reaches_the_device_and_its_watchdog_ends_it(laboratory: Laboratory) -> None:
    words = ("probe", str(laboratory.bench), "oven", "--lab", str(laboratory.lab), "--set", "temperature=45 degC", *AS_ADA)
    done = athanor(*words)
    assert done.returncode == 0, done.stderr
    assert "setpoint = 45 degC" in done.stdout
    assert any(one["values"].get("target_degc") == 45.0 for one in laboratory.truth("oven", "setpoint"))
    eventually(lambda: bool(laboratory.truth("oven", "safe-state")), "the oven's remote setpoint runs out")


def test_a_dry_lab_of_another_bench_file_and_a_mistyped_one_are_refused_and_nothing_is_asked(
    laboratory: Laboratory, check: Callable[..., Ended], tmp_path: Path
) -> None:
    for lab, line in ((laboratory.lab, "is a dry lab and simulates another bench file"), (tmp_path / "typo", "typo is no lab folder")):
        refused = check(lab=lab, replace=(laboratory.port("oven"), "/dev/ttyABSENT"))
        assert refused.code == 1
        assert line in refused.line
        assert "ABSENT" not in refused.line


def test_a_live_host_is_asked_in_place_of_its_wires(laboratory: Laboratory, check: Callable[..., Ended]) -> None:
    laboratory.start_host()
    host = laboratory.process("host")
    with HostClient.of_lab(laboratory.lab, campaign="a test", fence=1) as campaign:
        campaign.attend()  # else the host makes an unattended bench safe after its grace time
        asked = athanor("check", str(laboratory.file), "--connect", "--lab", str(laboratory.lab))
        assert asked.returncode == 0, asked.stderr
        assert "oven: 3216, serial number -, firmware 0214" in asked.stdout
        refused = check()
        assert refused.code == 1
        assert f"process {host.pid} (bench host" in refused.line
        probed = athanor("probe", str(laboratory.bench), "oven", "--lab", str(laboratory.lab))
        assert probed.returncode == 0, probed.stderr
        assert "read by the live bench host of lab" in probed.stdout
        assert "holding register 1 = " in probed.stdout
        told = athanor("probe", str(laboratory.bench), "oven", "--lab", str(laboratory.lab), "--set", "temperature=30", *AS_ADA)
        assert told.returncode == 1
        assert f"bench host {host.pid} of lab" in told.stderr
    shutdown_bench(laboratory.lab)


@contextmanager
def holding(endpoint: str) -> Iterator[Process]:
    """Hold the lock of a wire in another process."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, endpoint], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            process = Process.of(child.pid)
            assert process is not None
            yield process
        finally:
            child.kill()
