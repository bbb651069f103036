"""Objects of PyMeasure and PyLabRobot as instruments, against the simulators that their makers bring along."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from instruments.bench.called import functions_of, inspect_calls
from instruments.bench.file import BenchFile, load_bench
from instruments.drivers.calls.device import CalledDevice
from instruments.drivers.calls.objects import ObjectDevice
from instruments.drivers.protocol import Call, Driver, Progress, StepVerdict
from instruments.lab_processes.bench_copies import keep_copy
from orchestrator.errors import BadInput, DeviceError
from tests.calling import awaited, ended, in_hand, settled
from tests.documents.carrying_out import Reader
from tests.documents.test_pages import _server, reader_of  # noqa: F401 - fixtures
from tests.foreign import BIN, need

pytestmark = [pytest.mark.foreign, pytest.mark.slow]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "attach-pymeasure-and-pylabrobot.md"

KEITHLEY = """
[bench]
name = "b"
reduction = "identity/1"
[instruments.smu]
driver = "pymeasure"
serial_number = "1234567"
safe_state = ["off"]
[instruments.smu.object]
make = "pymeasure.instruments.keithley:Keithley2400"
with = { adapter = "GPIB0::24::INSTR", visa_library = "smu.yaml@sim" }
identity = "id"
[instruments.smu.channels]
source = { read = "source_voltage", unit = "V" }
current = { unit = "mA", min = "-1 A", max = "1 A" }
[instruments.smu.calls.apply]
set = "source_voltage"
arguments.voltage = { unit = "V", min = -30, max = 30 }
[instruments.smu.calls.coarse]
set = "source_voltage"
arguments.voltage = "V"
[instruments.smu.calls.on]
set = "source_enabled"
value = true
[instruments.smu.calls.off]
set = "source_enabled"
value = false
safe = true
[[procedure.steps]]
do = "smu.apply"
with = { voltage = "5 V" }
"""

SMU = """
spec: "1.1"
devices:
  smu:
    eom:
      GPIB INSTR: {q: "\\r\\n", r: "\\n"}
    error: ERROR
    dialogues:
      - {q: "*IDN?", r: "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30"}
      - {q: ":FORMAT:ELEMENTS VOLTAGE, CURRENT, RESISTANCE, TIME, STATUS"}
      - {q: ":MEASURE:CURRENT?", r: "+1.000000E+00,+2.500000E-02,+9.910000E+37,+0.0,+0.0"}
    properties:
      voltage:
        default: 0.0
        getter: {q: ":SOURCE:VOLTAGE?", r: "{:+.3E}"}
        setter: {q: ":SOURCE:VOLTAGE {}"}
        specs: {type: float}
      output:
        default: 0
        getter: {q: "OUTPUT?", r: "{:d}"}
        setter: {q: "OUTPUT {:d}"}
        specs: {type: int, valid: [0, 1]}
resources:
  GPIB0::24::INSTR: {device: smu}
"""

HEATER = """
[bench]
name = "b"
reduction = "identity/1"
[instruments.block]
driver = "pylabrobot"
safe_state = ["deactivate"]
[instruments.block.object]
make = "pylabrobot.temperature_controlling:TemperatureController"
[instruments.block.object.with]
name = "block"
size_x = 100
size_y = 80
size_z = 40
backend.make = "pylabrobot.temperature_controlling:TemperatureControllerChatterboxBackend"
backend.with = { dummy_temperature = 21.0 }
child_location = { make = "pylabrobot.resources:Coordinate", with = { x = 0, y = 0, z = 40 } }
[instruments.block.channels]
temperature = { read = "get_temperature", unit = "degC" }
[instruments.block.calls.heat]
method = "set_temperature"
arguments.temperature = { unit = "degC", min = 20, max = 90 }
repeatable = true
[instruments.block.calls.settle]
method = "wait_for_temperature"
arguments.timeout = "s"
[instruments.block.calls.deactivate]
method = "deactivate"
safe = true
[[procedure.steps]]
do = "block.heat"
with = { temperature = "60 degC" }
"""


def _bench(folder: Path, text: str, **files: str) -> BenchFile:
    interpreter = f'options = {{ interpreter = "{need(BIN / "python")}" }}'
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    (folder / "bench.toml").write_text(re.sub(r"(driver = .*)", rf"\1\n{interpreter}", text))
    (folder / "lab").mkdir(exist_ok=True)
    return load_bench(folder / "bench.toml").in_lab(folder / "lab")


def _call(command: str, key: str = "r1", **arguments: float) -> Call:
    return Call(command, arguments, key, "c", step=0)


@contextmanager
def _armed(bench: BenchFile, name: str) -> Iterator[Driver]:
    with in_hand(bench, name) as driver:
        driver.identify()
        _arm(driver)
        yield driver


def _arm(driver: Driver) -> None:
    """Arm it until it is: on a busy machine its imports take longer than a start may wait for them."""
    assert isinstance(driver, ObjectDevice)
    for _ in range(20):
        driver.arm()
        if driver._is_made:
            return


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page calls `devices`: the environment of both packages."""
    monkeypatch.setenv("ATHANOR_FOREIGN", str(need(BIN).parent))


@pytest.mark.timeout(1200)
def test_a_newcomer_brings_both_from_a_bench_file_to_a_finished_campaign(
    environment: None,
    reader_of: Callable[[Path], Reader],  # noqa: F811
) -> None:
    del environment
    reader_of(PAGE).read()


def test_a_source_meter_on_a_simulated_bus_is_set_read_and_made_safe(tmp_path: Path) -> None:
    bench = _bench(tmp_path, KEITHLEY, smu_yaml=SMU)
    inspect_calls(bench)
    assert [one.name for one in functions_of(bench)] == ["pymeasure.instruments.keithley:Keithley2400", "pymeasure"]
    with _armed(bench, "smu") as driver:
        assert driver.perform(_call("apply", voltage=12.5)) == {"voltage": 12.5}
        source, current = driver.read(["source", "current"])
        assert (source.value, source.unit) == (12.5, "V")
        assert (current.value, current.unit) == (0.025, "mA")
        with pytest.raises(DeviceError, match=r"smu\.apply: source_voltage is 12\.34.* after it was set to 12\.3416 V \(within = 0 V\)"):
            driver.perform(_call("apply", voltage=12.3416))
        with pytest.raises(DeviceError, match=r"smu: coarse: ValueError: .*300"):
            driver.perform(_call("coarse", voltage=300.0))  # PyMeasure's own range
        driver.perform(_call("on"))
        driver.make_safe("off")


def test_another_serial_number_is_refused_when_it_is_armed(tmp_path: Path) -> None:
    bench = _bench(tmp_path, KEITHLEY.replace("1234567", "7654321"), smu_yaml=SMU)
    with in_hand(bench, "smu") as driver:
        driver.identify()
        with pytest.raises(DeviceError, match="serial number 1234567; the bench file expects 7654321"):
            _arm(driver)


def test_a_misspelt_property_is_told_by_check(tmp_path: Path) -> None:
    bench = _bench(tmp_path, KEITHLEY.replace('set = "source_voltage"', 'set = "source_volts"', 1), smu_yaml=SMU)
    with pytest.raises(BadInput, match=r"instrument smu: Keithley2400 has no 'source_volts'; it has .*source_voltage"):
        inspect_calls(bench)


def test_a_heating_block_is_made_of_classes_alone(tmp_path: Path) -> None:
    bench = _bench(tmp_path, HEATER)
    inspect_calls(bench)
    with _armed(bench, "block") as driver:
        assert driver.read(["temperature"])[0].value == 21.0
        for step, asked in enumerate((_call("heat", temperature=60.0), replace(_call("settle", timeout=5.0), step=1))):
            driver.perform(asked)
            assert ended(driver, asked).progress is Progress.FINISHED, step
        assert driver.read(["temperature"])[0].value == 60.0
        cooler = _call("heat", "r2", temperature=30.0)
        driver.perform(cooler)
        assert "Backend does not support active cooling" in str(ended(driver, cooler).reason)
        driver.make_safe("deactivate")
        driver.make_safe("end")
    log = (tmp_path / "lab" / "calls" / "block.log").read_text()
    assert log.count("Setting up the temperature controller.") == 1
    assert "Stopping the temperature controller." in log


def _dyes(folder: Path) -> BenchFile:
    """Take bench and deck from the page, and let its robot be held up in the middle of a transfer."""
    page = PAGE.read_text()
    deck, bench = (re.search(rf":caption: dyes/{name}\n\n(.*?)```", page, re.DOTALL) for name in ("deck.py", "bench.toml"))
    assert deck is not None
    assert bench is not None
    held = "        while Path('hold').exists():\n            await asyncio.sleep(0.01)\n        await robot.dispense"
    code = "import asyncio\n" + deck[1].replace("        await robot.dispense", held)
    assert code.count("hold") == 1
    text = re.sub(r"options = .*\n", "", bench[1])
    own = _bench(folder, text, deck_py=code)
    lab = folder / "lab"
    copy = keep_copy(lab, own.path.name, own.files, sha256=own.sha256, origin=own.folder)
    return load_bench(copy).in_lab(lab)  # as a host has it that was started again


def _mix(key: str) -> Call:
    return Call("mix", {"red": 10.0, "blue": 20.0}, key, "c")


def test_a_death_in_the_middle_of_a_transfer_asks_a_person_and_pipettes_nothing_twice(tmp_path: Path) -> None:
    bench = _dyes(tmp_path)
    log = tmp_path / "lab" / "calls" / "robot.log"
    with _armed(bench, "robot") as driver:
        first = _mix("r1")
        driver.perform(first)
        assert {one.name: one.value for one in ended(driver, first).readings} == {
            "robot.total": pytest.approx(30.0),
            "robot.hue": pytest.approx(1 / 3),
        }
        (tmp_path / "hold").touch()
        second = _mix("r2")
        driver.perform(second)
        awaited_count(log, "Aspirating:", 3)
        assert isinstance(driver, CalledDevice)
        assert driver._child is not None
        driver._child.process.kill()
        assert settled(driver, second).verdict is StepVerdict.UNDECIDABLE
        (tmp_path / "hold").unlink()
        driver.perform(second)
        with pytest.raises(DeviceError, match="begun before, and is not repeatable"):
            ended(driver, second)
        driver.perform(first)
        assert ended(driver, first).progress is Progress.FINISHED  # it gives what it gave
        third = _mix("r3")
        driver.perform(third)
        assert ended(driver, third).progress is Progress.FINISHED
    assert (tmp_path / "deck-state.json").exists()
    said = log.read_text()
    assert said.count("Aspirating:") == 5
    assert said.count("Setting up the liquid handler.") == 2
    assert said.count("tips_tipspot_A1") == 1  # the deck's state outlived the process: no tip is taken twice that had done its work


def awaited_count(path: Path, text: str, count: int) -> None:
    """Wait until a text stands so often in a file."""
    awaited(path, text)
    while path.read_text().count(text) < count:
        pass
