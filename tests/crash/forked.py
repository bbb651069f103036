"""Campaign processes forked from one that has loaded everything: a start costs a moment, so that many can be killed."""

import json
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.faults.laboratory import Ended, Laboratory


@dataclass
class Forked:
    """One campaign process, whose end its parent tells."""

    told: IO[str]
    output: Path
    code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self.code if self.code is not None or not select.select([self.told], [], [], 0.0)[0] else self.wait()

    def wait(self) -> int:
        """Await its end; return the exit code."""
        if self.code is None:
            self.code = int(self.told.readline())
        return self.code

    def ended(self) -> Ended:
        """Await its end; return how it ended."""
        return Ended(self.wait(), self.output.with_suffix(".out").read_text(), self.output.with_suffix(".err").read_text())


class Forge:
    """The parent of campaign processes, one after the other."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.entry"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._last: Forked | None = None

    def start(self, laboratory: Laboratory, *, view: bool = False) -> Forked:
        """Type the command of a lab's campaign."""
        assert self._last is None or self._last.poll() is not None, "one after the other"
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        output = laboratory.file.parent / "command"
        told = [str(output.with_suffix(kind)) for kind in (".out", ".err")]
        line = [str(laboratory.file), str(laboratory.lab), laboratory.rate, 0, "never", *told, view]
        print(json.dumps(line), file=self._parent.stdin, flush=True)
        self._last = Forked(self._parent.stdout, output)
        return self._last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._parent.stdin is not None:
            self._parent.stdin.close()
        if error is not None:
            self._parent.kill()
        self._parent.wait()
        if self._parent.stdout is not None:
            self._parent.stdout.close()
