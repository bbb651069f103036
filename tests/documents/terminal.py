"""The terminal of a page's reader: commands one after the other, one left running, one that asks."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.reviewing.terminal import Screen

PATIENCE: Final = 500.0
"""Wall seconds for one command on a busy machine."""
_KEEP: Final = "trap 'pwd > {0}/cwd; export -p > {0}/exports' EXIT; "
_GO_ON: Final = '[ -f {0}/exports ] && . {0}/exports; cd "$(cat {0}/cwd)" || exit; '


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    text: str


@dataclass
class Command:
    """A command as it stands in a page, and what is shown below it."""

    words: str
    shown: str = ""


def commands(text: str) -> list[Command]:
    """Take a console block apart."""
    found: list[Command] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif goes_on:
            found[-1].words += f"\n{line}"
        else:
            assert found, f"what is shown comes before the first command: {line!r}"
            found[-1].shown += f"{line}\n"
            continue
        goes_on = line.endswith("\\")
    return found


class Terminal:
    """Bash in a folder of its own; `cd` and `export` last."""

    def __init__(self, folder: Path, notes: Path) -> None:
        self._notes = notes
        self._count = 0
        self._running: tuple[subprocess.Popen[bytes], Path] | None = None
        notes.mkdir()
        (notes / "cwd").write_text(f"{folder}\n")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_API", "ATHANOR_NOTIFY"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "80",
        }

    def run(self, words: str) -> Said:
        """Carry a command out."""
        process, output = self._start(words)
        try:
            code = process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Said(code, output.read_text(errors="replace"))

    def leave_running(self, words: str) -> None:
        """Start a command and go on."""
        assert self._running is None, "one command runs already"
        self._running = self._start(words)

    def wait_for(self, words: str, text: str) -> None:
        """Repeat a command until its output holds a text; without a command, wait for what was left running to say it."""
        end = time.monotonic() + PATIENCE
        ended = False
        while text not in (said := self.run(words).text if words else self.heard):
            over = ended or time.monotonic() > end
            assert not over, f"`{words}` never said {text!r}, but: {said}; left running: {self.heard}"
            ended = self._running is not None and self._running[0].poll() is not None  # once more, since it may have done it
            time.sleep(0.3)

    def ctrl_c(self) -> None:
        """Press the key."""
        assert self._running is not None
        os.killpg(self._running[0].pid, signal.SIGINT)

    def join(self) -> Said:
        """Wait for the command that was left running."""
        assert self._running is not None
        process, output = self._running
        code = process.wait(PATIENCE)
        self._running = None
        return Said(code, output.read_text(errors="replace"))

    @property
    def heard(self) -> str:
        """What the command that was left running has said."""
        return "" if self._running is None else self._running[1].read_text(errors="replace")

    def converse(self, words: str, shown: str, answers: list[str]) -> Said:
        """Carry out a command that asks, and type the answers that stand behind its questions in what is shown."""
        with Screen(["bash", "-c", self._script(words)], self._environment) as screen:
            for question, answer in zip(_questions(shown, answers), answers, strict=True):
                screen.answer(question, answer)
            code = screen.ended()
        return Said(code, screen.shown.replace("\r", ""))

    def close(self) -> None:
        """End what still runs, also after a failed test."""
        if self._running is not None and self._running[0].poll() is None:
            os.killpg(self._running[0].pid, signal.SIGKILL)
            self._running[0].wait()

    def _script(self, words: str) -> str:
        return _GO_ON.format(self._notes) + _KEEP.format(self._notes) + words

    def _start(self, words: str) -> tuple[subprocess.Popen[bytes], Path]:
        self._count += 1
        output = self._notes / f"{self._count}.txt"
        with output.open("wb") as written:
            process = subprocess.Popen(
                ["bash", "-c", self._script(words)],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_hear_ctrl_c,
            )
        return process, output


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background have it ignored


def _questions(shown: str, answers: list[str]) -> list[str]:
    """Return the end of each question: what stands before its answer at the end of a line, behind the last number."""
    found, lines = [], iter(shown.splitlines())
    for answer in answers:
        ends = tuple(f"{mark} {answer}".rstrip() for mark in ":?")
        line = next((line for line in lines if line.rstrip().endswith(ends)), None)
        assert line is not None, f"no question is answered by {answer!r}"
        question = f"{line.rstrip().removesuffix(answer).rstrip()} "
        found.append(re.split(r"[\d.]+", question)[-1])
    return found
