"""Functions and commands as instruments: a bench of ten lines, its one instrument in hand."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from instruments.bench.connect import connect
from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.lanes import lane_of
from instruments.drivers.protocol import Call, Driver, Finding, Outcome, Progress, StepVerdict
from orchestrator.clock import LiveClock

BENCH = """
[bench]
name = "b"
reduction = "identity/1"

[instruments.film]
driver = "python"
{options}

[instruments.film.calls.cast]
function = "film:cast"
arguments.temperature = {{ unit = "degC", min = "20 degC", max = "90 degC" }}
arguments.solvent = {{ choices = ["DMF", "THF"], default = "DMF" }}
returns.thickness = "nm"
{keys}

[[procedure.steps]]
do = "film.cast"
with = {{ temperature = "60 degC" }}
"""

FILM = """
import os, time
from pathlib import Path

LOG = Path(__file__).with_name("oracle.log")

def note(word, temperature):
    with LOG.open("a") as log:
        log.write(f"{word} {temperature:g}\\n")
        log.flush()
        os.fsync(log.fileno())

def cast(temperature, solvent):
    "The oracle: what was begun, and what was done."
    note("begin", temperature)
    until = time.monotonic() + 20.0
    while (Path(__file__).with_name("hold")).exists() and time.monotonic() < until:
        time.sleep(0.005)
    note("done", temperature)
    return {"thickness": 2.0 * temperature}
"""


def bench_of(folder: Path, *, keys: str = "", options: str = "", text: str = BENCH, film: str | None = FILM) -> BenchFile:
    """Write a bench with its function, and read it."""
    if film is not None:
        (folder / "film.py").write_text(film)
    path = folder / "bench.toml"
    path.write_text(text.format(keys=keys, options=options))
    (folder / "lab").mkdir(exist_ok=True)
    return parse_bench(path.read_text(), path).in_lab(folder / "lab")


@contextmanager
def in_hand(bench: BenchFile, instrument: str = "film") -> Iterator[Driver]:
    """Build the driver of an instrument as a host does."""
    driver = connect(bench, lane_of(bench.spec, instrument), LiveClock())[instrument]
    try:
        yield driver
    finally:
        driver.close()


def call(key: str = "r1", step: int = 0, temperature: float = 60.0, command: str = "cast", **more: float | str) -> Call:
    """Return one call as the host makes it."""
    return Call(command, {"temperature": temperature, **more}, key, "c", step=step)


def ended(driver: Driver, asked: Call, *, seconds: float = 30.0) -> Outcome:
    """Follow a call to its end."""
    until = time.monotonic() + seconds
    while (outcome := driver.outcome(asked, {})).progress is Progress.RUNNING:
        assert time.monotonic() < until, "it runs for ever"
        time.sleep(0.01)
    return outcome


def settled(driver: Driver, asked: Call, *, seconds: float = 30.0) -> Finding:
    """Ask what became of a call until nobody executes it any more."""
    until = time.monotonic() + seconds
    while (finding := driver.reconcile(asked, {})).verdict is StepVerdict.RUNNING:
        assert time.monotonic() < until, "it runs for ever"
        time.sleep(0.01)
    return finding


def awaited(path: Path, text: str, *, seconds: float = 20.0) -> None:
    """Wait until a text stands in a file."""
    until = time.monotonic() + seconds
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < until, f"{text!r} does not come"
        time.sleep(0.005)


def oracle(folder: Path) -> Mapping[str, int]:
    """Return how often each thing was noted by the function itself."""
    path = folder / "oracle.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line: lines.count(line) for line in lines}
