"""Asking and telling needs no bench's machine: proven in a fresh interpreter in which all of that is missing or refused."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.door import elsewhere
from tests.door.campaigns import amended
from tests.recorded.tables import EXAMPLES, data_dir

pytestmark = pytest.mark.slow


def run(folder: Path, *files: Path, code: Sequence[str] = (elsewhere.__file__,)) -> subprocess.CompletedProcess[str]:
    words: list[str | Path] = [sys.executable, "-W", "ignore", *code, folder, *files]
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False, cwd=Path(__file__).parents[2])


def test_asking_and_telling_runs_where_no_bench_can(lab_file: Path, tmp_path: Path) -> None:
    plain = amended(lab_file, "plain.toml", general="budget = 8", policy="initial = 3", prior=False)
    answer = run(tmp_path, lab_file, plain)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("3 experiments told, 2 pending") == 3, "in code, from a file with a prior, and from one without"


def test_a_recorded_campaign_file_is_read_there_too(tmp_path: Path) -> None:
    data_dir()
    text = (EXAMPLES / "crossed_barrel" / "campaign.toml").read_text()
    file = tmp_path / "campaign.toml"
    file.write_text(text.replace("initial = 5", "initial = 3"))
    answer = run(tmp_path, file)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("3 experiments told, 2 pending") == 2


@pytest.mark.parametrize("act", ["import fcntl", "import flows.cli.main", "import socket; socket.socket()", "threading.Thread().start()"])
def test_what_is_missing_there_would_be_noticed(act: str, tmp_path: Path) -> None:
    lines = Path(elsewhere.__file__).read_text().replace("    work(Path(", f"    {act}\n    work(Path(")
    answer = run(tmp_path, code=["-c", lines])
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith(("ModuleNotFoundError: No module named", "RuntimeError: "))
