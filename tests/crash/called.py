"""A bench of functions and commands that note themselves what they begin and what they have done; that is what they are judged by."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from instruments.drivers.calls.kept import CALLS, KeptCall, in_hand_of
from instruments.drivers.protocol import Call
from instruments.lab_processes.process_identity import Process
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal, Step
from orchestrator.ports import Changes
from tests.crash.oracle import Judgement, judge_ledger
from tests.faults.laboratory import Laboratory

ONCE: Final = ("cast", "weigh")
"""What may not run again on a guess; `look` and `scan` are repeatable."""
INSTRUMENTS: Final = ("film", "balance")
NEXT_CALL: Final = 5.0
"""Wall s within which a call begins, or none is in hand: so that deaths fall into calls and not only between runs."""

EXPERIMENT: Final = '''\
"""The experiment: each call notes on the disk that it begins, works a moment, and notes that it has done."""

import functools
import json
import os
import sys
import time
from pathlib import Path

LOG = Path(__file__).with_name("calls.log")


def note(word, name, x):
    with LOG.open("a") as log:
        log.write(f"{word} {name} {x!r} {os.getpid()}\\n")
        log.flush()
        os.fsync(log.fileno())


def carry_out(name, x):
    note("begin", name, x)
    time.sleep(0.3)
    note("done", name, x)
    return {name: 2.0 * x}


def cast(x):
    return carry_out("cast", x)


def look(x):
    return carry_out("look", x)


if __name__ == "__main__":
    print(json.dumps(carry_out(sys.argv[1], float(sys.argv[2]))))
'''

BENCH: Final = """\
[bench]
name = "called"
reduction = "identity/1"
restart_within = "60 s"

[instruments.film]
driver = "python"

[instruments.film.calls.cast]
function = "experiment:cast"
arguments = { x = "mm" }
returns = { cast = "nm" }

[instruments.film.calls.look]
function = "experiment:look"
arguments = { x = "mm" }
returns = { look = "nm" }
repeatable = true

[instruments.balance]
driver = "command"

[instruments.balance.calls.weigh]
command = ["python3", "experiment.py", "weigh", "{x}"]
arguments = { x = "mm" }
returns = { weigh = "nm" }

[instruments.balance.calls.scan]
command = ["python3", "experiment.py", "scan", "{x}"]
arguments = { x = "mm" }
returns = { scan = "nm" }
repeatable = true

[procedure]
steps = [
    { do = "film.cast", with = { x = "x" } },
    { do = "balance.weigh", with = { x = "x" } },
    { do = "film.look", with = { x = "x" } },
    { do = "balance.scan", with = { x = "x" } },
]
"""

CAMPAIGN: Final = """\
[campaign]
name = "crashed"
bench = "bench.toml"
seed = 3
budget = {budget}
batch = {batch}
max_failures = 1000

[[parameters]]
name = "x"
kind = "continuous"
unit = "mm"
min = 10
max = 90

{targets}
[policy]
kind = "sobol"

[review]
mode = "never"
"""
TARGET: Final = '[[targets]]\nname = "{name}"\nunit = "{unit}"\ngoal = "maximise"\nlow = 0\nhigh = 200\n'


def write_campaign(folder: Path, bench: str, *, budget: int, batch: int = 1, unit: str, targets: tuple[str, ...]) -> Laboratory:
    """Write the two files of a live lab in which nothing runs yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.toml").write_text(bench)
    file = folder / "campaign.toml"
    written = "\n".join(TARGET.format(name=name, unit=unit) for name in targets)
    file.write_text(CAMPAIGN.format(budget=budget, batch=batch, targets=written))
    return Laboratory(file, folder / ".athanor", rate=1.0, campaign="crashed", live=True)


def called(folder: Path, budget: int) -> Laboratory:
    """Make the lab whose experiment are two functions and two commands."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.py").write_text(EXPERIMENT)
    return write_campaign(folder, BENCH, budget=budget, unit="nm", targets=("cast", "weigh", "look", "scan"))


# ---------------------------------------------------------------------- who dies


@contextmanager
def callees(laboratory: Laboratory, _seed: int) -> Iterator[Mapping[str, Callable[[], Process | None]]]:
    """Name who may be killed: the `child` of an instrument, in a call or idle, and the `program` that executes a call now."""

    def child() -> Process | None:
        held = [one for name in INSTRUMENTS for one in in_hand_of(laboratory.lab / CALLS, name)]
        return held[-1] if held else None

    def program() -> Process | None:
        until = time.monotonic() + NEXT_CALL
        while not (calls := noted(laboratory)) or calls[-1][0] != "begin":
            if time.monotonic() > until:
                return None
            time.sleep(0.01)
        return Process.of(calls[-1][3])

    yield {"child": child, "program": program}


def noted(laboratory: Laboratory) -> list[tuple[str, str, float, int]]:
    """Return what calls noted of themselves: word, call, argument, process."""
    log = laboratory.file.parent / "calls.log"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(word, name, float(x), int(pid)) for word, name, x, pid in lines]


# ---------------------------------------------------------------------- what became of it


def judge_calls(laboratory: Laboratory) -> Judgement:
    """Compare ledger and calls: none that is not repeatable twice, no result lost, each value what its call has returned."""
    changes, found = judge_ledger(laboratory.lab, laboratory.campaign)
    proposals = {(one.proposal_id, one.revision): one for one in changes.proposals}
    counts = Counter((word, name, x) for word, name, x, _ in noted(laboratory))
    complaints = list(found.complaints)
    for (word, name, x), count in counts.items():
        if word == "begin" and name in ONCE and count > 1:
            complaints.append(f"{name} of {x!r} was begun {count} times")
    for run in changes.runs:
        complaints += _of_run(run, proposals[run.approval], counts, laboratory, changes)
    complaints += [f"process {one.pid} of {name} is left" for name in INSTRUMENTS for one in in_hand_of(laboratory.lab / CALLS, name)]
    return Judgement(tuple(complaints), found.runs)


def _of_run(
    run: ExperimentRun, proposal: Proposal, counts: Counter[tuple[str, str, float]], laboratory: Laboratory, changes: Changes
) -> list[str]:
    where, calls = f"run {run.run_key} ({run.status})", [(_name(step), float(step.arguments["x"])) for step in proposal.steps]
    if run.status is RunStatus.COMPLETED:
        values = {one.target: one.value for one in changes.measurements if one.run_key == run.run_key}
        return [
            *(f"{where}: {name} was never done" for name, x in calls if not counts["done", name, x]),
            *(f"{where}: {name} is {values.get(name)}, its call returned {2.0 * x}" for name, x in calls if values.get(name) != 2.0 * x),
        ]
    if run.status is RunStatus.SUPERSEDED:
        return []
    kept = [KeptCall.of(laboratory.lab / CALLS, Call(_name(step), {}, run.run_key, "", step=step.index)).read() for step in proposal.steps]
    returned = [one for one in kept if one is not None and "returns" in one[0]]
    return [f"{where}: all its calls returned"] if len(returned) == len(kept) else []


def _name(step: Step) -> str:
    return step.do.partition(".")[2]


def look_up(laboratory: Laboratory, run_key: str) -> str:
    """Say what an operator who reads the calls' own log would say of a run whose end nobody saw."""
    changes = laboratory.changes()
    run = next(one for one in changes.runs if one.run_key == run_key)
    proposal = next(one for one in changes.proposals if (one.proposal_id, one.revision) == run.approval)
    begun = {(name, x) for word, name, x, _ in noted(laboratory) if word == "begin"}
    return "discard" if any((_name(step), float(step.arguments["x"])) in begun for step in proposal.steps) else "not-done"
