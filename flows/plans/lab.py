"""A lab folder: live or dry, fixed when it is made; it holds one ledger, one journal, its locks and its plant."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from flows.plans.disk_space import check_room
from flows.plans.places import noted_place, notes_of_new
from instruments.lab_processes.labtime import lab_clock
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.started import make_own
from instruments.lab_processes.state_files import LAB, LATCHED, read_state_file, write_state_file
from orchestrator.clock import Clock, LiveClock, PlantClock
from orchestrator.domain.identity import uuid7
from orchestrator.errors import BadInput
from orchestrator.ports import ReadStore
from orchestrator.store.place import LedgerPlace

LabKind = Literal["live", "dry"]
Tell = Callable[[str], object]
"""Is told in a line what happens, while it happens."""
_DEFAULTS: Final[dict[LabKind, str]] = {"live": ".athanor", "dry": ".athanor-dry"}
_MADE: Final[dict[LabKind | None, str]] = {
    "live": "live, for the real bench (`athanor run`)",
    "dry": "dry, for simulated instruments (`athanor dry-run`)",
    None: "its first run settles whether it is live (`athanor run`) or dry (`athanor dry-run`); --live or --dry says so now",
}
_UNSETTLED: Final = "unsettled"
"""Mark of a lab that was made before its first run by somebody who did not say for what: that run settles its kind."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Where everything of a lab lies."""

    path: Path
    kind: LabKind

    @property
    def ledger(self) -> LedgerPlace:
        """Where the ledger is: in the lab's folder, or on a server.

        Raises:
            BadInput: What the lab or the environment says of it is no such place.
        """
        return noted_place(self.path, "" if self.is_unsettled else self.kind)

    @property
    def plant(self) -> Path:
        """The simulated plant's folder."""
        return self.path / "plant"

    @property
    def endpoints(self) -> Path | None:
        """Where a dry lab's endpoints stand; None for a live lab."""
        return self.plant / "endpoints.json" if self.kind == "dry" else None

    @property
    def prefect_home(self) -> Path:
        """The local Prefect server's home."""
        return self.path / "prefect"

    @property
    def is_unsettled(self) -> bool:
        """Whether its kind is its first run's to settle."""
        return (self.path / _UNSETTLED).exists()

    @property
    def is_latched(self) -> bool:
        """Whether its bench was stopped, and not released since."""
        return (self.path / LATCHED).exists()

    def report(self, campaign: str) -> Path:
        """Return where a campaign's report is written."""
        return self.path / "reports" / f"{campaign}.html"


def lab_folder(folder: Path | None, *, beside: Path, kind: LabKind) -> Path:
    """Return where a lab is that `--lab` names; without it, beside the campaign file."""
    return (folder or beside.parent / _DEFAULTS[kind]).resolve()


def lab_to_ask(folder: Path | None, *, beside: Path) -> Path:
    """Return the lab whose devices are asked: the one that `--lab` names, else the live one beside the file, made or not.

    Raises:
        BadInput: The folder that is named is no lab: whoever mistypes a dry lab must not reach the file's own devices.
    """
    return lab_folder(None, beside=beside, kind="live") if folder is None else open_lab(folder).path


def lab_there(folder: Path | None, *, beside: Path, kind: LabKind) -> Lab | None:
    """Return the lab that `make_lab` would open, None where it would make one; nothing is written.

    Raises:
        BadInput: The folder is a lab of the other kind.
    """
    path = lab_folder(folder, beside=beside, kind=kind)
    if not (path / LAB).exists():
        return None
    found = open_lab(path)
    if found.kind != kind and not found.is_unsettled:
        raise BadInput(f"lab {path} is {found.kind}; this command needs a {kind} one (another folder for --lab)")
    return Lab(path, kind)


def make_lab(folder: Path | None, *, beside: Path, kind: LabKind) -> Lab:
    """Open the lab of a `run` or `dry-run`, made when it is not there: the folder, else the default one beside the campaign file.

    Raises:
        BadInput: The folder is a lab of the other kind.
    """
    path = lab_folder(folder, beside=beside, kind=kind)
    if (path / _UNSETTLED).exists():
        _fix_kind(path, kind)
    new = lab_there(folder, beside=beside, kind=kind) is None
    try:
        path.mkdir(parents=True, exist_ok=True)
        identity = uuid7()
        make_own(path, kind, identity=identity, notes=notes_of_new(path, identity))
    except OSError as error:
        raise BadInput(f"lab folder {path} cannot be {'made' if new else 'written to'}: {error.strerror}") from error
    return Lab(path, kind)


def _fix_kind(path: Path, kind: LabKind) -> None:
    """Let the first run of a lab say of what kind it is."""
    try:
        with FileLock(path / "settle.lock", what="a starting command", lab=path):
            if (path / _UNSETTLED).exists():
                write_state_file(path / LAB, {**read_state_file(path / LAB), "kind": kind})
                (path / _UNSETTLED).unlink()
    except OSError as error:
        raise BadInput(f"lab folder {path} cannot be written to: {error.strerror}") from error


def find_or_make_lab(folder: Path | None, *, here: Path, kind: LabKind | None, tell: Tell) -> Lab:
    """Open a lab as `find_lab` does, or make it where there is none: it may be served, and people registered, before its first run.

    Raises:
        BadInput: It is of another kind, there are two, or it cannot be made.
    """
    if folder is None and kind is not None and not (here / LAB).exists():
        folder = here / _DEFAULTS[kind]
    try:
        found = find_lab(folder, here=here)
    except BadInput:
        named = (folder or here / _DEFAULTS["live"]).resolve()
        if (named / LAB).exists() or (folder is None and any((here / name).exists() for name in _DEFAULTS.values())):
            raise
    else:
        return found if kind is None else make_lab(found.path, beside=here, kind=kind)
    known = kind or next((one for one, name in _DEFAULTS.items() if name == named.name), None)
    check_room(named)
    made = make_lab(named, beside=here, kind=known or "live")
    if known is None:
        (made.path / _UNSETTLED).touch()
    tell(f"lab {made.path} is made: {_MADE[known]}")
    return made


def open_lab(path: Path) -> Lab:
    """Open an existing lab.

    Raises:
        BadInput: Not a lab folder.
    """
    try:
        kind = json.loads((path / LAB).read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no lab folder (it has no readable lab.json); {_instead(path)}") from error
    if not isinstance(kind, str) or kind not in _DEFAULTS:
        raise BadInput(f"{path / 'lab.json'}: kind = {kind!r}; expected live or dry")
    return Lab(path.resolve(), kind)


def _instead(folder: Path) -> str:
    """Say what to name where a folder is no lab: the labs of the campaign file that stands in it, for example."""
    inside = [str(one) for one in labs_in(folder) if one != folder]
    return f"in it there is {' and '.join(inside)}" if inside else "expected one that `run` or `dry-run` made"


def labs_in(folder: Path) -> list[Path]:
    """Return the labs of a folder: itself, and those that `run` and `dry-run` make in it."""
    return [one for one in (folder, *(folder / name for name in _DEFAULTS.values())) if (one / LAB).exists()]


def find_lab(folder: Path | None, *, here: Path) -> Lab:
    """Open the lab that `--lab` names, else the only one here.

    Raises:
        BadInput: None here, or two.
    """
    if folder is not None:
        return open_lab(folder)
    found = labs_in(here)
    if not found:
        raise BadInput(f"no lab in {here}; name one with --lab DIR")
    if len(found) > 1:
        raise BadInput(f"two labs in {here}: {found[0].name} and {found[1].name}; name one with --lab DIR")
    return open_lab(found[0])


def clock_of(lab: Lab, store: ReadStore) -> Clock:
    """Return the lab's clock; in a dry lab whose plant is gone, lab time goes on from the last event."""
    if lab.endpoints is None:
        return LiveClock()
    if lab.endpoints.exists():
        return lab_clock(lab.endpoints)
    seq, _ = store.head()
    last = next((event.lab for event in store.events(since=seq - 1)), 0.0)
    return PlantClock(t0_monotonic=time.monotonic() - last, rate=1.0)
