"""What must start at once, or must not break with the rest, loads nothing heavy: seen in fresh interpreters."""

import subprocess
import sys

import pytest

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
