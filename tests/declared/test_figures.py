"""Numbers and texts of a profile that would be sent wrongly or never be equal, and readings that stand for no value."""

import pytest

from instruments.drivers.checks import means_no_number
from instruments.drivers.declared.device import declared_driver
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.protocol import Call, Driver, Settings
from orchestrator.clock import LiveClock
from orchestrator.errors import BadInput, LimitError, ProtocolError
from tests.declared.test_profile_files import PROFILE
from tests.instrument.scripted import ScriptedTransport

HEAT = """
[channels.t]
unit = "degC"
query = "T?"
reply = '(?P<value>\\S+)?'
min = -50
max = 400

[commands.heat]
kind = "state-setting"
send = "T {v:.1f}"
argument.v = { unit = "degC", min = 0, max = 100 }
readback = { channel = "t", within = 1 }
"""
LINES = PROFILE + HEAT
REGISTERS = """
[profile]
name = "m"
driver = "modbus"
sources = ["none: of a test"]

[identity]
register = 3

[channels.a]
register = 1

[commands.set]
kind = "state-setting"
register = 5
argument.v = { min = 0, max = 10 }

[safe.off]
register = 2
value = 0
"""
WRONG = {
    "a value that is always 0": ("min = -50", "scale = 0\nmin = -50", "channels.t: scale = 0 makes every value 0"),
    "a division by 0": ("max = 100 }", "max = 100, scale = 0 }", "commands.heat.argument.v: scale = 0"),
    "an empty range of a channel": ("min = -50", "min = 500", "channels.t: min = 500, max = 400; expected min below max"),
    "a default beyond the range": ("max = 100 }", "max = 100, default = 101 }", "default = 101 is outside of its own min and max"),
    "a default of another kind": ("max = 100 }", 'max = 100, default = "hot" }', "default = 'hot'; expected a number"),
    "a number a hundred times too large": ("{v:.1f}", "{v:.1%}", "{v:.1%} would write another number; expected decimals such as {v:.2f}"),
    "a number of one digit": ("{v:.1f}", "{v:.0e}", "{v:.0e} would write another number"),
    "a number in groups": ("{v:.1f}", "{v:,.1f}", "{v:,.1f} would write another number"),
    "a readback in another unit": ('unit = "degC"\nquery', 'unit = "K"\nquery', "v is in 'degC', its readback t in 'K'; expected one unit"),
    "a readback that is never equal": ('unit = "degC"\nquery', "text = true\nquery", "channels.t: min, max and scale belong to a number"),
    "an end that is never seen": ("equals = 0", 'equals = "0"', "commands.dose.done: compares a text with busy, which is a number"),
    "two requests in one": ('send = "STOP"', 'send = "STOP\\r\\nGO"', "holds the end of a request; expected a list of lines"),
    "an end of two bytes": (
        'ack = "OK"',
        'ack = "OK"\nterminator = "\u20ac"',
        "line.terminator = '\u20ac'; expected characters of one byte",
    ),
    "an argument with the name of an option": (
        "[options.unit]",
        "[options.v]",
        "v is what lines call something else; expected another name",
    ),
    "an option with the name of the address": (
        "[options.unit]",
        "[options.address]",
        "options.address: address is what lines call something",
    ),
    "a misspelt group": ("(?P<model>", "(?P<modl>", "identity.model: unknown group 'modl'; legal: boot_id, firmware, model, serial_number"),
    "a watchdog without a time": ("[safe.stop]", '[watchdog]\nsend = "W"\nmin = 9\nmax = 3\n[safe.stop]', "watchdog: min = 9, max = 3"),
}
WRONG_REGISTERS = {
    "half a number": ("register = 5", 'register = 5\ntype = "float32"\nfunction = 6', "function 6 writes one register, float32 takes two"),
    "a register after the last": ("register = 1", 'register = 65535\ntype = "int32"', "register 65535 is the last one; int32 takes two"),
    "a bit of two registers": ("register = 1", 'register = 1\ntype = "int32"\nbit = 1', "a bit is one of a register; int32 takes two"),
    "a type of nodes": ("register = 1", 'register = 1\ntype = "bool"', "channels.a: type 'bool' belongs to nodes"),
    "a range that does not fit": ("max = 10 }", "max = 40000 }", "v, max = 40000 is written as 40000, which does not fit int16"),
    "a safe value that does not fit": ("value = 0", "value = 99999", "safe.off: value is written as 99999, which does not fit int16"),
    "a safe value between two": ("value = 0", "value = 0.4", "safe.off: value = 0.4; int16 takes whole numbers"),
    "a safe value that is a text": ("value = 0", 'value = "off"', "safe.off: value = 'off'; a register takes a number"),
    "an argument that is never written": ("register = 5", "register = 5\nvalue = 1", "value = 1 is written, and its argument v never"),
    "a second argument": (
        "register = 5",
        'register = 5\nvalue = "v"\nargument.w = { min = 0 }',
        "it has 2 arguments: the others would never",
    ),
    "a text in a register": ("{ min = 0, max = 10 }", '{ values = ["on"] }', "v is a text; a register takes a number"),
}


@pytest.mark.parametrize(
    ("text", "wrong"), [*((LINES, one) for one in WRONG.values()), *((REGISTERS, one) for one in WRONG_REGISTERS.values())]
)
def test_what_would_be_sent_wrongly_or_never_be_equal_is_one_line(text: str, wrong: tuple[str, str, str]) -> None:
    old, new, line = wrong
    assert old in text
    parse_profile(text, "profile")
    with pytest.raises(BadInput) as caught:
        parse_profile(text.replace(old, new), "profile")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def thermometer(*answers: str, profile: str = LINES) -> Driver:
    script = [(b"T?\r\n", f"{answer}\r\n".encode()) for answer in answers]
    return declared_driver(parse_profile(profile, "profile"))(ScriptedTransport(script), Settings("bath"), LiveClock())


@pytest.mark.parametrize("answer", ["9.9E37", "-9.9E+37", "9.91E37", "9.9000005e37", "nan", "inf", "1e400", "9999", "-51"])
def test_what_stands_for_no_value_or_lies_beyond_the_devices_range_is_no_value(answer: str) -> None:
    (reading,) = thermometer(answer).read(["t"])
    assert (reading.value, reading.quality, reading.raw) == (None, "bad", f"{answer}\r\n".encode())


def test_a_figure_of_scpi_is_none_before_it_is_scaled_too() -> None:
    scaled = LINES.replace("min = -50\nmax = 400", "scale = 0.001")
    assert thermometer("9.91E37", profile=scaled).read(["t"])[0].value is None
    assert thermometer("400000", profile=scaled).read(["t"])[0].value == 400.0
    assert not means_no_number(9.8e37)


def test_values_at_the_ends_of_the_range_are_values() -> None:
    assert [thermometer(one).read(["t"])[0].value for one in ("-50", "400")] == [-50.0, 400.0]


def test_an_answer_without_its_value_is_an_error_of_the_protocol() -> None:
    with pytest.raises(ProtocolError, match="answered None for t; expected a number"):
        thermometer("").read(["t"])


@pytest.mark.parametrize(("limits", "value"), [("min = 0", -0.1), ("max = 100", 100.1)])
def test_a_range_with_one_open_end_holds_at_the_other(limits: str, value: float) -> None:
    driver = thermometer(profile=LINES.replace("min = 0, max = 100", limits))
    with pytest.raises(LimitError, match=r"bath.heat v = .* degC; allowed"):
        driver.check(Call("heat", {"v": value}, "key", "campaign"))
    driver.check(Call("heat", {"v": 50.0}, "key", "campaign"))
