"""The command's own surface: its terminal, its port, its platform, and labs that are used before their first run."""

import json
import os
import resource
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows.cli.review_commands import people_add
from flows.plans.lab import clock_of, find_or_make_lab, make_lab, open_lab
from flows.prefect_server.server_port import NOTE, choose_port
from instruments.host.journal import Journal
from instruments.host.journal_records import Transition
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput, Fault
from orchestrator.store.sql import SqlStore
from tests.host.test_journal import a_request

pytestmark = pytest.mark.slow

_NOISE = (
    "import logging, pathlib, sys, threading; from flows.cli.console import fail; from flows.running.log_file import log_to;"
    " log_to(pathlib.Path(sys.argv[1]));"
    "from prefect import flow; logging.getLogger('prefect.events').warning('unable to connect'); logging.getLogger('flows.x').info('ours');"
    "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join(); fail('the one line')"
)


def test_what_prefects_threads_write_goes_to_the_log_and_the_terminal_keeps_the_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-c", _NOISE, str(tmp_path / "log")]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert (ended.stdout, ended.stderr) == ("", "athanor: the one line\n")
    log = (tmp_path / "log").read_text()
    assert "prefect.events: unable to connect" in log
    assert "flows.x: ours" in log
    assert "ZeroDivisionError" in log


@pytest.mark.parametrize("platform", ["darwin", "win32", "cygwin", "freebsd14"])
def test_elsewhere_than_on_linux_one_line_says_what_is_needed(platform: str) -> None:
    patched = f"import sys; sys.platform = {platform!r}; sys.modules['fcntl'] = sys.modules['termios'] = None; import flows.cli.main"
    ended = subprocess.run([sys.executable, "-c", patched], capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"athanor: Linux is needed (on Windows: WSL), this is {platform!r}")
    assert ended.stderr.count("\n") == 1


# ---------------------------------------------------------------------- the port


def test_a_home_keeps_its_port_and_another_one_is_told_of_only_while_that_is_taken(tmp_path: Path) -> None:
    port, line = choose_port(tmp_path)
    assert line is None
    assert choose_port(tmp_path) == (port, None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        instead, line = choose_port(tmp_path)
        assert instead != port
        assert line == f"port {port}, which this lab's Prefect UI has otherwise, is taken by another program: it is at {instead} this time"
    assert choose_port(tmp_path) == (port, None)


def test_a_home_that_was_moved_keeps_its_port_and_two_homes_have_two(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    port, _ = choose_port(tmp_path / "a")
    assert choose_port(tmp_path / "b")[0] != port
    assert choose_port((tmp_path / "a").rename(tmp_path / "c"))[0] == port


@pytest.mark.parametrize("text", ["", "[]", '{"port": "x"}', '{"port": 0}', '{"port": 70000}'])
def test_a_broken_note_of_a_port_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTE).write_text(text)
    port, _ = choose_port(tmp_path)
    assert 1024 < port < 32768
    assert choose_port(tmp_path) == (port, None)


# ---------------------------------------------------------------------- labs before their first run


def test_a_person_may_be_registered_before_the_first_run_which_settles_the_labs_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people_add("Ada", lab=tmp_path / "lab", by="a test", as_json=False)
    assert f"lab {tmp_path / 'lab'} is made: its first run settles whether it is live" in capsys.readouterr().out
    assert open_lab(tmp_path / "lab").is_unsettled
    lab = make_lab(tmp_path / "lab", beside=tmp_path, kind="dry")
    assert (lab.kind, lab.is_unsettled) == ("dry", False)
    with pytest.raises(BadInput, match="is dry; this command needs a live one"):
        make_lab(tmp_path / "lab", beside=tmp_path, kind="live")
    with closing(SqlStore.open(lab.ledger)) as store:
        assert [one.name for one in store.people()] == ["Ada"]
        assert clock_of(lab, store).lab() >= 0
        assert store.verify() == ()


def test_a_kind_that_is_said_or_shown_by_the_default_name_is_settled_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    for name, kind, expected in ((".athanor-dry", None, "dry"), (".athanor", None, "live"), ("a", "dry", "dry"), ("b", "live", "live")):
        lab = find_or_make_lab(tmp_path / name, here=tmp_path, kind=kind, tell=said.append)  # type: ignore[arg-type]  # one of two
        assert (lab.kind, lab.is_unsettled) == (expected, False)
    assert [one.partition(" is made: ")[2].split(",")[0] for one in said] == ["dry", "live", "dry", "live"]
    with pytest.raises(BadInput, match="is dry; this command needs a live one"):
        find_or_make_lab(tmp_path / "a", here=tmp_path, kind="live", tell=said.append)


def test_without_a_name_the_only_lab_here_is_meant_or_the_one_of_the_kind(tmp_path: Path) -> None:
    said: list[str] = []
    made = find_or_make_lab(None, here=tmp_path, kind=None, tell=said.append)
    assert made.path == tmp_path / ".athanor"
    assert find_or_make_lab(None, here=tmp_path, kind=None, tell=said.append) == made
    assert find_or_make_lab(None, here=tmp_path, kind="dry", tell=said.append).path == tmp_path / ".athanor-dry"
    assert len(said) == 2
    with pytest.raises(BadInput, match="two labs"):
        find_or_make_lab(None, here=tmp_path, kind=None, tell=said.append)


def test_the_json_of_a_new_person_says_which_lab_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people_add("Ada", lab=tmp_path / "lab", by="a test", as_json=True, dry=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["lab"], told["kind"], len(told["codes"])) == (str(tmp_path / "lab"), "dry", 40)


# ---------------------------------------------------------------------- the host's own file on a full disk


def test_a_journal_on_a_full_disk_says_so_and_works_again_when_there_is_room(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(Journal(tmp_path / "j")) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "j-wal").stat().st_size, before[1]))
        try:
            with pytest.raises(Fault, match=r"journal .*/j cannot be written: "):
                journal.commit(Transition("k", RunStatus.DISPATCHED, request=a_request()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert journal.run("k") is None
        journal.commit(Transition("k", RunStatus.DISPATCHED, request=a_request()))
        assert journal.run("k") is not None
