"""Profiles by name: those that come with Athanor, and files beside the bench file."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from instruments import profiles as shipped
from instruments.drivers.declared.complaints import complaints
from instruments.drivers.declared.device import DeclaredDevice, declared_driver
from instruments.drivers.declared.spec import ProfileSpec, legal_keys
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput
from orchestrator.textfile import parse_toml, read_text

_FOLDER: Final = Path(shipped.__file__).parent
_FILE: Final = re.compile(r"\./(?P<path>[^:]+\.toml)")
"""`./balance.toml`: a profile beside the bench file that names it, or in a folder below."""


@dataclass(frozen=True)
class Profile:
    """A checked profile."""

    spec: ProfileSpec
    sha256: str
    """Of its text."""
    source: str
    """Where it comes from: `profile julabo 1`, or the file's path."""
    driver: type[DeclaredDevice]


def shipped_profiles() -> Mapping[str, Path]:
    """Return the profiles that come with Athanor, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def file_of_profile(name: str) -> str | None:
    """Return the path of the profile that a driver's name stands for, beside the bench file; None for anything else."""
    match = _FILE.fullmatch(name)
    return None if match is None or ".." in Path(match["path"]).parts else Path(match["path"]).as_posix()


def find_profile(name: str, folder: Path) -> Profile | None:
    """Return the profile that a driver's name stands for; None where it stands for none.

    Args:
        name: Of a profile that comes with Athanor, or `./FILE.toml`.
        folder: Where the bench file lies.

    Raises:
        BadInput: One line: it cannot be read, or what is wrong in it.
    """
    if name.endswith(".toml"):
        path = file_of_profile(name)
        if path is None:
            raise BadInput(f"driver {name!r}: expected './FILE.toml', a profile beside the bench file or in a folder below")
        where = folder.absolute() / path
        return _made(read_text(where, what=f"profile {where}"), str(where), is_file=True)
    known = shipped_profiles()
    return _made(read_text(known[name], what=f"profile {name}"), name, is_file=False) if name in known else None


@cache
def _made(text: str, name: str, *, is_file: bool) -> Profile:
    spec = parse_profile(text, f"profile {name}")
    source = name if is_file else f"profile {name} {spec.profile.version}"
    return Profile(spec, hashlib.sha256(text.encode()).hexdigest(), source, declared_driver(spec))


def parse_profile(text: str, what: str) -> ProfileSpec:
    """Check the text of a profile.

    Raises:
        BadInput: One line that names the profile, the key, what came and what is legal.
    """
    try:
        spec = ProfileSpec.model_validate(parse_toml(text, what=what))
    except ValidationError as error:
        raise explain(error, what=what, legal=legal_keys()) from error
    for complaint in complaints(spec):
        raise BadInput(f"{what}: {complaint}")
    return spec
