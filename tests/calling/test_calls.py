"""A function as an instrument: what it is handed, what it gives back, and what becomes of everything that goes wrong."""

import re
import time
from pathlib import Path

import pytest

from instruments.drivers.protocol import Progress
from orchestrator.errors import DeviceError, LimitError
from tests.calling import awaited, bench_of, call, ended, in_hand, oracle

pytestmark = pytest.mark.slow


def test_it_gets_plain_numbers_and_its_returns_are_readings_in_the_declared_unit(tmp_path: Path) -> None:
    film = 'def cast(temperature, solvent):\n    print("hello", solvent)\n    return (temperature * 1e-3, "um")\n'
    with in_hand(bench_of(tmp_path, film=film)) as driver:
        assert driver.identify().model == "Python functions"
        assert driver.perform(call()) == {"temperature": 60.0, "solvent": "DMF"}
        outcome = ended(driver, call())
        assert outcome.progress is Progress.FINISHED
        assert outcome.code == "completed"
        (reading,) = outcome.readings
        assert (reading.name, reading.unit) == ("film.thickness", "nm")
        assert reading.value == pytest.approx(60.0)
        assert reading.raw == (tmp_path / "lab" / "calls" / "r1-0.json").read_bytes()
        assert driver.read(["thickness"]) == (reading,)
    assert "hello DMF" in (tmp_path / "lab" / "calls" / "film.log").read_text()


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("raise ValueError('too viscous\\nreally')", "ValueError", r"ValueError: too viscous \(film.py, line 2\)"),
        ("raise SystemExit(3)", "SystemExit", r"SystemExit: 3 \(film.py, line 2\)"),
        ("return {}", "wrong returns", "no 'thickness'; it returned nothing, declared: thickness"),
        ("return {'thickness': 1.0, 'colour': 2}", "wrong returns", "'colour', which is not declared; declared: thickness"),
        ("return float('nan')", "wrong returns", "thickness = nan, which is not finite; expected a number in nm"),
        ("return None", "wrong returns", "thickness = nothing; expected a number in nm"),
        ("return True", "wrong returns", "thickness = True; expected a number in nm"),
        ("return [1.0, 2.0]", "wrong returns", r"thickness = \[1.0, 2.0\]; expected a number in nm"),
        ("return 'thick'", "wrong returns", "thickness = 'thick'; expected a number in nm"),
        ("return (1.0, 'g')", "wrong returns", "thickness = 1.0 in 'g'; expected a number in nm"),
        ("return (1.0, '')", "wrong returns", "came with an empty unit"),
        ("return 5000.0", "wrong returns", "thickness = 5000 nm; believed are 0 to 1000 nm"),
    ],
)
def test_what_goes_wrong_in_a_function_is_one_line(tmp_path: Path, body: str, code: str, said: str) -> None:
    bench = bench_of(tmp_path, film=f"def cast(temperature, solvent):\n    {body}\n")
    text = bench.text.replace('returns.thickness = "nm"', 'returns.thickness = { unit = "nm", min = 0, max = "1 um" }')
    with in_hand(bench_of(tmp_path, text=text.replace("{", "{{").replace("}", "}}"), film=None)) as driver:
        driver.perform(call())
        outcome = ended(driver, call())
    assert outcome.progress is Progress.FAILED
    assert outcome.code == code
    assert outcome.reason is not None
    assert re.search(said, outcome.reason), outcome.reason
    assert "\n" not in outcome.reason


def test_values_outside_limits_and_choices_never_reach_it(tmp_path: Path) -> None:
    with in_hand(bench_of(tmp_path)) as driver:
        with pytest.raises(LimitError, match="allowed 20 to 90 degC"):
            driver.perform(call(temperature=95.0))
        with pytest.raises(LimitError, match="solvent = 'water'; expected DMF or THF"):
            driver.perform(call(solvent="water"))
        with pytest.raises(DeviceError, match=r"film\.thickness is known once cast was carried out"):
            driver.read(["thickness"])
    assert oracle(tmp_path) == {}


def test_a_time_limit_ends_it_with_all_that_it_has_started(tmp_path: Path) -> None:
    film = (
        "import subprocess, time\ndef cast(temperature, solvent):\n"
        "    one = subprocess.Popen(['sleep', '60'])\n    open('child.pid', 'w').write(str(one.pid) + ' ')\n    time.sleep(60)\n"
    )
    with in_hand(bench_of(tmp_path, film=film, keys='time_limit = "0.5 s"')) as driver:
        driver.perform(call())
        outcome = ended(driver, call())
        assert outcome.reason == "it was ended after 0.5 s, its time limit"
        assert outcome.code == "time limit"
        started = int((tmp_path / "child.pid").read_text())
        until = time.monotonic() + 10.0
        while Path(f"/proc/{started}/stat").exists() and ") Z" not in Path(f"/proc/{started}/stat").read_text():
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_call_that_is_cancelled_ends_now_and_may_tidy_up(tmp_path: Path) -> None:
    film = (
        "import time\ndef cast(temperature, solvent):\n    try:\n        open('begun', 'w').write('b')\n        time.sleep(60)\n"
        "    finally:\n        open('tidy', 'w').write('t')\n"
    )
    with in_hand(bench_of(tmp_path, film=film)) as driver:
        driver.perform(call())
        awaited(tmp_path / "begun", "b")
        driver.cancel(call())
        assert (tmp_path / "tidy").exists()
        assert ended(driver, call()).reason == "it was stopped"
        driver.cancel(call())
        driver.perform(call("r2"))
        awaited(tmp_path / "lab" / "calls" / "r2-0.lock", "began")
        driver.cancel(call("r2"))


def test_one_process_serves_call_after_call_and_is_gone_with_its_driver(tmp_path: Path) -> None:
    film = "import os\nCOUNT = []\ndef cast(temperature, solvent):\n    COUNT.append(1)\n    return len(COUNT)\n"
    with in_hand(bench_of(tmp_path, film=film)) as driver:
        for number in range(1, 4):
            asked = call(f"r{number}", step=number)
            driver.perform(asked)
            assert ended(driver, asked).readings[0].value == number


def test_an_interpreter_of_its_own_needs_nothing_of_athanor(tmp_path: Path) -> None:
    film = (
        "import sys, importlib.util\ndef cast(temperature, solvent):\n"
        "    assert importlib.util.find_spec('pydantic') is None\n    return float(sys.prefix == '/usr')\n"
    )
    (tmp_path / "own").symlink_to("/usr/bin/python3")
    with in_hand(bench_of(tmp_path, film=film, options='options = { interpreter = "own" }')) as driver:
        driver.perform(call())
        assert ended(driver, call()).readings[0].value == 1.0
