"""A command on a pseudo-terminal of its own, as a person has it: what it shows, what is typed, Ctrl-C and the end of input."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

PATIENCE: Final = 90.0
"""Wall seconds for a busy machine to load what a question needs."""
CTRL_C: Final = "\x03"
CTRL_D: Final = "\x04"
PRESS_AGAIN: Final = 5.0
"""Seconds after which a person presses a key once more: a signal that comes just before a read waits for the next key."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SIZE: Final = (50, 240)
"""Rows and columns: no line of these tests is broken."""


def _take_terminal() -> None:
    """Be what a shell starts on a terminal: its signals, and the keys that send them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background have it ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """A command on a terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.shown = ""
        """All that was ever on the screen."""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def until(self, text: str) -> str:
        """Wait until a text is shown that was not there before; return what came with it."""
        started = self._read
        deadline = time.monotonic() + PATIENCE
        while (found := self.shown.find(text, self._read)) < 0:
            assert time.monotonic() < deadline, f"never shown: {text!r}; the screen: {self.shown[started:]}"
            assert self._listen(), f"ended before {text!r} was shown; the screen: {self.shown[started:]}"
        self._read = found + len(text)
        return self.shown[started : self._read]

    def answer(self, question: str, line: str) -> str:
        """Wait for a question and type a line; return what was shown until then."""
        seen = self.until(question)
        self.press(f"{line}\n")
        return seen

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def leave(self, keys: str) -> int:
        """Press keys that end the command, again where it was just about to read and did not notice; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.press(keys)
            pressed = time.monotonic()
            while time.monotonic() < pressed + PRESS_AGAIN:
                if not self._listen():
                    return self._process.wait(PATIENCE)
            assert pressed < deadline, f"never ended; the screen: {self.shown}"

    def ended(self) -> int:
        """Wait for the command's end and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._listen():
            assert time.monotonic() < deadline, f"never ended; the screen: {self.shown}"
        return self._process.wait(PATIENCE)

    @property
    def last(self) -> str:
        """The last line on the screen."""
        return self.shown.strip().splitlines()[-1]

    def _listen(self) -> bool:
        """Read what is there; return whether there may be more."""
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        try:
            came = os.read(self._master, 65536)
        except OSError:  # the other side is gone
            return False
        self.shown += _COLOURS.sub("", came.decode(errors="replace"))
        return bool(came)


class Terminal(Screen):
    """`athanor WORDS` on a terminal."""

    def __init__(self, *words: str, lab: Path) -> None:
        super().__init__([sys.executable, "-m", "flows.cli.main", *words, "--lab", str(lab)], os.environ)
