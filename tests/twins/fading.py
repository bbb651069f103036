"""A film whose conductivity falls from some experiment on, beside a twin that does not know."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from flows.cli.init import Template, scaffold

FADES_AFTER: Final = 22
"""Experiments; what comes then conducts by a fifth less."""
LEARN: Final = 14
BUDGET: Final = 34
PLANT: Final = f"""
import math
import random
from pathlib import Path

CALLS = Path(__file__).with_name("calls.txt")


def cast(temperature, speed):
    with CALLS.open("a") as calls:
        calls.write("cast\\n")
    count = len(CALLS.read_text().splitlines())
    order = math.exp(-(((temperature - 60.0) / 40.0) ** 2))
    left = 0.8 if count > {FADES_AFTER} else 1.0
    conductivity = 400.0 * order * left * (1.0 + 0.03 * random.Random(count).gauss(0.0, 1.0))
    return {{"conductivity": conductivity, "thickness": 4.2e3 / math.sqrt(speed)}}
"""
TWIN: Final = """
import math

from athanor.twins import Constant, Twin, each


def predicted(asked):
    order = math.exp(-(((asked.controls["T"] - 60.0) / 40.0) ** 2))
    return {"conductivity": asked.constants["scale"] * order}


TWIN = Twin(
    name="film",
    version="1",
    controls={"T": "degC"},
    outputs={"conductivity": "S/cm"},
    predict_many=each(predicted),
    constants=(Constant("scale", "S/cm", 380.0, sd=0.2),),
)
"""


def bench(folder: Path, drift: str) -> Path:
    """Write the bench, with keys of `[twin.drift]`; return the folder."""
    scaffold(folder, Template.FUNCTION)
    (folder / "film.py").write_text(PLANT)
    (folder / "twin.py").write_text(TWIN)
    file = folder / "bench.toml"
    file.write_text(file.read_text() + f'\n[twin]\nchemistry = "twin:TWIN"\n{drift}')
    campaign = folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace("budget = 20", f"budget = {BUDGET}") + '\n[policy]\nkind = "sobol"\n')
    return folder


def typed(folder: Path, *words: str, code: int = 0, before: str = "") -> str:
    """Type a command, with something done to the process before; return what it says."""
    command = [sys.executable, "-c", f"{before}\nfrom flows.cli.main import main\nmain()", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
