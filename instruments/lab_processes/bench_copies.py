"""Which bench files a lab's bench can be made safe by: the copy that its last host kept, then the file as it stands today.

A host copies its bench file, and every file that loading it has read, to `LAB/host/bench/SHA256/` before it touches a
wire. So the safe state is known however the bench file is edited, broken or moved meanwhile. Only files are read here, no
bench: `stop` is to start at once.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.state_files import (
    ENDPOINTS,
    LAB,
    PLANT,
    STARTED,
    SUPERVISOR,
    read_lab_state,
    read_state_file,
    write_state_file,
)
from orchestrator.errors import Fault

_COPIES: Final = Path("host") / "bench"
LAST_COPY: Final = str(Path("host") / "bench.json")
"""Names the copy of the bench file whose host took the wires last."""


def keep_copy(lab: Path, name: str, files: Mapping[str, bytes], *, sha256: str, origin: Path | None = None) -> Path:
    """Copy the files of a bench into a lab, and note that they are those in use; return the bench file's copy.

    Args:
        lab: The lab folder.
        name: The bench file's, one of `files`.
        files: Content by path beside the bench file.
        sha256: The bench file's hash.
        origin: The folder that the bench file comes from: secrets that it names are never copied, but read there.

    Raises:
        Fault: They cannot be written.
    """
    folder = lab / _COPIES / sha256
    try:
        for path, content in files.items():
            _keep(folder / path, content)
        if origin is not None:
            write_state_file(_origin_note(folder), {"folder": _noted(lab.absolute(), origin.absolute())})
        write_state_file(lab / LAST_COPY, {"bench": str(_COPIES / sha256 / name)})
    except OSError as error:
        raise Fault(f"the bench file cannot be copied to {folder}: {error.strerror}") from error
    return folder / name


def _origin_note(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.json")


def origin_of_copy(lab: Path, bench: Path) -> Path | None:
    """Return the folder that a lab's copy of a bench file was made from; None where the file is no such copy."""
    copies = lab.absolute() / _COPIES
    if not bench.absolute().is_relative_to(copies):
        return None
    note = read_lab_state(lab, str(_origin_note(_COPIES / bench.absolute().relative_to(copies).parts[0])))
    return Path(os.path.normpath(lab / note["folder"])) if isinstance(note.get("folder"), str) else None


def _noted(lab: Path, path: Path) -> str:
    """Return how a lab notes a path: what moves with it by its way from there, the rest as a whole."""
    return os.path.relpath(path, lab) if path.is_relative_to(lab.parent) else str(path)


def _keep(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def kept_copy(lab: Path, name: str, sha256: str) -> Path | None:
    """Return the copy of one bench file; None when no host has kept one."""
    path = lab / _COPIES / sha256 / name
    return path if path.exists() else None


def last_copy(lab: Path) -> Path | None:
    """Return the copy of the bench file whose host took the wires last; None when none was kept."""
    name = read_lab_state(lab, LAST_COPY).get("bench")
    return lab / name if isinstance(name, str) else None


def relative_to_lab(lab: Path, path: Path | None) -> Path | None:
    """Return a path by its way from a lab's folder where it lies in it: then it moves with the lab."""
    folder = lab.absolute()
    return lab / path.relative_to(folder) if path is not None and path.is_relative_to(folder) else path


def places(lab: Path, bench: Path, endpoints: Path | None) -> dict[str, str]:
    """Return what a lab notes of its bench: what moves with it by its way from there, the rest by its whole path."""
    if bench.is_relative_to(lab / _COPIES):  # started from the copy: the file that it was made from is still today's
        bench = noted_bench(lab) or bench
    given = {"bench": bench, **({"endpoints": endpoints} if endpoints else {})}
    return {name: _noted(lab, path) for name, path in given.items()}


def _noted_places(lab: Path) -> dict[str, Any]:
    notes = (read_lab_state(lab, SUPERVISOR), read_lab_state(lab, STARTED).get("bench"))
    return next((note for note in notes if isinstance(note, dict) and isinstance(note.get("bench"), str)), {})


def noted_bench(lab: Path) -> Path | None:
    """Return where the bench file lies of the bench that was last started in a lab; None when none was."""
    found = _noted_places(lab)
    return Path(os.path.normpath(lab / found["bench"])) if found else None


def noted_endpoints(lab: Path) -> Path | None:
    """Return where the wires of a lab's bench end: at its plant's in a dry lab; None where the bench file says it."""
    if read_state_file(lab / LAB).get("kind") == "dry":
        return lab / PLANT / ENDPOINTS
    endpoints = _noted_places(lab).get("endpoints")
    return Path(os.path.normpath(lab / endpoints)) if endpoints else None


def bench_files(lab: Path) -> tuple[Path, ...]:
    """Return by which bench files a lab's bench can be made safe, the best first; empty when no bench was ever started."""
    return tuple(path for path in (last_copy(lab), noted_bench(lab)) if path is not None)
