"""An empty database of the Prefect that is installed, so that its hundred migrations are run once and not for each server.

Kept in the environment that Prefect is installed in; that a server makes its own is tested in `tests/process/test_server.py`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory


def with_database(home: Path) -> Path:
    """Put the empty database into a server's home where there is none; return the home."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "prefect.db").exists():
        shutil.copyfile(_empty(), home / "prefect.db")
    return home


def _empty() -> Path:
    made = Path(sys.prefix) / f"empty-prefect-{version('prefect')}.db"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with TemporaryDirectory(dir=sys.prefix) as folder:
                new = Path(folder) / made.name
                own = {"PREFECT_HOME": folder, "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{new}"}
                words = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
                subprocess.run(words, env={**os.environ, **own}, check=True, capture_output=True)
                new.replace(made)
    return made
