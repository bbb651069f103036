"""Starting, finding and ending a lab's plant, the process of its simulated devices."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.plant_access import prepare_plant_access
from instruments.lab_processes.process_identity import Process, last_line, reap, start_detached
from instruments.lab_processes.started import PLANT_SECONDS, START_POLL_SECONDS, START_SECONDS, forget_started, remember_or_end, starting
from instruments.lab_processes.state_files import (
    ENDPOINTS,
    PLANT,
    STAND_INS,
    STARTED,
    TWIN,
    read_lab_state,
    read_state_file,
    write_state_file,
)
from instruments.lab_processes.stop import plant_lives
from orchestrator.errors import BadInput, Fault

_PLANT: Final = ("simulators.plant",)


def ensure_plant(
    lab: Path,
    plant_file: Path | None,
    *,
    bench_sha256: str,
    seed: int,
    rate: float,
    formerly: Collection[str] = (),
    secured: Mapping[str, Mapping[str, Any]] | None = None,
    stand_ins: Mapping[str, Any] | None = None,
    twin: Mapping[str, Any] | None = None,
    plant: Sequence[str] = _PLANT,
) -> dict[str, str]:
    """Adopt the lab's running plant, or start one, and wait until its devices answer.

    Args:
        lab: The lab folder.
        plant_file: What describes the simulated devices; None where all of them are stand-ins.
        bench_sha256: Hash of the bench file that they belong to.
        seed: Of chemistry and faults.
        rate: Lab seconds per wall second.
        formerly: Hashes of bench files in whose place this one was put: a plant outlives that, as a laboratory does.
        secured: Policy, mode and kind of user of each link that the bench file secures; the simulated devices ask for the same.
        stand_ins: Declarations of the instruments that the plant file does not simulate; None where there are none.
        twin: What its tube runs in the place of the plant file's constants, with its `digest`; None where it runs these.
        plant: Module and first arguments of the plant; another one in tests only.

    Returns:
        Port or url of each link.

    Raises:
        BadInput: The running plant has another bench file, seed, rate or twin.
        Fault: The plant did not start; with its own last line.
    """
    lab = lab.absolute()
    wanted = {"bench_sha256": bench_sha256, "seed": seed, "rate": float(rate), "twin": None if twin is None else twin["digest"]}
    with starting(lab):
        note = read_state_file(lab / PLANT / ENDPOINTS)
        if note and plant_lives(lab):
            if note.get("bench_sha256") in formerly and note["bench_sha256"] != bench_sha256:
                note = {**note, "bench_sha256": bench_sha256}
                write_state_file(lab / PLANT / ENDPOINTS, note)
            _compare(note, wanted)
        else:
            named = _named(lab, plant_file, stand_ins, None if twin is None else twin["document"])
            note = _start_plant(lab, named, wanted, secured or {}, plant)
    return {link: str(one.get("port", one.get("url"))) for link, one in note["endpoints"].items()}


def _compare(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if running.get(name) != value:
            what = {"bench_sha256": "bench file (sha256)", "twin": "twin (sha256)"}.get(name, name)
            raise BadInput(
                f"the lab's plant runs with {what} {_short(running.get(name))}; this command wants {_short(value)}; "
                "use another lab, or end the campaign that uses it"
            )


def _short(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)[:12]


def _named(lab: Path, plant_file: Path | None, stand_ins: Mapping[str, Any] | None, twin: Mapping[str, Any] | None) -> list[str]:
    """Write what the plant is made of where it reads it; return what names that."""
    named = [] if plant_file is None else ["--plant", str(plant_file.absolute())]
    for option, name, document in (("--stand-ins", STAND_INS, stand_ins), ("--twin", TWIN, twin)):
        if document is not None:
            (lab / PLANT).mkdir(parents=True, exist_ok=True)
            write_state_file(lab / PLANT / name, document)
            named += [option, str(lab / PLANT / name)]
    return named


def _start_plant(
    lab: Path, named: Sequence[str], wanted: Mapping[str, Any], secured: Mapping[str, Mapping[str, Any]], module: Sequence[str]
) -> dict[str, Any]:
    folder = lab / PLANT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENDPOINTS).unlink(missing_ok=True)
    arguments = [*named, "--folder", str(folder), "--bench-sha256", wanted["bench_sha256"]]
    numbers = ["--seed", str(wanted["seed"]), "--rate", repr(wanted["rate"])]
    security = prepare_plant_access(lab, secured)
    asked = ["--security", str(security)] if security else []
    process = start_detached([*module, *arguments, *numbers, *asked], lab / "plant.log")
    remember_or_end(lab, process, plant=process.document())
    deadline = time.monotonic() + START_SECONDS
    while not (note := read_state_file(folder / ENDPOINTS)):
        if not process.alive or time.monotonic() > deadline:
            process.kill()
            reap(process.pid)
            raise Fault(f"the simulated devices did not start: {last_line(lab / 'plant.log')}")
        time.sleep(START_POLL_SECONDS)
    return note


def shutdown_plant(lab: Path) -> None:
    """End the plant that commands of this lab started, and await its death."""
    lab = lab.absolute()
    with starting(lab):
        process = Process.parse(read_lab_state(lab, STARTED).get("plant"))
        if process is not None:
            process.terminate(PLANT_SECONDS)
            reap(process.pid)
            forget_started(lab, "plant")
