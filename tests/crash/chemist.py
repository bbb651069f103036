"""A bench of people, and the chemist who answers there in two ways while processes die, that of the answer among them."""

import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.process_identity import Process
from orchestrator.domain.lifecycle import AnswerStatus, MeasurementStatus, RunStatus
from tests.commands import Command, type_command
from tests.crash.called import write_campaign
from tests.crash.oracle import Judgement, judge_ledger
from tests.faults.laboratory import Laboratory

BENCH: Final = """\
[bench]
name = "by-hand"
reduction = "identity/1"
restart_within = "60 s"

[instruments.chemist]
driver = "person"

[instruments.chemist.calls.weigh]
instructions = "Weigh in {x}, dry it, and weigh it again."
arguments = { x = "mm" }
returns = { mass = { unit = "mg", min = "0 mg", max = "1 kg" } }

[instruments.chemist.calls.look]
instructions = "Measure how thick it is."
returns = { thickness = { unit = "mg", min = "0 mg", max = "1 kg" } }

[procedure]
steps = [{ do = "chemist.weigh", with = { x = "x" } }, { do = "chemist.look" }]
"""
ANSWERS: Final = "answers.jsonl"
"""Beside the campaign file: what was given, and how the command ended."""
MOMENTS: Final = ("never", "before-ledger", "after-ledger", "before-bench", "after-bench", "before-taken", "after-taken")
"""Of an answer on its way: where `tests.crash.answering` dies."""
COMMAND_LINE: Final = "flows.cli.main"
WITHIN: Final = 120.0
"""Wall s for one answer on a machine that others use as well."""


def by_hand(folder: Path, budget: int) -> Laboratory:
    """Make the lab of one chemist, three of whose runs wait side by side."""
    return write_campaign(folder, BENCH, budget=budget, batch=3, unit="mg", targets=("mass", "thickness"))


@dataclass
class Chemist:
    """Answers whatever waits, one after the other, and again where it is not known whether an answer has come through."""

    laboratory: Laboratory
    seed: int
    _command: Command | None = None
    _left: threading.Event = field(default_factory=threading.Event)
    _tries: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"chemist-{self.seed}")

    def leave(self) -> None:
        """Answer nothing more."""
        self._left.set()

    def answering(self) -> Process | None:
        """Return the process by which an answer is being given; None where none is."""
        command = self._command
        return Process.of(command.pid) if command is not None and command.poll() is None else None

    def work(self) -> None:
        """Answer until it is time to leave."""
        while not self._left.wait(0.1):
            for one in self._waiting():
                if not self._left.is_set():
                    self._answer(one["code"], one["run_key"], one["step"], one["values"][0]["name"])

    def _waiting(self) -> list[dict[str, Any]]:
        code, out = self._typed("work", "--json", "--lab", str(self.laboratory.lab))
        return list(json.loads(out)["waiting"]) if code == 0 else []

    def _answer(self, code: str, run_key: str, step: int, name: str) -> None:
        """Give a value, another one each time, so that it shows which one counts; die on the way now and then."""
        number = self._tries[run_key, step]
        self._tries[run_key, step] += 1
        value = round(100 * (1 + int(code[:-3])) + step * 10 + number * 0.1, 1)
        lab, said = str(self.laboratory.lab), f"{name}={value} mg"
        if self._dice.random() < 0.5:
            ended, _ = self._typed("work", code, said, "--by", "Ada", "--lab", lab, counted=True)
        else:
            ended, _ = self._typed(lab, code, said, self._dice.choice(MOMENTS), module="tests.crash.answering", counted=True)
        with (self.laboratory.file.parent / ANSWERS).open("a") as file:
            file.write(json.dumps({"run_key": run_key, "step": step, "name": name, "value": value, "ended": ended}) + "\n")

    def _typed(self, *words: str, module: str = COMMAND_LINE, counted: bool = False) -> tuple[int, str]:
        said = self.laboratory.file.parent / "chemist"
        with said.with_suffix(".out").open("w") as out, said.with_suffix(".err").open("a") as err:
            command = type_command(list(words), out=out, err=err, module=module)
            self._command = command if counted else None
            ended = command.wait(WITHIN)
            self._command = None
        return ended, said.with_suffix(".out").read_text()


@contextmanager
def at_work(laboratory: Laboratory, seed: int) -> Iterator[Mapping[str, Callable[[], Process | None]]]:
    """Let a chemist work in a thread; name who may be killed: the process of the `answer` that is being given."""
    chemist = Chemist(laboratory, seed)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(chemist.work)
        try:
            yield {"answer": chemist.answering}
        finally:
            chemist.leave()
        working.result()


def judge_answers(laboratory: Laboratory) -> Judgement:
    """Compare ledger and chemist: each answer that was taken counts once and is one that was given, none that was confirmed is lost."""
    changes, found = judge_ledger(laboratory.lab, laboratory.campaign)
    given: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for line in (laboratory.file.parent / ANSWERS).read_text().splitlines():
        one = json.loads(line)
        given[one["run_key"], one["name"]].append((one["value"], one["ended"]))
    complaints = list(found.complaints)
    taken = Counter((one.run_key, one.step) for one in changes.work if one.status is AnswerStatus.ACCEPTED)
    complaints += [f"step {step} of run {key} has {count} answers" for (key, step), count in taken.items() if count > 1]
    values: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for measurement in changes.measurements:
        if measurement.status is MeasurementStatus.ACCEPTED:
            values[measurement.run_key, measurement.target].append(measurement.value)
    for key, told in given.items():
        complaints += _of_answer(key, told, values.get(key, []))
    complaints += [f"run {run.run_key} is {run.status}" for run in changes.runs if run.status is not RunStatus.COMPLETED]
    return Judgement(tuple(complaints), found.runs)


def _of_answer(key: tuple[str, str], told: list[tuple[float, int]], counted: list[float | None]) -> list[str]:
    where = f"run {key[0]}, {key[1]}"
    if len(counted) != 1:
        return [f"{where}: {len(counted)} values count, of {told}"]
    confirmed = {value for value, ended in told if ended == 0}
    legal = confirmed or {value for value, _ in told}
    complaints = [] if counted[0] in legal else [f"{where}: {counted[0]} counts, given were {told}"]
    return complaints + ([f"{where}: {len(confirmed)} answers were confirmed"] if len(confirmed) > 1 else [])


def never_asked(_laboratory: Laboratory, run_key: str) -> str:
    """Refuse to say what became of a run: a bench of people alone has no reason to ask."""
    raise AssertionError(f"run {run_key} of people became unknown")
