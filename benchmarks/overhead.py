"""What Athanor itself adds to an experiment, and how it and memory grow: `python -m benchmarks.overhead`.

An instantaneous experiment (one set with readback and one read on a simulated pump) goes through everything: loop,
ledger, Prefect, bench host, wire, ingest. Model time is taken apart. Times come from the ledger's own events, memory from
/proc, both of the process that users start.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from instruments.lab_processes.processes import process_table
from orchestrator.domain.events import EventKind
from orchestrator.store.sql import SqlStore

HERE = Path(__file__).parent / "instant"
RATE = "300"


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign with Prefect's view, then a longer one, and print figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/overhead.json"))
    parser.add_argument("--short", type=int, default=200)
    parser.add_argument("--long", type=int, default=1000)
    options = parser.parse_args(arguments)
    rows = [measure(options.short), measure(options.long)]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print(json.dumps(row))
    return 0


def measure(budget: int) -> dict[str, object]:
    """Carry out `budget` instantaneous experiments; return seconds per experiment and memory by tenths of the campaign."""
    with tempfile.TemporaryDirectory(prefix="athanor-overhead-") as folder:
        root = Path(folder) / "benchmarks" / "instant"
        shutil.copytree(HERE, root)
        shutil.copytree(HERE.parents[1] / "flows" / "cli" / "scaffold", Path(folder) / "flows" / "cli" / "scaffold")
        file, lab = root / "campaign.toml", root / ".athanor-dry"
        file.write_text(file.read_text().replace("budget = 200", f"budget = {budget}"))
        command = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", "dry-run", str(file), "--rate", RATE, "--json"], stdout=subprocess.DEVNULL
        )
        memory: list[tuple[float, int, int]] = []
        watcher = threading.Thread(target=_watch, args=(command, lab, memory), daemon=True)
        watcher.start()
        code = command.wait()
        watcher.join(timeout=5)
        if code != 0:
            raise SystemExit(f"the campaign ended with {code}")
        return _figures(lab, budget, memory)


def _watch(command: subprocess.Popen[bytes], lab: Path, memory: list[tuple[float, int, int]]) -> None:
    while command.poll() is None:
        host = process_table(lab)["host"] if lab.exists() else None
        if host is not None:
            memory.append((time.time(), _resident(command.pid), _resident(host["pid"])))
        time.sleep(0.5)


def _resident(pid: int) -> int:
    """Return resident memory in MiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _figures(lab: Path, budget: int, memory: list[tuple[float, int, int]]) -> dict[str, object]:
    with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
        model = {one.number: one.provenance.seconds for one in store.changes("instant").proposals}
        ends = [datetime.fromisoformat(event.wall).timestamp() for event in store.events("instant") if event.kind == EventKind.INGESTED]
    gaps = [later - earlier - model[number] for number, (earlier, later) in enumerate(pairwise(ends), start=2)]
    tenth = max(1, budget // 10)
    shares = [gaps[start : start + tenth] for start in range(0, len(gaps), tenth)]
    return {
        "experiments": len(ends),
        "prefect_tasks": budget <= 400,
        "seconds_median": round(statistics.median(gaps), 4),
        "seconds_mean": round(statistics.fmean(gaps), 4),
        "seconds_by_tenth": [round(statistics.median(share), 4) for share in shares if share],
        "campaign_MiB": _at(ends, memory, 1),
        "host_MiB": _at(ends, memory, 2),
        "ledger_kB_per_experiment": round((lab / "ledger.db").stat().st_size / 1024 / budget, 1),
    }


def _at(ends: list[float], memory: list[tuple[float, int, int]], column: int) -> list[int]:
    """Return memory at each quarter of the campaign."""
    moments = [ends[round((len(ends) - 1) * share)] for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return [int(min(memory, key=lambda row: abs(row[0] - moment))[column]) for moment in moments]


if __name__ == "__main__":
    sys.exit(main())
