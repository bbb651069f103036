"""Calls in a real bench host: deaths of host and child, a stop in the middle, two calls in one run; the function itself counts."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from instruments.bench.connect import connect
from instruments.bench.file import load_bench
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import write_state_file
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.errors import HostError
from tests.calling import FILM, awaited, oracle
from tests.host.harness import Bench, request, until

pytestmark = pytest.mark.slow

BENCH = """
[bench]
name = "films"
reduction = "identity/1"

[instruments.film]
driver = "python"

[instruments.film.calls.cast]
function = "film:cast"
arguments.temperature = "degC"
arguments.solvent = {{ choices = ["DMF"], default = "DMF" }}
returns.thickness = "nm"
pure = true
{keys}

[instruments.film.calls.weigh]
function = "film:weigh"
returns.mass = "mg"
pure = true

[procedure]
steps = [{{ do = "film.cast", with = {{ temperature = 60 }} }}, {{ do = "film.weigh" }}]
"""


class Films(Bench):
    """A lab whose one instrument is a function."""

    keys = ""

    @override
    def write_files(self) -> None:
        (self.folder / "film.py").write_text(FILM + '\ndef weigh():\n    note("weigh", 0)\n    return 3.0\n')
        self.bench_file.write_text(BENCH.format(keys=self.keys))
        document = {"bench_sha256": self.sha256, "t0_monotonic": 0.0, "rate": 1.0, "endpoints": {}}
        write_state_file(self.folder / "endpoints.json", document)

    @property
    @override
    def sha256(self) -> str:
        return load_bench(self.bench_file).sha256

    def wanted(self) -> dict[str, Any]:
        """Return a run of both calls."""
        both: tuple[dict[str, Any], ...] = ({"do": "film.cast", "arguments": {"temperature": 60.0, "solvent": "DMF"}}, {"do": "film.weigh"})
        listed = [{"index": n, "kind": StepKind.PROGRAM, "interrupted": "continue", **one} for n, one in enumerate(both)]
        return request(self, [Step.model_validate(one) for one in listed], position=None)

    def child(self) -> Process:
        """Return the process that carries calls out."""
        (stat,) = [one for one in Path("/proc").glob("[0-9]*/cmdline") if b"calls/child.py" in _read(one) and self._owns(one)]
        process = Process.of(int(stat.parent.name))
        assert process is not None
        return process

    def _owns(self, cmdline: Path) -> bool:
        with suppress(OSError):
            return (cmdline.parent / "cwd").readlink() == self.folder
        return False


def _read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


class RepeatableFilms(Films):
    keys = "repeatable = true"


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Films]:
    made = Films(tmp_path, connect=connect)
    yield made
    made.close()


@pytest.mark.parametrize("at", [4, 6, 8, 11])
def test_a_host_that_dies_before_a_commit_loses_no_call_and_repeats_none(films: Films, at: int) -> None:
    """Arrival, begin, intent, sent, acknowledged and done of each call, end: what is on the disk decides in each place."""
    wanted = films.wanted()
    films.start(at=at, before=True)
    with suppress(HostError):
        films.submit(wanted)
    films.await_end(wanted["run_key"], survive=True)
    assert films.end() == -signal.SIGKILL
    films.start()
    report = films.await_end(wanted["run_key"])
    assert report["status"] == "completed", report
    assert oracle(films.folder) == {"begin 60": 1, "done 60": 1, "weigh 0": 1}
    values = {one["channel"]: one["value"] for one in films.readings(wanted["run_key"])}
    assert values == {"thickness": 120.0, "mass": 3.0}


def test_a_host_that_dies_in_a_call_finds_it_under_way(films: Films) -> None:
    wanted = films.wanted()
    (films.folder / "hold").touch()
    host = films.start()
    films.submit(wanted)
    awaited(films.folder / "oracle.log", "begin 60")
    os.kill(host.pid or 0, signal.SIGKILL)
    films.end()
    films.start()
    assert films.ask("GET", f"/runs/{wanted['run_key']}")["status"] == "running"
    (films.folder / "hold").unlink()
    assert films.await_end(wanted["run_key"])["status"] == "completed"
    assert oracle(films.folder) == {"begin 60": 1, "done 60": 1, "weigh 0": 1}


def test_a_child_that_dies_in_a_call_asks_a_person_and_never_runs_on_a_guess(films: Films) -> None:
    wanted = films.wanted()
    (films.folder / "hold").touch()
    films.start()
    films.submit(wanted)
    awaited(films.folder / "oracle.log", "begin 60")
    films.child().kill()
    report = films.await_end(wanted["run_key"])
    assert report["status"] == "unknown"
    assert report["steps"][1]["status"] == "planned"
    films.ask("POST", f"/runs/{wanted['run_key']}/resolve", {"verdict": "done", "reason": "seen", "by": "Ada"})
    assert films.await_end(wanted["run_key"])["status"] == "failed"
    assert oracle(films.folder) == {"begin 60": 1}


def test_a_repeatable_call_is_sent_again_after_its_childs_death(tmp_path: Path) -> None:
    films = RepeatableFilms(tmp_path, connect=connect)
    wanted = films.wanted()
    (films.folder / "hold").touch()
    films.start()
    films.submit(wanted)
    awaited(films.folder / "oracle.log", "begin 60")
    films.child().kill()
    (films.folder / "hold").unlink()  # only now can a call end: the one that was killed never did
    try:
        assert films.await_end(wanted["run_key"])["status"] == "completed"
    finally:
        films.close()
    assert oracle(films.folder) == {"begin 60": 2, "done 60": 1, "weigh 0": 1}


def test_a_stop_kills_the_call_at_once(films: Films) -> None:
    wanted = films.wanted()
    (films.folder / "hold").touch()
    films.start()
    films.submit(wanted)
    awaited(films.folder / "oracle.log", "begin 60")
    child = films.child()
    answer = films.ask("POST", "/stop", {"reason": "smoke", "by": "Ada"})
    assert [one["done"] for one in answer["safe_state"]] == [True]
    until(lambda: not child.alive, "the child is dead", seconds=10.0)
    assert films.await_end(wanted["run_key"])["status"] == "aborted"
    assert oracle(films.folder) == {"begin 60": 1}
