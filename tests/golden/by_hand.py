"""The golden lab `by_hand`: people carry experiments out, tell values later, correct, take back and bring what was done elsewhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from flows.cli.main import app
from flows.plans.lab import open_lab
from flows.running.operations import standing
from flows.running.work_operations import waiting_work
from instruments.lab_processes.bench_process import shutdown_bench
from orchestrator.domain.run_code import run_code
from orchestrator.errors import AthanorError
from orchestrator.history import History
from tests.faults.laboratory import PATIENCE, eventually
from tests.golden.frozen import typed

_BENCH: Final = """
[bench]
name = "by-hand"
reduction = "identity/1"

[instruments.chemist]
driver = "person"

[instruments.chemist.calls.crystallise]
instructions = "Dissolve 20 g of alum in {water} of hot water, filter, dry and weigh."
arguments = { water = "mL" }
returns = { crystals = { unit = "g", min = "0 g", max = "25 g" }, note = "text" }

[procedure]
steps = [{ do = "chemist.crystallise", with = { water = "water" } }]
"""
_CAMPAIGN: Final = """
[campaign]
name = "alum"
bench = "bench.toml"
seed = 1
budget = 6
batch = 2

[[parameters]]
name = "water"
kind = "continuous"
unit = "mL"
min = 60
max = 160
resolution = 1

[[targets]]
name = "crystals"
unit = "g"
goal = "maximise"
low = 0
high = 20

[[targets]]
name = "purity"
unit = "percent"
goal = "maximise"
low = 90
high = 100
from = "later"
due = "72 h"

[[targets]]
name = "ash"
unit = "percent"
goal = "minimise"
low = 0
high = 1
from = "later"
due = "1 s"

[policy]
kind = "sobol"

[review]
mode = "never"
"""
_TABLE: Final = "water/mL,crystals/g,purity/%\n80,11.5,97.1\n120,9.25,98.4\n"
_MAPPING: Final = """
[table]
delimiter = ","
decimal = "."
encoding = "utf-8"
header = 1

[columns]
"water/mL" = { parameter = "water", unit = "mL" }
"crystals/g" = { target = "crystals", unit = "g" }
"purity/%" = { target = "purity", unit = "%" }
"""


def write_by_hand(lab: Path) -> Path:
    """Carry a campaign of people out, by the commands that they type, and abort it while an answer was not taken yet."""
    lab.mkdir(parents=True)
    files = {"bench.toml": _BENCH, "campaign.toml": _CAMPAIGN, "elsewhere.csv": _TABLE, "mapping.toml": _MAPPING}
    for name, text in files.items():
        (lab / name).write_text(text)
    here = Here(lab)
    here.codes = iter(json.loads(here.type("people", "add", "Ada", "--json"))["codes"])
    run = [sys.executable, "-m", "flows.cli.main", "run", str(lab / "campaign.toml"), "--no-view", "--lab", str(lab)]
    with (lab / "run.out").open("w") as out, subprocess.Popen(run, stdout=out, stderr=out) as running:
        try:
            _carry_out(here)
            running.wait(PATIENCE)
            shutdown_bench(lab)  # it was left alone with a run that waits
            here.answer(run_code(4), "crystals=11.1 g", "note=?")
            here.type("abort", "--by", "Ada", "--reason", "enough was learnt")
        finally:
            running.kill()
            shutdown_bench(lab)
    return lab


@dataclass
class Here:
    """The lab, and what is typed in it."""

    lab: Path
    codes: Iterator[str] = field(default_factory=lambda: iter(()))

    def type(self, *words: str) -> str:
        """Type a command that succeeds."""
        return typed(*words, "--lab", str(self.lab))

    def answer(self, code: str, *words: str) -> None:
        """Answer a step."""
        self.type("work", code, *words, "--by", "Ada", "--code", next(self.codes))

    def history(self) -> History:
        """Read the campaign."""
        return standing(open_lab(self.lab), "alum").history

    def wait_for(self, *codes: str) -> None:
        """Wait until steps of these runs wait for a person, and no other."""
        eventually(lambda: self._waiting() == [*codes], f"{codes} wait")

    def _waiting(self) -> list[str]:
        try:
            return [one.code for one in waiting_work(open_lab(self.lab), "alum").steps]
        except AthanorError:  # neither campaign nor host is there yet
            return []


def _carry_out(here: Here) -> None:
    first, second, third, fourth = map(run_code, (1, 2, 3, 4))
    here.wait_for(first, second)
    words = ["work", first, "crystals=12 g", "note=?", "--by", "Ada", "--code", "no-code-of-hers"]
    refused = CliRunner().invoke(app, [*words, "--lab", str(here.lab)])
    assert refused.exit_code != 0
    here.answer(first, "crystals=12.5 g", "note=needles", "--comment", "slightly damp")
    here.answer(second, "--not-done", "the beaker broke")
    eventually(lambda: any(run.overdue for run in here.history().attempts()), "a value is overdue")
    (here.lab / "balance.csv").write_text("purity\n98\n")
    evidence = str(here.lab / "balance.csv")
    here.type("measure", "add", first, "purity=98 percent", "--uncertainty", "0.5", "--evidence", evidence, "--by", "Ada")
    here.type("measure", "correct", first, "purity=97 percent", "--reason", "read off the wrong line", "--by", "Ada")
    here.type("measure", "add", first, "purity=96 percent", "--by", "Ada")
    here.type("measure", "retract", first, "purity", "--replicate", "2", "--reason", "another vial", "--by", "Ada")
    table, mapping = str(here.lab / "elsewhere.csv"), str(here.lab / "mapping.toml")
    here.type("measure", "import", table, "--campaign", str(here.lab / "campaign.toml"), "--mapping", mapping, "--by", "Ada", "--yes")
    here.wait_for(third, fourth)
    here.answer(third, "crystals=9.75 g", "note=fine powder")
    eventually(lambda: here.history().attempts()[2].ingested, "the third is recorded")
    here.type("pause", "--by", "Ada", "--reason", "weekend")
