"""A plug-in that raises, hangs or is gone keeps no other instrument from its safe state, and the host refuses it in one line."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from instruments.bench.file import load_bench, read_bench
from instruments.bench.link_names import LinkName
from instruments.bench.wires import Wire
from instruments.drivers.device import Device
from instruments.drivers.protocol import Identity, Settings
from instruments.lab_processes.bench_copies import keep_copy
from instruments.supervisor import safe_state_without_host
from instruments.supervisor.__main__ import same_bench
from orchestrator.errors import BadInput, DeviceError, Sent
from tests.instrument.cases import CLOCK
from tests.instrument.running_plant import RunningPlant, running_plant
from tests.instrument.scripted import ScriptedTransport
from tests.plugins.writing import HANGS, RAISES, example

SECOND = """
[instruments.pump]
driver = "./pump.py:Pump"
link = "burette"
address = 2
safe_state = ["stop"]
"""
GOOD = (
    "from athanor.drivers import Driver, safe\n\n\nclass Pump(Driver):\n    def identify(self): ...\n    @safe\n    def stop(self): ...\n"
)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[RunningPlant]:
    example(tmp_path)
    with running_plant(tmp_path, rate=1.0, plant=(tmp_path / "plant.toml").read_text()) as running:
        yield running


def bench_with(folder: Path, pump: str, port: str = "/dev/null") -> Path:
    """Write a bench of two instruments on one link, the broken one first."""
    file = example(folder)
    (folder / "pump.py").write_text(pump)
    head, mark, tail = file.read_text().replace("/dev/serial/by-id/usb-burette", port).partition("[instruments.burette]")
    file.write_text(head + SECOND + "\n" + mark + tail)
    return file


def driven(file: Path, lab: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert safe_state_without_host.main(["--lab", str(lab), "--bench", str(file)]) == 4
    return {one["instrument"]: one for one in json.loads(capsys.readouterr().out)["actions"]}


@pytest.mark.parametrize(
    ("pump", "said"),
    [
        (RAISES, "pump.py, line 3: ValueError: math domain error"),
        (HANGS, "its import did not end within"),
        ("print('hello')\n", "it has no 'Pump'"),
        (GOOD + "\n    def __init__(self, *given):\n        1 / 0\n", "cannot be built: ZeroDivisionError"),
        (GOOD.replace("...", "1 / 0"), "division by zero"),
    ],
)
def test_its_neighbour_on_the_same_link_is_stopped(
    plant: RunningPlant, tmp_path: Path, capsys: pytest.CaptureFixture[str], pump: str, said: str
) -> None:
    file = bench_with(tmp_path, pump, plant.announced["endpoints"]["burette"]["port"])
    began = time.monotonic()
    actions = driven(file, tmp_path, capsys)
    assert time.monotonic() - began < 30.0
    assert actions["burette"]["done"]
    assert not actions["pump"]["done"]
    assert said in actions["pump"]["reason"]


def test_a_driver_of_no_known_name_leaves_its_neighbour_safe(
    plant: RunningPlant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bench_with(tmp_path, GOOD, plant.announced["endpoints"]["burette"]["port"])
    file.write_text(file.read_text().replace("./pump.py:Pump", "old-era"))
    actions = driven(file, tmp_path, capsys)
    assert actions["burette"]["done"]
    assert "unknown driver 'old-era'" in actions["pump"]["reason"]


@pytest.mark.parametrize(("pump", "said"), [(RAISES, "math domain error"), ("", "has no 'Pump'")])
def test_host_and_campaign_refuse_the_bench_in_one_line(tmp_path: Path, pump: str, said: str) -> None:
    file = bench_with(tmp_path, pump)
    with pytest.raises(BadInput) as caught:
        load_bench(file)
    assert str(caught.value).startswith(f"{file}: instrument pump: driver './pump.py:Pump' ({tmp_path}/pump.py) cannot be loaded")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_copy_that_stop_goes_by_holds_the_plug_in_and_a_changed_one_is_another_bench(tmp_path: Path) -> None:
    file = bench_with(tmp_path, GOOD)
    bench = load_bench(file)
    assert set(bench.files) == {"bench.toml", "burette.py", "pump.py"}
    kept = keep_copy(tmp_path / "lab", file.name, bench.files, sha256=bench.sha256)
    assert same_bench(tmp_path / "lab", bench) == file
    (tmp_path / "pump.py").write_text(RAISES)
    assert read_bench(file).sha256 != bench.sha256
    assert same_bench(tmp_path / "lab", bench) == kept
    assert load_bench(kept).sha256 == bench.sha256
    assert {"stop"} == load_bench(kept).driver("pump").SAFE_ACTIONS


def test_a_class_that_was_loaded_is_kept_when_its_file_goes(tmp_path: Path) -> None:
    bench = load_bench(bench_with(tmp_path, GOOD))
    (tmp_path / "pump.py").unlink()
    assert {"stop"} == bench.driver("pump").SAFE_ACTIONS


def test_a_mistake_in_a_driver_ends_a_call_and_not_the_wire() -> None:
    class Careless(Device):
        """Divides by zero."""

        @override
        def identify(self) -> Identity:
            raise NotImplementedError

    device = Careless(ScriptedTransport([]), Settings("pump"), CLOCK)
    wire = Wire(LinkName("line", "/dev/null"), lambda: {"pump": device}, lambda: False)
    wire.start()
    with pytest.raises(DeviceError, match="pump: its driver failed: NotImplementedError") as caught:
        wire.open()
    assert caught.value.sent is Sent.MAYBE
    wire.close()
