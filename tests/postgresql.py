"""A PostgreSQL server for the tests of one process: over TCP with passwords, its data on disk, gone when the tests end."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from orchestrator.store.place import ServerLedger

USER: Final = "athanor"
DATABASE: Final = "laboratory"
PREFECT: Final = "prefect"
PASSWORD: Final = "f1nd-me-n0where"
"""Looked for in files, errors and logs; never on a disk but in the password file."""
_ADMINISTRATOR: Final = "postgres"
_BINARIES: Final = tuple(sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)))
_CAN_SWITCH: Final = os.geteuid() == 0
_SECONDS: Final = 60


@dataclass
class Server:
    """A running server."""

    folder: Path
    port: int
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def address(self) -> str:
        """What a person would write."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def passfile(self) -> Path:
        """libpq's password file."""
        return self.folder / "pgpass"

    def ledger(self, *, lab: str = "a-lab", kind: str = "dry") -> ServerLedger:
        """Return the place of a ledger that is not there yet."""
        return ServerLedger(self.address, f"test_{next(self.numbers)}", lab, kind)

    def rows(self, statement: str, *, schema: str = "public", database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Carry a statement out as the administrator, for whom references are not checked; return what it finds."""
        options = f"-c search_path={schema} -c session_replication_role=replica"
        told = f"host={self.folder} port={self.port} user={_ADMINISTRATOR} dbname={database}"
        with psycopg.connect(told, options=options, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it and wait until it answers; what only a power cut could lose is not waited for, since no test cuts the power."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends all sessions, `immediate` is a crash."""
        self._control("stop", "-w", "-m", mode)

    def _control(self, *words: str) -> None:
        _as_owner("pg_ctl", "-D", str(self.folder / "data"), *words)


def _as_owner(program: str, *words: str) -> None:
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if _CAN_SWITCH else {}
    done = subprocess.run(
        [_BINARIES[-1] / program, *words],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=_SECONDS,
        check=False,
        **who,  # type: ignore[call-overload]  # all or none
    )
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running_server() -> Iterator[Server]:
    """Make and start a server, and end it; a test is skipped where there is none, but never in CI."""
    if not _BINARIES:
        why = "no PostgreSQL server in /usr/lib/postgresql (Debian's package `postgresql`)"
        (pytest.fail if "CI" in os.environ else pytest.skip)(why)
    server = Server(Path(tempfile.mkdtemp(prefix="athanor-test-postgresql-")), _free_port())
    try:
        _make(server)
        server.start()
        server.rows(f"create role {USER} login password '{PASSWORD}'", database="postgres")
        for database in (DATABASE, PREFECT):
            server.rows(f"create database {database} owner {USER}", database="postgres")
        yield server
        server.stop()
    finally:
        if (server.folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(server.folder)


def _make(server: Server) -> None:
    if _CAN_SWITCH:
        shutil.chown(server.folder, "postgres", "postgres")
    server.folder.chmod(0o755)
    data = str(server.folder / "data")
    _as_owner(
        "initdb",
        "-D",
        data,
        "-U",
        _ADMINISTRATOR,
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    )
    server.passfile.write_text("".join(f"{host}:{server.port}:*:{USER}:{PASSWORD}\n" for host in ("127.0.0.1", "localhost")))
    server.passfile.chmod(0o600)
