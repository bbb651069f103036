"""An object as an instrument: made and set up when the bench is armed, set and read at once, called exactly once, let go at the end."""

import ast
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from instruments.bench.called import dry_calls, functions_of, inspect_calls, needs_stand_in
from instruments.bench.connect import connect
from instruments.bench.file import BenchFile, load_bench
from instruments.bench.lanes import lanes_of, wires_of
from instruments.bench.safe_state import declared, drive
from instruments.bench.stand_ins import stand_ins
from instruments.bench.wires import Wires
from instruments.drivers.calls import held
from instruments.drivers.calls.device import CalledDevice
from instruments.drivers.calls.kept import KeptCall
from instruments.drivers.protocol import Call, Driver, Progress, StepVerdict
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.process_identity import Process
from instruments.supervisor import safe_state_without_host
from orchestrator.clock import LiveClock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.errors import BadInput, DeviceError, LimitError, LinkError, LockHeld, Sent
from tests.calling import awaited, ended, in_hand, settled

BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[instruments.source]
driver = "pymeasure"
safe_state = ["off"]
[instruments.source.object]
make = "thing:Source"
with = {{ adapter = {{ make = "thing:Adapter", with = {{ resource = "GPIB0::24" }} }} }}
identity = "id"
{object}
[instruments.source.channels]
volts = {{ read = "output.voltage", unit = "V", max = "30 V" }}
word = "text"
[instruments.source.calls.apply]
set = "output.voltage"
arguments.voltage = {{ unit = "V", min = 0, max = 20 }}
within = "10 mV"
[instruments.source.calls.off]
set = "enabled"
value = false
safe = true
[instruments.source.calls.sweep]
method = "sweep"
arguments.to = "V"
returns.charge = "C"
{sweep}
{more}
[[procedure.steps]]
do = "source.apply"
with = {{ voltage = "5 V" }}
[[procedure.steps]]
do = "source.sweep"
with = {{ to = "5 V" }}
"""

THING = """
import logging, os, time
from pathlib import Path

HERE = Path(__file__).parent
ENDS = {}

def note(*words):
    with (HERE / "wire.log").open("a") as log:
        log.write(" ".join(map(str, words)) + "\\n")
        log.flush()
        os.fsync(log.fileno())

class Adapter:
    def __init__(self, resource):
        note("open", resource)
    def close(self):
        note("close")

class Output:
    "A part of it, which rounds what it is told to 0.01 and takes no more than 15."
    volts = 0.0
    @property
    def voltage(self):
        return self.volts
    @voltage.setter
    def voltage(self, value):
        note("voltage", value)
        self.volts = min(round(value, 2), 15.0)

class Source:
    def __init__(self, adapter):
        self.adapter = adapter
        self.output = Output()
        self._enabled = True
    id = "MAKER, SM-1, 0042, 1.7"
    word = "ready"
    @property
    def enabled(self):
        return self._enabled
    @enabled.setter
    def enabled(self, value):
        note("enabled", value)
        self._enabled = value
    def sweep(self, to):
        note("begin sweep", to)
        until = time.monotonic() + 20.0
        while (HERE / "hold").exists() and time.monotonic() < until:
            time.sleep(0.005)
        note("done sweep", to)
        return (1e3 * to, "mC")
    def complain(self):
        logging.getLogger("pymeasure.instruments").error("%s: -113, Undefined header", "source")
    def check_set_errors(self):
        return [(-222, "Data out of range")] if self.output.volts == 13.0 else []
"""


def _bench(folder: Path, *, thing: str = THING, object: str = "", sweep: str = "", more: str = "", **changed: str) -> BenchFile:  # noqa: A002
    (folder / "thing.py").write_text(thing)
    text = BENCH.format(object=object, sweep=sweep, more=more)
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "bench.toml"
    path.write_text(text)
    (folder / "lab").mkdir(exist_ok=True)
    return load_bench(path).in_lab(folder / "lab")


@contextmanager
def _armed(bench: BenchFile) -> Iterator[Driver]:
    with in_hand(bench, "source") as driver:
        driver.identify()
        driver.arm()
        yield driver


def _wire(folder: Path) -> list[str]:
    path = folder / "wire.log"
    return path.read_text().splitlines() if path.exists() else []


def _sweep(key: str = "r1", to: float = 5.0) -> Call:
    return Call("sweep", {"to": to}, key, "c", step=1)


def _apply(volts: float, command: str = "apply") -> Call:
    return Call(command, {"voltage": volts} if command == "apply" else {}, "r1", "c")


def _child(driver: Driver) -> Process:
    assert isinstance(driver, CalledDevice)
    assert driver._child is not None
    return driver._child.process


# ---------------------------------------------------------------------- what is declared


def test_what_is_set_is_a_setting_what_is_called_a_program_and_what_is_read_a_channel(tmp_path: Path) -> None:
    bench = _bench(tmp_path)
    driver = bench.driver("source")
    assert {name: one.kind for name, one in driver.COMMANDS.items()} == {
        "apply": StepKind.STATE_SETTING,
        "off": StepKind.STATE_SETTING,
        "sweep": StepKind.PROGRAM,
    }
    assert {name: one.unit for name, one in driver.CHANNELS.items()} == {"volts": "V", "word": "", "charge": "C"}
    assert list(declared(bench)) == [("source", "off"), ("source", "end")]
    assert set(bench.beside) == {"thing.py"}
    assert functions_of(bench) == ()


def test_a_dry_run_makes_no_object_and_answers_by_a_named_stand_in(tmp_path: Path) -> None:
    bench = _bench(tmp_path)
    assert needs_stand_in(bench.spec.instruments["source"])
    found = stand_ins(bench, ())
    assert "stand-in for pymeasure" in found.told["source"]
    assert dry_calls(replace(bench, by_calls=frozenset(found.instruments))).spec == bench.spec


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({'set = "enabled"': 'set = "enabled"\nmethod = "off"'}, r"calls\.off: expected one of set"),
        ({'set = "enabled"\nvalue = false': 'set = "enabled"'}, r"calls\.off: it sets enabled; expected one argument, or value"),
        ({"value = false": 'value = false\ntime_limit = "1 s"'}, r"calls\.off: what is set has one argument, no returns and 5 s"),
        ({'method = "sweep"': 'method = "sweep"\nvalue = 1'}, r"calls\.sweep: value = 1.0 belongs to a property that is set"),
        ({'method = "sweep"': 'method = "sweep"\nsafe = true'}, r"calls\.sweep: safe = true and argument 'to'"),
        ({'method = "sweep"': 'method = "sweep"\nwithin = "1 V"'}, r"calls\.sweep: within = '1 V' belongs to a number that is set"),
        ({'within = "10 mV"': 'within = "10 mA"'}, r"calls\.apply, within"),
        ({'within = "10 mV"': "pure = true"}, "driver 'pymeasure' reads no 'pure' of a call"),
        ({'make = "thing:Source"': 'make = "thing.Source"'}, r"object.*make"),
        ({'identity = "id"': 'identiy = "id"'}, r"unknown key .*object\.identiy; legal here: make, with, identity"),
        ({'read = "output.voltage"': 'reed = "output.voltage"'}, r"unknown key .*volts\.reed; legal here: unit, min, max, read"),
        ({'returns.charge = "C"': 'returns.volts = "V"'}, "'volts' is a channel and is returned by a call"),
        ({'"pymeasure"': '"lads"'}, "driver 'lads' takes no object"),
        ({'safe_state = ["off"]': 'safe_state = ["sweep"]'}, "unknown safe action 'sweep'; legal: end, off"),
    ],
)
def test_a_mistake_in_a_declaration_is_one_line(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        _bench(tmp_path, **change)
    assert "\n" not in str(caught.value)


def test_a_driver_of_objects_without_one_says_what_it_needs(tmp_path: Path) -> None:
    text = '[bench]\nname = "b"\nreduction = "identity/1"\n[instruments.a]\ndriver = "pylabrobot"\n[instruments.a.channels]\nmass = "g"\n'
    (tmp_path / "bench.toml").write_text(text + '[[procedure.steps]]\ndo = "read"\nchannels = ["a.mass"]\n')
    with pytest.raises(BadInput, match=r"instrument a: driver 'pylabrobot' needs object = "):
        load_bench(tmp_path / "bench.toml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (
            THING.replace("def enabled(self, value)", "def disabled(self, value)").replace("@enabled.setter", "@property"),
            r"Source\.enabled can only be read",
        ),
        (THING.replace("def sweep(self, to)", "def swap(self, to)"), r"Source has no 'sweep'; it has swap"),
        (THING.replace("def sweep(self, to)", "def sweep(self, to, speed)"), "missing a required argument: 'speed'"),
        (THING.replace("class Adapter", "class Adaptor"), r"thing:Adapter: module thing has no 'Adapter'; it has Adaptor"),
        (THING.replace("def __init__(self, resource)", "def __init__(self, wire)"), r"thing:Adapter.* cannot be called with resource"),
        (THING.replace("def __init__(self, adapter)", "def __init__(self, wire)"), r"thing:Source.* cannot be called with adapter"),
        (THING.replace('word = "ready"', 'words = "ready"'), "Source has no 'word'; it has words"),
    ],
)
def test_check_holds_the_class_against_the_declaration_and_makes_nothing(tmp_path: Path, thing: str, said: str) -> None:
    bench = _bench(tmp_path, thing=thing)
    with pytest.raises(BadInput, match=said):
        inspect_calls(bench)
    assert _wire(tmp_path) == []


@pytest.mark.slow
def test_the_package_and_what_makes_its_parts_are_bound_too(tmp_path: Path) -> None:
    bound = []
    for content in ("one", "another"):
        folder = tmp_path / content
        kept = folder / "pymeasure-9.9.dist-info"
        kept.mkdir(parents=True)
        (kept / "METADATA").write_text("Metadata-Version: 2.1\nName: pymeasure\nVersion: 9.9\n")
        (kept / "RECORD").write_text(f"pymeasure/adapters.py,sha256={content},3\n")
        bench = _bench(folder, **{'make = "thing:Adapter", with = { resource = "GPIB0::24" }': 'make = "fractions:Fraction"'})
        bound.append({one.name: one for one in functions_of(bench)})
    before, after = bound
    assert before.keys() == {"fractions:Fraction", "pymeasure"}
    assert before["fractions:Fraction"] == after["fractions:Fraction"]
    assert before["pymeasure"].source == after["pymeasure"].source == "pymeasure 9.9"
    assert before["pymeasure"].sha256 != after["pymeasure"].sha256


def test_what_is_made_alike_is_one_device_in_whatever_lab_and_by_whatever_interpreter(tmp_path: Path) -> None:
    def wire(folder: str, **changed: str) -> list[str]:
        (tmp_path / folder).mkdir()
        spec = _bench(tmp_path / folder, **changed).spec
        return wires_of(spec, lanes_of(spec))

    ours = wire("ours")
    theirs = wire("theirs", **{'driver = "pymeasure"': f'driver = "pymeasure"\noptions = {{ interpreter = "{sys.executable}" }}'})
    other = wire("other", **{"GPIB0::24": "GPIB0::25"})
    locks = tmp_path / "locks"
    with EndpointLocks(ours, what="one", folder=locks):
        with pytest.raises(LockHeld, match="object://thing:source"):
            EndpointLocks(theirs, what="two", folder=locks).acquire()
        with EndpointLocks(other, what="three", folder=locks):
            pass


def test_two_instruments_made_alike_are_refused(tmp_path: Path) -> None:
    twin = """
        [instruments.twin]
        driver = "pymeasure"
        object = { make = "thing:Source", with = { adapter = { with = { resource = "GPIB0::24" }, make = "thing:Adapter" } } }
        channels = { word = "text" }
        """
    with pytest.raises(BadInput, match="instruments source and twin are the same device: thing:Source"):
        _bench(tmp_path, more=twin)


def test_its_side_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(held.__file__).read_text())
    tops = [one for one in ast.walk(tree) if isinstance(one, ast.Import | ast.ImportFrom)]
    names = {one.module if isinstance(one, ast.ImportFrom) else one.names[0].name for one in tops}
    assert {str(name).partition(".")[0] for name in names} - {"instruments"} <= sys.stdlib_module_names


# ---------------------------------------------------------------------- its life


@pytest.mark.slow
def test_it_is_made_when_it_is_armed_and_its_adapter_closed_at_the_end(tmp_path: Path) -> None:
    with in_hand(_bench(tmp_path), "source") as driver:
        assert driver.identify().model == "a PyMeasure instrument"
        with pytest.raises(DeviceError, match=r"made when the bench is armed; object\.silent"):
            driver.read(["volts"])
        assert _wire(tmp_path) == []
        driver.arm()
        driver.arm()
        assert driver.identify().model == "a PyMeasure instrument"
    assert _wire(tmp_path) == ["open GPIB0::24", "close"]


@pytest.mark.slow
def test_a_silent_one_is_made_to_tell_who_it_is_and_another_one_is_refused(tmp_path: Path) -> None:
    bench = _bench(tmp_path, object="silent = true")
    with in_hand(bench, "source") as driver:
        identity = driver.identify()
        assert (identity.model, identity.serial_number, identity.firmware) == ("SM-1", "0042", "1.7")
        assert [one.value for one in driver.read(["volts"])] == [0.0]
        with pytest.raises(DeviceError, match="it was never armed"):
            driver.perform(_apply(1.0))
    other = _bench(tmp_path, **{'driver = "pymeasure"': 'driver = "pymeasure"\nserial_number = "0043"'})
    with in_hand(other, "source") as driver:
        driver.identify()
        with pytest.raises(DeviceError, match="serial number 0042; the bench file expects 0043"):
            driver.arm()
        driver.perform(_sweep())
        with pytest.raises(DeviceError, match=r"could not be armed: serial number 0042"):
            ended(driver, _sweep())


@pytest.mark.slow
def test_a_setting_is_read_back_and_one_that_was_not_taken_fails(tmp_path: Path) -> None:
    with _armed(_bench(tmp_path, object="check_errors = true")) as driver:
        assert driver.perform(_apply(5.004)) == {"voltage": 5.004}
        assert driver.outcome(_apply(5.004), {}).progress is Progress.FINISHED
        volts, word = driver.read(["volts", "word"])
        assert (volts.name, volts.value, volts.unit, word.text) == ("source.volts", 5.0, "V", "ready")
        with pytest.raises(DeviceError, match=r"source\.apply: output\.voltage is 15.* after it was set to 16 V \(within = 0\.01 V\)"):
            driver.perform(_apply(16.0))
        with pytest.raises(DeviceError, match=r"it reports \(-222, 'Data out of range'\)"):
            driver.perform(_apply(13.0))
        with pytest.raises(LimitError, match="allowed 0 to 20 V"):
            driver.perform(_apply(21.0))
        with pytest.raises(DeviceError, match=r"off: it reports"):
            driver.perform(_apply(0.0, "off"))
        driver.make_safe("off")  # what the device complains of may be of before
        assert driver.reconcile(_apply(1.0), {}).verdict is StepVerdict.NOT_EXECUTED
    assert _wire(tmp_path) == ["open GPIB0::24", "voltage 5.004", "voltage 16.0", "voltage 13.0", "enabled False", "enabled False", "close"]


@pytest.mark.slow
def test_what_its_package_logs_as_an_error_fails_the_call(tmp_path: Path) -> None:
    more = '[instruments.source.calls.complain]\nmethod = "complain"\n'
    with _armed(_bench(tmp_path, more=more)) as driver:
        asked = _apply(0.0, "complain")
        driver.perform(asked)
        outcome = ended(driver, asked)
        assert (outcome.code, outcome.reason) == ("device error", "it reports source: -113, Undefined header")


@pytest.mark.slow
def test_a_function_of_ones_own_is_given_the_object_first(tmp_path: Path) -> None:
    more = '[instruments.source.calls.twice]\nfunction = "own:twice"\nreturns.volts2 = "V"\n'
    (tmp_path / "own.py").write_text("async def twice(source):\n    source.output.voltage = 2.0\n    return 2 * source.output.voltage\n")
    bench = _bench(tmp_path, more=more)
    assert set(bench.beside) == {"thing.py", "own.py"}
    with _armed(bench) as driver:
        asked = _apply(0.0, "twice")
        driver.perform(asked)
        assert ended(driver, asked).readings[0].value == 4.0


@pytest.mark.slow
def test_an_object_that_cannot_be_made_is_told_in_one_line_and_carries_nothing_out(tmp_path: Path) -> None:
    thing = THING.replace('note("open", resource)', 'raise OSError("no such resource")')
    with in_hand(_bench(tmp_path, thing=thing), "source") as driver:
        driver.identify()
        with pytest.raises(DeviceError, match=r"source: OSError: no such resource \(thing\.py, line \d+\)"):
            driver.arm()
    assert _wire(tmp_path) == []


# ---------------------------------------------------------------------- deaths


@pytest.mark.slow
@pytest.mark.parametrize("sweep", ["", "repeatable = true"])
def test_a_child_that_dies_in_a_call_repeats_nothing_on_a_guess(tmp_path: Path, sweep: str) -> None:
    with _armed(_bench(tmp_path, sweep=sweep)) as driver:
        (tmp_path / "hold").touch()
        driver.perform(_sweep())
        awaited(tmp_path / "wire.log", "begin sweep")
        _child(driver).kill()
        verdict = settled(driver, _sweep()).verdict
        assert verdict is (StepVerdict.MAY_REPEAT if sweep else StepVerdict.UNDECIDABLE)
        (tmp_path / "hold").unlink()
        driver.perform(_sweep())
        if sweep:
            assert ended(driver, _sweep()).readings[0].value == 5.0
        else:
            with pytest.raises(DeviceError, match="begun before, and is not repeatable"):
                ended(driver, _sweep())
        driver.perform(_sweep("r2"))  # the object was made and armed again for it
        assert ended(driver, _sweep("r2")).readings[0].value == 5.0
    begun = [one for one in _wire(tmp_path) if one.startswith("begin")]
    assert len(begun) == (3 if sweep else 2)


@pytest.mark.slow
def test_a_call_outlives_its_host_and_the_next_one_adopts_it(tmp_path: Path) -> None:
    bench = _bench(tmp_path)
    with _armed(bench) as driver:
        (tmp_path / "hold").touch()
        driver.perform(_sweep())
        awaited(tmp_path / "wire.log", "begin sweep")
        orphan = _child(driver)
    with _armed(bench) as driver:
        assert driver.reconcile(_sweep(), {}).verdict is StepVerdict.RUNNING
        with pytest.raises(LinkError, match="a process of it from before has not left yet") as caught:
            driver.perform(_apply(1.0))
        assert caught.value.sent is Sent.NO
        (tmp_path / "hold").unlink()
        assert settled(driver, _sweep()).verdict is StepVerdict.FINISHED
        assert orphan.wait(5.0)
        driver.perform(_apply(1.0))
    assert _wire(tmp_path) == ["open GPIB0::24", "begin sweep 5.0", "done sweep 5.0", "close", "open GPIB0::24", "voltage 1.0", "close"]


@pytest.mark.slow
def test_a_setting_that_hangs_is_ended_so_that_it_cannot_act_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruments.drivers.calls.objects.ANSWER_SECONDS", 1.0)
    thing = THING.replace('note("voltage", value)', 'time.sleep(60 if value == 7.0 else 0)\n        note("voltage", value)')
    with _armed(_bench(tmp_path, thing=thing)) as driver:
        slow = _child(driver)
        with pytest.raises(LinkError, match="apply did not end within 1 s and was ended") as caught:
            driver.perform(_apply(7.0))
        assert caught.value.sent is Sent.MAYBE
        assert not slow.alive
        driver.perform(_apply(1.0))
    assert "voltage 7.0" not in _wire(tmp_path)


@pytest.mark.slow
def test_a_safe_action_ends_the_call_in_hand_and_is_carried_out_by_a_new_child(tmp_path: Path) -> None:
    with _armed(_bench(tmp_path)) as driver:
        driver.make_safe("off")
        (tmp_path / "hold").touch()
        driver.perform(_sweep())
        awaited(tmp_path / "wire.log", "begin sweep")
        with pytest.raises(DeviceError, match="source carries out a call; apply has to wait for its end"):
            driver.perform(_apply(1.0))
        driver.make_safe("off")
        assert _wire(tmp_path) == ["open GPIB0::24", "enabled False", "begin sweep 5.0", "open GPIB0::24", "enabled False"]
        assert ended(driver, _sweep()).reason == "it was stopped"


@pytest.mark.slow
def test_the_safe_state_without_a_host_ends_its_call_and_makes_the_object_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = _bench(tmp_path)
    with _armed(bench) as driver:
        (tmp_path / "hold").touch()
        driver.perform(_sweep())
        awaited(tmp_path / "wire.log", "begin sweep")
        orphan = _child(driver)
    assert safe_state_without_host.main(["--lab", str(tmp_path / "lab"), "--bench", str(bench.path)]) == 0
    told = json.loads(capsys.readouterr().out)["actions"]
    assert [(one["action"], one["done"]) for one in told] == [("off", True), ("end", True)]
    assert not orphan.alive
    assert _wire(tmp_path)[2:4] == ["open GPIB0::24", "enabled False"]
    kept = KeptCall.of(tmp_path / "lab" / "calls", _sweep())
    assert kept.is_begun


@pytest.mark.slow
def test_an_object_that_raises_at_hand_is_made_safe_by_a_new_process(tmp_path: Path) -> None:
    lost = 'if (HERE / "lost").exists() and (HERE / "lost").read_text() == str(os.getpid()):\n            raise OSError("connection lost")'
    with _armed(_bench(tmp_path, thing=THING.replace('note("enabled", value)', f'{lost}\n        note("enabled", value)'))) as driver:
        (tmp_path / "lost").write_text(str(_child(driver).pid))
        driver.make_safe("off")
        assert _wire(tmp_path) == ["open GPIB0::24", "open GPIB0::24", "enabled False"]


@pytest.mark.slow
def test_a_safe_action_goes_out_after_a_set_up_that_nobody_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = 'note("open", resource)\n        while (HERE / "slow").exists():\n            time.sleep(0.005)'
    with _armed(_bench(tmp_path, thing=THING.replace('note("open", resource)', slow))) as driver:
        (tmp_path / "hold").touch()
        driver.perform(_sweep())
        awaited(tmp_path / "wire.log", "begin sweep")
        (tmp_path / "slow").touch()
        monkeypatch.setattr("instruments.drivers.calls.objects.SAFE_SECONDS", 0.0)
        for _ in range(2):
            with pytest.raises(LinkError, match="source is still being set up; off goes out as soon as it is"):
                driver.make_safe("off")
            driver.make_safe("end")
    (tmp_path / "slow").unlink()
    awaited(tmp_path / "wire.log", "close")
    assert _wire(tmp_path) == ["open GPIB0::24", "begin sweep 5.0", "open GPIB0::24", "enabled False", "close"]


@pytest.mark.slow
def test_an_interpreter_that_vanishes_keeps_no_other_instrument_from_its_safe_state(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    second = """
        [instruments.second]
        driver = "pymeasure"
        safe_state = ["off"]
        object = { make = "thing:Source", with = { adapter = { make = "thing:Adapter", with = { resource = "GPIB0::25" } } } }
        calls.off = { set = "enabled", value = false, safe = true }
        """
    named = {'driver = "pymeasure"\nsafe_state': 'driver = "pymeasure"\noptions = { interpreter = "python" }\nsafe_state'}
    bench = _bench(tmp_path, more=second, **named)
    wires = Wires(bench, connect, LiveClock(), lambda: True)
    wires.start()
    try:
        wires.open()
        (tmp_path / "python").unlink()
        wires.of("source").call("source", lambda driver: _child(driver).kill())
        done = {(one.instrument, one.action): one.done for one in drive(bench, wires)}
    finally:
        wires.close()
    assert done == {("source", "off"): False, ("source", "end"): True, ("second", "off"): True, ("second", "end"): True}
    assert "enabled False" in _wire(tmp_path)


# ---------------------------------------------------------------------- machines that are set up

MACHINE = """
import asyncio
from thing import note, Adapter, HERE

class Machine:
    "One that has to be set up, as those of PyLabRobot have."
    ticks = 0
    setup_finished = False
    async def setup(self):
        note("setup")
        while (HERE / "slow").exists():
            await asyncio.sleep(0.01)
        if (HERE / "jammed").exists():
            raise RuntimeError("the arm is jammed")
        self.task = asyncio.get_running_loop().create_task(self.tick())
        self.setup_finished = True
        note("homed")
    async def tick(self):
        while True:
            await asyncio.sleep(0.01)
            self.ticks += 1
    async def stop(self):
        self.task.cancel()
        note("stop")
    async def aspirate(self, volume):
        note("begin aspirate", volume)
        while (HERE / "hold").exists():
            await asyncio.sleep(0.01)
        note("done aspirate", volume)
    async def temperature(self):
        await asyncio.sleep(0)
        return 37.0

async def make():
    note("make")
    return Machine()
"""
ROBOT = """
[bench]
name = "b"
reduction = "identity/1"
[instruments.source]
driver = "pylabrobot"
object = "machine:make"
channels = { temperature = "degC", ticks = "" }
[instruments.source.calls.aspirate]
method = "aspirate"
arguments.volume = { unit = "uL", max = 100 }
[[procedure.steps]]
do = "source.aspirate"
with = { volume = "10 uL" }
"""


def _robot(folder: Path) -> BenchFile:
    (folder / "machine.py").write_text(MACHINE)
    (folder / "thing.py").write_text(THING)
    (folder / "bench.toml").write_text(ROBOT)
    (folder / "lab").mkdir(exist_ok=True)
    return load_bench(folder / "bench.toml").in_lab(folder / "lab")


def _aspirate(key: str = "r1") -> Call:
    return Call("aspirate", {"volume": 10.0}, key, "c")


@pytest.mark.slow
def test_a_machine_is_set_up_when_it_is_armed_never_to_be_identified_and_stopped_at_the_end(tmp_path: Path) -> None:
    bench = _robot(tmp_path)
    inspect_calls(bench)
    with in_hand(bench, "source") as driver:
        driver.identify()
        assert _wire(tmp_path) == []
        driver.arm()
        driver.perform(_aspirate())
        assert ended(driver, _aspirate()).progress is Progress.FINISHED
        assert driver.read(["temperature"])[0].value == 37.0
        before = driver.read(["ticks"])[0].value
        assert before is not None
        while (now := driver.read(["ticks"])[0].value) is not None and now <= before:  # what it does by itself goes on between calls
            pass
        driver.make_safe("end")
        assert _wire(tmp_path) == ["make", "setup", "homed", "begin aspirate 10.0", "done aspirate 10.0", "stop"]


@pytest.mark.slow
def test_a_set_up_that_takes_long_goes_on_beside_and_calls_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruments.drivers.calls.objects.OPEN_SECONDS", 0.2)
    monkeypatch.setattr("instruments.drivers.calls.objects.ANSWER_SECONDS", 0.2)
    (tmp_path / "slow").touch()
    with in_hand(_robot(tmp_path), "source") as driver:
        driver.identify()
        driver.arm()
        driver.perform(_aspirate())
        assert driver.outcome(_aspirate(), {}).progress is Progress.RUNNING
        with pytest.raises((LinkError, DeviceError)) as caught:
            driver.read(["temperature"])
        assert caught.value.sent is Sent.NO
        (tmp_path / "slow").unlink()
        assert ended(driver, _aspirate()).progress is Progress.FINISHED
    assert _wire(tmp_path) == ["make", "setup", "homed", "begin aspirate 10.0", "done aspirate 10.0", "stop"]


@pytest.mark.slow
def test_a_machine_that_cannot_be_set_up_carries_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "jammed").touch()
    with in_hand(_robot(tmp_path), "source") as driver:
        driver.identify()
        with pytest.raises(DeviceError, match="source: RuntimeError: the arm is jammed"):
            driver.arm()
        driver.perform(_aspirate())
        with pytest.raises(DeviceError, match="it could not be armed: RuntimeError: the arm is jammed"):
            ended(driver, _aspirate())
    assert _wire(tmp_path) == ["make", "setup"]


@pytest.mark.slow
def test_a_machine_whose_process_dies_in_a_call_asks_a_person_and_one_that_is_stopped_ends(tmp_path: Path) -> None:
    with in_hand(_robot(tmp_path), "source") as driver:
        driver.identify()
        driver.arm()
        (tmp_path / "hold").touch()
        driver.perform(_aspirate())
        awaited(tmp_path / "wire.log", "begin aspirate")
        _child(driver).signal(signal.SIGKILL)
        assert settled(driver, _aspirate()).verdict is StepVerdict.UNDECIDABLE
        driver.perform(_aspirate("r2"))
        awaited(tmp_path / "lab" / "calls" / "r2-0.lock", "began")
        driver.cancel(_aspirate("r2"))
        assert ended(driver, _aspirate("r2")).reason == "it was stopped"
    assert not any(one.startswith("done") for one in _wire(tmp_path))
