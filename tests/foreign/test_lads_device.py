"""Our driver on a LADS device that nobody here wrote, with all at once that servers in the field are hard by: its programs."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from instruments.drivers.lads_paths import UnitPaths, lads
from instruments.drivers.protocol import Call, Driver, Outcome, Progress, StepVerdict
from instruments.transport.opcua import OpcUaTransport
from orchestrator.errors import DeviceError, LinkError, Sent
from tests.foreign.lads_device import DEFAULTS, LadsDevice, lads_device
from tests.foreign.reactor import FUNCTIONS, LIMIT, driver_of, settings

pytestmark = [pytest.mark.slow, pytest.mark.foreign]

_T = TypeVar("_T")
OLD = 4000


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


def test_a_unit_that_does_not_say_its_state_is_taken_at_its_acknowledgement(device: LadsDevice, reactor: Driver) -> None:
    device.tell(badFor=60_000, program=5000)
    call = program("blind")
    baseline = reactor.baseline(call)
    reactor.perform(call)
    assert reactor.outcome(call, baseline).progress is Progress.RUNNING
    device.tell(**DEFAULTS)
    assert end(reactor, call, baseline).code == "completed"
