"""Each shipped profile, and one of plain nodes, on the body that is made of it: the same driver as for the real device."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from instruments.drivers.declared.device import DeclaredDevice
from instruments.drivers.declared.profiles import shipped_profiles
from instruments.drivers.protocol import Call, Driver, Progress, StepVerdict
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput, DeviceError
from simulators.stand_in import StandIn
from tests.instrument.cases import RUN, call
from tests.stand_ins.benches import BATH, PUMP, SCALE, STEPS, Stage, bench_of, eventually, staged

LINK: Final = """
[links.{name}]
kind = "{kind}"
{place}

[instruments.{name}]
driver = "{driver}"
link = "{name}"
{more}

[[procedure.steps]]
do = "wait"
with = {{ time = "1 s" }}
"""
RESOLUTION: Final = "address = 1\noptions = { resolution = 0.1 }"
OPTIONS: Final = {
    "cavro-pump": "address = 1\noptions = { step_volume = 0.0001 }",
    "eurotherm-2200": RESOLUTION,
    "eurotherm-2400": RESOLUTION,
}
NODES: Final = """
[profile]
name = "box"
driver = "opcua"
sources = ["none: a server of these tests"]

[identity]
node = "urn:box|Box/Model"

[channels.level]
unit = "mL"
node = "urn:box|Box/Level"

[channels.setpoint]
unit = "mL"
node = ["urn:box|Box", "urn:other|Setpoint"]

[channels.dosed]
unit = "mL"
node = "Totals/Dosed"

[channels.dosing]
node = "urn:box|Box/Dosing"

[commands.set_level]
kind = "state-setting"
node = ["urn:box|Box", "urn:other|Setpoint"]
argument.level = { unit = "mL", min = 0, max = 50 }
readback = { channel = "setpoint", within = 0.001 }

[commands.dose]
kind = "dosing"
method = "urn:box|Box/Dose"
send = ["Volume = {volume:.2f}"]
argument.volume = { unit = "mL", min = 0, max = 10 }
done = { channel = "dosing", equals = 0 }
evidence = { channel = "dosed", grows_by = "volume" }
cancel = "stop"

[safe.stop]
node = ["urn:box|Box", "urn:other|Setpoint"]
value = 0
"""


def legal(driver: Driver, name: str) -> Call:
    """Return a legal call of a command."""
    arguments: dict[str, float | str] = {}
    for argument, spec in driver.COMMANDS[name].arguments.items():
        if spec.unit is None:
            arguments[argument] = str(spec.default)
            continue
        limit = driver.limit(name, argument)
        low, high = (limit.low, limit.high) if limit is not None else (0.0, 60.0)
        low, high = (low if low > -1e6 else high - 60.0), (high if high < 1e6 else low + 60.0)
        arguments[argument] = 0.5 * (low + high)
    return Call(name, arguments, RUN, "campaign")


@contextmanager
def of_profile(
    folder: Path, driver: str, *, kind: str = "serial", place: str = 'port = "/dev/none"', more: str = "", rate: float = 1.0
) -> Iterator[Stage]:
    text = LINK.format(name="it", kind=kind, place=place, driver=driver, more=more or OPTIONS.get(driver, ""))
    with staged(bench_of(folder, text), rate=rate) as stage:
        yield stage


@pytest.mark.parametrize("profile", sorted(shipped_profiles()))
def test_every_command_channel_and_safe_action_of_a_shipped_profile_is_answered_over_its_own_wire(profile: str, tmp_path: Path) -> None:
    with of_profile(tmp_path, profile) as stage:
        assert not stage.bench.by_calls
        driver = stage.driver("it")
        assert driver.identify() == driver.identify()
        driver.arm()
        for name, spec in driver.COMMANDS.items():
            ask = legal(driver, name)
            before = dict(driver.baseline(ask))
            assert driver.perform(ask).keys() == ask.arguments.keys()
            if spec.kind is StepKind.DOSING:
                driver.cancel(ask)
                assert driver.outcome(ask, before).progress is not Progress.RUNNING
        told = driver.read(list(driver.CHANNELS))
        assert [(one.channel, one.unit, one.quality) for one in told] == [(name, one.unit, "good") for name, one in driver.CHANNELS.items()]
        for action in driver.SAFE_ACTIONS:
            driver.make_safe(action)
        driver.identify()  # whatever is not answered has arrived by now
        eventually(lambda: len(stage.truth("it", "safe-state")) >= len(driver.SAFE_ACTIONS))
        settings = [name for name, spec in driver.COMMANDS.items() if spec.kind is StepKind.STATE_SETTING]
        assert {one["values"]["command"] for one in stage.truth("it", "setpoint")} >= set(settings)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Stage]:
    with staged(bench_of(tmp_path, BATH, SCALE, PUMP, STEPS), rate=10.0) as stage:
        yield stage


def test_a_circulator_heats_with_a_lag_once_it_is_started_and_cools_when_it_is_made_safe(three: Stage) -> None:
    bath = three.driver("bath")
    bath.perform(call("set_temperature", temperature=60.0))
    time.sleep(0.2)  # two lab seconds
    assert value_of(bath, "temperature") == 22.0
    bath.perform(call("start"))
    bath.read(["status"])
    between = value_of(bath, "temperature")
    assert 22.0 < between < 60.0
    body = three.plant._devices["bath"].body
    assert isinstance(body, StandIn)
    body.section = body.section.model_copy(update={"lag_s": 0.5})
    eventually(lambda: value_of(bath, "temperature") > 59.9)
    bath.make_safe("off")
    assert value_of(bath, "running") == 0.0
    eventually(lambda: value_of(bath, "temperature") < 23.0)


def value_of(driver: Driver, channel: str) -> float:
    (reading,) = driver.read([channel])
    assert reading.value is not None
    return reading.value


def test_a_line_with_parity_is_opened_again_after_it_was_lost(three: Stage) -> None:
    """A circulator's 7E1 is not for a pseudo-terminal, which refuses it the second time."""
    assert three.bench.spec.links["bath"].frame == "8N1"
    for _ in range(3):
        three.driver("bath").read(["running"])
        three.drivers.pop("bath").close()


def test_a_balance_says_the_serial_number_of_the_bench_file_and_its_weight_answers_to_what_is_set(three: Stage) -> None:
    scale, bath = three.driver("scale"), three.driver("bath")
    assert scale.identify().serial_number == "B123456789"
    first = value_of(scale, "weight")
    bath.perform(call("set_temperature", temperature=85.0))
    second = value_of(scale, "weight")
    assert abs(second - first) > 0.05
    assert {first, second} == {one for one in (first, second) if 0.0 <= one <= 1.1}


def test_a_dose_is_counted_once_and_told_by_its_evidence(three: Stage) -> None:
    pump = three.driver("pump")
    ask = call("dispense", volume=0.5)
    before = dict(pump.baseline(ask))
    assert pump.reconcile(ask, before).verdict is StepVerdict.NOT_EXECUTED
    pump.perform(ask)
    assert pump.reconcile(ask, before).verdict is StepVerdict.RUNNING
    assert three.ended(pump, ask, before).progress is Progress.FINISHED
    assert pump.reconcile(ask, before).verdict is StepVerdict.FINISHED
    assert three.doses("pump") == {"start": 1, "end": 1}
    assert three.truth("pump", "dose")[0]["values"]["volume_mL"] == pytest.approx(0.5)


def test_a_second_dose_while_one_runs_is_refused_by_the_pump(three: Stage) -> None:
    pump = three.driver("pump")
    pump.perform(call("dispense", volume=0.5))
    with pytest.raises(DeviceError, match="refused"):
        pump.perform(call("dispense", volume=0.1))
    assert three.doses("pump")["start"] == 1


def test_a_request_whose_answer_was_lost_is_sent_again_with_its_number_and_carried_out_once(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text('[[faults]]\ndevice = "pump"\nfault = "reply-lost-after-execution"\npattern = "*D5000R"\n')
    bench = bench_of(tmp_path, BATH, SCALE, PUMP, '[simulation]\nplant = "plant.toml"\n', STEPS)
    with staged(bench) as stage:
        stage.driver("pump").perform(call("dispense", volume=0.5))
        assert [one["values"]["phase"] for one in stage.truth("pump", "fault")] == ["injected", "triggered"]
        assert stage.doses("pump") == {"start": 1}


def test_a_power_cut_in_a_dose_leaves_nothing_that_could_be_taken_for_its_end(three: Stage) -> None:
    pump = three.driver("pump")
    ask = call("dispense", volume=0.5)
    before = dict(pump.baseline(ask))
    pump.perform(ask)
    three.plant._devices["pump"].case.power_cycle(three.plant._clock.now())
    assert pump.reconcile(ask, before).verdict is StepVerdict.UNDECIDABLE


def test_plain_nodes_are_served_in_their_namespaces_written_and_called(tmp_path: Path) -> None:
    (tmp_path / "box.toml").write_text(NODES)
    with of_profile(
        tmp_path, "./box.toml", kind="opcua", place='url = "opc.tcp://192.0.2.1:4840"', more='model = "Box 3"', rate=10.0
    ) as stage:
        driver = stage.driver("it")
        assert driver.identify().model == "Box 3"
        assert driver.perform(call("set_level", level=12.5)) == {"level": 12.5}
        ask = call("dose", volume=2.0)
        before = dict(driver.baseline(ask))
        driver.perform(ask)
        assert stage.ended(driver, ask, before).progress is Progress.FINISHED
        before = dict(driver.baseline(ask))
        assert before["counter"] == 2.0
        driver.perform(ask)
        assert driver.reconcile(ask, before).verdict is StepVerdict.RUNNING
        driver.cancel(ask)
        stopped = stage.ended(driver, ask, before)
        assert (stopped.progress, stopped.code) == (Progress.FAILED, "stopped-short")
        driver.make_safe("stop")
        assert value_of(driver, "setpoint") == 0.0


def test_a_value_outside_its_range_is_refused_or_ignored_as_the_device_may(three: Stage) -> None:
    wide = three.bench.settings("bath")
    driver = three.bench.driver("bath")(three.driver("bath").link, wide.__class__("bath"), three.driver("bath")._clock)  # type: ignore[attr-defined]
    with pytest.raises(DeviceError, match=r"took set_temperature {'temperature': 95.0} but setpoint reads 22.0"):
        driver.perform(call("set_temperature", temperature=95.0))


ECHOED: Final = """
[profile]
name = "echoed"
driver = "line"
sources = ["none: a device of these tests"]

[line]
terminator = ";"
reply_terminator = "\\r\\n"
echo = true
checksum = "{checksum}"
checksum_place = "{place}"
checksum_form = "{form}"
ack = "OK"
refused = "NO.*"
error = {{ query = "ERR?", ok = "0" }}

[channels.flow]
unit = "mL/min"
query = "F?"
reply = 'F=(?P<value>[+-]\\d\\.\\d+E[+-]\\d\\d)'

[commands.set_flow]
kind = "state-setting"
send = ["U {{unit}}", "F {{flow:.3e}}"]
argument.flow = {{ unit = "mL/min", min = 0, max = 8 }}
argument.unit = {{ values = ["a", "b"] }}
"""


@pytest.mark.parametrize("checksum", ["xor", "sum", "crc16"])
@pytest.mark.parametrize("place", ["before-terminator", "after-terminator"])
@pytest.mark.parametrize("form", ["bytes", "hex"])
def test_echo_acknowledgement_and_every_checksum_are_those_of_the_driver(checksum: str, place: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "echoed.toml").write_text(ECHOED.format(checksum=checksum, place=place, form=form))
    with of_profile(tmp_path, "./echoed.toml", rate=100.0) as stage:
        driver = stage.driver("it")
        assert isinstance(driver, DeclaredDevice)
        driver.perform(call("set_flow", flow=2.5, unit="b"))
        assert stage.truth("it", "setpoint")[0]["values"] == {"command": "set_flow", "flow_mL_per_min": 2.5, "unit": "b"}
        eventually(lambda: value_of(driver, "flow") == pytest.approx(2.5))
        with pytest.raises(DeviceError, match=r"refused 'F 9\.000e"):
            driver._engine.act(driver.PROFILE.commands["set_flow"], {"flow": 9.0, "unit": "a"})
        assert len(stage.truth("it", "setpoint")) == 1


def test_a_pattern_of_which_no_text_can_be_made_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "echoed.toml").write_text(
        ECHOED.format(checksum="sum", place="before-terminator", form="hex").replace("F=(?P", "(?=F)F=(?P")
    )
    text = LINK.format(name="it", kind="serial", place='port = "/dev/none"', driver="./echoed.toml", more="")
    with (
        pytest.raises(BadInput, match=r"stand-in it: no answer to 'F\?' can be made of the patterns of flow; .*asked = 'calls'"),
        staged(bench_of(tmp_path, text)),
    ):
        pass
    (tmp_path / "plant.toml").write_text('[stand_ins.it]\nasked = "calls"\n')
    with staged(bench_of(tmp_path, '[simulation]\nplant = "plant.toml"\n', text)) as stage:
        assert stage.bench.by_calls == {"it"}
        stage.driver("it").perform(call("set_flow", flow=2.5, unit="a"))
