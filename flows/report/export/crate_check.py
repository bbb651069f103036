"""Whether an exported RO-Crate is one, by the judgement of roc-validator, without a network.

The validator (https://github.com/crs4/rocrate-validator) brings the profiles; the JSON-LD context of RO-Crate 1.1 it takes
from a cache. It cannot live beside Prefect, so that it stands in an environment of its own.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import Fault

VALIDATOR: Final = "ATHANOR_CRATE_VALIDATOR"
"""Names the validator's command, where it is not on the PATH."""
CACHE: Final = "ATHANOR_CRATE_CACHE"
"""Names the cache (`CACHE.sqlite`), where it is not the user's own."""
_PROFILE: Final = "process-run-crate-0.5"
_NO_CONTEXT: Final = "Unable to retrieve the JSON-LD context"
"""What the validator says where its cache lacks the context."""
_SECONDS: Final = 600.0
"""A crate of a thousand runs takes minutes."""


def judge_crate(folder: Path) -> str:
    """Have a crate judged; return a line that says that it is valid, or why it was not validated.

    Raises:
        Fault: It is not valid; names what the validator complains of.
    """
    command = os.environ.get(VALIDATOR) or shutil.which("rocrate-validator")
    if command is None or not Path(command).exists():
        return f"RO-Crate {folder}: not validated: there is no rocrate-validator; {VALIDATOR} may name it"
    with tempfile.TemporaryDirectory(prefix="athanor-crate-") as scratch:
        found = _judged(command, folder, Path(scratch) / "judgement.json")
    if isinstance(found, str):
        return f"RO-Crate {folder}: not validated: {found}"
    issues = [str(issue["message"]) for issue in found["issues"]]
    if any(_NO_CONTEXT in issue for issue in issues):
        why = f"the validator has no copy of the context of RO-Crate 1.1; {CACHE} may name a cache that does"
        return f"RO-Crate {folder}: not validated: {why}"
    if not found["passed"]:
        raise Fault(f"RO-Crate {folder} is not valid: {len(issues)} issues, the first: {issues[0] if issues else 'none is named'}")
    return f"RO-Crate {folder}: valid by {Path(command).name}, profile {_PROFILE}"


def _judged(command: str, folder: Path, judgement: Path) -> dict[str, Any] | str:
    """Return the validator's judgement, or why there is none."""
    cache = ["--cache-path", os.environ[CACHE]] if CACHE in os.environ else []
    words = [command, "validate", str(folder), "-p", _PROFILE, "--offline", *cache, "-f", "json", "-o", str(judgement), "--no-paging"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)  # no shell
        document: dict[str, Any] = json.loads(judgement.read_text(encoding="utf-8") if judgement.exists() else "")
    except subprocess.TimeoutExpired:
        return f"{command} had no answer after {_SECONDS:g} s"
    except OSError as error:
        return f"{command} gave no judgement: {error.strerror}"
    except ValueError:
        return f"{command} gave no judgement (exit code {done.returncode}): {' '.join((done.stdout + done.stderr).split())[-200:]}"
    return document
