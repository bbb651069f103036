"""The files that the schemas are held against, and every small way to get one wrong."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.studies.benchmark.spec import load_benchmark
from flows.studies.metatraining.spec import load_meta_file
from instruments.bench.file import load_bench
from instruments.drivers.declared.profiles import parse_profile
from orchestrator.domain.campaign import load_campaign
from orchestrator.errors import BadInput
from orchestrator.importing.mapping import load_mapping
from orchestrator.textfile import read_text
from policies.settings import policy_choice

ROOT = Path(__file__).parents[2]
Document = dict[str, Any]


def _load_campaign(path: Path) -> None:
    file = load_campaign(path)
    file.refuse_unhonoured()
    policy_choice(file.spec.policy.kind, file.space(), file.objective, file.spec.policy.settings)


def _load_profile(path: Path) -> None:
    parse_profile(read_text(path, what=f"profile {path}"), f"profile {path}")


PARSERS: Mapping[str, Callable[[Path], object]] = {
    "campaign": _load_campaign,
    "bench": load_bench,
    "prior": load_meta_file,
    "benchmark": load_benchmark,
    "profile": _load_profile,
    "mapping": load_mapping,
}
MARKS = {
    "campaign": "[campaign]",
    "bench": "[bench]",
    "prior": "[prior]",
    "benchmark": "[split]",
    "profile": "[profile]",
    "mapping": "[columns]",
}


def kind_of(text: str) -> str | None:
    """Say what a file is for by the table that only its kind has; None for a plant file."""
    return next((kind for kind, mark in MARKS.items() if re.search(rf"^{re.escape(mark)}", text, re.MULTILINE)), None)


def all_files() -> list[Path]:
    """Return one of each different file that is an example, a scaffold or a laboratory's."""
    folders = ("examples", "flows/cli/scaffold", "flows/cli/templates", "instruments/profiles", "tests/golden")
    places = [path for folder in folders for path in (ROOT / folder).rglob("*.toml")]
    return list({path.read_bytes(): path for path in sorted(places, reverse=True) if kind_of(path.read_text())}.values())


def write(document: Document) -> str:
    """Write a document as TOML, each key on a line."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in document.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


def refusal(kind: str, path: Path) -> tuple[str, bool] | None:
    """Return the parser's complaint and whether it is about the shape alone; None where the file is accepted."""
    try:
        PARSERS[kind](path)
    except BadInput as error:
        cause = error.__cause__
        return str(error), isinstance(cause, ValidationError) and cause.errors()[0]["type"] != "value_error"
    return None


def mistakes(document: Document) -> Iterator[tuple[str, Document]]:
    """Iterate over all documents with one key misspelt, left out or given something else."""
    for place in _places(document):
        for what, change in _CHANGES.items():
            broken = deepcopy(document)
            parent: Any = broken
            for part in place[:-1]:
                parent = parent[part]
            if change(parent, place[-1]):
                yield f"{'.'.join(map(str, place))} {what}", broken


def _places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in parts:
        yield (*above, key)
        yield from _places(one, (*above, key))


def _misspell(parent: Any, key: Any) -> bool:
    if isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    return isinstance(parent, dict)


def _leave_out(parent: Any, key: Any) -> bool:
    del parent[key]
    return True


def _put(other: Any) -> Callable[[Any, Any], bool]:
    def change(parent: Any, key: Any) -> bool:
        differs = parent[key] != other or type(parent[key]) is not type(other)
        parent[key] = other
        return differs

    return change


_CHANGES: Mapping[str, Callable[[Any, Any], bool]] = {
    "misspelt": _misspell,
    "left out": _leave_out,
    **{f"= {other!r}": _put(other) for other in ("other", -3, {"x": 1})},
}


def document_of(path: Path) -> Document:
    return tomllib.loads(path.read_text())
