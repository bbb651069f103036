"""What must start at once, or must not break with the rest, loads nothing heavy: seen in fresh interpreters."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.plans.lab import make_lab
from orchestrator.store.sql import SqlStore

pytestmark = pytest.mark.slow

LEDGER_AND_MODELS = {"torch", "botorch", "gpytorch", "prefect", "sqlalchemy", "alembic"}
SERVER = {"fastapi", "uvicorn", "httpx"}
DRIVERS = {"asyncua", "serial", "pymodbus", "pint", "scipy", "numpy"}


def loaded_by(module: str) -> set[str]:
    program = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.check_output([sys.executable, "-c", program, module], text=True).split())


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("instruments.lab_processes.stop", LEDGER_AND_MODELS | SERVER | DRIVERS | {"pydantic"}),
        ("instruments.lab_processes.processes", LEDGER_AND_MODELS | SERVER | DRIVERS | {"pydantic"}),
        ("instruments.supervisor", LEDGER_AND_MODELS | SERVER),
        ("instruments.supervisor.safe_state_without_host", LEDGER_AND_MODELS | SERVER),
        ("instruments.bench_client.client", LEDGER_AND_MODELS | SERVER | DRIVERS),
        ("flows.prefect_server.server", LEDGER_AND_MODELS | SERVER | DRIVERS | {"pydantic"}),
    ],
)
def test_it_loads_nothing_that_it_does_not_need(module: str, unwanted: set[str]) -> None:
    assert not loaded_by(module) & unwanted


@pytest.mark.parametrize("words", ["status", "verify", "review", "pause"])
def test_a_command_that_a_person_waits_for_loads_no_model_no_instrument_and_no_prefect(words: str, tmp_path: Path) -> None:
    lab = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    SqlStore.open(lab.ledger).close()
    program = "import atexit, sys; from flows.cli.main import main; atexit.register(lambda: print('loaded', *sys.modules)); main()"
    command = [sys.executable, "-c", program, words, "--lab", str(lab.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == (0 if words == "verify" else 1), said.stderr
    assert said.stderr in ("", f"athanor: lab {lab.path} has no campaign yet; `run` or `dry-run` begins one\n")
    loaded = {name.partition(".")[0] for name in said.stdout.partition("loaded")[2].split()}
    assert not loaded & {
        "torch",
        "botorch",
        "gpytorch",
        "prefect",
        "plotly",
        "psycopg",
        "asyncua",
        "serial",
        "pymodbus",
        "pymatgen",
        *SERVER,
    }
