"""Models and policies load no wire, ledger or screen."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import {module}
heavy = ("asyncua", "serial", "pymodbus", "fastapi", "uvicorn", "httpx", "sqlalchemy", "prefect", "typer", "rich", "plotly")
print(",".join(name for name in heavy if name in sys.modules))
"""


@pytest.mark.parametrize("module", ["models.gaussian_processes.single_task", "policies.registry"])
def test_a_fresh_interpreter_loads_only_torch_and_its_kin(module: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
