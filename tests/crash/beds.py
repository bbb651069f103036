"""The benches on which processes are killed: other drivers and other kinds of links each time, quick to carry out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.campaigns import quick_campaign
from tests.faults.laboratory import Laboratory
from tests.host.test_declared_doses import DECLARED
from tests.plugins.writing import BURETTE, example

ABSORBANCE: Final = """
[channels.absorbance]
query = "ABS?"
reply = '(?P<value>\\d+\\.\\d+)'
min = 0
max = 4
"""


@dataclass(frozen=True)
class Bed:
    """One bench, and which of its processes are killed."""

    name: str
    links: str
    """What is on its wires, for people."""
    make: Callable[[Path, int], Laboratory]
    """Folder, budget -> a lab in which nothing runs yet."""
    victims: tuple[str, ...]
    """Drawn from at random."""
    view: bool = False
    """Whether Prefect shows the campaign."""


def cdse(folder: Path, budget: int) -> Laboratory:
    """Make the lab of the scaffolded bench."""
    file = quick_campaign(folder, budget=budget)
    return Laboratory(file, folder / ".athanor-dry", rate=1000.0)


def plugged_in(folder: Path, budget: int) -> Laboratory:
    """Make the lab of the burette whose driver stands beside its bench file."""
    file = example(folder).parent / "campaign.toml"
    text = file.read_text().replace("budget = 6", f"budget = {budget}\nmax_failures = 1000")
    file.write_text(text + '\n[policy]\nkind = "sobol"\n')
    return Laboratory(file, folder / ".athanor-dry", rate=20.0, campaign="darkest")


def declared(folder: Path, budget: int) -> Laboratory:
    """Make the lab of the same burette, attached by a profile."""
    made = plugged_in(folder, budget)
    (folder / "burette.toml").write_text(DECLARED + ABSORBANCE)
    made.bench.write_text(made.bench.read_text().replace(BURETTE, "./burette.toml"))
    return made


WITHOUT_VIEW: Final = ("campaign", "host", "supervisor")
BEDS: Final = (
    Bed("CdSe", "LADS over secured OPC-UA; Eurotherm and three New Era on serial lines", cdse, WITHOUT_VIEW),
    Bed("declared burette", "a profile, on a serial line", declared, WITHOUT_VIEW),
    Bed("plug-in burette", "a driver of other people's, on a serial line", plugged_in, WITHOUT_VIEW),
    Bed("CdSe with Prefect", "as the first", cdse, (*WITHOUT_VIEW, "prefect"), view=True),
)
