"""A whole plant in its own process, on its real wires."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.node import Node
from asyncua.ua.uaerrors import UaError

from simulators.modbus_rtu import crc16
from tests.simulator.plant_process import EXAMPLE, LIVENESS, START_LIMIT, PlantProcess, Platform, Wire, eventually, launch

pytestmark = pytest.mark.slow

RATE = 120.0


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    running = PlantProcess.start(tmp_path_factory.mktemp("plant"), rate=RATE)
    yield running
    assert running.stop() == b""
    assert running.process.returncode == 0


def acknowledge(wire: Wire) -> None:
    for address in "123":
        wire.pump(address)
        wire.pump(f"{address}STP")
        wire.pump(f"{address}STP")


async def until(platform: Platform, state: str) -> None:
    async with asyncio.timeout(LIVENESS):
        while await platform.current_state() != state:
            await asyncio.sleep(0.05)


async def characterise(plant: PlantProcess, task: str, position: str, time: str = "0.1") -> str:
    async with Platform(plant.url) as platform:
        run_id = await platform.start(task, position, time=time)
        await until(platform, "Stopped")
        return await platform.outcome(run_id)


def test_the_announcement_says_where_everything_is(plant: PlantProcess) -> None:
    announced = plant.endpoints
    assert announced["pid"] == plant.process.pid
    assert (announced["seed"], announced["rate"], announced["bench_sha256"]) == (1, RATE, "ab" * 32)
    assert set(announced["endpoints"]) == {"pumps", "oven", "platform"}
    assert len(announced["control"]) <= 107
    assert plant.ask({"op": "ping"})["boot_id"] == announced["boot_id"]


def test_pumps_and_oven_answer_plain_serial_clients(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps")) as pumps, Wire(plant.port("oven")) as oven:
        acknowledge(pumps)
        assert pumps.pump("2VER") == b"\x0202SNE1000V3.928\x03"
        assert oven.modbus("01 03 00 7a 00 01", 7)[3:5] == b"\x32\x16"


def test_a_campaigns_experiment_runs_from_flows_and_heat_to_a_spectrum(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps")) as pumps, Wire(plant.port("oven")) as oven:
        acknowledge(pumps)
        oven.modbus("01 06 00 02 09 60", 8)
        oven.modbus("01 06 01 11 00 00", 8)
        eventually(lambda: abs(plant.ask({"op": "state"})["oven"]["temperature_degc"] - 240.0) < 1.0)
        for address, rate in (("1", "0.5"), ("2", "0.5"), ("3", "1.0")):
            for command in (f"RAT{rate}MM", "VOL50", "CLDINF", "RUN"):
                assert b"?" not in pumps.pump(address + command)
        eventually(lambda: plant.ask({"op": "state"})["pump_se"]["infused_ml"] > 3.0)
        outcome = asyncio.run(observe_experiment(plant))
        acknowledge(pumps)
    assert outcome == "completed"
    (vial,) = [line["values"] for line in plant.truth("tube", "sample") if line["run_key"] == "whole"]
    assert vial["residence_time_s"] == pytest.approx(60.0, rel=0.02)
    assert vial["temperature_degc"] == pytest.approx(240.0, abs=1.0)
    assert {name: vial[f"{name}_mol_per_l"] for name in ("Cd", "Se", "L")} == pytest.approx({"Cd": 0.03, "Se": 0.015, "L": 2.0}, rel=0.02)
    assert [line["values"]["outcome"] for line in plant.truth("platform", "finish") if line["run_key"] == "whole"] == ["completed"]


async def observe_experiment(plant: PlantProcess) -> str:
    async with Platform(plant.url) as platform:
        run_id = await platform.start("whole", "A1")
        assert await platform.current_state() == "Running"
        result = await platform.result(run_id)
        assert (await platform.value(result, "SupervisoryTaskId"), await platform.value(result, "SupervisoryJobId")) == (
            "whole",
            "campaign",
        )
        assert (await platform.value(result, "Stopped")).year == 1601
        manager = await platform.below(platform.unit, "ProgramManager")
        assert (await platform.value(manager, "ActiveProgram", "CurrentProgramTemplate")).Name.Text == "Characterise"
        assert await platform.value(manager, "ActiveProgram", "DeviceProgramRunId") == run_id
        await until(platform, "Stopped")
        assert (await platform.value(result, "Stopped")).year > 2000
        assert [sample.Position for sample in await platform.value(result, "Samples")] == ["A1"]
        assert [(pair.Key, pair.Value) for pair in await platform.value(result, "Properties")] == [("integration_time", "0.1")]
        await check_spectra(platform, await platform.below(result, "VariableSet"))
        return await platform.outcome(run_id)


async def check_spectra(platform: Platform, variables: Node) -> None:
    wavelength, dark, sample = [await platform.value(variables, f"x:{name}") for name in ("Wavelength", "Dark", "Sample")]
    assert wavelength == [float(nm) for nm in range(400, 751)]
    assert max(sample) > 3.0 * max(dark)
    assert 500.0 < wavelength[sample.index(max(sample))] < 680.0
    assert await platform.value(variables, "x:ReferenceQuantumYield") == 0.95
    assert 0.1 < await platform.value(variables, "x:Conversion") <= 1.0
    units = {
        name: (await (await (await platform.below(variables, f"x:{name}")).get_child("0:EngineeringUnits")).read_value())
        for name in ("Wavelength", "Sample", "IntegrationTime")
    }
    assert {name: unit.DisplayName.Text for name, unit in units.items()} == {
        "Wavelength": "nm",
        "Sample": "counts",
        "IntegrationTime": "s",
    }


def test_the_same_task_is_started_once_and_other_content_is_refused(plant: PlantProcess) -> None:
    async def starts() -> None:
        async with Platform(plant.url) as platform:
            first = await platform.start("twice", "A2")
            with pytest.raises(ua.uaerrors.BadInvalidState):
                await platform.start("meanwhile", "A3")
            with pytest.raises(ua.uaerrors.BadEntryExists):
                await platform.start("twice", "A2", time="0.2")
            await until(platform, "Stopped")
            assert await platform.start("twice", "A2") == first
            with pytest.raises(ua.uaerrors.BadInvalidArgument):
                await platform.start("other", "A3", template="Synthesise")

    asyncio.run(starts())
    assert len([line for line in plant.truth("platform", "start") if line["run_key"] == "twice"]) == 1
    assert len([line for line in plant.truth("platform", "start-repeated") if line["run_key"] == "twice"]) == 1


def test_a_vial_can_be_used_once(plant: PlantProcess) -> None:
    asyncio.run(characterise(plant, "first use", "B1"))
    assert asyncio.run(characterise(plant, "second use", "B1")) == "position-used"
    used = {line["run_key"]: line["values"]["position_used"] for line in plant.truth("platform", "start")}
    assert (used["first use"], used["second use"]) == (False, True)


def test_a_lost_start_reply_still_ran_and_is_found_by_its_task(plant: PlantProcess) -> None:
    plant.inject("platform", "start-reply-lost")

    async def lose() -> None:
        async with Platform(plant.url) as platform:
            await platform.start("lost reply", "C1")

    with pytest.raises((ConnectionError, UaError, TimeoutError)):
        asyncio.run(lose())
    assert asyncio.run(characterise(plant, "lost reply", "C1")) not in ("", "aborted")
    assert len([line for line in plant.truth("platform", "start") if line["run_key"] == "lost reply"]) == 1


def test_a_wrong_template_runs_silently(plant: PlantProcess) -> None:
    plant.inject("platform", "wrong-template")

    async def run() -> str:
        async with Platform(plant.url) as platform:
            await platform.start("wrong", "C2")
            manager = await platform.below(platform.unit, "ProgramManager")
            template = await platform.value(manager, "ActiveProgram", "CurrentProgramTemplate")
            await until(platform, "Stopped")
            return str(template.Name.Text)

    assert asyncio.run(run()) == "Rinse"


def test_a_program_fails_with_the_injected_code_and_leaves_no_spectra(plant: PlantProcess) -> None:
    plant.inject("platform", "program-failure", code="lamp-failed")
    assert asyncio.run(characterise(plant, "failing", "C3")) == "lamp-failed"


def test_a_program_aborted_by_itself_leaves_the_platform_aborted_until_cleared(plant: PlantProcess) -> None:
    plant.inject("platform", "abort-mid-run")

    async def run() -> str:
        async with Platform(plant.url) as platform:
            run_id = await platform.start("aborting", "C4")
            await until(platform, "Aborted")
            await platform.call("Clear")
            await until(platform, "Stopped")
            return await platform.outcome(run_id)

    assert asyncio.run(run()) == "aborted"


def test_a_bad_status_comes_with_a_plausible_spectrum(plant: PlantProcess) -> None:
    plant.inject("platform", "bad-status")

    async def run() -> bool:
        async with Platform(plant.url) as platform:
            run_id = await platform.start("bad", "C5")
            await until(platform, "Stopped")
            sample = await platform.below(await platform.result(run_id), "VariableSet", "x:Sample")
            value = await sample.read_data_value(raise_on_bad_status=False)
            return bool(value.StatusCode is not None and value.StatusCode.is_bad())

    assert asyncio.run(run())


def test_abort_ends_the_run_and_a_client_cannot_write_what_is_read_only(plant: PlantProcess) -> None:
    async def run() -> str:
        async with Platform(plant.url) as platform:
            run_id = await platform.start("abort by hand", "C6")
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await (await platform.below(await platform.result(run_id), "SupervisoryTaskId")).write_value("mine")
            await platform.call("Abort")
            assert await platform.current_state() == "Aborted"
            await platform.call("Clear")
            return await platform.outcome(run_id)

    assert asyncio.run(run()) == "aborted"


def test_the_platforms_watchdog_lapses_unless_it_is_kicked(plant: PlantProcess) -> None:
    async def run() -> None:
        async with Platform(plant.url) as platform:
            watchdog = await platform.below(platform.device, "x:WatchdogTimeout")
            await platform.lamp("StartWithTargetValue", True)
            assert await platform.value(platform.unit, "FunctionSet", "x:Lamp", "CurrentValue")
            await watchdog.write_value(ua.DataValue(ua.Variant(1.0, ua.VariantType.Double)))
            await platform.device.call_method(f"{platform.own}:Kick")
            async with asyncio.timeout(LIVENESS):
                while await platform.value(platform.unit, "FunctionSet", "x:Lamp", "CurrentValue"):
                    await asyncio.sleep(0.1)

    asyncio.run(run())
    assert plant.truth("platform", "safe-state")[-1]["values"]["cause"] == "watchdog"


def test_a_dose_ends_by_itself_and_the_truth_knows_its_volume(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps")) as pumps:
        acknowledge(pumps)
        for command in ("1RAT2MM", "1VOL0.75", "1CLDINF", "1RUN"):
            pumps.pump(command)
        eventually(lambda: pumps.pump("1DIS") == b"\x0201SI0.750W0.000ML\x03")
    end = plant.truth("pump_cd", "dose")[-1]
    assert (end["values"]["phase"], end["values"]["cause"]) == ("end", "volume reached")
    assert end["values"]["volume_ml"] == pytest.approx(0.75)


def test_the_pumps_safe_mode_stops_the_pump_of_a_silent_client(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps")) as pumps:
        acknowledge(pumps)
        pumps.pump("3RAT0.01MM")
        pumps.pump("3VOL0")
        pumps.pump("3RUN")
        pumps.pump("3SAF1")
        eventually(lambda: plant.ask({"op": "state"})["pump_l"]["alarm"] == "T")
        assert plant.ask({"op": "state"})["pump_l"]["motion"] == "S"
        pumps.serial.write(b"\x02\x09" + b"3SAF0" + b"\x00\x00\x03")  # a bad checksum is not obeyed
        assert b"?COM" in pumps.serial.read_until(b"\x03")
    plant.inject("pump_l", "power-cycle", now=True)


def test_serial_faults_do_on_the_wire_what_they_are_called(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps"), timeout=0.3) as pumps:
        acknowledge(pumps)
        assert pumps.pump("1RAT1MM") == b"\x0201S\x03"
        plant.inject("pump_cd", "request-lost", pattern="RAT*")
        assert pumps.pump("1RAT2MM") == b""
        assert pumps.pump("1RAT") == b"\x0201S1.000MM\x03"
        plant.inject("pump_cd", "reply-lost-after-execution", pattern="RAT*MM")
        assert pumps.pump("1RAT3MM") == b""
        assert pumps.pump("1RAT") == b"\x0201S3.000MM\x03"
        plant.inject("pump_cd", "acknowledge-and-ignore", pattern="RAT*")
        assert pumps.pump("1RAT4MM") == b"\x0201S\x03"
        assert pumps.pump("1RAT") == b"\x0201S3.000MM\x03"
        plant.inject("pump_cd", "acknowledge-and-ignore", pattern="RAT*", only="out-of-range")
        assert pumps.pump("1RAT99MM") == b"\x0201S\x03"
        plant.inject("pump_cd", "half-frame")
        assert pumps.pump("1VER") == b"\x0201SNE10"
        plant.inject("pump_cd", "byte-flip")
        flipped = pumps.pump("1VER")
        assert flipped != b"\x0201SNE1000V3.928\x03"
        pumps.serial.read(64)
        plant.inject("pump_cd", "power-cycle", nth=2)
        assert pumps.pump("1VER") == b"\x0201SNE1000V3.928\x03"
        assert pumps.pump("1VER") == b""
        assert pumps.pump("1VER") == b"\x0201A?R\x03"
    triggered = [line["values"]["fault"] for line in plant.truth("pump_cd", "fault") if line["values"]["phase"] == "triggered"]
    assert triggered.count("acknowledge-and-ignore") == 2


def test_a_late_reply_arrives_during_the_next_query(plant: PlantProcess) -> None:
    with Wire(plant.port("pumps"), timeout=0.1) as pumps:
        acknowledge(pumps)
        plant.inject("pump_se", "late-reply", pattern="RAT", delay_s=1.0)
        assert pumps.pump("2RAT") == b""
        late = bytearray()
        eventually(lambda: pumps.serial.in_waiting > 0)
        late += pumps.serial.read(64)
        assert late.startswith(b"\x0202S")
        assert late.endswith(b"MM\x03")


def test_the_oven_acknowledges_and_ignores_an_out_of_range_set_point(plant: PlantProcess) -> None:
    with Wire(plant.port("oven")) as oven:
        oven.modbus("01 06 00 02 07 d0", 8)
        plant.inject("oven", "acknowledge-and-ignore", pattern="write 2 *", only="out-of-range")
        request = bytes.fromhex("01 06 00 02 0f a0")
        assert oven.modbus("01 06 00 02 0f a0", 8) == request + crc16(request)
        assert oven.modbus("01 03 00 02 00 01", 7)[3:5] == (2000).to_bytes(2, "big")
        assert oven.modbus("01 06 00 02 0f a0", 5)[1:3] == b"\x86\x03"


def test_a_hung_oven_answers_nothing_and_a_dead_element_heats_nothing(plant: PlantProcess) -> None:
    with Wire(plant.port("oven"), timeout=0.3) as oven:
        plant.inject("oven", "no-reply", count=2)
        assert oven.modbus("01 03 00 01 00 01", 7) == oven.modbus("01 03 00 01 00 01", 7) == b""
        plant.inject("oven", "stall", now=True)
        assert plant.ask({"op": "state"})["oven"]["heater_dead"]
        assert plant.ask({"op": "repair", "device": "oven"})["ok"]
        assert not plant.ask({"op": "state"})["oven"]["heater_dead"]


def test_a_power_cut_of_the_oven_loses_its_remote_set_point(plant: PlantProcess) -> None:
    with Wire(plant.port("oven")) as oven:
        oven.modbus("01 06 00 1a 07 d0", 8)
        plant.inject("oven", "power-cycle", now=True)
        assert oven.modbus("01 03 00 1a 00 01", 7)[3:5] == b"\0\0"


def test_a_sensor_that_breaks_shows_and_only_an_oven_has_one(plant: PlantProcess) -> None:
    with Wire(plant.port("oven")) as oven:
        plant.inject("oven", "sensor-break", now=True)
        assert oven.modbus("01 03 00 4b 00 01", 7)[4] & 1 << 5
        assert plant.ask({"op": "repair", "device": "oven"})["ok"]
        assert not oven.modbus("01 03 00 4b 00 01", 7)[4] & 1 << 5
    refused = plant.ask({"op": "inject", "fault": {"device": "pump_cd", "fault": "sensor-break", "now": True}})
    assert "pump_cd cannot have fault 'sensor-break'" in refused["error"]


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"op": "dance"}, "dance"),
        ({"op": "inject", "fault": {"device": "pump_x", "fault": "stall"}}, "pump_x"),
        ({"op": "inject", "fault": {"device": "pump_cd", "fault": "wrong-template"}}, "legal"),
        ({"op": "inject", "fault": {"device": "pump_cd", "fault": "no-reply", "now": True}}, "needs a command"),
        ({"op": "inject", "fault": {"device": "pump_cd", "fault": "no-reply", "nht": 2}}, "nht"),
        ({"op": "repair", "device": "kettle"}, "kettle"),
    ],
)
def test_the_back_door_refuses_nonsense_with_a_reason(plant: PlantProcess, request_: dict[str, object], part: str) -> None:
    answer = plant.ask(request_)
    assert not answer["ok"]
    assert part in answer["error"]


def test_every_line_of_the_truth_has_the_agreed_keys_and_lab_times_that_never_run_ahead(plant: PlantProcess) -> None:
    lines = plant.truth()
    now = plant.ask({"op": "ping"})["lab_s"]
    assert all({"t", "wall", "device", "event", "values"} <= set(line) for line in lines)
    assert all(0.0 <= line["t"] <= now for line in lines)
    assert all("run_key" in line for line in lines if line["event"] in ("start", "start-repeated", "finish", "abort"))


def test_a_second_plant_on_the_folder_is_refused_in_one_line(plant: PlantProcess) -> None:
    second = launch(plant.folder, EXAMPLE)
    _, errors = second.communicate(timeout=LIVENESS)
    assert second.returncode == 1
    assert errors.count(b"\n") == 1
    assert b"another plant" in errors


@pytest.mark.long
def test_a_plant_that_is_killed_keeps_its_results_and_a_stopped_one_leaves_nothing_open(tmp_path: Path) -> None:
    first = PlantProcess.start(tmp_path, rate=RATE)
    outcome = asyncio.run(characterise(first, "kept", "A1"))
    boot = first.endpoints["boot_id"]
    first.kill()
    assert (tmp_path / "endpoints.json").exists()

    (tmp_path / "endpoints.json").unlink()
    second = PlantProcess.start(tmp_path, rate=RATE)
    assert second.endpoints["boot_id"] != boot
    assert asyncio.run(characterise(second, "kept", "A1")) == outcome
    assert asyncio.run(characterise(second, "new", "A1")) == "position-used"
    assert second.stop() == b""
    assert not (tmp_path / "endpoints.json").exists()
    assert not Path(second.endpoints["control"]).exists()
    assert not Path(second.port("pumps")).is_symlink()
    assert len([line for line in second.truth("platform", "start") if line["run_key"] == "kept"]) == 1


@pytest.mark.long
def test_a_plant_stops_cleanly_while_a_client_is_connected_and_a_program_runs(tmp_path: Path) -> None:
    plant = PlantProcess.start(tmp_path, rate=1.0)

    async def leave_running() -> None:
        async with Platform(plant.url) as platform:
            await platform.start("cut off", "A1")
            plant.process.terminate()
            await asyncio.to_thread(plant.process.wait, START_LIMIT)

    with Wire(plant.port("pumps")):
        asyncio.run(leave_running())
    assert plant.stop() == b""
    assert plant.process.returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("volume_ml = 2.0", "volume_ml = -2.0", "volume_ml"),
        ("volume_ml = 2.0", "volume_ml = 2.0\ncolour = 'red'", "colour"),
        ("address = 2", "address = 1", "different addresses"),
        ('link = "pumps"', 'link = "pomps"', "pomps"),
        ('family = "cdse"', 'family = "gold"', "cdse"),
        ("[tube]", "[tube", "not TOML"),
    ],
)
def test_a_bad_plant_file_is_refused_in_one_line_that_names_the_place(tmp_path: Path, old: str, new: str, part: str) -> None:
    file = tmp_path / "plant.toml"
    text = EXAMPLE.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    plant = launch(tmp_path / "folder", file)
    _, errors = plant.communicate(timeout=LIVENESS)
    assert plant.returncode == 1
    assert errors.count(b"\n") == 1
    assert part in errors.decode()


def test_the_announced_endpoints_are_one_json_object(plant: PlantProcess) -> None:
    announced = json.loads((plant.folder / "endpoints.json").read_text())
    assert announced == plant.endpoints
