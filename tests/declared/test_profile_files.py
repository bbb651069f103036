"""A profile beside the bench file: it is one of the bench's files, and what is wrong in it is told in one line."""

from pathlib import Path

import pytest

from instruments.bench.file import load_bench, read_bench
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.registry import find_driver
from orchestrator.errors import BadInput

PROFILE = r"""
[profile]
name = "burette"
driver = "line"
sources = ["its manual, page 7"]

[options.unit]
default = "A"

[line]
ack = "OK"

[identity]
query = "ID?"
model = '(?P<model>\w+) (?P<serial_number>\d+)'

[channels.given]
unit = "mL"
query = "GIVEN?"
reply = '(?P<value>\d+\.\d+)'

[channels.busy]
query = "BUSY?"
reply = "(?P<value>[01])"

[commands.dose]
kind = "dosing"
send = "DOSE {volume:.2f}"
argument.volume = { unit = "mL", min = 0.01, max = 10 }
done = { channel = "busy", equals = 0 }
evidence = { channel = "given", grows_by = "volume" }
cancel = "stop"

[safe.stop]
send = "STOP"
"""
BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[links.a]
kind = "serial"
port = "/dev/ttyUSB0"

[instruments.burette]
driver = "./profiles/burette.toml"
link = "a"
limits.volume = { min = "0.1 mL", max = "20 mL" }
safe_state = ["stop"]

[[procedure.steps]]
do = "burette.dose"
with = { volume = "1 mL" }
"""


def bench_at(folder: Path, profile: str = PROFILE) -> Path:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "burette.toml").write_text(profile)
    (folder / "bench.toml").write_text(BENCH)
    return folder / "bench.toml"


def test_a_profile_is_one_of_the_files_of_its_bench(tmp_path: Path) -> None:
    bench = load_bench(bench_at(tmp_path))
    assert set(bench.files) == {"bench.toml", "profiles/burette.toml"}
    assert bench.envelope.limits["burette.volume"].high == 10.0
    assert bench.plugins["./profiles/burette.toml"].source == str(tmp_path / "profiles" / "burette.toml")
    changed = load_bench(bench_at(tmp_path, PROFILE.replace("max = 10", "max = 5")))
    assert changed.sha256 != bench.sha256
    assert changed.envelope.limits["burette.volume"].high == 5.0


def test_a_shipped_profile_is_known_by_version_and_hash(tmp_path: Path) -> None:
    path = bench_at(tmp_path)
    path.write_text(
        BENCH.replace("./profiles/burette.toml", "julabo")
        .replace('limits.volume = { min = "0.1 mL", max = "20 mL" }', "")
        .replace("stop", "off")
        .replace("dose", "start")
        .replace('with = { volume = "1 mL" }', "")
    )
    bench = load_bench(path)
    assert bench.plugins["julabo"].identity.startswith("profile julabo 1, sha256 ")
    assert set(bench.files) == {"bench.toml"}


def test_a_broken_profile_does_not_keep_the_bench_from_being_read_for_its_safe_state(tmp_path: Path) -> None:
    path = bench_at(tmp_path, "[profile]\n")
    assert read_bench(path).spec.instruments["burette"].driver == "./profiles/burette.toml"
    with pytest.raises(BadInput, match=r"instrument burette: profile .*burette.toml: profile.name is missing"):
        load_bench(path)


@pytest.mark.parametrize("name", ["./../burette.toml", "/etc/burette.toml", "burette.toml"])
def test_a_profile_lies_beside_its_bench_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"expected './FILE.toml'"):
        find_driver(name, tmp_path)


def test_a_missing_profile_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"profile .*nothing.toml does not exist"):
        find_driver("./nothing.toml", tmp_path)
    with pytest.raises(BadInput, match=r"unknown driver 'julab'; known: .*cavro-pump.*julabo.*mt-sics"):
        find_driver("julab", tmp_path)


WRONG = {
    "an unknown key": ('ack = "OK"', 'ack = "OK"\nterminater = "x"', r"unknown key line.terminater; legal here: start, prefix, terminator"),
    "an unknown engine": ('driver = "line"', 'driver = "lines"', r"profile.driver = 'lines': Input should be 'line', 'modbus' or 'opcua'"),
    "no sources": ('sources = ["its manual, page 7"]', "sources = []", "profile.sources"),
    "a broken pattern": ("(?P<value>[01])", "(?P<value>[01)", "is no regular expression"),
    "a pattern without a value": ("(?P<value>[01])", "[01]", r"channels.busy.reply: '\[01\]' has no group \(\?P<value>...\)"),
    "an unknown unit": ('unit = "mL"\nquery', 'unit = "mll"\nquery', "channels.given.unit"),
    "a key of another engine": ('query = "BUSY?"', "register = 7", "channels.busy: register does not belong to driver = 'line'"),
    "no question": ('query = "BUSY?"', 'unit = "s"', "channels.busy: expected query"),
    "no answer": ('reply = "(?P<value>[01])"', 'bad = "x"', "channels.busy: expected reply"),
    "a table of another engine": (
        "[line]",
        '[modbus]\nword_order = "big"\n[line]',
        r"\[modbus\] belongs to driver = 'modbus', not to 'line'",
    ),
    "an unknown channel": ('channel = "busy"', 'channel = "bussy"', "commands.dose.done: unknown channel 'bussy'; declared: given, busy"),
    "an unknown field": ("DOSE {volume:.2f}", "DOSE {volum:.2f}", r"unknown \{volum\}; legal: \{address\}, \{unit\}, \{volume\}"),
    "an attribute": ("DOSE {volume:.2f}", "DOSE {volume.real:.2f}", r"unknown \{volume.real\}"),
    "a format of texts": ("DOSE {volume:.2f}", "DOSE {volume:d}", "commands.dose.send = 'DOSE {volume:d}': Unknown format code 'd'"),
    "a lost argument": ("DOSE {volume:.2f}", "DOSE", "commands.dose.send: the argument 'volume' is not sent"),
    "a dose without an end": ('done = { channel = "busy", equals = 0 }', "", "a dose needs `done`, which tells its end, and `cancel`"),
    "an unknown safe action": ('cancel = "stop"', 'cancel = "halt"', "cancel names the safe action 'halt'; declared: stop"),
    "evidence in another unit": (
        '[channels.given]\nunit = "mL"',
        '[channels.given]\nunit = "L"',
        "volume is in 'mL', its evidence given in 'L'",
    ),
    "an argument of no number": (
        'grows_by = "volume"',
        'grows_by = "time"',
        "evidence grows by 'time', which is no number among its arguments",
    ),
    "an empty range": ("min = 0.01, max = 10", "min = 10, max = 0.01", "min = 10, max = 0.01; expected min below max"),
    "an unknown scale": ('unit = "mL"\nquery', 'unit = "mL"\nscale = "step"\nquery', "scale names the option 'step'; declared: unit"),
    "a checksum's place without one": ('ack = "OK"', 'checksum_form = "hex"', "checksum_place and checksum_form need a checksum"),
    "what is no ASCII": ("STOP", "STÖP", "safe.stop.send = 'STÖP'; expected ASCII characters"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_in_a_profile_is_told_in_one_line(what: str) -> None:
    old, new, line = WRONG[what]
    assert old in PROFILE
    with pytest.raises(BadInput, match=line) as caught:
        parse_profile(PROFILE.replace(old, new), "profile burette")
    assert str(caught.value).startswith("profile burette")
    assert "\n" not in str(caught.value)


def test_options_are_checked_before_they_stand_in_a_line(tmp_path: Path) -> None:
    path = bench_at(tmp_path)
    path.write_text(BENCH.replace("safe_state", 'options = { unit = "A\\rSTART" }\nsafe_state'))
    with pytest.raises(BadInput, match=r"burette: options.unit = 'A\\rSTART'"):
        load_bench(path)
