"""What has no wire that could be simulated is asked by the calls of its driver: own and VISA links, plug-ins without a body."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from flows.plans.lab import make_lab
from flows.plans.simulated import simulated
from instruments.bench.connect import connect_for_safety
from instruments.drivers.protocol import Call, Driver, Progress, StepVerdict
from instruments.drivers.stand_in import StandInDriver
from orchestrator.clock import LiveClock
from orchestrator.errors import DeviceError, LimitError, LinkError
from tests.instrument.cases import call
from tests.instrument.conformance import DriverConformance
from tests.stand_ins.benches import BATH, Stage, bench_of, staged

DRIVER: Final = '''
from athanor.drivers import Argument, Driver, Identity, Outcome, Progress, channel, command, safe


class Robot(Driver):
    """What a vendor's library drives; no line of it is loaded here."""

    LINKS = ("own", "visa")
    OPTIONS = frozenset({"speed"})

    def identify(self):
        raise RuntimeError("the vendor's library is not here")

    @command("state-setting", temperature=Argument("degC", low=5.0, high=90.0))
    def set_temperature(self, temperature):
        raise RuntimeError("the vendor's library is not here")

    @command("dosing", volume=Argument("mL", low=0.0, high=5.0, resolution=0.01))
    def pour(self, volume):
        raise RuntimeError("the vendor's library is not here")

    @command("program", position=Argument(None, default="A1"))
    def scan(self, position):
        raise RuntimeError("the vendor's library is not here")

    def outcome(self, call, baseline):
        return Outcome(Progress.RUNNING)

    def cancel(self, call):
        raise RuntimeError("the vendor's library is not here")

    @channel("degC")
    def temperature(self):
        raise RuntimeError("the vendor's library is not here")

    @channel("degC")
    def temperature_setpoint(self):
        raise RuntimeError("the vendor's library is not here")

    @channel("mL")
    def poured(self):
        raise RuntimeError("the vendor's library is not here")

    @channel("percent")
    def absorbance(self):
        raise RuntimeError("the vendor's library is not here")

    @safe
    def stop(self):
        raise RuntimeError("the vendor's library is not here")
'''
ROBOT: Final = """
[links.robot]
kind = "own"
device = "robot-7"

[instruments.robot]
driver = "./robot.py:Robot"
link = "robot"
serial_number = "R7"
limits.temperature = { min = "10 degC", max = "80 degC" }
safe_state = ["stop"]

[[procedure.steps]]
do = "robot.scan"
"""


@contextmanager
def robot(folder: Path, text: str = ROBOT, plant: str = "") -> Iterator[Stage]:
    (folder / "robot.py").write_text(DRIVER)
    (folder / "plant.toml").write_text(plant)
    with staged(bench_of(folder, '[simulation]\nplant = "plant.toml"\n', text), rate=20.0) as stage:
        yield stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with robot(tmp_path) as found:
        yield found


class TestConformance(DriverConformance):
    SETTLED = "not-executed"

    @pytest.fixture
    def driver(self, stage: Stage) -> Driver:
        found = stage.driver("robot")
        found.identify()
        found.arm()
        return found

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_temperature", temperature=42.0)


def test_it_has_the_declared_commands_limits_and_serial_number_of_the_driver_in_whose_place_it_is(stage: Stage) -> None:
    driver = stage.driver("robot")
    assert isinstance(driver, StandInDriver)
    assert driver.STANDS_FOR.__name__ == "Robot"
    assert driver.identify().serial_number == "R7"
    assert driver.limit("set_temperature", "temperature") is not None
    with pytest.raises(LimitError, match="allowed 10 to 80 degC"):
        driver.perform(call("set_temperature", temperature=85.0))


def test_a_setpoint_is_shown_at_once_a_temperature_follows_and_a_volume_is_counted(stage: Stage) -> None:
    driver = stage.driver("robot")
    driver.perform(call("set_temperature", temperature=50.0))
    told = {one.channel: one.value for one in driver.read(["temperature_setpoint", "temperature", "poured"])}
    assert told["temperature_setpoint"] == 50.0
    assert told["poured"] == 0.0
    assert told["temperature"] is not None
    assert 22.0 <= told["temperature"] < 50.0
    ask = call("pour", volume=2.5)
    before = dict(driver.baseline(ask))
    driver.perform(ask)
    assert driver.reconcile(ask, before).verdict is StepVerdict.RUNNING
    assert stage.ended(driver, ask, before).progress is Progress.FINISHED
    assert driver.read(["poured"])[0].value == 2.5
    assert driver.reconcile(ask, before).verdict is StepVerdict.FINISHED
    assert stage.truth("robot", "dose")[0]["run_key"] == ask.run_key


def test_a_program_brings_a_value_of_each_channel(stage: Stage) -> None:
    driver = stage.driver("robot")
    ask = call("scan", position="B2")
    before = dict(driver.baseline(ask))
    driver.perform(ask)
    ended = stage.ended(driver, ask, before)
    assert (ended.progress, ended.code) == (Progress.FINISHED, "completed")
    brought = {one.channel: one.value for one in ended.readings}
    assert brought.keys() == driver.CHANNELS.keys()
    assert brought["absorbance"] is not None
    assert 0.0 < brought["absorbance"] < 110.0


def test_a_program_that_fails_says_the_declared_reason(tmp_path: Path) -> None:
    with robot(tmp_path, plant='[stand_ins.robot]\nfailures = 1.0\nreason = "arm blocked"\n') as stage:
        driver = stage.driver("robot")
        ask = call("scan")
        before = dict(driver.baseline(ask))
        driver.perform(ask)
        ended = stage.ended(driver, ask, before)
        assert (ended.progress, ended.code, ended.readings) == (Progress.FAILED, "arm blocked", ())


@pytest.mark.parametrize("fault", ["half-frame", "request-lost"])
def test_after_a_lost_exchange_the_evidence_says_whether_a_dose_was_begun(fault: str, tmp_path: Path) -> None:
    plant = f'[[faults]]\ndevice = "robot"\nfault = "{fault}"\npattern = "*perform*"\n'
    with robot(tmp_path, plant=plant) as stage:
        driver = stage.driver("robot")
        ask = call("pour", volume=1.0)
        before = dict(driver.baseline(ask))
        with pytest.raises(LinkError):
            driver.perform(ask)
        begun = stage.doses("robot")["start"]
        verdict = driver.reconcile(ask, before).verdict
        assert (begun, verdict) == ((0, StepVerdict.NOT_EXECUTED) if fault == "request-lost" else (1, StepVerdict.FINISHED))


def test_after_a_power_cut_nobody_can_tell_what_became_of_a_dose(stage: Stage) -> None:
    driver = stage.driver("robot")
    ask = call("pour", volume=1.0)
    before = dict(driver.baseline(ask))
    driver.perform(ask)
    stage.plant._devices["robot"].case.power_cycle(stage.plant._clock.now())
    assert driver.reconcile(ask, before).verdict is StepVerdict.UNDECIDABLE
    assert driver.outcome(ask, before).code == "forgotten"


def test_a_second_dose_is_refused_while_one_runs_and_a_cancelled_one_has_failed(stage: Stage) -> None:
    driver = stage.driver("robot")
    ask = call("pour", volume=5.0)
    before = dict(driver.baseline(ask))
    driver.perform(ask)
    with pytest.raises(DeviceError, match=r"robot \(stand-in\) refused perform: busy"):
        driver.perform(ask)
    driver.cancel(ask)
    assert driver.outcome(ask, before).code == "cancelled"
    assert stage.doses("robot") == {"start": 1, "end": 1}


def test_the_safe_state_is_driven_through_the_stand_in_too(stage: Stage) -> None:
    drivers = connect_for_safety(stage.bench, "robot", LiveClock())
    drivers["robot"].make_safe("stop")
    drivers["robot"].close()
    assert [one["values"]["cause"] for one in stage.truth("robot", "safe-state")] == ["stop"]


VISA: Final = ROBOT.replace('kind = "own"\ndevice = "robot-7"', 'kind = "visa"\nresource = "GPIB0::12::INSTR"')
BALANCE: Final = """
[links.scale]
kind = "visa"
resource = "GPIB0::7::INSTR"

[instruments.scale]
driver = "mt-sics"
link = "scale"
"""
NEIGHBOUR: Final = """
[instruments.other]
driver = "ika-hotplate"
link = "bath"
address = 2
"""
TCP: Final = """
[links.tcp]
kind = "tcp"
url = "tcp://192.0.2.1:502"

[instruments.plc]
driver = "./plc.toml"
link = "tcp"
address = 1
"""
PLC: Final = """
[profile]
name = "plc"
driver = "modbus"
sources = ["none: a device of these tests"]
[modbus]
frame = "tcp"
[channels.level]
register = 3
"""


def test_how_each_link_is_asked(tmp_path: Path) -> None:
    """Over its own wire where all on it speak alike and a serial line can carry that, else by calls."""
    (tmp_path / "plc.toml").write_text(PLC)
    with robot(tmp_path, BALANCE + TCP + VISA) as stage:
        assert stage.bench.by_calls == {"robot", "plc"}
        assert stage.driver("scale").read(["weight"])[0].value is not None
        stage.driver("robot").perform(call("set_temperature", temperature=20.0))
        assert stage.driver("plc").read(["level"])[0].value == 0.0
    with robot(tmp_path, BATH + NEIGHBOUR + ROBOT) as stage:
        assert stage.bench.by_calls == {"bath", "other", "robot"}
        stage.driver("other").perform(call("set_speed", speed=300.0))
        assert stage.driver("bath").read(["setpoint"])[0].value == 22.0
        assert [one["device"] for one in stage.truth("other", "setpoint")] == ["other"]


FUNCTIONS: Final = """
[instruments.film]
driver = "python"

[instruments.film.calls.cast]
function = "film:cast"
arguments = { temperature = "degC", solvent = { unit = "text", choices = ["DMF", "DMSO"] } }
returns = { conductivity = "S/cm" }

[instruments.model]
driver = "python"

[instruments.model.calls.look]
function = "film:look"
returns = { area = "1" }
pure = true

[[procedure.steps]]
do = "film.cast"
with = { temperature = "T", solvent = "DMF" }

[[procedure.steps]]
do = "model.look"
"""


def test_a_function_that_acts_on_the_world_is_answered_for_and_a_harmless_one_is_carried_out(tmp_path: Path) -> None:
    (tmp_path / "film.py").write_text("raise RuntimeError('the spin coater is not here')\n")
    with robot(tmp_path, FUNCTIONS) as stage:
        assert stage.bench.by_calls == {"film"}
        driver = stage.driver("film")
        ask = call("cast", temperature=60.0, solvent="DMSO")
        before = dict(driver.baseline(ask))
        driver.perform(ask)
        ended = stage.ended(driver, ask, before)
        assert [(one.channel, one.unit, one.quality) for one in ended.readings] == [("conductivity", "S/cm", "good")]
        assert stage.truth("film", "dose")[0]["values"]["solvent"] == "DMSO"


MIXED: Final = """
[instruments.film]
driver = "python"

[instruments.film.calls.cast]
function = "film:cast"
arguments = { temperature = "degC", solvent = { unit = "text", choices = ["DMF", "DMSO"] } }
returns = { conductivity = { unit = "S/cm", min = "2 S/cm", max = "3 S/cm" }, note = "text" }

[instruments.film.calls.look]
function = "look:look"
arguments = { mass = "mg" }
returns = { area = "1" }
pure = true

[[procedure.steps]]
do = "film.cast"
with = { temperature = "T", solvent = "DMF" }

[[procedure.steps]]
do = "film.look"
with = { mass = "m" }
"""


def mixed(folder: Path) -> Path:
    """Write the functions of an instrument that has harmless calls and others."""
    (folder / "film.py").write_text("raise RuntimeError('the spin coater is not here')\n")
    (folder / "look.py").write_text("def look(mass):\n    return 3 * mass\n")
    return folder


def ended(stage: Stage, ask: Call) -> dict[str, float | str | None]:
    """Have a call carried out; return what it brought."""
    driver = stage.driver("film")
    before = dict(driver.baseline(ask))
    driver.perform(ask)
    return {one.channel: one.value if one.text is None else one.text for one in stage.ended(driver, ask, before).readings}


def test_harmless_calls_of_an_instrument_are_carried_out_and_the_others_answered_each_with_its_own_returns(tmp_path: Path) -> None:
    with robot(mixed(tmp_path), MIXED) as stage:
        stage.bench = stage.bench.in_lab(make_lab(tmp_path / "lab", beside=tmp_path, kind="dry").path)
        assert ended(stage, call("look", mass=7.0)) == {"area": 21.0}
        brought = ended(stage, call("cast", temperature=60.0, solvent="DMSO"))
        assert brought.keys() == {"conductivity", "note"}
        assert 2.0 <= float(brought["conductivity"] or 0.0) <= 3.0
        assert brought["note"]
        assert [one["values"]["command"] for one in stage.truth("film", "dose") if one["values"]["phase"] == "start"] == ["cast"]
        assert stage.driver("film").read(["area", "note"])[0].value == 21.0
        stage.driver("film").close()
    told = simulated(stage.bench).told["film"]
    assert "but look is carried out" in told


def test_only_the_words_that_a_call_takes_are_taken_by_its_stand_in(tmp_path: Path) -> None:
    with robot(mixed(tmp_path), MIXED) as stage:
        declared = simulated(stage.bench).stand_ins.instruments["film"]
        assert declared["commands"].keys() == {"cast"}
        assert declared["commands"]["cast"]["arguments"]["solvent"]["values"] == ("DMF", "DMSO")
