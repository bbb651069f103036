"""Each cell of the fault table is carried out: a host with the real driver, a wire with a relay in it, a simulated device.

The device's own log is the judge: what may happen once never happens twice, and what is said to be done was done.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from instruments.host import device_access
from orchestrator.errors import InstrumentError
from tests.faults.bench_in_hand import BenchInHand, End, in_hand
from tests.faults.columns import COLUMNS, write_plant
from tests.faults.injections import INJECTIONS, Injection, Scene, struck
from tests.faults.table import ENDS, OTHERS, TITLES, Cell, cells, table
from tests.instrument.running_plant import RunningPlant, running_plant

RATE: Final = 60.0
PATIENCE: Final = 8.0
"""Wall s for which a lost link is opened anew here; the product's half minute would only be waited out."""
SAMPLE: Final = random.Random(7).sample(cells(), 14)
ROOT: Final = Path(__file__).parents[2]

# asyncua leaves the socket of an attempt to connect that is broken off to the garbage collector, which `in_hand` calls.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(socket|function _SelectorTransport):pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlant]:
    folder = tmp_path_factory.mktemp("plant")
    with running_plant(folder, rate=RATE, plant=write_plant(folder)) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_access, "RECONNECT_FOR", PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS)
def test_without_a_fault_a_run_is_completed(plant: RunningPlant, tmp_path: Path, column: str) -> None:
    with in_hand(plant, COLUMNS[column], tmp_path) as (bench, _):
        bench.come_up()
        judge(bench.carry_out(), Cell("none", column, "completed"))


@pytest.mark.slow
@pytest.mark.parametrize("cell", SAMPLE, ids=lambda cell: f"{cell.column}-{cell.fault}")
def test_a_sample_of_the_faults_ends_as_declared(plant: RunningPlant, tmp_path: Path, cell: Cell) -> None:
    carry_out(plant, tmp_path, cell)


@pytest.mark.soak
@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.column}-{cell.fault}")
def test_every_fault_ends_as_declared(plant: RunningPlant, tmp_path: Path, cell: Cell) -> None:
    carry_out(plant, tmp_path, cell)


def carry_out(plant: RunningPlant, folder: Path, cell: Cell) -> None:
    """Let a fault happen, and hold its end against what is declared."""
    injection = INJECTIONS[cell.fault]
    with in_hand(plant, COLUMNS[cell.column], folder) as (bench, relay):
        scene = Scene(plant, COLUMNS[cell.column], relay, bench)
        with injection.around(scene):
            if injection.at_start:
                refused(bench, injection, scene, cell)
                return
            bench.come_up()
            armed = injection.arm(scene)
            end = bench.carry_out()
        assert struck(armed) > 0, "the fault did not happen"
        judge(end, cell)


def refused(bench: BenchInHand, injection: Injection, scene: Scene, cell: Cell) -> None:
    """Let a fault happen while the bench comes up."""
    armed = injection.arm(scene)
    with pytest.raises(InstrumentError, match=cell.column):
        bench.come_up()
    assert struck(armed) > 0, "the fault did not happen"
    assert cell.says == "refused"


def judge(end: End, cell: Cell) -> None:
    """Hold an end against its cell, and against the device's own log."""
    assert end.word == {"believed": "completed"}.get(cell.says, cell.says), end
    assert end.executed <= 1, end
    assert not (end.said_not_executed and end.executed), end
    if COLUMNS[cell.column].event and end.word in ("completed", "quarantined"):
        assert end.executed == 1, end
    if end.word not in ("completed", "quarantined"):
        assert cell.column in end.reason or end.reason.startswith("program ended with"), end  # of a run's one program
        assert "\n" not in end.reason


def test_the_table_is_whole() -> None:
    assert list(TITLES) == list(COLUMNS)
    assert {fault.name for fault in table() if any(cell.is_tested for cell in fault.cells)} == set(INJECTIONS)
    for fault in table():
        for cell in fault.cells:
            assert cell.says in ENDS or (cell.word in OTHERS and cell.reason), cell
            if cell.word == "elsewhere":
                assert (ROOT / cell.reason).exists(), cell
