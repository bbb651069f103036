"""The platform's server as plants have them: locks, limits per request, German, states that are Bad for a moment, reboots."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import BadLocked, BadTooManyOperations, BadUserAccessDenied, UaError

from tests.simulator.plant_process import EXAMPLE, LIVENESS, PlantProcess, Platform

pytestmark = pytest.mark.slow

LIMIT = 25
LOCK_S = 3.0


def start(folder: Path, keys: str) -> PlantProcess:
    """Start a plant whose platform has more keys in its section."""
    text, serial = EXAMPLE.read_text(), 'serial_number = "SP-0042"'
    assert serial in text
    file = folder / "plant.toml"
    file.write_text(text.replace(serial, f"{serial}\n{keys}"))
    return PlantProcess.start(folder / "plant", rate=120.0, plant=file)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    running = start(tmp_path_factory.mktemp("plant"), f"longest_lock_s = {LOCK_S}")
    yield running
    assert running.stop() == b""


def apart(plant: PlantProcess, work: Callable[[Platform], Coroutine[Any, Any, None]], application: str = "urn:test:client") -> None:
    """Do something with a connection of its own."""

    async def connected() -> None:
        async with Platform(plant.url, application) as platform:
            await work(platform)

    asyncio.run(connected())


def test_a_request_of_too_many_nodes_is_refused_and_the_limit_is_told(tmp_path: Path) -> None:
    limited = start(tmp_path, f"most_nodes = {LIMIT}")

    async def ask() -> None:
        async with Client(limited.url) as client:
            names = ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
            assert await client.get_node(names).read_value() == LIMIT
            state = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_State))
            assert len(await client.uaclient.read_attributes([state] * LIMIT, AttributeIds.Value)) == LIMIT
            with pytest.raises(BadTooManyOperations):
                await client.uaclient.read_attributes([state] * (LIMIT + 1), AttributeIds.Value)

    asyncio.run(ask())
    assert limited.stop() == b""


def test_a_lock_keeps_others_from_starting_and_writing_until_its_holder_has_been_silent(plant: PlantProcess) -> None:
    async def hold(one: Platform) -> None:
        async with Platform(plant.url, "urn:test:other") as two:
            assert await one.lock("InitLock", "a campaign") == 0
            assert await two.lock("InitLock", "another") == -1
            assert await two.locked() == (True, "urn:test:client")
            with pytest.raises(BadLocked):
                await two.start("kept out", "D1")
            target = await two.below(two.unit, "FunctionSet", "x:Lamp", "TargetValue")
            with pytest.raises(BadLocked):
                await target.write_value(ua.DataValue(ua.Variant(True, ua.VariantType.Boolean)))
            with pytest.raises(BadUserAccessDenied):
                await two.lock("ExitLock")
            assert await two.current_state() == "Stopped"
            await two.call("Abort")
            await two.lamp("Stop")
            assert await one.lock("RenewLock") == 0
            await asyncio.sleep(LOCK_S + 0.2)
            assert await one.lock("RenewLock") == -1
            await two.start("let in", "D2")
            await two.call("Stop")

    apart(plant, hold)
    assert [line["run_key"] for line in plant.truth("platform", "start")] == ["let in"]


def test_what_the_holder_does_starts_its_time_anew(plant: PlantProcess) -> None:
    async def act(one: Platform) -> None:
        await one.lock("InitLock", "")
        for turn in range(4):
            await asyncio.sleep(LOCK_S / 2)
            await one.start(f"held {turn}", f"E{turn + 1}")
            await one.call("Stop")
        assert (await one.locked())[0]

    apart(plant, act)


def test_a_lock_goes_with_its_session_and_anybody_may_break_it(plant: PlantProcess) -> None:
    async def leave(one: Platform) -> None:
        assert await one.lock("InitLock", "") == 0

    async def follow(two: Platform) -> None:
        async with Platform(plant.url, "urn:test:third") as three:
            assert await two.lock("InitLock", "") == 0
            assert await three.lock("BreakLock") == 0
            assert await three.locked() == (False, "")

    apart(plant, leave)
    apart(plant, follow, "urn:test:other")


async def status_of(node: Node) -> str:
    value = await node.read_data_value(raise_on_bad_status=False)
    return "Good" if value.StatusCode is None else value.StatusCode.name


def test_a_state_is_bad_for_a_moment_after_a_start(plant: PlantProcess) -> None:
    plant.inject("platform", "state-bad", delay_s=0.6)

    async def start(platform: Platform) -> None:
        state = await platform.state.get_child("0:CurrentState")
        await platform.start("dark", "F1")
        assert await status_of(state) == "BadWaitingForInitialData"
        async with asyncio.timeout(LIVENESS):
            while await status_of(state) != "Good":
                await asyncio.sleep(0.05)
        await platform.call("Stop")

    apart(plant, start)


def test_a_server_that_speaks_german_says_the_same_by_id_and_number(plant: PlantProcess) -> None:
    plant.inject("platform", "translated-states", now=True)

    async def look(platform: Platform) -> None:
        async with asyncio.timeout(LIVENESS):
            while await platform.current_state() != "Angehalten":
                await asyncio.sleep(0.05)
        current = await platform.state.get_child("0:CurrentState")
        said = [await (await current.get_child(f"0:{name}")).read_value() for name in ("Id", "Number")]
        assert said == [ua.NodeId.from_string(f"ns={platform.lads};i=5085"), 4]

    try:
        apart(plant, look)
    finally:
        assert plant.ask({"op": "repair", "device": "platform"})["ok"]


def test_a_reply_comes_late_and_the_program_has_begun_long_before(plant: PlantProcess) -> None:
    plant.inject("platform", "late-reply", delay_s=1.5)

    async def start(platform: Platform) -> None:
        before = time.monotonic()
        await platform.start("late", "F2")
        assert time.monotonic() - before >= 1.5

    apart(plant, start)
    assert [line["run_key"] for line in plant.truth("platform", "start")][-1] == "late"


def test_a_call_with_too_few_arguments_is_refused_and_starts_nothing(plant: PlantProcess) -> None:
    async def call(platform: Platform) -> None:
        with pytest.raises(UaError, match="Argument"):
            await platform.state.call_method(f"{platform.lads}:StartProgram", "Rinse")

    apart(plant, call)


def test_a_reboot_shows_in_the_start_time_and_takes_connections_and_lock_with_it(plant: PlantProcess) -> None:
    async def cut(platform: Platform) -> None:
        await platform.lock("InitLock", "")
        before.append(await platform.started())
        plant.inject("platform", "power-cycle", now=True)
        async with asyncio.timeout(LIVENESS):
            while await answers(platform):
                await asyncio.sleep(0.05)

    async def answers(platform: Platform) -> bool:
        try:
            await platform.started()
        except (ConnectionError, UaError, TimeoutError):
            return False
        return True

    async def back(platform: Platform) -> None:
        assert await platform.started() > before[0]
        whole = await platform.client.get_node(ObjectIds.Server_ServerStatus).read_value()
        assert whole.StartTime == await platform.started()
        assert await platform.locked() == (False, "")
        assert await platform.current_state() == "Stopped"

    before: list[Any] = []
    apart(plant, cut)
    apart(plant, back)
