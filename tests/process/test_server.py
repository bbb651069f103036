"""One Prefect server per home, for as long as anybody uses it, and none where the user has one."""

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.prefect_server.server import ServerUse, prefect_environment
from instruments.lab_processes.locks import read_holder
from instruments.lab_processes.process_identity import Process, reap
from instruments.lab_processes.state_files import read_state_file
from tests.process.conftest import eventually

pytestmark = pytest.mark.slow

_USE = (
    "import sys, pathlib, time\nfrom flows.prefect_server.server import ServerUse\n"
    "use = ServerUse(pathlib.Path(sys.argv[1]))\nuse.acquire()\n"
    "print(use.url or use.reason, flush=True); time.sleep(600)"
)
ENDED_WITHIN = 30.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("PREFECT_API_URL", "ATHANOR_PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "prefect"
    yield folder
    if keeper := read_holder(folder / "keeper.lock"):
        keeper.process.terminate(ENDED_WITHIN)
        reap(keeper.process.pid)


def user(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _USE, str(home)], stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def listens(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((str(place.hostname), place.port or 0)) == 0


@pytest.mark.long
def test_two_commands_at_once_get_one_server_which_ends_with_its_last_user_however_that_one_ends(home: Path) -> None:
    with user(home) as first, user(home) as second:
        url = said(first)
        assert url.startswith("http://127.0.0.1:")
        assert said(second) == url
        server = Process.parse(read_state_file(home / "server.json"))
        assert server is not None
        first.kill()
        time.sleep(2.5)  # two looks of the keeper
        assert server.alive
        with ServerUse(home) as third:
            assert (third.url, third.ui_url) == (url, url.removesuffix("/api"))
            assert prefect_environment(third)["PREFECT_API_URL"] == url
        os.kill(second.pid, signal.SIGKILL)
    assert server.wait(ENDED_WITHIN)
    assert not listens(url)
    eventually(lambda: read_holder(home / "keeper.lock") is None)
    assert not (home / "server.json").exists()


def test_a_server_that_the_user_has_configured_is_used_and_nothing_is_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.lab:4200/api")
    with ServerUse(home) as server:
        assert server.url == "http://prefect.lab:4200/api"
        assert "PREFECT_API_URL" not in prefect_environment(server)
    assert not home.exists()


def test_an_environment_that_we_have_set_ourselves_is_not_the_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("ATHANOR_PREFECT_HOME", str(home))
    with ServerUse(home, wanted=False) as server:
        assert (server.url, server.reason) == (None, "not wanted")
    assert prefect_environment(server)["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"


def test_a_home_that_cannot_be_made_costs_the_view_alone(tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").touch()
    with ServerUse(tmp_path / "file" / "prefect") as server:
        assert server.url is None
        assert server.reason is not None


def test_a_database_of_a_newer_prefect_is_told_in_one_line(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / "prefect.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        database.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    database.close()
    with ServerUse(home) as server:
        assert server.url is None
        assert "was written by a newer Prefect; upgrade Prefect, or remove that database" in str(server.reason)
    with (home / "users.lock").open() as users:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
