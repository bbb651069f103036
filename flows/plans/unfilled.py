"""What an empty campaign still lacks: the sections that it and its bench must have, a line each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from instruments.bench.spec import BenchSpec
from orchestrator.domain.campaign import CampaignSpec
from orchestrator.textfile import read_toml

_FILLED_WITH: Final[Mapping[str, str]] = {
    "parameters": "[[parameters]], what may be varied, a table each",
    "targets": "[[targets]], what is measured and wanted, a table each",
    "instruments": "[instruments.NAME], who or what carries experiments out, a table each",
    "procedure": "[[procedure.steps]], what is done in an experiment, a table each in its order",
}


def unfilled(file: Path) -> tuple[str, ...]:
    """Return a line for each section that a campaign file, and the bench file that it names, must have and lacks.

    What is in the sections is not looked at.

    Raises:
        BadInput: A file cannot be read, or is no TOML.
    """
    document = read_toml(file, what=f"campaign file {file}")
    lines = list(_lacking(file, document, CampaignSpec))
    general = document.get("campaign")
    bench = general.get("bench") if isinstance(general, dict) else None
    if isinstance(bench, str) and (path := file.parent / bench).is_file():
        lines += _lacking(path, read_toml(path, what=f"bench file {path}"), BenchSpec)
    return tuple(lines)


def _lacking(file: Path, document: Mapping[str, Any], spec: type[BaseModel]) -> Iterator[str]:
    for name, one in spec.model_fields.items():
        if one.is_required() and name not in document and name in _FILLED_WITH:
            yield f"{file}: to be filled in: {_FILLED_WITH[name]}"
