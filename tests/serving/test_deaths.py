"""A served lab loses its worker or its command; a campaign in a terminal is cancelled through the server's interface."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest

from instruments.lab_processes.state_files import read_state_file
from orchestrator.domain.lifecycle import RunStatus
from tests.faults.laboratory import PATIENCE, Laboratory, eventually
from tests.serving.conftest import Serve
from tests.serving.served import settled

RATE: Final = 50.0
pytestmark = pytest.mark.soak


def test_a_killed_worker_is_told_in_one_line_and_nothing_stays(serve: Serve) -> None:
    served = serve(rate=RATE)
    assert served.process("worker.json").kill()
    _, err = served.command.communicate(timeout=PATIENCE)
    assert served.command.returncode == 4
    assert err.count("\n") == 1
    assert err.startswith("athanor: the worker ended with code -9")
    assert settled(served.laboratory.lab) == []


def test_a_killed_command_takes_its_campaign_worker_and_server_along(serve: Serve) -> None:
    served = serve(rate=RATE)
    served.begin_campaign()
    eventually(served.laboratory.is_heating, "heating")
    served.command.kill()
    assert served.command.wait() == -signal.SIGKILL
    eventually(lambda: served.laboratory.changes().campaign.reason == "cancelled", "the cancel")
    assert settled(served.laboratory.lab, within=PATIENCE) == []
    assert not [run for run in served.laboratory.runs() if run.status.is_open]


def test_a_campaign_in_a_terminal_obeys_a_cancel_as_well(tmp_path: Path) -> None:
    laboratory = Laboratory.new(tmp_path / "bench", budget=40, rate=RATE)
    try:
        command = in_terminal(laboratory)
        eventually(lambda: laboratory.is_heating() or command.poll() is not None, "heating")
        url = read_state_file(laboratory.lab / "prefect" / "server.json")["url"]
        (run,) = httpx.post(f"{url}/flow_runs/filter", json={}, timeout=PATIENCE).json()
        cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        httpx.post(f"{url}/flow_runs/{run['id']}/set_state", json=cancelling, timeout=PATIENCE).raise_for_status()
        _, err = command.communicate(timeout=2 * PATIENCE)
        assert command.returncode == 3
        assert err == f"athanor: campaign cdse-600 is paused (cancelled); `athanor resume cdse-600 --lab {laboratory.lab}` lifts it\n"
        assert [one for one in laboratory.runs() if one.status is RunStatus.ABORTED]
        assert settled(laboratory.lab) == []
    finally:
        laboratory.close()


def in_terminal(laboratory: Laboratory) -> subprocess.Popen[str]:
    """Type the command with its view."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    words = ["dry-run", str(laboratory.file), "--lab", str(laboratory.lab), "--rate", f"{laboratory.rate:g}"]
    command = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    laboratory.commands.append(command)
    return command
