"""A bench with one pump of other people's beside the devices that Athanor knows."""

import re
import shutil
from pathlib import Path

import pytest

from orchestrator.domain.lifecycle import RunStatus
from tests.faults.laboratory import Laboratory

pytestmark = [pytest.mark.slow, pytest.mark.long]

PLANT = """[links.third]
kind = "serial"

[devices.pump_l]
model = "./tube_pump.py:PumpBody"
link = "third"
stock = { L = 4.0 }
"""
BENCH = """[instruments.pump_l]
driver = "./tube_pump.py:Pump"
link = "third"
limits.flow = { min = "0.02 mL/min", max = "6 mL/min" }
limits.volume = { min = "0.01 mL", max = "50 mL" }
safe_state = ["stop"]
"""


def _replaced(text: str, table: str, new: str) -> str:
    """Put a table in the place of another one, which ends with an empty line."""
    found, count = re.subn(rf"\[{re.escape(table)}\]\n(?:[^\n]+\n)+", new, text)
    assert count == 1
    return found


@pytest.mark.timeout(400)
def test_a_plug_in_pump_feeds_the_tube_beside_the_shipped_ones(tmp_path: Path) -> None:
    laboratory = Laboratory.new(tmp_path / "bench", budget=2, rate=300.0)
    folder = laboratory.file.parent
    shutil.copy(Path(__file__).parent / "tube_pump.py", folder)
    plant, bench = folder / "plant.toml", folder / "bench.toml"
    plant.write_text(_replaced(plant.read_text(), "devices.pump_l", PLANT))
    link = '[links.third]\nkind = "serial"\nport = "/dev/serial/by-id/usb-third"\n\n'
    bench.write_text(_replaced(bench.read_text(), "instruments.pump_l", BENCH).replace("[instruments.oven]", link + "[instruments.oven]"))
    try:
        ended = laboratory.complete()
        assert ended.code == 0, ended.err
        assert [run.status for run in laboratory.runs()] == [RunStatus.COMPLETED] * 2, [run.reason for run in laboratory.runs()]
        samples = [one["values"] for one in laboratory.truth("tube", "sample")]
        assert len(samples) == 2
        assert all(one["L_mol_per_l"] > 0.1 for one in samples), samples
        assert len(laboratory.truth("pump_l", "dose")) == 2
    finally:
        laboratory.close()
