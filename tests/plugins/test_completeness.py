"""A driver of other people's that lacks something is refused before a wire is opened; one whose methods return nonsense, in its call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from athanor.drivers import BadInput, Call, DeviceError, Driver, Identity, Outcome, Settings, channel, command
from flows.plans.drivers import driver_document
from instruments.bench.file import load_bench
from instruments.drivers.registry import find_driver
from tests.instrument.cases import CLOCK, call
from tests.plugins.writing import EXAMPLE, example

SOURCE = (EXAMPLE / "burette.py").read_text()
BUSY = '    def is_busy(self):\n        return self.ask("BUSY?", "0|1")[0] == "1"\n'
IDENTIFY = SOURCE[SOURCE.index("    def identify") : SOURCE.index('    @command("dosing"')]
RINSE = '    @command("dosing", volume=Argument("mL"))\n    def rinse(self, volume): ...\n'
INCOMPLETE = {
    "no word on whether a dose runs": (BUSY, "", "it has no method is_busy, which says whether dose is still running"),
    "no identity": (IDENTIFY, "", "it has no method identify"),
    "a dose that nothing counts": (BUSY, RINSE + BUSY, "COUNTERS has no 'rinse', which would count as done as soon as it is sent"),
    "a counter that is no channel": (
        '("given",',
        '("gvien",',
        r"COUNTERS\['dose'\] = \('gvien', 'volume'\); expected \(CHANNEL, ARGUMENT\)",
    ),
    "a counter in another unit": ('@channel("mL")', '@channel("L")', r"volume is in 'mL', its counter given in 'L'; expected one unit"),
    "a setting that is counted": (
        '{"dose": (',
        '{"drain": ("given", "volume"), "dose": (',
        "COUNTERS has 'drain', which is no dosing command",
    ),
    "one argument in two units": (
        '@command("state-setting")\n    def drain(self):',
        '@command("state-setting", volume=Argument("L"))\n    def drain(self, volume):',
        "volume is in 'mL' for dose and in 'L' for drain; expected one unit for one name",
    ),
    "the name of a method of all drivers": ("def given(", "def read(", "read is what Device calls a method of its own"),
    "a watchdog that nobody arms": ("    COUNTERS =", "    HAS_WATCHDOG = True\n    COUNTERS =", "HAS_WATCHDOG, but it has no methods arm"),
    "links that are none": ("    COUNTERS =", '    LINKS = "serial"\n    COUNTERS =', "LINKS = 'serial'; expected a tuple of serial, tcp"),
    "a safe action that lost its mark": (
        "class BuretteBody",
        "class Valve(Burette):\n    def stop(self): ...\n\n\nBurette = Valve\n\n\nclass BuretteBody",
        "stop replaces a marked method and is not marked itself",
    ),
}


@pytest.mark.parametrize("what", INCOMPLETE)
def test_an_incomplete_driver_is_refused_where_a_bench_is_checked_and_where_drivers_are_listed(tmp_path: Path, what: str) -> None:
    old, new, line = INCOMPLETE[what]
    assert old in SOURCE
    file = example(tmp_path)
    (tmp_path / "burette.py").write_text(SOURCE.replace(old, new).replace('("given", ', '("read", ' if "def read" in new else '("given", '))
    with pytest.raises(BadInput, match=f"bench.toml: instrument burette: driver './burette.py:Burette': .*{line}") as caught:
        load_bench(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=line):
        driver_document("./burette.py:Burette", tmp_path)


MARKED = {
    "a command without a kind": ('@command("state-setting")', "@command", r"expected @command\(\"KIND\"\)"),
    "a channel without brackets": ("@channel()", "@channel", "@channel without a unit"),
    "a channel that needs something": ("def absorbance(self)", "def absorbance(self, cell)", "channel absorbance: the method takes cell"),
    "a safe action that needs something": ("def stop(self)", "def stop(self, how)", "safe action stop: the method takes how"),
    "a command that nobody awaits": ("    def drain(", "    async def drain(", "drain is asynchronous"),
    "one channel twice": ("def absorbance(self)", "def given(self)", "given is marked twice in one class"),
    "a limit that is no number": ("low=0.01", "low=float('nan')", "argument volume: low = nan; expected a number"),
    "a limit that is a text": ("low=0.01", "low='0.01'", "argument volume: low = '0.01'; expected a number"),
    "a unit in the place of an argument": (
        'volume=Argument("mL", low=0.01, high=10.0, resolution=0.01)',
        'volume="mL"',
        "expected an Argument",
    ),
    "a default beyond the range": ("resolution=0.01", "resolution=0.01, default=99", "default = 99; expected a number from 0.01 to 10"),
    "a text with a range": ('Argument("mL", low', "Argument(None, low", "low = 0.01 belongs to a number, and unit None makes it a text"),
}


@pytest.mark.parametrize("what", MARKED)
def test_a_method_that_cannot_be_what_it_is_marked_as_is_refused_with_its_line(tmp_path: Path, what: str) -> None:
    old, new, line = MARKED[what]
    assert old in SOURCE
    (tmp_path / "burette.py").write_text(SOURCE.replace(old, new))
    with pytest.raises(BadInput, match=line) as caught:
        find_driver("./burette.py:Burette", tmp_path)
    assert "burette.py, line " in str(caught.value)
    assert "\n" not in str(caught.value)


class Careless(Driver):
    """Returns whatever the test puts into it."""

    answer: Any = None

    @override
    def identify(self) -> Identity:
        return self.answer  # type: ignore[no-any-return]  # as a careless author would

    @override
    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        return self.answer  # type: ignore[no-any-return]

    @override
    def baseline(self, call: Call) -> Mapping[str, Any]:
        return self.answer  # type: ignore[no-any-return]

    @command("state-setting")
    def go(self) -> Any:
        return self.answer

    @channel("mL")
    def volume(self) -> Any:
        return self.answer

    @channel(low=0.0, high=4.0)
    def ranged(self) -> Any:
        return self.answer


def careless(answer: Any, **settings: Any) -> Careless:
    driver = Careless(None, Settings("pump", **settings), CLOCK)
    driver.answer = answer
    return driver


@pytest.mark.parametrize("answer", [None, "7 mL", b"7", ["7"], {"7": 7}])
def test_a_channel_that_returns_no_number_is_an_error_and_never_a_good_reading(answer: object) -> None:
    with pytest.raises(DeviceError, match=r"pump: channel volume of its driver gave .*; expected a number in mL, or a tuple of them"):
        careless(answer).read(["volume"])


def test_numbers_of_other_libraries_and_no_number_are_taken() -> None:
    assert careless(np.int64(7)).read(["volume"])[0].value == 7.0
    assert careless(np.array([1.0, 2.0])).read(["volume"])[0].array == (1.0, 2.0)
    assert careless(float("nan")).read(["volume"])[0].quality == "bad"


def test_what_lies_beyond_the_range_of_a_channel_is_no_value() -> None:
    read = [careless(answer).read(["ranged"])[0] for answer in (0.0, 4.0, 4.1, -0.1, 9.9e37)]
    assert [(one.value, one.quality) for one in read] == [(0.0, "good"), (4.0, "good"), *[(None, "bad")] * 3]
    with pytest.raises(BadInput, match="low = 4, high = 0; expected low below high"):
        channel(low=4.0, high=0.0)(lambda self: self.answer)


@pytest.mark.parametrize(
    ("ask", "answer", "said"),
    [
        (lambda one: one.identify(), None, "identify of its driver gave None; expected Identity"),
        (lambda one: one.identify(), Identity("X", 4711, None, None), "gave serial_number = 4711; expected a text"),  # type: ignore[arg-type]
        (lambda one: one.outcome(call("go"), {}), True, "outcome of its driver gave True; expected Outcome"),
        (lambda one: one.baseline(call("go")), {"counter": b"1"}, "baseline of its driver gave what the journal cannot keep"),
        (lambda one: one.perform(call("go")), {"what": object()}, "command go of its driver gave <object object"),
    ],
)
def test_a_method_that_returns_something_else_ends_its_call_in_one_line(ask: Any, answer: object, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        ask(careless(answer))


def test_an_identity_is_compared_with_the_bench_file_though_its_driver_forgets_to() -> None:
    told = Identity("X", "4712", None, None)
    assert careless(told).identify() == told
    with pytest.raises(DeviceError, match="serial number 4712; the bench file expects 4711"):
        careless(told, serial_number="4711").identify()
