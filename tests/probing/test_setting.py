"""`athanor probe --set` sends one setting: within limits, asked for, with a name and a reason, kept in the lab's journal."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.plans.lab import make_lab
from flows.running.probe_operations import Setting, read_device, set_by_hand
from instruments.bench.file import load_bench
from instruments.bench_client.identify import Probed
from instruments.host.idle_state import IdleState
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from instruments.lab_processes.bench_copies import bench_files
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import ENDPOINTS, HOST, PLANT, write_latch, write_state_file
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import AthanorError, BadInput, BenchLatched, NeedsPerson
from tests.host.test_journal import a_request
from tests.instrument.modbus_peer import Peer
from tests.probing.benches import oven

WORD = ("Ada", "front panel")


def send(file: Path, *values: str, command: str | None = None, word: tuple[str, str] = WORD, agree: bool = True) -> Probed | None:
    def agreed(_: Setting) -> bool:
        return agree

    return set_by_hand(file, "oven", values, command=command, lab=None, word=word, agreed=agreed)


def notes(folder: Path) -> list[dict[str, Any]]:
    with closing(Journal(folder / ".athanor" / "journal.sqlite")) as journal:
        return [detail for kind, detail in journal.notes() if kind == "set by hand"]


def refused(file: Path, peer: Peer, line: str, *values: str, error: type[AthanorError] = BadInput, **how: Any) -> None:
    with pytest.raises(error, match=line):
        send(file, *values, **how)
    assert not peer.written


def test_one_setting_is_sent_shown_read_back_and_kept_with_name_and_reason(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        after = send(file, "temperature=60 degC")
        assert (2, 600) in peer.written
        assert {address for address, _ in peer.written} <= {2, 276, 199, 273}  # setpoint, source, mode, automatic
    assert after is not None
    assert {one.channel: one.value for one in after.channels}["setpoint"] == 60.0
    intended, done = notes(tmp_path)
    assert (intended["became"], done["became"]) == ("intended", "done")
    assert intended["key"] == done["key"]
    assert {key: done[key] for key in ("do", "with", "by", "reason")} == {
        "do": "oven.set_temperature",
        "with": {"temperature": 60.0},
        "by": "Ada",
        "reason": "front panel",
    }
    assert bench_files(tmp_path / ".athanor")[0].read_text() == file.read_text()  # `stop` can make it safe


def test_a_kelvin_is_converted_and_a_command_without_arguments_is_named(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        send(file, "temperature=333.15 K")
        assert (2, 600) in peer.written
        send(file, command="off")
        assert peer.written[-1] == (199, 1)


def test_who_does_not_agree_sends_nothing(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        assert send(file, "temperature=60", agree=False) is None
        assert not peer.written
    assert not notes(tmp_path)


@pytest.mark.parametrize(
    ("values", "how", "line"),
    [
        (["temperature=201 degC"], {}, "temperature = 201.0 degC; allowed 20 to 200 degC"),
        (["temperature=3 mL"], {}, "'3 mL' has the wrong unit"),
        (["flow=3"], {}, "oven: no setting takes flow; --command names one of set_temperature"),
        (["temperature"], {}, "--set 'temperature'; expected ARGUMENT=VALUE"),
        ([], {"command": "dose"}, "command 'dose' is unknown; settings: set_temperature, off"),
        (["temperature=60"], {"word": ("Ada", " ")}, "needs --by NAME and --reason TEXT"),
        (["temperature=60"], {"command": "off"}, "oven.off has no argument 'temperature'; it has none"),
    ],
)
def test_what_is_no_setting_within_limits_is_refused_before_a_wire_is_opened(
    tmp_path: Path, values: list[str], how: dict[str, Any], line: str
) -> None:
    with oven(tmp_path) as (file, peer):
        refused(file, peer, line, *values, **how)
        assert not peer.asked


def test_the_devices_own_range_and_its_faults_hold_too(tmp_path: Path) -> None:
    with oven(tmp_path, r111=1500) as (file, peer):
        refused(file, peer, r"temperature = 160 degC; allowed 20 to 150 degC", "temperature=160")
    with oven(tmp_path, r75=0x20) as (file, peer):
        refused(file, peer, "temperature sensor is broken", "temperature=60")
    assert [one["became"] for one in notes(tmp_path)] == ["intended", "failed"]


def test_an_interlock_is_judged_on_fresh_readings(tmp_path: Path) -> None:
    lock = '[[interlocks]]\nname = "cool"\nbefore = "oven.set_temperature"\n'
    lock += 'expression = "oven.temperature"\nunit = "degC"\nmax = "100 degC"\n'
    with oven(tmp_path, lock) as (file, peer):
        refused(file, peer, "oven.set_temperature: interlock 'cool': oven.temperature = 180.4 degC; expected at most 100", "temperature=60")
    with oven(tmp_path, lock, r1=900) as (file, peer):
        send(file, "temperature=60")
        assert (2, 600) in peer.written


# ---------------------------------------------------------------------- whose bench it is


def test_a_latched_bench_a_live_host_and_a_run_without_an_end_are_left_alone(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        lab = make_lab(None, beside=file, kind="live").path
        write_state_file(lab / HOST, {**Process.this().document(), "socket": str(tmp_path / "none")})
        refused(file, peer, r"bench host \d+ of lab .* owns the wires", "temperature=60")
        (lab / HOST).unlink()
        with closing(Journal(lab / "journal.sqlite")) as journal:
            request = a_request()
            journal.commit(Transition(request.run_key, RunStatus.DISPATCHED, request=request))
        refused(file, peer, f"run {request.run_key} has no end yet", "temperature=60")
        write_latch(lab, reason="smoke", by="Bo")
        refused(file, peer, "is latched: nothing is set by hand", "temperature=60", error=BenchLatched)
        assert not peer.asked or {code for code, _, _ in peer.asked} == {3}


def test_a_dry_lab_that_simulates_another_bench_file_sends_nothing_to_the_real_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.plans.simulated.plant_lives", lambda _: True)
    with oven(tmp_path) as (file, peer):
        lab = make_lab(tmp_path / "sim", beside=file, kind="dry").path
        (lab / PLANT).mkdir()
        write_state_file(lab / PLANT / ENDPOINTS, {"bench_sha256": "of another", "endpoints": {}})
        with pytest.raises(BadInput, match=r"sim is a dry lab and simulates another bench file than .*: nothing is sent"):
            set_by_hand(file, "oven", ["temperature=100 degC"], command=None, lab=lab, word=WORD, agreed=lambda _: True)
        with pytest.raises(BadInput, match=r"sim is a dry lab and simulates another bench file than .*: nothing is sent"):
            read_device(file, "oven", lab=lab)
        assert not peer.asked


def test_a_mistyped_lab_is_refused_and_neither_made_nor_taken_for_the_real_bench(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, peer):
        typo = tmp_path / "athanor-dyr"
        for words in (["probe", str(file), "oven"], ["browse", "--bench", str(file), "oven"]):
            for more in ([], ["--set", "temperature=60", "--by", "Ada", "--reason", "panel", "--yes"]) if words[0] == "probe" else ([],):
                ended = CliRunner().invoke(app, [*words, "--lab", str(typo), *more])
                assert isinstance(ended.exception, BadInput)
                assert f"{typo} is no lab folder" in str(ended.exception)
        assert not typo.exists()
        assert not peer.asked


def test_a_bench_that_was_safe_is_not_taken_for_safe_afterwards(tmp_path: Path) -> None:
    with oven(tmp_path) as (file, _):
        send(file, command="off")
        with closing(Journal(tmp_path / ".athanor" / "journal.sqlite")) as journal:
            IdleState(journal, load_bench(file).sha256).make_safe("a test", asked=True)
        send(file, "temperature=60")
        with closing(Journal(tmp_path / ".athanor" / "journal.sqlite")) as journal:
            assert IdleState(journal, load_bench(file).sha256).safe is None


def test_where_nobody_can_be_asked_nothing_is_sent_without_yes(tmp_path: Path) -> None:
    words = ["--set", "temperature=60", "--by", "Ada", "--reason", "panel"]
    with oven(tmp_path) as (file, peer):
        ended = CliRunner().invoke(app, ["probe", str(file), "oven", *words])
        assert isinstance(ended.exception, NeedsPerson)
        assert not peer.written
        sent = CliRunner().invoke(app, ["probe", str(file), "oven", *words, "--yes"])
        assert sent.exit_code == 0
        assert sent.stdout.splitlines()[0].startswith("sent: oven.set_temperature temperature = 60 degC")
        assert (2, 600) in peer.written
