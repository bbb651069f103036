"""A lab folder: live or dry, fixed when it is made; it holds one ledger, one journal, its locks and its plant."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from instruments.host.notes import LAB
from instruments.host.processes import lab_clock, make_own
from orchestrator.clock import Clock, LiveClock, PlantClock
from orchestrator.errors import BadInput
from orchestrator.ports import Store

Kind = Literal["live", "dry"]
_DEFAULTS: Final[dict[Kind, str]] = {"live": ".athanor", "dry": ".athanor-dry"}


@dataclass(frozen=True, slots=True)
class Lab:
    """Where everything of a lab lies."""

    path: Path
    kind: Kind

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.path / "ledger.db"

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

    def report(self, campaign: str) -> Path:
        """Return where a campaign's report is written."""
        return self.path / "reports" / f"{campaign}.html"


def make_lab(folder: Path | None, *, beside: Path, kind: Kind) -> Lab:
    """Open the lab of a `run` or `dry-run`, made when it is not there.

    Args:
        folder: What `--lab` named; None for the default beside the campaign file.
        beside: The campaign file.
        kind: What the command needs.

    Raises:
        BadInput: The folder is a lab of the other kind.
    """
    path = (folder or beside.parent / _DEFAULTS[kind]).resolve()
    new = not (path / LAB).exists()
    if not new and (found := open_lab(path).kind) != kind:
        raise BadInput(f"lab {path} is {found}; this command needs a {kind} one (another folder for --lab)")
    try:
        path.mkdir(parents=True, exist_ok=True)
        make_own(path, kind)
    except OSError as error:
        raise BadInput(f"lab folder {path} cannot be {'made' if new else 'written to'}: {error.strerror}") from error
    return Lab(path, kind)


def open_lab(path: Path) -> Lab:
    """Open an existing lab.

    Raises:
        BadInput: Not a lab folder.
    """
    try:
        kind = json.loads((path / "lab.json").read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no lab folder (it has no readable lab.json); expected one that `run` or `dry-run` made") from error
    if kind not in _DEFAULTS:
        raise BadInput(f"{path / 'lab.json'}: kind = {kind!r}; expected live or dry")
    return Lab(path.resolve(), kind)


def find_lab(folder: Path | None, *, here: Path) -> Lab:
    """Open the lab that `--lab` names, else the only one here.

    Raises:
        BadInput: None here, or two.
    """
    if folder is not None:
        return open_lab(folder)
    found = [here / name for name in _DEFAULTS.values() if (here / name / "lab.json").exists()]
    if (here / "lab.json").exists():
        found.insert(0, here)
    if not found:
        raise BadInput(f"no lab in {here}; name one with --lab DIR")
    if len(found) > 1:
        raise BadInput(f"two labs in {here}: {found[0].name} and {found[1].name}; name one with --lab DIR")
    return open_lab(found[0])


def clock_of(lab: Lab, store: Store) -> Clock:
    """Return the lab's clock; in a dry lab whose plant is gone, lab time goes on from the last event."""
    if lab.endpoints is None:
        return LiveClock()
    if lab.endpoints.exists():
        return lab_clock(lab.endpoints)
    seq, _ = store.head()
    last = next((event.lab for event in store.events(since=seq - 1)), 0.0)
    return PlantClock(t0_monotonic=time.monotonic() - last, rate=1.0)
