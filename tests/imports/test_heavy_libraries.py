"""Each package loads only its own heavy library; proven in fresh interpreters."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

HEAVY = (
    "torch",
    "botorch",
    "prefect",
    "asyncua",
    "serial",
    "pymodbus",
    "sqlalchemy",
    "alembic",
    "psycopg",
    "fastapi",
    "httpx",
    "plotly",
    "typer",
    "pymatgen",
)

CASES = {
    "athanor": (),
    "athanor.drivers": (),
    "athanor.devices": (),
    "athanor.reductions": (),
    "athanor.chemistries": (),
    "athanor.twins": (),
    "athanor.optimizer": ("torch", "botorch", "pymodbus"),
    "orchestrator.loop": (),
    "orchestrator.domain.campaign": (),
    "orchestrator.safety": (),
    "orchestrator.store.sql": ("sqlalchemy",),
    "instruments.bench.procedure": ("pymodbus",),
    "instruments.lab_processes.stop": ("asyncua", "serial", "pymodbus", "httpx"),
    "instruments.supervisor": ("asyncua", "serial", "pymodbus", "httpx"),
    "instruments.host.service": ("asyncua", "serial", "pymodbus", "fastapi", "httpx"),
    "models.gaussian_processes.single_task": ("torch", "botorch"),
    "models.meta_learning.checkpoint": ("torch",),
    "models.inputs.elements": ("pymatgen",),
    "policies.registry": ("torch", "botorch"),
    "simulators.plant": ("asyncua", "serial", "pymodbus"),
    "policies.settings": (),
    "flows.cli.main": ("typer",),
    "flows.cli.steering_commands": ("typer",),
    "flows.running.operations": ("sqlalchemy",),
    "flows.running.review_operations": ("sqlalchemy",),
    "flows.report.write": ("sqlalchemy", "plotly"),
}


@pytest.mark.parametrize("module", CASES)
def test_a_module_loads_no_foreign_heavy_library(module: str) -> None:
    script = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(answer.stdout.split())
    assert loaded <= set(CASES[module]), f"{module} also loads {loaded - set(CASES[module])}"


def test_the_pinned_prefect_server_can_be_imported() -> None:
    # a newer fastapi breaks it at start while `import prefect` still works
    subprocess.run([sys.executable, "-W", "error", "-c", "import prefect.server.api.server"], check=True, timeout=120)


def test_a_package_from_another_distribution_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    script = "import flows.cli.main as main, sys; sys.path.insert(0, sys.argv[1]); main.main()"
    answer = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 4
    assert "package models comes from" in answer.stderr
    assert answer.stderr.count("\n") == 1
