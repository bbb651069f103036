"""The same knowledge, seed, settings and number of threads give the same proposal, bit for bit, in any process."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest
import torch

from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Infeasible, Knowledge, Observation
from policies.registry import build_policy

pytestmark = [pytest.mark.slow, pytest.mark.long]

TIMES = {"kind": "continuous", "name": "t", "unit": "s", "min": 10, "max": 90}
SPACES: dict[str, dict[str, Any]] = {
    "constrained": {
        "parameters": [TIMES, {"kind": "continuous", "name": "v", "unit": "mL", "min": 0.1, "max": 2}],
        "constraints": [{"kind": "expression", "expression": "v / t", "unit": "mL/s", "max": 0.03}],
    },
    "mixed": {
        "parameters": [
            TIMES,
            {"kind": "categorical", "name": "solvent", "categories": ["ODE", "DMF", "THF"]},
            {"kind": "composition", "name": "alloy", "components": ["Ni", "Fe", "Co"], "step": 0.05, "max_components": 2},
        ],
    },
    "table": {"parameters": [TIMES], "candidates": [{"t": 10.0 + index} for index in range(60)]},
}
TARGETS = {
    "targets": [
        {"name": "a", "goal": "maximise", "low": 0, "high": 10},
        {"name": "b", "goal": "match", "value": 4, "tolerance": 1},
    ]
}
SETTINGS = {"initial": 0, "mc_samples": 64, "restarts": 2, "raw_samples": 64}
SETTINGS_OF: dict[str, dict[str, Any]] = {
    "bayesian": SETTINGS,
    "bayesian together": {**SETTINGS, "search": "together"},
    "bayesian learned": {**SETTINGS, "feasibility": "learned"},
}


def proposal(kind: str, name: str) -> str:
    """Compute a batch and write it down with every digit."""
    space, objective = SearchSpace.model_validate(SPACES[name]), Objective.model_validate(TARGETS)
    first = build_policy("sobol", space, objective, {}).propose(Knowledge(), count=5, seed=11)
    observations = tuple(Observation(one.configuration, {"a": index % 3 + 0.1, "b": 2.0 + index}) for index, one in enumerate(first))
    infeasible = tuple(Infeasible(one.configuration, f"reason {index % 2}") for index, one in enumerate(first[3:]))
    policy = build_policy(kind.partition(" ")[0], space, objective, SETTINGS_OF.get(kind, {}))
    batch = policy.propose(Knowledge(observations=observations[:3], infeasible=infeasible), count=2, seed=12345678901234567890 % 2**63)
    return json.dumps([asdict(one) for one in batch], sort_keys=True, default=lambda value: value.model_dump())


PROGRAM = (
    "import random, sys, torch; torch.set_num_threads(1); torch.manual_seed(int(sys.argv[3])); random.seed(int(sys.argv[3]));"
    "from tests.policy.test_repeatable import proposal; print(proposal(sys.argv[1], sys.argv[2]))"
)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in SETTINGS_OF for name in SPACES] + [("random", "mixed"), ("sobol", "mixed")]
)
def test_a_fresh_process_computes_the_same_bits(kind: str, name: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, kind, name, "99"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == proposal(kind, name)


def test_the_global_generator_neither_changes_a_proposal_nor_is_changed_by_one() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = proposal("bayesian", "mixed")
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert proposal("bayesian", "mixed") == first
