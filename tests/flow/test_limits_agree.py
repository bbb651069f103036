"""A configuration that the search space calls legal is never refused by the bench's limits."""

import re
from pathlib import Path

import pytest

from flows.cli.init import scaffold
from flows.plans.plan import Plan, load_plan
from orchestrator.errors import LimitError
from orchestrator.safety import ROUNDING

TAU, RATIO, CD, VOLUME = 170.0, 0.8, 0.12, 2.0
"""Residence time in s, Cd : Se, stock in mol/L, tube in mL."""
LEAST, MOST = 0.02, 6.0
"""The pump's flows in mL/min."""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    scaffold(tmp_path / "lab")
    file = tmp_path / "lab" / "campaign.toml"
    file.write_text(re.sub(r"\[surrogate\].*(?=\[review\])", '[policy]\nkind = "sobol"\n\n', file.read_text(), flags=re.DOTALL))
    return load_plan(file)


def row(flow: float) -> dict[str, float | str]:
    """Return a configuration whose cadmium pump runs at a flow in mL/min."""
    return {"T": 210.0, "tau": TAU, "c_se": flow / 60 * TAU * CD / (VOLUME * RATIO), "ratio": RATIO}


@pytest.mark.parametrize("missed", [-1e-9, 0.0, 1e-10, 1e-7, 6e-7, 1e-5, 1e-4])
def test_space_and_gate_draw_the_line_alike(plan: Plan, missed: float) -> None:
    near = row(LEAST * (1 - missed))
    if plan.space.complaint(near) is None:
        plan.recipe.expand(near)
    assert (plan.space.complaint(near) is None) == (missed <= ROUNDING * MOST / LEAST)


def test_the_gate_refuses_what_is_clearly_outside(plan: Plan) -> None:
    with pytest.raises(LimitError, match=r"allowed 0\.02 to 6"):
        plan.recipe.expand(row(LEAST * 0.99))
