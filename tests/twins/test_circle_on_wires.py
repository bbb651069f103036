"""The whole circle on wires, with deaths at each stage: a dry run by the twin, a laboratory that has what the twin lacks, compared,
explained, taught, judged by fresh experiments, and a dry run by the revision that is closer to the laboratory.

The laboratory is simulated devices too: the same bench host, drivers, serial lines and OPC-UA server, behind which the example's
`humid.py` flows, and a logger on a line of its own. Whatever is typed again after a death is what was typed before.
"""

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from flows.plans.lab import open_lab
from flows.studies.twins.operations import history_of
from instruments.lab_processes.state_files import HOST
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import DRY_TWIN
from orchestrator.history import History
from tests.commands import run_command
from tests.crash.campaigns import settle
from tests.crash.oracle import judge
from tests.faults.laboratory import Laboratory, Typed, eventually

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "twins" / "cdse" / "wires"
RATE: Final = 600.0
IN_A_DRY_RUN: Final = 6
LEARNED: Final = 24
VERIFYING: Final = 3
BUDGET: Final = 30
"""Of the laboratory: more than what is learned from and what verifies, since the experiment in hand at the pause is finished."""
DEATHS: Final = ("campaign", "host")
PATIENCE: Final = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the example, with a second bench file for the laboratory: the same but for what is simulated."""
    place = tmp_path / "wires"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*", "__pycache__", "twins"))
    bench, campaign = (place / "bench.toml").read_text(), (place / "campaign.toml").read_text()
    bench = bench.replace('restart_within = "10 s"', 'restart_within = "60 s"')  # a host that a busy machine starts slowly is no fault
    (place / "bench.toml").write_text(bench)
    (place / "there.toml").write_text(bench.replace('plant = "plant.toml"', 'plant = "laboratory.toml"'))
    for name, own, budget in (("dry", "bench", IN_A_DRY_RUN), ("next", "bench", IN_A_DRY_RUN), ("real", "there", BUDGET)):
        text = campaign.replace("cdse-dry", f"cdse-{name}").replace("bench.toml", f"{own}.toml")
        (place / f"{name}.toml").write_text(text.replace("budget = 40", f"budget = {budget}\nmax_failures = 1000"))
    return place


@pytest.fixture
def laboratories(folder: Path) -> Iterator[dict[str, Laboratory]]:
    with ExitStack() as closing_later:
        names = ("dry", "real", "next")
        made = {name: Laboratory(folder / f"{name}.toml", folder / f".{name}", RATE, campaign=f"cdse-{name}") for name in names}
        for one in made.values():
            closing_later.enter_context(closing(one))
        yield made


@pytest.mark.timeout(900)
def test_a_twin_learns_on_wires_what_it_lacked_and_no_death_repeats_or_loses_anything(
    folder: Path, laboratories: dict[str, Laboratory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    dry, real, later = (laboratories[name] for name in ("dry", "real", "next"))
    carried_out(dry, DEATHS, until=IN_A_DRY_RUN)
    assert began_with(dry) is None
    carried_out(real, DEATHS, until=LEARNED, pause=True)

    dies(real, "before pathlib:Path.replace 1", "twin", "compare")
    assert not list((real.lab / "twin-tables").glob("[!.]*"))  # a draft at most
    assert typed(real, "twin", "compare")["recorded"] == ["humidity", "elapsed"]
    dies(real, "after flows.studies.twins.explained:analyse 1", "twin", "explain")
    quantities = {one["measured"]: one for one in typed(real, "twin", "explain")["quantities"]}
    assert [one["factor"] for one in quantities["quantum_yield"]["findings"] if one["named"]] == ["humidity"]

    taught = ("twin", "recalibrate", "--by", "Ada", "--reason", "humid days")
    dies(real, "before pathlib:Path.hardlink_to 1", *taught)
    assert revisions_of(real) == []
    dies(real, "after pathlib:Path.hardlink_to 1", *taught)
    written = (folder / "twins" / "cdse-r1.toml").read_bytes()
    assert real.type(*taught).code == 0
    assert revisions_of(real) == ["./twins/cdse-r1.toml"]  # neither lost nor there twice
    assert {one.name: one.read_bytes() for one in (folder / "twins").iterdir()} == {"cdse-r1.toml": written}

    suggested = ("twin", "verify", "--suggest", str(VERIFYING), "--by", "Ada")
    dies(real, "before orchestrator.store.sql:SqlStore.add_proposals 1", *suggested)
    assert typed(real, "twin", "verify")["waiting"] == 0
    dies(real, "after orchestrator.store.sql:SqlStore.add_proposals 1", *suggested)
    assert typed(real, "twin", "verify")["waiting"] == VERIFYING
    assert real.type("resume", "--by", "Ada").code == 0
    carried_out(real, DEATHS, until=BUDGET)
    verified = typed(real, "twin", "verify")
    assert (verified["verdict"], verified["runs"], verified["waiting"]) == ("passed", VERIFYING, 0), verified
    assert verified["new_error"] < 0.5 * verified["old_error"]

    carried_out(later, DEATHS, until=IN_A_DRY_RUN)
    assert began_with(later) == "./twins/cdse-r1.toml"
    assert all(
        "runs twin ./twins/cdse-r1.toml (cdse/1-r1); humidity as logger.humidity says" in one or "goes on as twin" in one
        for one in said_by(later)
    )
    before, now = (differences(one, real) for one in (dry, later))
    assert now["quantum_yield"] < 0.4 * before["quantum_yield"]
    assert now["wavelength"] < 0.4 * before["wavelength"]
    for one in laboratories.values():
        assert judge(one.lab, one.campaign).complaints == ()


# ---------------------------------------------------------------------- what a person types, and types again


def carried_out(laboratory: Laboratory, deaths: Sequence[str], *, until: int, pause: bool = False) -> None:
    """Carry a campaign on until so many experiments are measured, and kill processes under it on the way; paused at the end, or over."""
    begun = measured(laboratory)
    command = laboratory.dry_run("--seed", "5")
    for number, victim in enumerate(deaths, start=1):
        wanted = begun + max((until - begun) * number // (len(deaths) + 1), 1)
        eventually(partial(_so_far, laboratory, command, wanted), f"{wanted} experiments", within=PATIENCE)
        laboratory.kill(victim)
        if victim == "campaign":
            command.wait()
            command = laboratory.dry_run("--seed", "5")
    while pause and command.poll() != 0:
        eventually(partial(_so_far, laboratory, command, until), f"{until} experiments", within=PATIENCE)
        if measured(laboratory) >= until:
            assert laboratory.type("pause", "--by", "Ada", "--reason", "look at the twin").code == 0
            assert laboratory.ended(command).code == 3
            return
        command = again(laboratory, command)
    while command.wait() != 0:
        command = again(laboratory, command)


def _so_far(laboratory: Laboratory, command: Typed, wanted: int) -> bool:
    return measured(laboratory) >= wanted or command.poll() is not None


def again(laboratory: Laboratory, command: Typed) -> Typed:
    """Do what a command's last line asks for, and type it again."""
    ended = laboratory.ended(command)
    assert ended.code in (3, 4), ended.err
    line = ended.err.rstrip().splitlines()[-1]
    if "athanor resolve" in line:
        settle(laboratory.lab, line)
    elif "athanor resume" in line:
        assert laboratory.type("resume", "--by", "Ada", "--reason", "looked at the bench").code == 0
    return laboratory.dry_run("--seed", "5")


def dies(laboratory: Laboratory, moment: str, *words: str) -> None:
    """Type a command that is killed at a moment."""
    ended = run_command([moment, *words, "--lab", str(laboratory.lab)], timeout=PATIENCE, module="tests.twins.dying")
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def typed(laboratory: Laboratory, *words: str) -> Any:
    ended = laboratory.type(*words, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


# ---------------------------------------------------------------------- what is left


def measured(laboratory: Laboratory) -> int:
    """Return how many experiments have given something."""
    begun = (laboratory.lab / HOST).exists() and laboratory.head()[0] > 0  # the ledger has its tables long before the host is there
    return len({one.run_key for one in laboratory.changes().measurements}) if begun else 0


def began_with(laboratory: Laboratory) -> str | None:
    """Return the twin that a dry campaign's ledger says its tube runs."""
    kept = laboratory.changes().campaign.snapshot.get(DRY_TWIN)
    return None if kept is None else str(kept["name"])


def said_by(laboratory: Laboratory) -> list[str]:
    """Return what each command that carried the campaign on has said."""
    return [(laboratory.file.parent / f"command{number}.out").read_text() for number, _ in enumerate(laboratory.commands)]


def revisions_of(laboratory: Laboratory) -> list[str]:
    return [one.name for one in history_of(open_lab(laboratory.lab), None)[1]]


def differences(one: Laboratory, other: Laboratory) -> dict[str, float]:
    """Return the median absolute difference of what both measured of the same proposals of their policies, by quantity."""
    here, there = (_by_configuration(each) for each in (one, other))
    both = [key for key in here if key in there]
    assert len(both) >= IN_A_DRY_RUN // 2
    return {name: float(np.median([abs(here[key][name] - there[key][name]) for key in both])) for name in ("wavelength", "quantum_yield")}


def _by_configuration(laboratory: Laboratory) -> dict[str, dict[str, float]]:
    changes = laboratory.changes()
    history, made = History.of(changes), changes.measurements
    found: dict[str, dict[str, float]] = {}
    for run in history.attempts():
        values = {one.target: one.value for one in made if one.run_key == run.run_key and one.value is not None}
        if run.status is RunStatus.COMPLETED and values:
            found[repr(sorted(history.proposals[run.approval].configuration.items()))] = values
    return found
