"""What a start does where there is no room for a lab, or where it fails half-way: one line, and nothing is left."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.cli.init import scaffold
from flows.plans import disk_space
from flows.plans.disk_space import check_room
from flows.running.failed_start import failed_start_leaves_nothing
from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.lab_processes.state_files import STARTED, read_state_file, write_state_file
from orchestrator.errors import BadInput, Fault, NeedsPerson
from tests.crash.campaigns import athanor, quick_campaign
from tests.process.conftest import eventually, marked
from tests.process.test_processes import PLANT

pytestmark = pytest.mark.slow


@contextmanager
def file_size_limit(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(tmp_path / "a" / "lab")
    monkeypatch.setattr(disk_space, "ROOM", 2**80)
    with pytest.raises(Fault, match=r"the disk of lab folder .*/a/lab is full: \d+ kB are left, a start needs \d+ kB"):
        check_room(tmp_path / "a" / "lab")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_files_is_full_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.statvfs(tmp_path).f_files:
        pytest.skip("this file system counts no inodes")
    monkeypatch.setattr(disk_space, "FILES", 2**62)
    with pytest.raises(Fault, match=r"it takes \d+ more files, a start needs"):
        check_room(tmp_path / "lab")


def test_a_lab_folder_whose_name_is_a_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab").touch()
    for folder in (tmp_path / "lab", tmp_path / "lab" / "inner"):
        with pytest.raises(BadInput, match=r"cannot be made: .*/lab is a file"):
            check_room(folder)


@pytest.mark.parametrize("options", ["size=700k", "size=24k", "size=50m,nr_inodes=20", "ro"])
def test_a_small_a_crowded_and_a_read_only_disk_take_no_lab(tmp_path: Path, options: str) -> None:
    with mounted(tmp_path, options), pytest.raises((BadInput, Fault), match="read-only" if options == "ro" else "is full"):
        check_room(tmp_path / "lab")


def test_a_start_on_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    file, disk = quick_campaign(tmp_path / "campaign", budget=2), tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "size=600k"):
        ended = athanor("dry-run", str(file), "--lab", str(disk / "lab"), "--no-view")
        assert list(disk.iterdir()) == []
    assert ended.returncode == 4, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "is full" in ended.stderr


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets the tests mount no disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# ---------------------------------------------------------------------- a start that fails half-way


def start_plant(lab: Path) -> None:
    (lab / "plant.toml").touch()
    ensure_plant(lab, lab / "plant.toml", bench_sha256="ab" * 32, seed=1, rate=1.0, plant=PLANT)


def plants() -> list[str]:
    return [one for one in marked(os.environ["ATHANOR_TEST_CASE"]).values() if "fake_plant" in one]


def test_a_start_that_fails_takes_along_what_it_has_started(lab: Path) -> None:
    def start() -> None:
        with failed_start_leaves_nothing(lab):
            start_plant(lab)
            assert plants()
            raise Fault("no room")

    with pytest.raises(Fault, match="no room"):
        start()
    eventually(lambda: not plants())


@pytest.mark.parametrize("how", ["it was there before", "an experiment has begun", "a person is waited for"])
def test_what_others_use_or_an_experiment_needs_stays(lab: Path, how: str) -> None:
    if how == "it was there before":
        start_plant(lab)

    def start() -> None:
        with failed_start_leaves_nothing(lab) as one:
            start_plant(lab)
            one.has_begun = how == "an experiment has begun"
            raise NeedsPerson("look") if how == "a person is waited for" else Fault("later")

    with pytest.raises((Fault, NeedsPerson)):
        start()
    assert plants()
    shutdown_plant(lab)


def test_a_full_disk_does_not_keep_a_plant_from_being_ended(lab: Path) -> None:
    start_plant(lab)
    with file_size_limit(0):
        shutdown_plant(lab)
    eventually(lambda: not plants())


def test_a_plant_that_no_later_command_could_find_is_ended_at_once(lab: Path) -> None:
    (lab / STARTED).mkdir()  # the note of it cannot be written
    with pytest.raises(Fault, match="cannot be written"):
        start_plant(lab)
    eventually(lambda: not plants())


def test_a_note_that_cannot_be_written_leaves_the_old_one_and_no_draft(tmp_path: Path) -> None:
    write_state_file(tmp_path / "note.json", {"old": True})
    with file_size_limit(10), pytest.raises(OSError, match="File too large"):
        write_state_file(tmp_path / "note.json", {"new": "x" * 1000})
    assert read_state_file(tmp_path / "note.json") == {"old": True}
    assert [one.name for one in tmp_path.iterdir()] == ["note.json"]


def test_a_scaffold_that_cannot_be_written_whole_is_taken_back(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(BadInput, match="cannot be written"):
        scaffold(tmp_path / "lab")
    assert list((tmp_path / "lab").iterdir()) == []
    scaffold(tmp_path / "lab")
