"""Our driver on a LADS device that nobody here wrote, with all at once that servers in the field are hard by.

It takes 25 nodes a request and holds 4,000 results of long ago; its lock works on one unit and does nothing on the others.
"""

import asyncio
import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from flows.cli.file_commands import browse
from instruments.bench.file import parse_bench
from instruments.drivers.functions import Function, FunctionKind
from instruments.drivers.lads import LadsUnit
from instruments.drivers.lads_browsing import offered
from instruments.drivers.lads_paths import UnitPaths, lads
from instruments.drivers.lads_units import CODES, unit_of
from instruments.drivers.protocol import Call, Driver, Limit, Outcome, Progress, Settings, StepVerdict
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.transport.base import NodeValue, Structure
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import BadInput, DeviceError, LimitError, LinkError, Sent
from tests.foreign import NODE
from tests.foreign.lads_device import DEFAULTS, LadsDevice, lads_device, node
from tests.instrument.cases import CLOCK

pytestmark = [pytest.mark.slow, pytest.mark.foreign]

_T = TypeVar("_T")
LIMIT = 30.0
OLD = 4000
KIND = FunctionKind
FUNCTIONS = {
    "jacket": Function(("Jacket",), KIND.ANALOG_CONTROL, "degC", span=(0.0, 100.0)),
    "inlet": Function(("Jacket", "Inlet"), KIND.ANALOG_SCALAR_SENSOR, "degC"),
    "pump": Function(("Pump",), KIND.TOTALIZING_CONTROL, "mL/min", "mL"),
    "lamp": Function(("Lamp",), KIND.TWO_STATE_CONTROL),
    "valve": Function(("Valve",), KIND.MULTI_STATE_CONTROL, states=("closed", "waste", "product")),
    "hold": Function(("Hold",), KIND.TIMER_CONTROL),
    "lid": Function(("Lid",), KIND.COVER),
    "pressure": Function(("Pressure",), KIND.ANALOG_SCALAR_SENSOR, "bar"),
    "spectrum": Function(("Spectrum",), KIND.ANALOG_ARRAY_SENSOR, "V"),
    "door": Function(("Door",), KIND.TWO_STATE_SENSOR),
    "rack": Function(("Rack",), KIND.MULTI_STATE_SENSOR, states=("empty", "full")),
}


@pytest.fixture(scope="module")
def running() -> Iterator[LadsDevice]:
    with lads_device(maxNodes=25, old=OLD) as device:
        yield device


@pytest.fixture
def device(running: LadsDevice) -> LadsDevice:
    running.tell(**DEFAULTS)
    return running


@pytest.fixture
def wire(device: LadsDevice) -> Iterator[OpcUaTransport]:
    transport = OpcUaTransport(device.url)
    yield transport
    transport.close()


def settings(unit: str = "Reactor", functions: Mapping[str, Function] | None = None) -> Settings:
    options = {"device": "Witness", "unit": unit, "outcome": "Ende"}
    return Settings("reactor", serial_number="W-7", model="Witness 1", options=options, functions=functions or {})


def driver_of(wire: OpcUaTransport, declared: Settings) -> Driver:
    return LadsUnit.declared(declared)(wire, declared, CLOCK)


@pytest.fixture
def reactor(wire: OpcUaTransport) -> Iterator[Driver]:
    driver = driver_of(wire, settings(functions=FUNCTIONS))
    driver.identify()
    driver.arm()
    yield driver
    driver.make_safe("abort")
    driver.perform(ask("clear"))


def ask(command: str, **arguments: float | str) -> Call:
    return Call(command, arguments, "run", "campaign")


def program(key: str, template: str = "Characterise") -> Call:
    return Call("run_program", {"template": template, "integration_time": 0.1}, f"{key}-{time.monotonic_ns()}", "campaign", "A1")


def end(driver: Driver, call: Call, baseline: Mapping[str, Any]) -> Outcome:
    until = time.monotonic() + LIMIT
    while (outcome := driver.outcome(call, baseline)).progress is Progress.RUNNING:
        assert time.monotonic() < until, "no end"
        time.sleep(0.05)
    return outcome


def starts(device: LadsDevice, call: Call) -> int:
    """How often the device itself says that it has started a run."""
    return sum(one["started"] == call.run_key for one in device.started)


def runs_once(device: LadsDevice, driver: Driver, call: Call) -> Outcome:
    """Run a program to its end, finding it in between as a restarted host would."""
    baseline = driver.baseline(call)
    assert driver.perform(call) == call.arguments
    assert driver.reconcile(call, baseline).verdict in (StepVerdict.RUNNING, StepVerdict.FINISHED)
    outcome = end(driver, call, baseline)
    assert driver.reconcile(call, baseline).verdict is StepVerdict.FINISHED
    assert starts(device, call) == 1
    return outcome


# --------------------------------------------------------------------- programs


def test_the_device_says_what_it_is_on_itself(reactor: Driver) -> None:
    identity = reactor.identify()
    assert (identity.model, identity.serial_number, identity.firmware) == ("Witness 1", "W-7", "2.182")
    assert identity.boot_id is not None


def test_a_program_runs_once_and_brings_its_result(device: LadsDevice, reactor: Driver) -> None:
    outcome = runs_once(device, reactor, program("whole"))
    assert (outcome.progress, outcome.code) == (Progress.FINISHED, "completed")
    readings = {one.channel: (one.value, one.array, one.unit, one.quality) for one in outcome.readings}
    assert readings == {"Absorbance": (0.25, None, "percent", "good"), "Spectrum": (None, (1.0, 2.0, 4.0), "", "good")}


def test_an_aborted_program_has_failed_and_the_unit_is_ready_for_the_next(device: LadsDevice, reactor: Driver) -> None:
    device.tell(program=20_000)
    call = program("cancelled")
    baseline = reactor.baseline(call)
    reactor.perform(call)
    reactor.cancel(call)
    assert (outcome := reactor.outcome(call, baseline)).progress is Progress.FAILED
    assert outcome.code == "aborted"
    assert reactor.read(["state"])[0].text == "Stopped"


def test_what_the_device_does_not_offer_is_not_started(device: LadsDevice, reactor: Driver) -> None:
    call = program("unknown", "Synthesise")
    with pytest.raises(DeviceError, match="no program 'Synthesise'; it offers Characterise, Rinse") as caught:
        reactor.perform(call)
    assert caught.value.sent is Sent.NO
    assert starts(device, call) == 0


def test_a_unit_without_any_optional_member_runs_programs_too(device: LadsDevice, wire: OpcUaTransport) -> None:
    bare = driver_of(wire, replace(settings("Bare"), options={"device": "Witness", "unit": "Bare"}))
    bare.identify()
    bare.arm()
    outcome = runs_once(device, bare, program("bare"))
    assert (outcome.progress, outcome.code) == (Progress.FINISHED, None)
    device.tell(program=20_000)
    call = program("bare, cut short")
    bare.perform(call)
    bare.make_safe("abort")
    assert bare.outcome(call, {}).code == "aborted"


def test_arguments_in_another_order_are_given_by_name(device: LadsDevice, wire: OpcUaTransport) -> None:
    other = driver_of(wire, settings("Other"))
    other.arm()
    outcome = runs_once(device, other, program("other"))
    assert outcome.code == "completed"
    assert device.started[-1]["template"] == "Characterise"


# --------------------------------------------------------------------- hard servers


def test_a_server_that_speaks_german_is_understood(device: LadsDevice, reactor: Driver) -> None:
    device.tell(german=True)
    (state,) = reactor.read(["state"])
    assert state.text == "Stopped"
    assert json.loads(state.raw)["value"] == "Gestoppt"
    assert runs_once(device, reactor, program("german")).code == "completed"


def test_a_state_that_is_bad_for_a_moment_after_the_start_is_waited_out(device: LadsDevice, reactor: Driver) -> None:
    device.tell(badFor=400)
    assert runs_once(device, reactor, program("bad")).code == "completed"


def test_a_start_that_is_answered_after_4_s_is_awaited(device: LadsDevice, reactor: Driver) -> None:
    device.tell(replyAfter=4000, program=6000)
    assert runs_once(device, reactor, program("late")).code == "completed"


def test_a_start_that_is_answered_too_late_is_found_by_its_task(device: LadsDevice, reactor: Driver) -> None:
    device.tell(replyAfter=8000, program=12_000)
    call = program("too late")
    baseline = reactor.baseline(call)
    with pytest.raises(LinkError) as caught:
        reactor.perform(call)
    assert caught.value.sent is Sent.MAYBE
    device.tell(**DEFAULTS)
    assert _patiently(lambda: reactor.reconcile(call, baseline)).verdict is StepVerdict.RUNNING
    assert _patiently(lambda: end(reactor, call, baseline)).code == "completed"
    assert starts(device, call) == 1


def _patiently(work: Callable[[], _T]) -> _T:
    until = time.monotonic() + LIMIT
    while True:
        try:
            return work()
        except LinkError:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_request_for_more_nodes_than_the_server_takes_is_split(device: LadsDevice, wire: OpcUaTransport) -> None:
    old = wire.objects(UnitPaths.of("Witness", "Reactor").results)[:60]
    values = wire.look([(*path, lads("SupervisoryTaskId")) for path in old])
    assert [value.value for value in values if value is not None and value.value] == [f"old-{index}" for index in range(1, 60, 2)]

    async def in_one() -> None:
        async with Client(device.url) as client:
            await client.uaclient.read_attributes([ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus))] * 26, AttributeIds.Value)

    with pytest.raises(ua.uaerrors.BadTooManyOperations):
        asyncio.run(in_one())


def test_a_run_is_found_among_4000_old_results_without_reading_them_again(device: LadsDevice, reactor: Driver) -> None:
    call = program("newest")
    baseline = reactor.baseline(call)
    assert baseline["results"] >= OLD
    reactor.perform(call)
    assert end(reactor, call, baseline).progress is Progress.FINISHED
    fresh = OpcUaTransport(device.url)
    try:
        after_a_crash = driver_of(fresh, settings(functions=FUNCTIONS))
        began = time.monotonic()
        assert after_a_crash.reconcile(call, baseline).verdict is StepVerdict.FINISHED
        assert after_a_crash.reconcile(program("never"), after_a_crash.baseline(call)).verdict is StepVerdict.NOT_EXECUTED
        assert time.monotonic() - began < LIMIT
    finally:
        fresh.close()


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


# --------------------------------------------------------------------- a server that is started anew


def test_a_server_that_is_started_anew_in_mid_run_has_lost_the_program_and_is_never_asked_twice() -> None:
    with lads_device() as device:
        wire = OpcUaTransport(device.url)
        driver = driver_of(wire, settings(functions=FUNCTIONS))
        driver.arm()
        device.tell(program=600_000)
        call = program("cut")
        baseline = driver.baseline(call)
        driver.perform(call)
        device.kill()
        with pytest.raises(LinkError):
            _fails(lambda: driver.outcome(call, baseline))
        device.start()
        outcome = _patiently(lambda: driver.outcome(call, baseline))
        assert (outcome.progress, outcome.code) == (Progress.FAILED, "restarted")
        assert driver.reconcile(call, baseline).verdict is StepVerdict.UNDECIDABLE
        assert starts(device, call) == 1
        wire.close()


def _fails(work: Callable[[], object]) -> None:
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        work()
        time.sleep(0.05)


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


def test_a_unit_that_does_not_say_its_state_is_taken_at_its_acknowledgement(device: LadsDevice, reactor: Driver) -> None:
    device.tell(badFor=60_000, program=5000)
    call = program("blind")
    baseline = reactor.baseline(call)
    reactor.perform(call)
    assert reactor.outcome(call, baseline).progress is Progress.RUNNING
    device.tell(**DEFAULTS)
    assert end(reactor, call, baseline).code == "completed"


def test_what_a_server_offers_is_browsed(wire: OpcUaTransport) -> None:
    (witness,) = offered(wire)
    assert (witness.name, witness.model, witness.serial_number) == ("Witness", "Witness 1", "W-7")
    units = {one.name: one for one in witness.units}
    assert set(units) == {"Reactor", "Bare", "Other"}
    assert units["Reactor"].programs == ("Characterise", "Rinse")
    found = {one.path: (one.kind, one.unit, one.span) for one in units["Reactor"].functions}
    assert {path: kind for path, (kind, _, _) in found.items()} == {one.path: one.kind for one in FUNCTIONS.values()}
    assert found[("Pump",)] == (KIND.TOTALIZING_CONTROL, "mL/min", (0.0, 10.0))


def test_browsing_a_server_writes_a_stub_and_holds_its_lock(device: LadsDevice, capsys: pytest.CaptureFixture[str]) -> None:
    browse(device.url)
    stub = capsys.readouterr().out
    step = '[[procedure.steps]]\ndo = "witness_reactor.set_jacket"\nwith = { jacket = "40 degC" }\n'
    bench = parse_bench(f'[bench]\nname = "a"\nreduction = "cdse-emission/1"\n{stub}\n{step}', Path("bench.toml"))
    assert bench.settings("witness_reactor").functions["pump"].total_unit == "mL"
    with EndpointLocks([device.url], what="a test"), pytest.raises(BadInput, match="a test"):
        browse(device.url)
    with pytest.raises(BadInput, match="is no address of an OPC-UA server"):
        browse("/dev/ttyUSB0")
