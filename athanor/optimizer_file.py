"""An optimizer as a file: JSON of what it goes by and of all that was asked and told, under a version and a hash.

Nothing in the file is executed. Floats are written in their shortest form that reads back as the same float.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from athanor.asked_and_told import Event
from orchestrator.domain.campaign import GeneralSpec, PolicySpec
from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.domain.values import Frozen, canonical, digest, explain
from orchestrator.errors import BadInput

FORMAT: Final = "athanor-optimizer/1"
"""Name and version; the version grows when an older Athanor could misread a newer file."""
_NAME: Final = FORMAT.partition("/")[0]
_KEYS: Final = {"format", "sha256", "optimizer"}


class PriorName(Frozen):
    """Which prior is adapted; the file itself stays where it is."""

    path: str
    """Empty where it was given as a value, not by its file."""
    sha256: str


class Basis(Frozen):
    """All that an optimizer's proposals depend on, beside what was asked and told."""

    general: GeneralSpec
    space: SearchSpace
    objective: Objective
    policy: PolicySpec
    surrogate: SurrogateSpec
    prior: PriorName | None = None
    path: str = ""
    """Of the campaign file; empty where it was built in code."""
    files: dict[str, str] = Field(default_factory=dict)
    """Texts of the campaign file and of what it names, tables and priors by sha256: what `space` was read from."""


class Saved(Frozen):
    """What a file holds."""

    basis: Basis
    events: tuple[Event, ...]


def write_optimizer(path: Path, saved: Saved) -> None:
    """Write an optimizer, all of it or nothing.

    Raises:
        BadInput: The file cannot be written.
    """
    content = json.loads(canonical(saved.model_dump(mode="json")))
    if not path.name or "\0" in str(path):
        raise BadInput(f"optimizer {str(path)!r} cannot be written: it is no file's name")
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(json.dumps({"format": FORMAT, "sha256": digest(content), "optimizer": content}, indent=1), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput(f"optimizer {path} cannot be written: {error.strerror}") from error


def read_optimizer(path: Path) -> Saved:
    """Read an optimizer.

    Raises:
        BadInput: One line: no optimizer, one of another version, or altered since it was saved.
    """
    content = _content(path)
    try:
        return Saved.model_validate(content)
    except ValidationError as error:
        raise explain(error, what=f"optimizer {path}") from error
    except BadInput as error:
        raise BadInput(f"optimizer {path}: {error}") from error


def _content(path: Path) -> Any:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"optimizer {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no optimizer: it is no JSON, or damaged; expected a file that Optimizer.save wrote") from error
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(found, str) or found.partition("/")[0] != _NAME:
        raise BadInput(f"{path} is no optimizer: its format is {found!r}; expected {FORMAT!r}")
    if found != FORMAT:
        raise BadInput(f"optimizer {path} has format {found!r}; this Athanor reads {FORMAT!r}")
    if set(document) != _KEYS:
        raise BadInput(f"optimizer {path} has keys {', '.join(sorted(document))}; expected {', '.join(sorted(_KEYS))}")
    try:
        came = digest(document["optimizer"])
    except (ValueError, RecursionError) as error:
        raise BadInput(f"optimizer {path} is damaged: it holds what JSON has no form for ({error})") from error
    if came != document["sha256"]:
        raise BadInput(f"optimizer {path} was altered since it was saved: its content has sha256 {came}; expected {document['sha256']}")
    return document["optimizer"]
