"""A command as an instrument: its words, what it prints or writes, and what becomes of everything that goes wrong."""

import re
from pathlib import Path

import pytest

from instruments.drivers.protocol import Progress
from tests.calling import BENCH, bench_of, call, ended, in_hand

pytestmark = pytest.mark.slow


def _bench(folder: Path, script: str, *, words: str = "{{temperature:.1f}}/{{solvent}}", keys: str = "") -> str:
    path = folder / "analyse.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    command = f'command = ["./analyse.sh", "{words}"]'
    return BENCH.replace('"python"', '"command"').replace('function = "film:cast"', command + keys)


def _outcome(folder: Path, text: str) -> tuple[Progress, str | None, str | None, float | None]:
    with in_hand(bench_of(folder, text=text, film=None)) as driver:
        driver.perform(call())
        outcome = ended(driver, call())
    value = outcome.readings[0].value if outcome.readings else None
    return outcome.progress, outcome.code, outcome.reason, value


@pytest.mark.parametrize(
    ("script", "keys"),
    [
        ('echo "{\\"thickness\\": 60}"', ""),
        ('echo "{\\"thickness\\": \\"0.06 um\\"}"', ""),
        ('echo "{\\"thickness\\": [0.06, \\"um\\"]}"', ""),
        ('echo "thickness"; echo "60"', '\noutput = "csv"'),
        ('printf "\\357\\273\\277thickness\\r\\n0.06 um\\r\\n"', '\noutput = "csv"'),
    ],
)
def test_its_returns_come_as_json_or_as_csv(tmp_path: Path, script: str, keys: str) -> None:
    progress, code, _, value = _outcome(tmp_path, _bench(tmp_path, script, keys=keys))
    assert (progress, code) == (Progress.FINISHED, "completed")
    assert value == pytest.approx(60.0)


def test_its_words_hold_the_arguments_and_no_shell_reads_them(tmp_path: Path) -> None:
    text = _bench(tmp_path, 'echo "$1" > words; echo "{\\"thickness\\": 1}"', words="$HOME;{{temperature:.1f}}/{{solvent}}{{{{}}}}")
    assert _outcome(tmp_path, text)[0] is Progress.FINISHED
    assert (tmp_path / "words").read_text() == "$HOME;60.0/DMF{}\n"


def test_it_may_write_a_file_where_it_is_told_to(tmp_path: Path) -> None:
    keys = '\noutput = "result.json"'
    text = _bench(tmp_path, 'echo noise; echo "{\\"thickness\\": 7}" > "${1#*=}"', words="{{temperature}}{{solvent}}={{output}}", keys=keys)
    assert _outcome(tmp_path, text)[3] == 7.0
    said = _outcome(tmp_path, _bench(tmp_path, "true", words="{{temperature}}{{solvent}}={{output}}", keys=keys))
    assert said[3] == 7.0  # the same call is not carried out again


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo lamp off >&2; exit 3", "exit 3", "./analyse.sh ended with exit code 3: lamp off"),
        ("kill -9 $$", "SIGKILL", "./analyse.sh was ended by SIGKILL"),
        ("echo hello", "no JSON", "is no JSON: 'hello'"),
        ("echo 12", "no JSON", "expected an object of JSON"),
        ('echo "{\\"thickness\\": NaN}"', "wrong returns", "thickness = nan, which is not finite"),
        ('echo "{\\"thickness\\": null}"', "wrong returns", "thickness = nothing; expected a number in nm"),
        ('echo "{\\"thickness\\": \\"1,5\\"}"', "wrong returns", "thickness = '1,5'; expected a number in nm"),
        ("head -c 1100000 /dev/zero", "too long", "is longer than 1000000 bytes"),
        ("printf '\\377\\376'", "no text", "is no UTF-8 text"),
    ],
)
def test_what_goes_wrong_in_a_command_is_one_line(tmp_path: Path, script: str, code: str, said: str) -> None:
    progress, came, reason, _ = _outcome(tmp_path, _bench(tmp_path, script))
    assert (progress, came) == (Progress.FAILED, code)
    assert re.search(re.escape(said), reason or ""), reason
    assert "\n" not in (reason or "")


@pytest.mark.parametrize("script", ["echo a,b; echo 1", "echo thickness", "true"])
def test_csv_is_a_line_of_names_and_a_line_of_values(tmp_path: Path, script: str) -> None:
    _, code, reason, _ = _outcome(tmp_path, _bench(tmp_path, script, keys='\noutput = "csv"'))
    assert code == "no CSV"
    assert "expected a line of names and a line of as many values" in (reason or "")
