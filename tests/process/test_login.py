"""The Prefect API with a login: every client of ours has it, nobody else gets in, and it stands in no file and no command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.prefect_server.login import LOGIN_VARIABLE, api_login
from flows.prefect_server.server import ServerUse, prefect_environment
from instruments.lab_processes.locks import read_holder
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.state_files import read_state_file
from orchestrator.errors import BadInput
from tests.prefect_database import with_database

pytestmark = [pytest.mark.slow, pytest.mark.long]

LOGIN = "ada:countess-of-lovelace"
ENDED_WITHIN = 30.0
_CLIENT = (
    "from prefect.client.orchestration import get_client\nwith get_client(sync_client=True) as client: print(len(client.read_flow_runs()))"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "ATHANOR_PREFECT_HOME", LOGIN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    folder = with_database(tmp_path / "prefect")
    yield folder
    if keeper := read_holder(folder / "keeper.lock"):
        keeper.process.terminate(ENDED_WITHIN)
        reap(keeper.process.pid)


def asked(url: str, login: str | None) -> int:
    auth = None if login is None else httpx.BasicAuth(*login.split(":", 1))
    return httpx.post(f"{url}/flow_runs/filter", json={}, auth=auth, timeout=30.0).status_code


def a_client(server: ServerUse) -> subprocess.CompletedProcess[str]:
    """Ask as a command or a child process does: by the environment alone."""
    environment = {**os.environ, **prefect_environment(server)}
    return subprocess.run([sys.executable, "-c", _CLIENT], env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_only_who_has_the_login_gets_an_answer_and_it_is_written_nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOGIN_VARIABLE, LOGIN)
    with ServerUse(home) as server:
        assert server.url is not None, server.reason
        assert [asked(server.url, login) for login in (None, "ada:countess", LOGIN)] == [401, 401, 200]
        answer = a_client(server)
        assert answer.stdout.strip() == "0", answer.stderr
        process = Process.parse(read_state_file(home / "server.json"))
        keeper = read_holder(home / "keeper.lock")
        assert process is not None
        assert keeper is not None
        for pid in (process.pid, keeper.process.pid):
            assert LOGIN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        secret = LOGIN.partition(":")[2].encode()
        assert [path.name for path in home.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def test_a_server_with_another_login_than_asked_is_refused_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOGIN_VARIABLE, LOGIN)
    with ServerUse(home) as server:
        assert server.url is not None, server.reason
        said = []
        for other in ("ada:babbage", None):
            monkeypatch.setenv(LOGIN_VARIABLE, other) if other else monkeypatch.delenv(LOGIN_VARIABLE)
            with ServerUse(home) as refused:
                assert refused.url is None
                said.append(str(refused.reason))
        assert said[0] == f"the Prefect server at {server.url} asks for another login than {LOGIN_VARIABLE}"
        assert said[1] == f"the Prefect server at {server.url} asks for a login; set {LOGIN_VARIABLE} to user:password"
    assert LOGIN not in json.dumps(said)


def test_a_server_without_a_login_is_refused_where_one_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerUse(home) as server:
        assert server.url is not None, server.reason
        monkeypatch.setenv(LOGIN_VARIABLE, LOGIN)
        with ServerUse(home) as refused:
            assert refused.url is None
            assert f"asks for no login, though {LOGIN_VARIABLE} is set" in str(refused.reason)


@pytest.mark.parametrize("given", ["secret", ":secret", "ada:", "ada:se\ncret"])
def test_a_login_of_another_shape_is_refused_without_being_repeated(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(LOGIN_VARIABLE, given)
    with pytest.raises(BadInput, match="expected user:password") as refused:
        api_login()
    assert "cret" not in str(refused.value)
