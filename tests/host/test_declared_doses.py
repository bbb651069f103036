"""The host is killed at every arrow around a declared dose; the device's own count says what was physically done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from instruments.bench.connect import connect
from instruments.bench.file import load_bench
from instruments.lab_processes.state_files import write_state_file
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.errors import HostError
from simulators.body import Body
from tests.declared.serving import Served, served
from tests.declared.test_profile_files import BENCH, PROFILE
from tests.host.harness import Bench, request

pytestmark = pytest.mark.slow

COMMITS = 14
"""Arrival, begin, 3 for a setting, 4 for the dose, 2 for a wait, 2 for a reading, end."""
EVIDENCE = 'evidence = { channel = "given", grows_by = "volume" }\n'
BOOTED = PROFILE.replace(r"(?P<serial_number>\d+)", r"(?P<serial_number>\d+) (?P<boot_id>\d+)")
DECLARED = BOOTED.replace("[safe.stop]", '[commands.drain]\nkind = "state-setting"\nsend = "DRAIN"\n\n[safe.stop]')


class BuretteBody(Body):
    """Doses 5 mL in a lab second, and counts what it gave."""

    @override
    def switch_on(self) -> None:
        self.given = self.left = 0.0

    @override
    def advance(self, lab_s: float) -> None:
        moved = min(self.left, (lab_s - self.lab_s) * 5.0)
        self.given, self.left = self.given + moved, self.left - moved

    @override
    def reply(self, line: bytes) -> bytes | None:
        match line.decode().split():
            case ["DOSE", volume]:
                self.left = float(volume)
                self.log("dose", volume_ml=self.left)
            case ["DRAIN"]:
                self.log("drain")
            case ["STOP"]:
                self.left = 0.0
            case ["ID?"]:
                return b"BURETTE 4711 1"
            case ["BUSY?"]:
                return f"{self.left > 1e-9:d}".encode()
            case ["GIVEN?"]:
                return f"{self.given:.4f}".encode()
        return b"OK"


@dataclass(slots=True)
class DeclaredBench(Bench):
    """A bench of one declared burette on a real TCP link."""

    url: str = ""
    profile: str = DECLARED

    @override
    def write_files(self) -> None:
        (self.folder / "profiles").mkdir()
        (self.folder / "profiles" / "burette.toml").write_text(self.profile)
        self.bench_file.write_text(BENCH.replace('kind = "serial"\nport = "/dev/ttyUSB0"', 'kind = "tcp"\nurl = "tcp://127.0.0.1:9"'))
        endpoints = {"a": {"url": self.url}}
        document = {"bench_sha256": self.sha256, "t0_monotonic": time.monotonic(), "rate": self.rate, "endpoints": endpoints}
        write_state_file(self.folder / "endpoints.json", document)

    @property
    @override
    def sha256(self) -> str:
        return load_bench(self.bench_file).sha256


@contextmanager
def benched(folder: Path, profile: str = DECLARED) -> Iterator[tuple[DeclaredBench, Served]]:
    with served(BuretteBody, rate=20.0) as device:
        bench = DeclaredBench(folder, rate=20.0, connect=connect, url=device.url, profile=profile)
        try:
            yield bench, device
        finally:
            bench.close()


def procedure() -> list[Step]:
    listed: list[dict[str, Any]] = [
        {"do": "burette.drain", "kind": StepKind.STATE_SETTING},
        {"do": "burette.dose", "kind": StepKind.DOSING, "arguments": {"volume": 5.0}},
        {"do": "wait", "kind": StepKind.WAIT, "arguments": {"time": 4.0}},
        {"do": "read", "kind": StepKind.READ, "channels": ("burette.given",)},
    ]
    return [Step.model_validate({"index": n, "interrupted": "continue", **one}) for n, one in enumerate(listed)]


def through_death(bench: DeclaredBench, *, at: int, before: bool) -> dict[str, Any]:
    """Kill the first host at a commit, let the second one settle what is left; return the report."""
    wanted = request(bench, procedure())
    bench.start(at=at, before=before)
    with suppress(HostError):
        bench.submit(wanted)
    bench.await_end(wanted["run_key"], survive=True)
    assert bench.end() == -9
    bench.start()
    bench.submit(wanted)
    return bench.await_end(wanted["run_key"])


def test_a_whole_run_has_as_many_commits_as_are_killed_here(tmp_path: Path) -> None:
    with benched(tmp_path) as (bench, device):
        bench.start()
        report = bench.carry_out(procedure())
        assert (report["status"], device.executions()) == ("completed", 1), report
        assert [one["value"] for one in bench.readings(report["run_key"])][-1] == pytest.approx(5.0)
        assert report["revision"] == COMMITS


@pytest.mark.parametrize("at", range(1, COMMITS + 1))
def test_a_dose_with_evidence_is_done_once_whenever_the_host_dies(tmp_path: Path, at: int) -> None:
    with benched(tmp_path) as (bench, device):
        report = through_death(bench, at=at, before=True)
        assert (report["status"], device.executions()) == ("completed", 1), report


@pytest.mark.parametrize("at", [6, 7, 8])
def test_a_dose_with_evidence_is_done_once_when_the_host_dies_just_after_a_commit(tmp_path: Path, at: int) -> None:
    with benched(tmp_path) as (bench, device):
        report = through_death(bench, at=at, before=False)
        assert (report["status"], device.executions()) == ("completed", 1), report


@pytest.mark.parametrize(
    ("at", "before", "status"),
    [
        (6, True, "completed"),  # not meant yet
        (6, False, "unknown"),  # meant, and perhaps sent
        (7, True, "unknown"),
        (8, True, "unknown"),
        (9, False, "unknown"),  # acknowledged, under way while the run waits
        (14, True, "completed"),  # its end was seen
    ],
)
def test_a_dose_without_evidence_is_never_done_twice_and_unknown_where_nobody_saw_its_end(
    tmp_path: Path, at: int, before: bool, status: str
) -> None:
    with benched(tmp_path, DECLARED.replace(EVIDENCE, "")) as (bench, device):
        report = through_death(bench, at=at, before=before)
        assert (report["status"], device.executions() <= 1) == (status, True), report
        assert device.executions() == 1 or status == "unknown"


def test_an_answer_that_was_lost_leaves_a_dose_with_evidence_done_once_and_one_without_unknown(tmp_path: Path) -> None:
    for name, profile, status in (("with", DECLARED, "completed"), ("without", DECLARED.replace(EVIDENCE, ""), "unknown")):
        with benched(tmp_path / name, profile) as (bench, device):
            bench.start()
            device.lose = "DOSE"
            report = bench.carry_out(procedure())
            assert (report["status"], device.executions()) == (status, 1), report
