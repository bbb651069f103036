"""A page carried out from top to bottom."""

import contextlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crash.campaigns import make_quick
from tests.documents.editing import changed
from tests.documents.matching import mismatch
from tests.documents.reading import Block, Word, read_page
from tests.documents.terminal import Said, Terminal, commands


@dataclass
class Reader:
    """Somebody who does what a page says."""

    page: Path
    folder: Path
    terminal: Terminal
    namespace: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    awaited: tuple[Block, str] | None = None
    """The block whose last command was left running, and what is shown below it."""
    skipped: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Do everything, in order."""
        for step in read_page(self.page):
            if isinstance(step, Word):
                self._obey(step)
            elif "skip" in step.words:
                self.skipped.append(f"{self.page.name}:{step.line} not carried out: {step.words['skip']}")
            else:
                self._carry_out(step)
        assert self.awaited is None, f"{self.page.name}: what was left running is never awaited; say `% join`"

    def _obey(self, word: Word) -> None:
        if word.name == "run":
            said = self.terminal.run(word.value)
            assert said.code == 0, f"{self._at(word.line)}: {said.text}"
        elif word.name == "quick":
            make_quick(self.folder / word.value / "campaign.toml")
        elif word.name == "wait":
            command, _, text = word.value.partition("=> ")
            self.terminal.wait_for(command.strip(), text)
        elif word.name == "ctrl-c":
            self.terminal.ctrl_c()
        elif word.name == "join":
            assert self.awaited is not None, self._at(word.line)
            (block, shown), self.awaited = self.awaited, None
            self._judge(block, shown, self.terminal.join(), int(word.value or 0))
        elif word.name == "needs" and word.value not in os.environ:
            pytest.skip(f"{self.page.name} needs {word.value} in the environment")

    def _carry_out(self, block: Block) -> None:
        if block.file is not None:
            self._write(block, self.folder / block.file)
        elif block.language == "console":
            self._type(block)
        elif block.language == "python":
            self._calculate(block)
        elif "output" in block.words:
            self._compare(block, block.text, self.printed)

    def _write(self, block: Block, path: Path) -> None:
        if block.change:
            path.write_text(changed(path.read_text(), block.text))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)

    def _type(self, block: Block) -> None:
        found = commands(block.text)
        for number, command in enumerate(found, 1):
            last = number == len(found)
            if last and "background" in block.words:
                self.terminal.leave_running(command.words)
                self.awaited = block, command.shown
            elif last and "type" in block.words:
                answers = [answer.strip() for answer in block.words["type"].split("|")]
                said = self.terminal.converse(command.words, command.shown, answers)
                self._judge(block, command.shown, said, int(block.words.get("exit", 0)))
            else:
                said = self.terminal.run(command.words)
                self._judge(block, command.shown, said, int(block.words.get("exit", 0)) if last else 0)

    def _calculate(self, block: Block) -> None:
        out, before = io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * block.line + block.text, str(self.page), "exec"), self.namespace)
        finally:
            os.chdir(before)
        self.printed = out.getvalue()

    def _judge(self, block: Block, shown: str, said: Said, code: int) -> None:
        assert said.code == code, f"{self._at(block.line)}: ended with {said.code}, not {code}:\n{said.text}"
        if shown.strip():
            self._compare(block, shown, said.text)

    def _compare(self, block: Block, shown: str, came: str) -> None:
        difference = mismatch(shown, came, self.folder, numbers_vary="numbers" in block.words)
        assert difference is None, f"{self._at(block.line)}:\n{difference}"

    def _at(self, line: int) -> str:
        return f"{self.page.name}:{line}"


def has_something_to_do(page: Path) -> bool:
    """Say whether anything in a page is carried out."""
    return any(isinstance(step, Block) and (step.language in ("console", "python") or step.file) for step in read_page(page))
