"""The folder of an export: files of an earlier export of the same campaign are replaced, anything else is refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flows.report.files import write_atomically
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput

FORMAT: Final = "athanor-export/2"
_FORMATS: Final = ("athanor-export/1", FORMAT)
"""Formats whose files may be replaced."""
NOTE: Final = "ledger.json"
"""Names the campaign, the ledger's head and the hash of each file written."""


def write_folder(out: Path, files: Mapping[str, bytes], record: CampaignRecord, head: tuple[int, str]) -> tuple[Path, ...]:
    """Write an export, each file atomically; files of an earlier one that has more than this one are removed.

    The note comes first and names the files that are replaced, so that an export cut short can be told and repeated.

    Args:
        out: The folder, made where it is not there.
        files: Contents by name, which may have folders.
        record: The campaign.
        head: Sequence number and hash of the ledger's last event.

    Returns:
        The files, in the order written.

    Raises:
        BadInput: A file of the same name is not from an export of this campaign, or was changed since; nothing is written.
    """
    replaced = _replaceable(out, record.name, files)
    everything = {NOTE: _note(files, record, head, replaced), **files}
    for name, content in everything.items():
        write_atomically(out / name, content)
    for name in replaced.keys() - files.keys():
        (out / name).unlink()
    return tuple(out / name for name in everything)


def _note(files: Mapping[str, bytes], record: CampaignRecord, head: tuple[int, str], replaced: Mapping[str, str]) -> bytes:
    note = {
        "format": FORMAT,
        "campaign": record.name,
        "status": record.status,
        "head": {"seq": head[0], "sha256": head[1]},
        "files": {name: sha256(content) for name, content in files.items()},
        "replaced": replaced,
    }
    return (json.dumps(note, indent=2) + "\n").encode()


def _replaceable(out: Path, campaign: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the hashes of the files that an export replaces or removes.

    Raises:
        BadInput: One of them is somebody else's, or was changed.
    """
    known = _known_hashes(out, campaign)
    present = {name: sha256((out / name).read_bytes()) for name in dict.fromkeys([*files, *known]) if (out / name).is_file()}
    for name, found in present.items():
        if found not in known.get(name, ()):
            raise BadInput(f"{out / name} is not as an export of campaign {campaign} wrote it; move it away or export to another folder")
    return present


def _known_hashes(out: Path, campaign: str) -> Mapping[str, tuple[str, ...]]:
    """Return the hashes that each file may have: as the last export wrote it, or as it was before one cut short."""
    path = out / NOTE
    if not path.exists():
        return {}
    try:
        note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if note["campaign"] != campaign or note["format"] not in _FORMATS:
            raise BadInput(f"{path} belongs to {note['campaign']!r}; expected an export of campaign {campaign}, or another folder")
        names = dict.fromkeys([*note["files"], *note["replaced"]])
        return {name: (note["files"].get(name, ""), note["replaced"].get(name, "")) for name in names if _is_inside(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no export's note; expected one of campaign {campaign}, or another folder") from error


def _is_inside(name: str) -> bool:
    """Whether a name that a note gives stays within its folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def sha256(content: bytes) -> str:
    """Return the hash of a content."""
    return hashlib.sha256(content).hexdigest()
