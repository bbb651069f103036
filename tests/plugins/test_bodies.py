"""Bodies of other people on each kind of link, asked by clients that nobody here wrote."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import minimalmodbus
import pytest
import serial
from asyncua.client.client import Client

from instruments.drivers.protocol import Call, Driver, Outcome, Progress, Settings
from instruments.drivers.registry import build_driver
from orchestrator.errors import BadInput, DeviceError
from simulators.plantfile import load_plant_file
from tests.instrument.running_plant import RunningPlant, running_plant
from tests.plugins.writing import HANGS, RAISES

BODIES = '''
from asyncua import ua

from athanor.devices import Body, Nameplate, Template


class Bath(Body):
    """Warms by one degree a lab second."""

    def switch_on(self):
        self.target, self.temperature = 20, 20.0

    def advance(self, lab_s):
        self.temperature = min(self.target, self.temperature + lab_s - self.lab_s)

    @property
    def registers(self):
        return {1: round(10 * self.temperature), 2: 10 * self.target}

    def write(self, register, word):
        if register != 2 or word > 1000:
            return False
        self.target = word / 10
        self.log("setpoint", temperature_degc=self.target)
        return True


class Stirrer(Body):
    """Follows its setpoint at once, by a method."""

    def switch_on(self):
        self.speed = 0.0

    async def build(self, server):
        index = await server.register_namespace("urn:acme")
        stirrer = await server.nodes.objects.add_object(index, "Stirrer")
        self.node = await stirrer.add_variable(index, "Speed", 0.0)
        await stirrer.add_method(index, "SetSpeed", self.set_speed, [ua.VariantType.Double], [])

    async def set_speed(self, parent, speed):
        self.catch_up()
        self.speed = speed.Value
        self.log("setpoint", speed_rpm=self.speed)
        return []

    async def show(self):
        await self.node.write_value(self.speed)


class Tap(Body):
    """Gives 6 mL/min when it is open."""

    def reply(self, line):
        self.pour({b"OPEN": 6.0, b"CLOSE": 0.0}[line])
        return b"OK"


class Scale(Body):
    """A LADS device: its one program weighs what has flowed into it."""

    PLATE = Nameplate("Scale", "Pan", "Acme", "3.1")
    PROGRAMS = {
        "Weigh": Template("1.0", "Weighs.", 20.0, properties={"density": (0.5, 2.0)}, variables={"Mass": "g", "Series": "g"}),
        "Idle": Template("1.0", "Does nothing.", 5.0),
    }

    def run(self, order):
        if order.template == "Idle":
            return lambda: ("nothing-there", {})
        mass = order.number("density") * sum(feed.volume(0.0, self.lab_s) for feed in self.feeds.values())
        self.log("weighed", run_key=order.task_id, mass_g=mass, chemistry=str(self.chemistry), outliers=self.surroundings.outliers)
        return lambda: ("completed", {"Mass": mass, "Series": [mass, mass]})


class Dyes:
    def __init__(self, seed):
        self.seed = seed

    def __str__(self):
        return f"dye {self.seed}"


class Family:
    chemistry = Dyes


FAMILY = Family()


class Mute(Body):
    """Says nothing."""
'''
PLANT = """
[links.bath]
kind = "serial"
[links.stirrer]
kind = "opcua"
[devices.bath]
model = "./bodies.py:Bath"
link = "bath"
options = { unit = 3 }
[devices.stirrer]
model = "./bodies.py:Stirrer"
link = "stirrer"
[chemistry]
family = "./bodies.py:FAMILY"
constants_seed = 4
[environment]
outliers = 0.125
[links.tap]
kind = "serial"
[links.scale]
kind = "opcua"
[devices.tap]
model = "./bodies.py:Tap"
link = "tap"
stock = { L = 0.1 }
[devices.scale]
model = "./bodies.py:Scale"
link = "scale"
fed_by = ["tap"]
options = { serial_number = "W-9" }
"""


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    folder = tmp_path_factory.mktemp("plant")
    (folder / "bodies.py").write_text(BODIES)
    with running_plant(folder, rate=10.0, plant=PLANT) as running:
        yield running


def test_registers_are_served_as_modbus(plant: RunningPlant) -> None:
    bath = minimalmodbus.Instrument(plant.announced["endpoints"]["bath"]["port"], 3)
    bath.serial.timeout = 1.0
    assert bath.read_register(1) == 200
    bath.write_register(2, 350, functioncode=6)
    bath.write_registers(2, [400])
    assert plant.truth("bath", "setpoint")[-1]["values"] == {"temperature_degc": 40.0}
    time.sleep(0.5)
    assert 220 < bath.read_register(1, functioncode=4) <= 400
    with pytest.raises(minimalmodbus.IllegalRequestError):
        bath.write_register(2, 1001, functioncode=6)
    with pytest.raises(minimalmodbus.IllegalRequestError):
        bath.read_register(7)


def test_an_address_space_is_served_over_opcua(plant: RunningPlant) -> None:
    async def ask() -> Any:
        async with Client(plant.announced["endpoints"]["stirrer"]["url"]) as client:
            index = await client.get_namespace_index("urn:acme")
            stirrer = await client.nodes.objects.get_child(f"{index}:Stirrer")
            await stirrer.call_method(f"{index}:SetSpeed", 250.0)
            await asyncio.sleep(0.5)
            return await (await stirrer.get_child(f"{index}:Speed")).read_value()

    assert asyncio.run(ask()) == 250.0
    assert plant.truth("stirrer", "setpoint")[-1]["values"] == {"speed_rpm": 250.0}


def _scale(plant: RunningPlant) -> Driver:
    options: dict[str, str | float] = {"device": "Scale", "unit": "Pan", "watchdog_node": "WatchdogTimeout", "watchdog_method": "Kick"}
    settings = Settings("scale", model="Scale", serial_number="W-9", watchdog=20.0, options={**options, "outcome": "Outcome"})
    return build_driver("lads", plant.open("scale"), settings, plant.clock)


def _program(key: str, template: str, **properties: float) -> Call:
    return Call("run_program", {"template": template, **properties}, key, "campaign", None)


def _done(driver: Driver, ask: Call) -> Outcome:
    baseline = driver.baseline(ask)
    driver.perform(ask)
    until = time.monotonic() + 30.0
    while (found := driver.outcome(ask, baseline)).progress is Progress.RUNNING:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_programs_are_served_as_a_lads_device_that_sees_what_flows_into_it(plant: RunningPlant) -> None:
    with serial.Serial(plant.announced["endpoints"]["tap"]["port"], timeout=5.0) as tap:
        tap.write(b"OPEN\r\n")
        assert tap.readline() == b"OK\r\n"
        time.sleep(0.5)
        tap.write(b"CLOSE\r\n")
        assert tap.readline() == b"OK\r\n"
    scale = _scale(plant)
    try:
        assert scale.identify().firmware == "3.1"
        scale.arm()
        found = _done(scale, _program("run-1", template="Weigh", density=1.5))
        assert found.progress is Progress.FINISHED
        told = {one.channel: one for one in found.readings}
        (weighed,) = plant.truth("scale", "weighed")
        assert (told["Mass"].value, told["Mass"].unit) == (weighed["values"]["mass_g"], "g")
        assert told["Series"].array == (told["Mass"].value,) * 2
        assert weighed["run_key"] == "run-1"
        assert weighed["values"]["mass_g"] > 1.5 * 6.0 * 5.0 / 60.0  # at least the five lab seconds between the two commands
        assert (weighed["values"]["chemistry"], weighed["values"]["outliers"]) == ("dye 4", 0.125)
        ended = _done(scale, _program("run-2", template="Idle"))
        assert (ended.progress, ended.code) == (Progress.FAILED, "nothing-there")
        with pytest.raises(DeviceError, match="BadInvalidArgument"):
            scale.perform(_program("run-3", template="Weigh", density=2.5))
    finally:
        scale.close()


def test_faults_of_lads_devices_strike_those_of_other_people(plant: RunningPlant) -> None:
    scale = _scale(plant)
    try:
        scale.arm()
        plant.inject("scale", "program-failure", code="jammed")
        assert _done(scale, _program("run-4", template="Weigh", density=1.0)).code == "jammed"
        before = scale.identify().boot_id
        plant.inject("scale", "power-cycle", now=True)
    finally:
        scale.close()
    again = _scale(plant)
    try:
        assert again.identify().boot_id != before
        assert plant.ask(op="state")["scale"]["results"] >= 2
    finally:
        again.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("./bodies.py:Bath", "./bodies.py:Mute", "has none of the methods reply, registers, build, run"),
        ("./bodies.py:Bath", "./bodies.py:Stirrer", "is served on a link of kind opcua; 'bath' is serial"),
        ("./bodies.py:Bath", "acme", "device bath: unknown model 'acme'; known: eurotherm, lads-platform, new-era"),
        ("./bodies.py:Bath", "./raises.py:Bath", "raises.py, line 3: ValueError: math domain error"),
        ('fed_by = ["tap"]', 'fed_by = ["bottle"]', "device scale is fed by 'bottle'; expected one of bath, stirrer, tap"),
        ('fed_by = ["tap"]', 'fed_by = ["scale"]', "device scale is fed by 'scale'; expected one of bath, stirrer, tap"),
        ('model = "./bodies.py:Tap"', 'model = "./bodies.py:Tap"\nfed_by = ["scale"]', "is fed by itself, through"),
        ('link = "bath"', 'link = "none"', "device bath needs a link of kind serial, but 'none' is not declared"),
    ],
)
def test_a_plant_file_with_a_body_that_cannot_be_served_is_refused_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "bodies.py").write_text(BODIES)
    (tmp_path / "raises.py").write_text(RAISES)
    (tmp_path / "plant.toml").write_text(PLANT.replace(old, new))
    with pytest.raises(BadInput) as caught:
        load_plant_file(tmp_path / "plant.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"plant file {tmp_path}/plant.toml: ")


def test_a_body_that_hangs_at_its_import_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.plugins.find_plugin.__kwdefaults__", {"seconds": 0.2})
    (tmp_path / "bodies.py").write_text(HANGS)
    (tmp_path / "plant.toml").write_text(PLANT)
    with pytest.raises(BadInput, match=r"device './bodies.py:Bath' .* did not end within 0.2 s; it stands at .*bodies.py, line 3"):
        load_plant_file(tmp_path / "plant.toml")
