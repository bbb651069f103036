"""What is on the disk of the calls of one instrument: `LAB/calls/RUN_KEY-STEP.json` once a call has ended, and its lock before.

Who holds a lock executes; a lock file with something in it says that the call was begun. Nothing else tells what became of a
call after a crash, so nothing here is ever taken away.
"""

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from instruments.drivers.protocol import Call
from instruments.lab_processes.process_identity import Process
from orchestrator.errors import Fault

CALLS: Final = "calls"
"""Folder in a lab."""
END: Final = "end"
"""The safe action of whatever is called."""
STOP_SECONDS: Final = 1.0
"""Wall seconds that a call that is stopped may take to tidy up before its process is killed."""
_TURN: Final = 0.02
"""Wall seconds between two looks at a process that is to end."""


@dataclass(frozen=True, slots=True)
class KeptCall:
    """The files of one call."""

    result: Path
    lock: Path

    @classmethod
    def of(cls, folder: Path, call: Call) -> "KeptCall":
        """Return where they lie."""
        name = f"{call.run_key}-{call.step}"
        return cls(folder / f"{name}.json", folder / f"{name}.lock")

    def read(self) -> tuple[dict[str, Any], bytes] | None:
        """Return what came of it, with the bytes that say so; None as long as nothing has.

        Raises:
            Fault: The file is damaged; it is written whole, so somebody else has changed it.
        """
        try:
            content = self.result.read_bytes()
            document = json.loads(content)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Fault(f"{self.result} is no JSON; what came of the call cannot be read") from error
        return document, content

    @property
    def is_begun(self) -> bool:
        """Whether its process has said that it begins."""
        try:
            return self.lock.stat().st_size > 0
        except FileNotFoundError:
            return False

    @property
    def in_hand(self) -> bool:
        """Whether somebody executes it."""
        return is_held(self.lock)

    @property
    def began(self) -> float | None:
        """When it was begun, in seconds since 1970; None where it was not."""
        began = _noted(self.lock).get("began")
        return began if isinstance(began, float) else None

    def settle(self, what: dict[str, Any]) -> None:
        """Keep how it ended where its process cannot; what is there already stays."""
        if self.result.exists():
            return
        draft = self.result.with_name(f"{self.result.name}.{os.getpid()}.draft")
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.result)


def in_hand_of(folder: Path, instrument: str) -> list[Process]:
    """Return the processes that carry out calls of an instrument, and its idle one."""
    held = [lock for lock in folder.glob("*.lock") if _noted(lock).get("instrument") == instrument and is_held(lock)]
    found = {one.pid: one for lock in held if (one := holder_of(lock)) is not None}
    return list(found.values())


def is_held(lock: Path) -> bool:
    """Say whether a process holds a lock file; the lock is not kept."""
    import fcntl  # where a bench is only described there may be none (Windows)

    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _noted(lock: Path) -> dict[str, Any]:
    try:
        found = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def holder_of(lock: Path) -> Process | None:
    """Return the process that wrote itself into a lock file, dead or alive; None where none has."""
    return Process.parse(_noted(lock))


def end_session(process: Process, *, patience: float) -> None:
    """End the leader of a session and all that it has started and that stayed in it.

    Args:
        process: The leader. Where it is dead, those that it left behind are ended.
        patience: Wall seconds in which it may tidy up.
    """
    process.ask_to_end(patience)
    until = time.monotonic() + patience + 1.0
    while members := _members(process):
        for one in members:
            one.signal(signal.SIGKILL)
        if time.monotonic() > until:
            return
        time.sleep(_TURN)


def _members(leader: Process) -> list[Process]:
    """Return the living processes of a session; a session's number is not given away again while it has members."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _session_of(folder) == leader.pid:
            one = Process.of(int(folder.name))
            if one is not None and one.alive and one.start_ticks >= leader.start_ticks:
                found.append(one)
    return found


def _session_of(folder: Path) -> int | None:
    try:
        text = (folder / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(text[text.rindex(")") + 2 :].split()[3])  # field 6 of proc_pid_stat(5)
