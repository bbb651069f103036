"""What the kernel saw of a bench host: the intent of a dose is on the disk before the first byte of the dose is on the wire."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from flows.plans.plan import load_plan
from instruments.bench_client.client import HostClient
from instruments.lab_processes.http import ask_host
from instruments.lab_processes.state_files import HOST, read_state_file
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import RunRequest
from orchestrator.errors import AthanorError
from tests.faults.conftest import MakeLaboratory
from tests.faults.laboratory import PATIENCE, Laboratory, eventually

pytestmark = pytest.mark.slow

RATE: Final = 100.0
CALLS: Final = "write,writev,pwrite64,pwritev,pwritev2,sendto,fsync,fdatasync,sync_file_range"
_LINE: Final = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\((?P<fd>\d+)<(?P<path>[^>]*)>(?P<rest>.*)$")
_RESUMED: Final = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>")


@dataclass(frozen=True)
class Seen:
    """One thing that the kernel did, in order."""

    what: str
    """`begin` or `end` of a call."""
    call: str
    path: str
    text: str


@pytest.mark.skipif(shutil.which("strace") is None and "CI" not in os.environ, reason="strace is not installed")
@pytest.mark.long
def test_the_intent_of_a_dose_is_synced_before_the_first_byte_of_the_dose(
    make_laboratory: MakeLaboratory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laboratory = make_laboratory(budget=1, rate=RATE)
    laboratory.start_plant()
    trace = tmp_path / "trace"
    with traced_host(laboratory, trace):
        carry_out_one_run(laboratory)
    seen = parse(trace.read_text(errors="replace"))
    runs = [index for index, one in enumerate(seen) if is_wire(one) and "RUN" in one.text]
    syncs = [one for one in seen if one.what == "end" and one.call in ("fsync", "fdatasync") and "journal.sqlite" in one.path]
    with capsys.disabled():
        print(f"\nstrace: {len(seen)} calls, {len(syncs)} syncs of the journal, {len(runs)} doses started")
    assert len(runs) == 3
    for index in runs:
        assert complaint(seen[:index]) is None
        assert complaint([one for one in seen[:index] if not is_sync(one)]) is not None  # what a host without syncs would show


def complaint(before: list[Seen]) -> str | None:
    """Judge what came before a RUN: since the device was last asked (baseline), the journal was written and then synced whole.

    The first byte of a dose is its DIRINF; what the driver asks between that and RUN changes no motion.
    """
    first = max(index for index, one in enumerate(before) if is_wire(one) and "DIRINF" in one.text)
    asked = max(index for index, one in enumerate(before[:first]) if is_wire(one))
    between = before[asked + 1 : first]
    written = [index for index, one in enumerate(between) if one.what == "end" and is_journal_write(one)]
    if not written:
        return "nothing was written to the journal between the baseline and the dose"
    after = between[written[-1] + 1 :]
    begun = any(one.what == "begin" and is_sync(one) for one in after)
    done = any(one.what == "end" and is_sync(one) for one in after)
    return None if begun and done else "the intent was written to the journal but not synced before the dose"


def is_wire(one: Seen) -> bool:
    return one.what == "begin" and one.call.startswith("write") and "/dev/pts/" in one.path


def is_journal_write(one: Seen) -> bool:
    return one.call.startswith(("write", "pwrite")) and "journal.sqlite" in one.path and not one.path.endswith("-shm")


def is_sync(one: Seen) -> bool:
    return one.call in ("fsync", "fdatasync") and "journal.sqlite" in one.path


def parse(text: str) -> list[Seen]:
    """Return the begin and end of each call in the order in which the kernel saw them."""
    seen: list[Seen] = []
    open_calls: dict[str, Seen] = {}
    for line in text.splitlines():
        if begun := _LINE.match(line):
            one = Seen("begin", begun["call"], begun["path"], begun["rest"])
            seen.append(one)
            if line.endswith("<unfinished ...>"):
                open_calls[begun["pid"]] = one
            else:
                seen.append(Seen("end", one.call, one.path, one.text))
        elif (resumed := _RESUMED.match(line)) and (found := open_calls.pop(resumed["pid"], None)):
            seen.append(Seen("end", found.call, found.path, line))
    return seen


@contextmanager
def traced_host(laboratory: Laboratory, trace: Path) -> Iterator[None]:
    """Run a bench host under strace, and ask it each second as its supervisor would."""
    words = ["--lab", str(laboratory.lab), "--bench", str(laboratory.bench), "--endpoints", str(laboratory.endpoints)]
    tracing = ["strace", "-f", "-y", "-s", "200", "-e", f"trace={CALLS}", "-o", str(trace)]
    strace = subprocess.Popen([*tracing, sys.executable, "-m", "instruments.host", *words], stderr=subprocess.DEVNULL)
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(laboratory.lab, over))
    try:
        eventually(lambda: strace.poll() is not None or bool(read_state_file(laboratory.lab / HOST)), "the host")
        watcher.start()
        yield
        laboratory.process("host").ask_to_end(PATIENCE)
        assert strace.wait(timeout=PATIENCE) == 0
    finally:
        over.set()
        strace.kill()
        strace.wait()
        if watcher.is_alive():
            watcher.join()


def watch(lab: Path, over: threading.Event) -> None:
    while not over.wait(0.5):
        try:
            ask_host(str(read_state_file(lab / HOST).get("socket", "")), "GET", "/alive?supervisor=1", timeout=5.0)
        except AthanorError:
            continue  # it leaves; the test waits for its end


def carry_out_one_run(laboratory: Laboratory) -> None:
    plan = load_plan(laboratory.file)
    assert plan.bench is not None
    key = uuid7()
    with HostClient.of_lab(laboratory.lab, campaign="traced", fence=1) as client:
        client.submit(RunRequest(key, key, 1, "traced", 1, plan.bench.sha256, plan.recipe.expand(plan.sample[0]), "A1"))
        eventually(lambda: (report := client.report(key, wait=1.0)) is not None and report.status.is_terminal, "the run's end")
        report = client.report(key)
    assert report is not None
    assert report.status in (RunStatus.COMPLETED, RunStatus.INFEASIBLE), report.reason
