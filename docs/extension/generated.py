"""Pages name what is written from the code by a line `% generated: NAME`; Sphinx reads it as if it stood there."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.extension.reference import choices, commands, drivers, faults, file_keys, host_api, python_names, vocabulary

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands.written,
    "exit codes": vocabulary.exit_codes,
    "campaign keys": partial(file_keys.written, "campaign"),
    "bench keys": partial(file_keys.written, "bench"),
    "prior keys": partial(file_keys.written, "prior"),
    "benchmark keys": partial(file_keys.written, "benchmark"),
    "profile keys": partial(file_keys.written, "profile"),
    "mapping keys": partial(file_keys.written, "mapping"),
    "stand-in keys": file_keys.stand_ins,
    "twin keys": file_keys.twins,
    "drivers": drivers.written,
    "profiles": drivers.profiles,
    "kinds of commands": drivers.kinds,
    "kinds of functions": drivers.functions,
    "faults": faults.written,
    "kills": partial(faults.kills, "kills.json"),
    "kills without wires": partial(faults.kills, "kills-unwired.json"),
    "host API": host_api.written,
    "events": vocabulary.events,
    "life cycles": vocabulary.life_cycles,
    "choices": choices.written,
    "python names": python_names.written,
    "names for authors": python_names.written_for_authors,
}
"""Name -> what writes the Markdown."""
_LINE: Final = re.compile(r"^% generated: (.+)$", re.MULTILINE)


def fill(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Put what is written from the code where a page names it."""
    source[0] = _LINE.sub(lambda found: PARTS[found[1]](), source[0])


def outdated(_app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]) -> list[str]:
    """Return the pages that the code may have changed: all that name a part."""
    return [page for page in env.found_docs if _LINE.search(env.doc2path(page).read_text(encoding="utf-8"))]
