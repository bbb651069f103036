"""How long people wait for a command: `python -m benchmarks.waiting --json OUT [--lab LAB]`.

Medians of repeated calls in fresh processes, wall and processor seconds: help, status, review (the list), check of the scaffold
without and with a prior, the report of a small and of a long campaign with the page's size; and which libraries' own
imports take how long. The long campaign is written through the store: random configurations, values by a formula.
"""

import argparse
import json
import math
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

from flows.plans.lab import Lab, make_lab
from flows.plans.plan import Plan, load_plan
from orchestrator.clock import Instant
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Prediction, Proposal, Provenance
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge
from orchestrator.store.sql import SqlStore
from policies.random_search import RandomPolicy

ATHANOR: Final = (sys.executable, "-m", "flows.cli.main")
BY: Final = "benchmark"
BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)
EXPERIMENT_SECONDS: Final = 900.0
SHORT: Final = 24
"""Experiments of the demo."""
LONG: Final = 1_000
SPREADS: Final = {"wavelength": 3.0, "fwhm": 1.0, "quantum_yield": 0.02}
"""Standard deviation of predictions around what is measured, in the targets' units."""
IMPORTED: Final = ("flows.cli.main", "flows.cli.status", "flows.cli.check", "flows.report.write", "flows.plans.policy")
_LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def scaffold(folder: Path, *, prior: bool) -> Path:
    """Make a lab folder and return its campaign file, without a prior unless one is wanted."""
    subprocess.run([*ATHANOR, "init", str(folder)], check=True, stdout=subprocess.DEVNULL)
    file = folder / "campaign.toml"
    if prior:
        subprocess.run([*ATHANOR, "meta-train", str(folder / "prior.toml"), "--no-card"], check=True, stdout=subprocess.DEVNULL)
    else:
        file.write_text(re.sub(r"(?ms)^\[surrogate\].*?(?=^\[|\Z)", "", file.read_text()))
    return file


def write_campaign(plan: Plan, lab: Lab, count: int) -> None:
    """Write a finished campaign of so many experiments into a lab's ledger."""
    now, name = Instant(BEGUN, 0.0), plan.file.name
    rows = RandomPolicy(plan.space).propose(Knowledge(), count=count, seed=0)
    draw = random.Random(0)
    with closing(SqlStore.open(lab.ledger, create=True)) as store:
        record = CampaignRecord(name=name, snapshot={**plan.snapshot, "budget": count, "rate": 1.0})
        store.create_campaign(record, by=BY, now=now)
        store.take_up(name, by=BY, now=now)
        store.update_campaign(store.changes(name).campaign.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by=BY, now=now)
        for number, one in enumerate(rows, start=1):
            now = Instant(BEGUN + timedelta(seconds=EXPERIMENT_SECONDS * number), EXPERIMENT_SECONDS * number)
            _write_experiment(store, _proposal(plan, one.configuration, number, draw), now, draw)
        done = store.changes(name).campaign.evolve(status=CampaignStatus.FINISHED, reason=f"budget spent: {count} experiments")
        store.update_campaign(done, kind=EventKind.FINISHED, by=BY, now=now)


def _values(row: Configuration) -> dict[str, float]:
    """Return smooth stand-ins of the right sizes; no chemistry is meant."""
    heat, ratio = (float(row["T"]) - 200) / 80, float(row["ratio"])
    glow = 0.7 * math.exp(-(((ratio - 3) / 2) ** 2) - (heat - 0.5) ** 2)
    place = 520 + 60 * heat + 25 * math.log(float(row["tau"]) / 20)
    return {"wavelength": place, "fwhm": 28 + 18 * (heat - 0.6) ** 2, "quantum_yield": glow}


def _proposal(plan: Plan, row: Configuration, number: int, draw: random.Random) -> Proposal:
    expected = {name: Prediction(mean=draw.gauss(value, SPREADS[name]), sd=SPREADS[name]) for name, value in _values(row).items()}
    provenance = Provenance(policy="random/1", as_of=0, seed=0, batch=number, seconds=1.0, predicted=expected)
    steps, binding = plan.recipe.expand(row), dict(plan.recipe.binding)
    return Proposal(
        proposal_id=uuid7(),
        campaign=plan.file.name,
        number=number,
        configuration=dict(row),
        steps=steps,
        binding=binding,
        provenance=provenance,
    )


def _write_experiment(store: SqlStore, proposal: Proposal, now: Instant, draw: random.Random) -> None:
    store.add_proposals([proposal], by=BY, now=now)
    approved = proposal.evolve(status=ProposalStatus.APPROVED, decided_by="rule envelope")
    run = ExperimentRun(
        run_key=uuid7(),
        run_id=uuid7(),
        campaign=proposal.campaign,
        proposal_id=proposal.proposal_id,
        revision=1,
        queued_lab=now.lab,
    )
    store.decide(approved, [run], by=BY, now=now)
    sent = {f"{step.do}.{name}": value for step in proposal.steps if step.instrument for name, value in step.arguments.items()}
    for status in (RunStatus.DISPATCHED, RunStatus.RUNNING, RunStatus.COMPLETED):
        run = run.evolve(status=status, commanded=sent, started_lab=now.lab, ended_lab=now.lab + 0.9 * EXPERIMENT_SECONDS)
        store.update_run(run, kind=EventKind(status), by=BY, now=now)
    measured = [
        Measurement(
            measurement_id=uuid7(),
            campaign=run.campaign,
            run_key=run.run_key,
            target=name,
            value=draw.gauss(value, SPREADS[name]),
            uncertainty=SPREADS[name],
            reduction="formula/1",
        )
        for name, value in _values(proposal.configuration).items()
    ]
    closed = run.evolve(measured=dict(proposal.configuration), ingested=True)
    store.ingest(closed, measured, (), by=BY, now=now)


def timed(arguments: Sequence[str], repeats: int) -> dict[str, Any]:
    """Call a command repeatedly; return medians in seconds."""
    wall, processor = [], []
    for _ in range(repeats):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*ATHANOR, *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(time.perf_counter() - began)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_s": median(wall), "cpu_s": median(processor), "repeats": repeats}


def import_shares(module: str) -> dict[str, float]:
    """Return the seconds that each top-level package's own modules take to import, those from a twentieth of a second on."""
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", f"import {module}"], check=True, capture_output=True, text=True).stderr
    micros = Counter[str]()
    for found in map(_LINE.match, told.splitlines()):
        if found is not None:
            micros[found[2].partition(".")[0]] += int(found[1])
    return {name: round(share / 1e6, 2) for name, share in micros.most_common() if share >= 50_000}


def cases(folder: Path, lab: Path | None) -> Iterator[tuple[str, list[str], Path | None]]:
    """Yield name, arguments and the page that is written."""
    plain, known = scaffold(folder / "plain", prior=False), scaffold(folder / "known", prior=True)
    labs = {count: make_lab(folder / f"lab-{count}", beside=plain, kind="dry") for count in (SHORT, LONG)}
    for count, made in labs.items():
        write_campaign(load_plan(plain), made, count)
    demo = lab or labs[SHORT].path
    yield "--help", ["--help"], None
    yield "status", ["status", "--lab", str(demo)], None
    yield "review", ["review", "--lab", str(demo)], None
    yield "check", ["check", str(plain)], None
    yield "check, with a prior", ["check", str(known)], None
    short = f"report of {SHORT} experiments" if lab is None else f"report of {lab}"
    for name, path in ((short, demo), (f"report of {LONG} experiments", labs[LONG].path)):
        page = folder / "report.html"
        yield name, ["report", "--lab", str(path), "--out", str(page)], page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/waiting.json"))
    parser.add_argument("--lab", type=Path, help="A lab whose report and state are asked for; else one of 24 experiments is written.")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = []
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n| command | wall s | CPU s | MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="athanor-waiting-") as folder:
        for name, command, page in cases(Path(folder), options.lab):
            row = {"command": name, **timed(command, options.repeats)}
            row["megabytes"] = None if page is None else page.stat().st_size / 1e6
            rows.append(row)
            size = "" if page is None else f"{row['megabytes']:.1f}"
            print(f"| {name} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} | {size} |", flush=True)
    shares = {module: import_shares(module) for module in IMPORTED}
    for module, found in shares.items():
        print(f"import {module}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.items()))
    setup = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"setup": setup, "rows": rows, "imports": shares}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
