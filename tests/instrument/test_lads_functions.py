"""Functions that a bench file declares: what they offer offline, and bench files of before there were any."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from instruments.bench.file import BenchFile, parse_bench
from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads import LadsUnit
from instruments.drivers.lads_browsing import OfferedDevice, OfferedUnit, bench_stub
from instruments.drivers.protocol import Driver, Settings
from orchestrator.errors import BadInput, DeviceError, Sent
from tests.instrument.cases import CLOCK, call
from tests.instrument.fake_nodes import UNIT, FakeNodes, unit

CDSE = Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml"
JACKET = """
[instruments.platform.functions.jacket]
function = "Thermostat/Jacket"
kind = "analog-control"
unit = "degC"
min = "20 degC"
max = "120 degC"
"""
LAMP = CDSE.read_text().partition("[instruments.platform.functions.lamp]")[2].partition("\n\n")[0]


def bench(more: str = "", *changes: tuple[str, str]) -> BenchFile:
    text = CDSE.read_text() + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_bench(text, CDSE)


def test_a_declared_function_has_commands_channels_limits_and_safe_actions_offline() -> None:
    narrower = ("[instruments.platform]\n", '[instruments.platform]\nlimits.jacket = { min = "300 K", max = "350 K" }\n')
    found = bench(JACKET, ('"lamp-off"]', '"lamp-off", "jacket-stop"]'), narrower)
    driver = found.driver("platform")
    assert {"set_jacket", "stop_jacket", "lamp_on", "run_program"} <= set(driver.COMMANDS)
    assert found.channel_units["platform.jacket"] == found.channel_units["platform.jacket_target"] == "degC"
    limit = found.envelope.limits["platform.jacket"]
    assert (round(limit.low, 2), round(limit.high, 2), limit.unit) == (26.85, 76.85, "degC")
    assert found.settings("platform").functions["jacket"].path == ("Thermostat", "Jacket")


def test_a_bench_file_of_before_there_were_functions_keeps_its_lamp() -> None:
    old = bench("", ("[instruments.platform.functions.lamp]" + LAMP, ""))
    assert old.settings("platform").functions == {}
    driver = old.driver("platform")
    assert {"lamp_on", "lamp_off"} <= set(driver.COMMANDS)
    assert "lamp" in driver.CHANNELS
    assert {"abort", "lamp-off"} == driver.SAFE_ACTIONS


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (JACKET.replace("degC\"\nmin", "furlong/fortnite\"\nmin"), r"unknown unit"),
        (JACKET.replace('min = "20 degC"\n', ""), r"functions.jacket: min = None, max = '120 degC'; expected both or neither"),
        (JACKET.replace('"20 degC"', '"200 degC"'), r"min 200 must be below max 120 degC"),
        (JACKET.replace("functions.jacket", "functions.state"), r"instrument platform: a function offers 'state', which every unit has"),
        (JACKET + JACKET.replace("functions.jacket", "functions.jacket_target"), r"two functions offer 'jacket_target'"),
        (JACKET.replace("analog-control", "gauge"), r"functions.jacket.kind = 'gauge'"),
        (JACKET.replace("unit = ", "units = "), r"unknown key .*functions.jacket.units; legal here: function, kind, unit"),
        (JACKET.replace("analog-control", "multi-state-control"), r"states = \[\]; expected two or more different names"),
        (JACKET.replace('"analog-', '"multi-mode-analog-').replace("Thermostat/", ""), r"function = 'Jacket'; expected .* 'Pump/Flow'"),
        (JACKET.replace("analog-control", "timer-control"), r"unit = 'degC'; a timer of LADS counts in ms"),
        (JACKET.replace("platform", "pump_cd"), r"instrument pump_cd: its driver knows its own commands; it takes no functions"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_be_meant_is_one_line(more: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        bench(more)
    assert "\n" not in str(caught.value)


def test_a_stub_is_a_bench_file_as_soon_as_it_has_a_procedure() -> None:
    functions = (
        Function(("Jacket",), FunctionKind.ANALOG_CONTROL, "degC", "", (0.0, 150.0)),
        Function(("Jacket", "Inlet 2"), FunctionKind.ANALOG_SCALAR_SENSOR, "degC"),
        Function(("OddOne",), FunctionKind.ANALOG_SCALAR_SENSOR, "wobble"),
        Function(("Valve",), FunctionKind.MULTI_STATE_CONTROL, states=('zu "ganz"', "auf")),
    )
    unit = OfferedUnit("Unit 1", ("Rinse",), functions, (("Modes", "OddFunctionType"),))
    stub = bench_stub([OfferedDevice("HPLC-7", 'Who\\"', "M", "S-1", (unit,))], "opc.tcp://h:4840")
    head = '[bench]\nname = "a"\nreduction = "cdse-emission/1"\n'
    step = '[[procedure.steps]]\ndo = "hplc_7_unit_1.set_jacket"\nwith = { jacket = "40 degC" }\n'
    found = parse_bench(f"{head}{stub}\n{step}", Path("bench.toml"))
    assert set(found.settings("hplc_7_unit_1").functions) == {"jacket", "jacket_inlet_2", "odd_one", "valve"}
    assert "# Modes: OddFunctionType, which no kind of function stands for" in stub
    assert '# unit = "wobble": a unit that is not known here' in stub
    assert "# programs: Rinse" in stub


def test_two_units_of_one_server_are_two_instruments_and_one_unit_is_one() -> None:
    second = CDSE.read_text().partition("[instruments.platform]")[2].partition("[instruments.")[0]
    other = second.replace('unit = "Analyser"', 'unit = "Washer"')
    assert bench(f"\n[instruments.washer]{other}").driver("washer").LINKS == ("opcua",)
    with pytest.raises(BadInput, match="instruments platform and twin are the same device on link platform"):
        bench(f"\n[instruments.twin]{second}")


# --------------------------------------------------------------------- modes

DRIVE = f"{UNIT}/FunctionSet/Drive"
FLOW = f"{DRIVE}/ControllerModeSet/Flow"


def _drive(nodes: FakeNodes) -> Driver:
    flow = Function(("Drive", "Flow"), FunctionKind.MULTI_MODE_CONTROL, "mL/min")
    settings = Settings("it", options={"device": "SynthesisPlatform", "unit": "Analyser"}, functions={"flow": flow})
    return LadsUnit.declared(settings)(nodes, settings, CLOCK)


def _with_modes(*names: str) -> FakeNodes:
    modes = {f"{DRIVE}/CurrentMode": 0, f"{DRIVE}/CurrentMode/EnumStrings": names, f"{DRIVE}/ControlFunctionState/CurrentState": "Running"}
    return unit(**modes, **{f"{FLOW}/TargetValue": 9.0, f"{FLOW}/CurrentValue": 0.0})


def test_a_mode_is_selected_after_it_has_its_target() -> None:
    nodes = _with_modes("Speed", "Flow")
    _drive(nodes).perform(call("set_flow", flow=2.0))
    assert nodes.writes == [(f"{FLOW}/TargetValue", 2.0), (f"{DRIVE}/CurrentMode", 1)]
    _drive(nodes).perform(call("set_flow", flow=3.0))
    assert nodes.writes[2:] == [(f"{FLOW}/TargetValue", 3.0)]


def test_a_mode_that_the_device_has_lost_is_refused_before_anything_is_written() -> None:
    nodes = _with_modes("Speed", "Mass")
    with pytest.raises(DeviceError, match="has no mode 'Flow'; it has Speed, Mass") as caught:
        _drive(nodes).perform(call("set_flow", flow=2.0))
    assert (caught.value.sent, nodes.writes) == (Sent.NO, [])


# --------------------------------------------------------------------- browsing secured servers


def test_a_stub_of_a_secured_server_says_how_and_where_the_password_is() -> None:
    unit_ = OfferedUnit("Unit", (), ())
    security: dict[str, str | Mapping[str, str]] = {
        "policy": "Basic256Sha256",
        "mode": "SignAndEncrypt",
        "user": "ada",
        "password": {"file": "secret file"},
    }
    stub = bench_stub([OfferedDevice("D", "", "M", "S", (unit_,))], "opc.tcp://h:4840", security)
    step = '[[procedure.steps]]\ndo = "d_unit.clear"\n'
    found = parse_bench(f'[bench]\nname = "a"\nreduction = "identity/1"\n{stub}\n{step}', Path("bench.toml"))
    (link,) = found.spec.links.values()
    assert link.security is not None
    assert (link.security.user, link.security.password.file if link.security.password else "") == ("ada", "secret file")
