"""A campaign started from Python: a process of its own, the same that a person's command would be."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from typing_extensions import override

from athanor.lab import CampaignHandle
from flows.plans.lab import Lab, LabKind, lab_folder
from flows.plans.ledger import open_store
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import AthanorError, BadInput, Fault, NeedsPerson

_LOOK_SECONDS: Final = 0.2
_STARTING: Final = "starting"
_COMMANDS: Final[Mapping[LabKind, str]] = {"dry": "dry-run", "live": "run"}


def start(
    file: str | Path,
    *,
    dry: bool = True,
    lab: str | Path | None = None,
    rate: float | None = None,
    seed: int | None = None,
    view: bool = True,
    data: str | Path | None = None,
) -> "StartedCampaign":
    """Start a campaign, or go on with it, in a process that outlives this one: `athanor dry-run FILE`, or `athanor run FILE`.

    Args:
        file: The campaign file.
        dry: Whether instruments are simulated; real ones move where it is False.
        lab: The lab's folder; None for the default one beside the file.
        rate: Lab seconds per wall second of a dry run.
        seed: Of the simulated plant.
        view: Whether the campaign is shown in Prefect's page.
        data: Folder of recorded tables.

    Raises:
        BadInput: The file is none, or an option does not belong to the kind of run.
    """
    path = Path(file).resolve()
    name = load_campaign(path).name
    kind: LabKind = "dry" if dry else "live"
    tables = None if data is None else Path(data).resolve()  # the process stands in the file's folder
    given = {key: value for key, value in (("rate", rate), ("seed", seed), ("data", tables)) if value is not None}
    if strangers := given.keys() - ({"rate", "seed"} if dry else {"data"}):
        raise BadInput(f"{', '.join(sorted(strangers))} does not belong to a {kind} run")
    folder = lab_folder(None if lab is None else Path(lab), beside=path, kind=kind)
    words = [_COMMANDS[kind], str(path), "--lab", str(folder), "--view" if view else "--no-view"]
    words += [word for key, value in given.items() for word in (f"--{key}", str(value))]
    log = folder.with_name(f"{folder.name}-{name}.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            before = out.tell()
            process = subprocess.Popen(  # detached: its own session, no terminal
                [sys.executable, "-P", "-m", "flows.cli.main", *words],  # -P: a module of the campaign's folder is not ours
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=path.parent,
                start_new_session=True,
            )
    except OSError as error:
        raise BadInput(f"{log} cannot be written: {error.strerror}") from error
    return StartedCampaign(Lab(folder, kind), name, process, log, before)


class StartedCampaign(CampaignHandle):
    """A campaign and the process that carries it on."""

    def __init__(self, lab: Lab, name: str, process: "subprocess.Popen[bytes]", log: Path, before: int = 0) -> None:
        super().__init__(lab, name)
        self._process = process
        self._before = before  # bytes that stood in the log: what an earlier process printed
        self.log = log
        """What the process prints."""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def has_begun(self) -> bool:
        """Whether the campaign is in the ledger."""
        try:
            with open_store(self.lab, read_only=True) as store:
                return any(record.name == self.name for record in store.campaigns())
        except AthanorError:  # lab or ledger are still to be made
            return False

    @property
    @override
    def status(self) -> str:
        """Where the campaign stands; `starting` before it is in the ledger."""
        return super().status if self.has_begun else _STARTING

    @property
    @override
    def requests(self) -> tuple[ReviewRequest, ...]:
        """The questions that wait for people."""
        return super().requests if self.has_begun else ()

    def wait(self, timeout: float | None = None) -> str:
        """Wait until the process has ended; return the campaign's status then.

        Args:
            timeout: Wall seconds; None to wait as long as it takes.

        Raises:
            TimeoutError: It lives on.
            NeedsPerson: It ended since a person must do something first.
            Fault: It ended otherwise than well; names the last line that it printed.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"campaign {self.name} goes on after {timeout:g} s; its process is {self.pid}") from error
        if code != 0:
            kinds = {BadInput.exit_code: BadInput, NeedsPerson.exit_code: NeedsPerson}
            raise kinds.get(code, Fault)(self._last_line() or f"campaign {self.name}: its process ended with code {code}; log: {self.log}")
        return self.status

    def wait_for_requests(self, timeout: float) -> tuple[ReviewRequest, ...]:
        """Wait until people are asked something, or the process has ended well; return what waits for them.

        Args:
            timeout: Wall seconds.

        Raises:
            TimeoutError: Nobody was asked, and it goes on.
            AthanorError: The process ended otherwise than well, as `wait` says.
        """
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            has_ended = not self.is_running
            if waiting := tuple(one for one in self.requests if one.waits):
                return waiting
            if has_ended:
                self.wait()
                return ()
            time.sleep(_LOOK_SECONDS)
        raise TimeoutError(f"campaign {self.name} asked nobody within {timeout:g} s; log: {self.log}")

    def _last_line(self) -> str:
        own = self.log.read_bytes()[self._before :].decode("utf-8", errors="replace")
        lines = [line for line in own.splitlines() if line.strip()]
        return lines[-1].removeprefix("athanor: ") if lines else ""
