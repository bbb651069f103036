"""Our driver on a LADS device that nobody here wrote: its functions, its lock, and what is browsed of it."""

import asyncio
import json
import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from asyncua.client.client import Client

from flows.cli.commissioning_commands import browse
from instruments.bench.file import parse_bench
from instruments.drivers.functions import Function
from instruments.drivers.lads_browsing import offered
from instruments.drivers.lads_units import CODES, unit_of
from instruments.drivers.protocol import Driver, Limit, StepVerdict
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.transport.base import NodeValue, Structure
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import BadInput, DeviceError, LimitError, Sent
from tests.foreign import NODE
from tests.foreign.lads_device import LadsDevice, node
from tests.foreign.reactor import FUNCTIONS, KIND, LIMIT, ask, driver_of, settings

pytestmark = [pytest.mark.slow, pytest.mark.foreign]


# --------------------------------------------------------------------- functions


def test_every_kind_of_function_is_read_in_its_unit(reactor: Driver) -> None:
    found = {
        one.channel: (one.value if one.text is None else one.text, one.unit)
        for one in reactor.read(list(reactor.CHANNELS))
        if not one.array
    }
    assert found["inlet"] == (19.5, "degC")
    assert found["pressure"] == (1.5, "bar")
    assert (found["door"], found["rack"], found["lid"]) == ((1.0, ""), ("full", ""), ("Closed", ""))
    (spectrum,) = reactor.read(["spectrum"])
    assert (spectrum.array, spectrum.unit) == ((0.5, 1.0, 0.25), "V")
    assert set(reactor.CHANNELS) - {"spectrum"} == set(found)


def test_a_controlled_quantity_is_set_read_back_and_stopped(reactor: Driver) -> None:
    for temperature in (40.0, 60.0):  # at rest, and running
        assert reactor.perform(ask("set_jacket", jacket=temperature)) == {"jacket": temperature}
        assert _becomes(reactor, "jacket", temperature)
    assert reactor.read(["jacket_target"])[0].value == 60.0
    assert reactor.reconcile(ask("set_jacket", jacket=60.0), {}).verdict is StepVerdict.FINISHED
    assert reactor.reconcile(ask("set_jacket", jacket=61.0), {}).verdict is StepVerdict.NOT_EXECUTED
    reactor.perform(ask("stop_jacket"))
    reactor.make_safe("jacket-stop")  # at rest already
    assert reactor.reconcile(ask("stop_jacket"), {}).verdict is StepVerdict.FINISHED


def _becomes(driver: Driver, channel: str, wanted: float) -> bool:
    until = time.monotonic() + LIMIT
    while driver.read([channel])[0].value != wanted:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_sum_over_time_is_read_and_set_to_zero(reactor: Driver) -> None:
    reactor.perform(ask("set_pump", pump=6.0))
    time.sleep(0.3)
    reactor.perform(ask("stop_pump"))
    (total,) = reactor.read(["pump_total"])
    assert total.value is not None
    assert (total.value > 0.0, total.unit) == (True, "mL")
    reactor.perform(ask("reset_pump_total"))
    assert reactor.read(["pump_total"])[0].value == 0.0


def test_a_mode_is_given_its_target_selected_and_followed(reactor: Driver) -> None:
    assert reactor.perform(ask("set_speed", speed=40.0)) == {"speed": 40.0}
    assert _becomes(reactor, "speed", 40.0)
    assert reactor.perform(ask("set_drive_flow", drive_flow=2.5)) == {"drive_flow": 2.5}  # while it runs in the other mode
    assert _becomes(reactor, "drive_flow", 2.5)
    assert _becomes(reactor, "speed", 0.0)
    told = {
        one.channel: one.value if one.text is None else one.text for one in reactor.read(["drive_flow_mode", "speed_target", "speed_mode"])
    }
    assert told == {"drive_flow_mode": "Flow", "speed_target": 40.0, "speed_mode": "Flow"}
    assert reactor.reconcile(ask("set_drive_flow", drive_flow=2.5), {}).verdict is StepVerdict.FINISHED
    assert reactor.reconcile(ask("set_speed", speed=40.0), {}).verdict is StepVerdict.NOT_EXECUTED  # its target stands, its mode does not
    with pytest.raises(LimitError, match="allowed 0 to 20 mL/min"):
        reactor.perform(ask("set_drive_flow", drive_flow=21.0))
    reactor.make_safe("speed-stop")
    assert _becomes(reactor, "drive_flow", 0.0)
    assert reactor.reconcile(ask("stop_drive_flow"), {}).verdict is StepVerdict.FINISHED


def test_sensors_that_belong_together_are_channels_each(reactor: Driver) -> None:
    assert [(one.value, one.unit) for one in reactor.read(["signal", "second_signal"])] == [(0.125, "V"), (0.5, "V")]


def test_states_have_our_names_and_a_timer_counts(reactor: Driver) -> None:
    reactor.perform(ask("lamp_on"))
    assert reactor.read(["lamp"])[0].value == 1.0
    reactor.perform(ask("lamp_off"))
    assert reactor.read(["lamp"])[0].value == 0.0
    reactor.perform(ask("set_valve", valve="waste"))
    assert reactor.read(["valve"])[0].text == "waste"
    with pytest.raises(LimitError, match="valve = 'Abfall'; allowed closed, waste, product"):
        reactor.perform(ask("set_valve", valve="Abfall"))
    reactor.perform(ask("set_hold", hold=60_000.0))
    time.sleep(0.3)
    assert (reactor.read(["hold"])[0].value or 0.0) > 0.0


def test_a_lid_moves_as_its_states_allow(device: LadsDevice, reactor: Driver) -> None:
    device.tell(german=True)
    for command, state in (("open_lid", "Opened"), ("close_lid", "Closed"), ("lock_lid", "Locked")):
        reactor.perform(ask(command))
        reactor.perform(ask(command))  # may be repeated
        assert reactor.read(["lid"])[0].text == state
    with pytest.raises(DeviceError, match="BadInvalidState"):
        reactor.perform(ask("open_lid"))
    reactor.perform(ask("unlock_lid"))


def test_every_safe_action_may_be_repeated(reactor: Driver) -> None:
    reactor.perform(ask("set_jacket", jacket=30.0))
    reactor.perform(ask("lamp_on"))
    for action in sorted(reactor.SAFE_ACTIONS) * 2:
        reactor.make_safe(action)
    assert reactor.read(["lamp"])[0].value == 0.0


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (Function(("Jaket",), KIND.ANALOG_CONTROL, "degC"), r"'Jaket' is not there; the unit has .*Jacket"),
        (Function(("Jacket", "Outlet"), KIND.ANALOG_SCALAR_SENSOR, "degC"), r"'Jacket/Outlet' is not there; the unit has Inlet"),
        (Function(("Lamp",), KIND.TWO_STATE_SENSOR), r"'Lamp' is a TwoStateDiscreteControlFunctionType; .* two-state-sensor"),
        (Function(("Jacket",), KIND.TOTALIZING_CONTROL, "degC", "degC"), r"'Jacket' is a AnalogControlFunctionType"),
        (Function(("Jacket",), KIND.ANALOG_CONTROL, "K"), r"has CurrentValue in degC; the bench file declares K"),
        (Function(("Pump",), KIND.TOTALIZING_CONTROL, "mL/min", "L"), r"has TotalizedValue in mL; the bench file declares L"),
        (
            Function(("Jacket",), KIND.ANALOG_CONTROL, "degC", span=(0.0, 300.0)),
            r"takes 0 to 150 degC; the bench file allows 0 to 300 degC",
        ),
        (
            Function(("Drive", "Mass"), KIND.MULTI_MODE_CONTROL, "g/min"),
            r"has the modes Speed, Flow; the bench file declares the mode Mass",
        ),
        (Function(("Drive", "Flow"), KIND.MULTI_MODE_CONTROL, "L/min"), r"has CurrentValue in mL/min; the bench file declares L/min"),
        (Function(("Jacket", "Flow"), KIND.MULTI_MODE_CONTROL, "degC"), r"is a AnalogControlFunctionType; .* multi-mode-analog-control"),
        (Function(("Valve",), KIND.MULTI_STATE_CONTROL, states=("a", "b")), r"has 3 states \(Zu, Abfall, Produkt\); .* declares 2"),
    ],
)
def test_a_function_that_is_not_as_declared_is_refused_in_one_line(wire: OpcUaTransport, declared: Function, said: str) -> None:
    with pytest.raises(DeviceError, match=said) as caught:
        driver_of(wire, settings(functions={"it": declared})).identify()
    assert caught.value.sent is Sent.NO
    assert "\n" not in str(caught.value)


def test_the_devices_own_range_counts_where_the_bench_file_gives_none(wire: OpcUaTransport) -> None:
    driver = driver_of(wire, settings(functions={"jacket": Function(("Jacket",), KIND.ANALOG_CONTROL, "degC")}))
    assert driver.limit("set_jacket", "jacket") is None
    driver.identify()
    assert driver.limit("set_jacket", "jacket") == Limit(0.0, 150.0)
    with pytest.raises(LimitError, match="allowed 0 to 150 degC"):
        driver.perform(ask("set_jacket", jacket=151.0))


# --------------------------------------------------------------------- the lock


async def _locking(url: str, work: Callable[[], object]) -> None:
    """Do something while another client holds the reactor's lock."""
    client = Client(url)
    client.application_uri = "urn:elsewhere:hplc"
    async with client:
        ns = [await client.get_namespace_index(f"http://opcfoundation.org/UA/{name}/") for name in ("DI", "LADS")]
        own = await client.get_namespace_index("urn:witness")
        steps = (f"{ns[0]}:DeviceSet", f"{own}:Witness", f"{ns[1]}:FunctionalUnitSet", f"{own}:Reactor", f"{ns[0]}:Lock")
        lock = await client.nodes.objects.get_child(list(steps))
        await lock.call_method(f"{ns[0]}:BreakLock")  # an earlier test's, whose session has ended
        assert await lock.call_method(f"{ns[0]}:InitLock", "HPLC run") == 0
        await asyncio.to_thread(work)
        assert await lock.call_method(f"{ns[0]}:ExitLock") == 0


def test_a_unit_that_another_client_has_locked_is_refused_by_name_and_can_still_be_made_safe(
    device: LadsDevice, wire: OpcUaTransport
) -> None:
    driver = driver_of(wire, settings(functions=FUNCTIONS))

    def work() -> None:
        for act in (driver.arm, lambda: driver.perform(ask("lamp_on"))):
            with pytest.raises(DeviceError, match=r"unit Reactor is locked by urn:elsewhere:hplc.*; expected it free") as caught:
                act()
            assert caught.value.sent is Sent.NO
        began = time.monotonic()
        driver.make_safe("jacket-stop")
        driver.make_safe("abort")
        assert time.monotonic() - began < 2.0

    asyncio.run(_locking(device.url, work))
    driver.arm()
    driver.perform(ask("lamp_off"))


def test_a_lock_of_our_own_earlier_session_is_broken_and_taken(device: LadsDevice, wire: OpcUaTransport) -> None:
    earlier = OpcUaTransport(device.url)
    driver_of(earlier, settings(functions=FUNCTIONS)).arm()
    driver = driver_of(wire, settings(functions=FUNCTIONS))
    device.tell(breakable=False)
    with pytest.raises(DeviceError, match=rf"locked by {wire.application_uri}.* for another \d+ s"):
        driver.arm()
    device.tell(breakable=True)
    driver.arm()
    driver.arm()
    driver.refresh()
    driver.perform(ask("lamp_off"))
    earlier.close()


def test_a_lock_whose_nodes_do_nothing_is_done_without_and_said_once(wire: OpcUaTransport, caplog: pytest.LogCaptureFixture) -> None:
    driver = driver_of(wire, settings("Bare"))
    with caplog.at_level(logging.WARNING, logger="instruments.drivers.lads_lock"):
        for _ in range(3):
            driver.arm()
            driver.refresh()
    (said,) = caplog.messages
    assert "unit Bare cannot be locked, its nodes are there and do nothing (BadInternalError)" in said


# --------------------------------------------------------------------- tables


def test_codes_of_units_are_the_ones_that_node_opcua_has() -> None:
    script = (
        "const units = Object.values(require('node-opcua-data-access').standardUnits);"
        "console.log(JSON.stringify(units.map((one) => [one.unitId, one.namespaceUri])))"
    )
    done = subprocess.run([node(), "-e", script], cwd=NODE, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[0])
    told = {
        unit_of(NodeValue(Structure("EUInformation", {"UnitId": number, "NamespaceUri": uri, "DisplayName": "?"}), "Good", "good"))
        for number, uri in found
    }
    assert set(CODES.values()) <= told


def test_what_a_server_offers_is_browsed(wire: OpcUaTransport) -> None:
    (witness,) = offered(wire)
    assert (witness.name, witness.model, witness.serial_number) == ("Witness", "Witness 1", "W-7")
    units = {one.name: one for one in witness.units}
    assert set(units) == {"Reactor", "Bare", "Other"}
    assert units["Reactor"].programs == ("Characterise", "Rinse")
    found = {one.path: (one.kind, one.unit, one.span) for one in units["Reactor"].functions}
    assert {path: kind for path, (kind, _, _) in found.items()} == {one.path: one.kind for one in FUNCTIONS.values()}
    assert units["Reactor"].others == ()
    assert found[("Drive", "Flow")] == (KIND.MULTI_MODE_CONTROL, "mL/min", (0.0, 20.0))
    assert found[("Pump",)] == (KIND.TOTALIZING_CONTROL, "mL/min", (0.0, 10.0))


def test_browsing_a_server_writes_a_stub_and_holds_its_lock(device: LadsDevice, capsys: pytest.CaptureFixture[str]) -> None:
    browse(device.url)
    stub = capsys.readouterr().out
    step = '[[procedure.steps]]\ndo = "witness_reactor.set_jacket"\nwith = { jacket = "40 degC" }\n'
    bench = parse_bench(f'[bench]\nname = "a"\nreduction = "cdse-emission/1"\n{stub}\n{step}', Path("bench.toml"))
    assert bench.settings("witness_reactor").functions["pump"].total_unit == "mL"
    with EndpointLocks([device.url], what="a test"), pytest.raises(BadInput, match="a test"):
        browse(device.url)
    with pytest.raises(BadInput, match="is no serial port of this machine"):
        browse("/dev/ttyUSB0")
