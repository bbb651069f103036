"""The benchmark of twins plants what it says, and counts what was named."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.twin_plants import PLANTS, RUNS, environment, make, strength
from benchmarks.twins import drift_table, found_right, main, named_wrongly, naming_table, prediction_table, shares_table
from models.twin.shares import DIVERGENCE


def test_nuisances_follow_what_acts_by_eight_tenths() -> None:
    Z = environment(torch.Generator().manual_seed(1), 40_000)
    expected = torch.eye(6, dtype=torch.float64)
    expected[0, 1] = expected[1, 0] = expected[2, 3] = expected[3, 2] = 0.8
    torch.testing.assert_close(torch.corrcoef(Z.T), expected, atol=0.05, rtol=0.0)
    assert torch.corrcoef(torch.stack([Z[1:, 0], Z[:-1, 0]]))[0, 1] == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("number", range(len(PLANTS)))
def test_what_acts_moves_the_target_by_the_noise(number: int) -> None:
    plant, generator = PLANTS[number], torch.Generator().manual_seed(2)
    size = strength(plant, 1.0, generator)
    X, z = torch.rand(5000, 3, generator=generator, dtype=torch.float64), torch.randn(5000, generator=generator, dtype=torch.float64)
    m = plant.twin(X, torch.zeros(2, dtype=torch.float64))
    moved = (plant.acts(m, z, size) - m) / (plant.noise * (m.abs() if plant.relative else 1.0))
    assert float(moved.std()) == pytest.approx(1.0, abs=0.06)
    assert torch.equal(plant.acts(m, z, 0.0), m)


def test_sixty_runs_of_which_twenty_are_repeats_are_the_same_with_another_library() -> None:
    made = make(4, effects=(1.0, 1.0))
    assert len(made.pairs.observed) == RUNS
    assert int(made.pairs.repeat_codes.max()) + 1 == 40
    other = made.again(own=False)
    assert torch.equal(other.observed, made.pairs.observed)
    assert torch.equal(other.conditions.mean, made.pairs.conditions.mean)
    assert {one.name for one in made.pairs.conditions.columns.terms} - {one.name for one in other.conditions.columns.terms} == {
        "corona's own"
    }


def test_true_shares_are_those_of_the_parts() -> None:
    none, some = (make(0, effects=(effect, 0.0), readings=2).shares("additive") for effect in (0.0, 2.0))
    assert none[DIVERGENCE] == 0.0 < some[DIVERGENCE]
    assert sum(value for name, value in some.items() if name != "noise") == pytest.approx(1.0)


def test_a_factor_is_right_alone_or_with_its_own_nuisance_only() -> None:
    row = {"effects": (1.0, 0.0), "named": [["acting", "nuisance"], ["controls"]]}
    assert found_right(row, "acting")
    assert named_wrongly(row) == []
    wrong = {"effects": (1.0, 0.0), "named": [["nuisance"], ["acting", "light"]]}
    assert not found_right(wrong, "acting")
    assert named_wrongly(wrong) == [["nuisance"]]


def test_the_tables_count_seeds() -> None:
    judged = {"error": 0.5, "held": 0.9, "terms": ["corona's own"], "groups": []}
    rows = [
        {"kind": "one", "plant": "corona", "effects": [1.0, 0.0], "named": named, "with term": judged, "without": judged | {"terms": []}}
        for named in ([["acting"]], [["acting", "nuisance"]], [["light"]])
    ]
    assert "| 1.0 and 0.0 sd | 2 of 3 | 1 | 1 | 0 | 3 |" in naming_table(rows)
    assert "| one | with term | 0.50 [0.50, 0.50] | 90 % | 3 of 3 |" in prediction_table(rows)
    parts = {"kind": "shares", "parts": {"readout": [0.2, 0.25, 0.1, 0.3], "run to run": [0.4, 0.5, 0.45, 0.6]}}
    assert "| all | 30 % | 7.5 | 1 of 2 |" in shares_table([parts])
    assert "| 1 sd | 15 runs | 1 of 3 |" in drift_table([{"kind": "drift", "none": [], "1 sd": [15, 16, None], "2 sd": [], "ramp": []}])


@pytest.mark.long
def test_one_seed_from_the_command_line_writes_rows_and_prints_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(tmp_path / "out.json"), "--seeds", "1"]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["kind"] for row in rows] == ["one", "two", *["none"] * 4, *["power"] * 3, "shares", "drift", *["exact"] * 4, "early"]
    shown = capsys.readouterr().out
    assert "| 2.0 and 0.0 sd |" in shown
    assert "| ramp | 60 runs |" in shown
