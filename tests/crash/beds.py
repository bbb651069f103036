"""The benches on which processes are killed: other drivers and other kinds of links each time, quick to carry out."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from instruments.lab_processes.process_identity import Process
from tests.crash.called import called, callees, judge_calls, look_up
from tests.crash.campaigns import quick_campaign
from tests.crash.chemist import at_work, by_hand, judge_answers, never_asked
from tests.crash.oracle import Judgement, judge, plant_verdict
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


Victims = Mapping[str, Callable[[], Process | None]]
"""Who may be killed beside the lab's own processes: name -> the process that it is now; None where there is none."""


def judge_plant(laboratory: Laboratory) -> Judgement:
    """Judge by the plant's own log."""
    return judge(laboratory.lab, laboratory.campaign)


def look_at_plant(laboratory: Laboratory, run_key: str) -> str:
    """Say what an operator says who reads the plant's log."""
    return plant_verdict(laboratory.lab, run_key)


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
    company: Callable[[Laboratory, int], AbstractContextManager[Victims]] = lambda *_: nullcontext({})
    """Laboratory, seed -> who else is there while the campaign is carried out."""
    judge: Callable[[Laboratory], Judgement] = judge_plant
    look: Callable[[Laboratory, str], str] = look_at_plant
    """Laboratory, run key -> what an operator says of a run whose end nobody saw, for `athanor resolve`."""


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


def with_prefect(bed: Bed) -> Bed:
    """Return the same bench with Prefect, which shows its campaign and is killed as well."""
    return replace(bed, name=f"{bed.name} with Prefect", links="as before", victims=(*bed.victims, "prefect"), view=True)


WITHOUT_VIEW: Final = ("campaign", "host", "supervisor")
WIRED: Final = (
    Bed("CdSe", "LADS over secured OPC-UA; Eurotherm and three New Era on serial lines", cdse, WITHOUT_VIEW),
    Bed("declared burette", "a profile, on a serial line", declared, WITHOUT_VIEW),
    Bed("plug-in burette", "a driver of other people's, on a serial line", plugged_in, WITHOUT_VIEW),
    Bed("CdSe with Prefect", "as the first", cdse, (*WITHOUT_VIEW, "prefect"), view=True),
)
CALLED: Final = Bed(
    "functions and commands",
    "two Python functions and two commands, one of each repeatable",
    called,
    ("campaign", "host", "supervisor", "child", "program"),
    company=callees,
    judge=judge_calls,
    look=look_up,
)
CHEMIST: Final = Bed(
    "a chemist",
    "a person, two steps a run, three runs side by side; answers by the command, and through Python and HTTP",
    by_hand,
    ("campaign", "host", "supervisor", "answer"),
    company=at_work,
    judge=judge_answers,
    look=never_asked,
)
UNWIRED: Final = (CALLED, CHEMIST, *(with_prefect(bed) for bed in (CHEMIST, CALLED)))
GROUPS: Final[Mapping[str, tuple[Bed, ...]]] = {"wired": WIRED, "unwired": UNWIRED}
