"""The benchmark of explanations plants what it says, and counts what it found."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.explanations import (
    DRIVERS,
    NOISE,
    channels,
    channels_table,
    design,
    importance_row,
    importance_table,
    main,
    push,
    ranked_first,
    truth,
)
from models.explanations.attribution import importance, players
from models.inputs.encoding import Encoding
from orchestrator.domain.parameters import ContinuousParameter
from orchestrator.domain.space import SearchSpace


def test_the_fourth_input_follows_the_first_and_no_other_does() -> None:
    X = design(20_000, torch.Generator().manual_seed(1))
    expected = torch.eye(6, dtype=torch.float64)
    expected[0, 3] = expected[3, 0] = 0.8
    torch.testing.assert_close(torch.corrcoef(X.T), expected, atol=0.02, rtol=0.0)
    assert X.mean(dim=0).tolist() == pytest.approx([0.5] * 6, abs=0.01)
    assert X.std(dim=0).tolist() == pytest.approx([12**-0.5] * 6, abs=0.01)


def test_of_the_function_itself_the_planted_inputs_are_what_matters() -> None:
    # mean |2 (x - mean)| of a uniform input is a half; the product is shared by two
    X = design(200, torch.Generator().manual_seed(2))
    encoding = Encoding(SearchSpace(parameters=tuple(ContinuousParameter(name=f"x{number}", min=0, max=1) for number in range(1, 7))))
    background = torch.rand(256, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = importance(lambda Z: truth(Z).unsqueeze(-1), X, background, players(encoding))[:, 0].tolist()
    assert found[:3] == pytest.approx([0.5, 3 / 16, 3 / 16], abs=0.05)
    assert found[3:] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("driver", DRIVERS[1:])
def test_a_driving_channel_moves_y_by_the_noise(driver: str) -> None:
    generator = torch.Generator().manual_seed(4)
    moved = push(channels(generator)[driver], generator)
    assert float(moved.std()) == pytest.approx(NOISE)
    assert float(moved.mean()) == pytest.approx(0.0, abs=1e-12)


def test_an_importance_is_in_units_of_y_and_repeatable() -> None:
    one = importance_row(30, 0)
    assert one == importance_row(30, 0)
    assert one["importance"][0] == pytest.approx(0.5, abs=0.2)


def test_the_tables_count_seeds() -> None:
    good, bad = [0.5, 0.2, 0.2, 0.1, 0.0, 0.0], [0.5, 0.2, 0.1, 0.1, 0.0, 0.0]
    assert ranked_first({"importance": good})
    assert not ranked_first({"importance": bad})
    rows = [{"measurements": count, "seed": seed, "importance": good if seed else bad} for count in (15, 30, 60) for seed in range(4)]
    assert "| 60 | 3 of 4 | >= 95 % | 0.50 | 0.20 | 0.17 | 0.10 | 0.00 | 0.00 |" in importance_table(rows)
    named = [
        {"driver": driver, "seed": seed, "named": ["day", "lot"] if driver == "day" else []} for driver in DRIVERS for seed in range(2)
    ]
    assert "| day | 0 | 2 | 2 | 0 | 2 of 2 |" in channels_table(named)
    assert "| none | 0 | 0 | 0 | 0 | 0 of 2 |" in channels_table(named)


@pytest.mark.long
def test_one_seed_from_the_command_line_writes_rows_and_prints_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(tmp_path / "out.json"), "--seeds", "1"]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["measurements"] for row in rows["importance"]] == [15, 30, 60]
    assert [row["driver"] for row in rows["channels"]] == list(DRIVERS)
    assert set(rows["channels"][0]["p"]) == {"room temperature", "humidity", "day", "lot"}
    shown = capsys.readouterr().out
    assert "of 1 | >= 95 %" in shown
    assert "| none |" in shown
