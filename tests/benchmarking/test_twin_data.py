"""The benchmark on recorded data: what is left out is seen by nobody, yardsticks are what they say, and loaders read what they mean."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.twin_data.__main__ import judged_row
from benchmarks.twin_data.ageing import aged, rolling
from benchmarks.twin_data.cases import Case, calculated, linear, one_hot
from benchmarks.twin_data.corona import corona
from benchmarks.twin_data.crystals import HUMIDITY, crystals, planted, shuffled
from benchmarks.twin_data.dyes import SOLVENTS, dyes
from benchmarks.twin_data.gaps import gaps
from benchmarks.twin_data.judging import affine_map, folds, grouped, judge, left_out
from benchmarks.twin_data.reading import rows
from orchestrator.errors import BadInput
from tests.discrepancy.making import normal
from tests.recorded.tables import data_dir

ROWS = 60


def case(*, effect: float = 1.0) -> Case:
    """A twin that is off by a factor, a class, and a channel."""
    x, z = (normal(ROWS, seed=seed) for seed in (1, 2))
    twin = 5.0 + x
    classes = tuple("ab"[row % 2] for row in range(ROWS))
    shift = torch.tensor([0.0 if one == "a" else 2.0 for one in classes], dtype=torch.float64)
    observed = 1.3 * twin + shift + effect * z + 0.2 * normal(ROWS, seed=3)
    groups = tuple(f"G{row // 10}" for row in range(ROWS))
    return Case("made", {"x": x, **one_hot(classes, "class")}, {"z": z}, calculated(twin), observed, groups, classes)


def test_the_affine_map_has_the_slope_and_the_class_means() -> None:
    made = case(effect=0.0)
    every = range(ROWS)
    said, deviation = affine_map(made, made.predicted(every), every, every)
    columns = {"x": made.predicted(every), "b": torch.tensor([float(one == "b") for one in made.classes], dtype=torch.float64)}
    torch.testing.assert_close(said, linear(columns, made.observed)(every))
    assert deviation == pytest.approx(0.2, rel=0.25)


def test_a_class_that_nobody_has_seen_stands_at_the_mean_of_all() -> None:
    made = case(effect=0.0)
    learned = [row for row in range(ROWS) if made.classes[row] == "a"]
    said, _ = affine_map(made, made.predicted(learned), learned, [1])
    assert float(made.observed[1] - said[0]) == pytest.approx(2.0, abs=0.6)


def test_what_a_channel_does_is_predicted_and_its_intervals_hold() -> None:
    made = case()
    found = judge(made, folds(made, 3, seed=5000), shown=True)
    assert found.ratio().value < 0.5
    assert found.ratio("shown").value < 0.5
    assert 80.0 <= found.coverage().value <= 100.0
    assert judged_row("made", made, found)["groups"] == 6


def test_no_row_of_a_group_that_is_left_out_is_learned_from() -> None:
    made = case()
    for splits in (list(left_out(made)), list(folds(made, 4, seed=5000))):
        assert sorted(row for _, asked in splits for row in asked) == list(range(ROWS))
        for learned, asked in splits:
            assert not {made.groups[row] for row in learned} & {made.groups[row] for row in asked}


def test_a_grouped_bootstrap_resamples_groups() -> None:
    values = np.repeat([0.0, 1.0], 50)
    wide = grouped(["a"] * 50 + ["b"] * 50, [values], lambda sums, count: float(sums[0] / count))
    narrow = grouped([str(row) for row in range(100)], [values], lambda sums, count: float(sums[0] / count))
    assert (wide.low, wide.value, wide.high) == (0.0, 0.5, 1.0)
    assert 0.35 < narrow.low < narrow.high < 0.65


def test_a_missing_or_changed_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "protein_corona/particles.csv"
    with pytest.raises(BadInput, match=r"there is no .*particles\.csv"):
        rows(name, tmp_path)
    (tmp_path / "protein_corona").mkdir()
    (tmp_path / name).write_text("particle\n")
    with pytest.raises(BadInput, match="another version gives other figures"):
        rows(name, tmp_path)
    monkeypatch.delenv("ATHANOR_DATA", raising=False)
    with pytest.raises(BadInput, match="no data folder is named; give --data DIR or set ATHANOR_DATA"):
        rows(name)


def test_the_corona_is_gold_before_and_after_serum() -> None:
    made = corona(data_dir())
    assert (len(made), set(made.groups), len(made.channels)) == (105, {"G15", "G30", "G60"}, 34)
    some = made.predicted(range(60))
    assert not torch.equal(some, made.predicted(range(50))), "the twin is fitted to what it may learn from"


def test_gaps_are_those_of_no_metal_by_chemical_system() -> None:
    made = gaps(data_dir(), count=50, seed=5000)
    assert len(made) == 50
    assert float(made.observed.min()) > 0.0
    assert all(one in made.groups for one in made.groups)


def test_films_to_come_are_predicted_from_rounds_before() -> None:
    made = aged(data_dir())
    assert len(made) == 139
    for learned, asked in rolling(made):
        assert max(made.groups[row] for row in learned) < min(made.groups[row] for row in asked)


def test_a_plate_has_one_humidity_whoever_had_it() -> None:
    made = crystals(data_dir(), seed=5000)
    given = shuffled(made, seed=5000)
    for one in (made, given):
        of: dict[str, set[float]] = {}
        for plate, value in zip(one.batches, one.channels[HUMIDITY].tolist(), strict=True):
            of.setdefault(plate, set()).add(value)
        assert {len(values) for values in of.values()} == {1}
    assert not torch.equal(made.channels[HUMIDITY], given.channels[HUMIDITY])
    moved = planted(given, 2.0, 0.5).observed - given.observed
    assert float(moved.std(correction=0)) == pytest.approx(1.0)


def test_dyes_are_drawn_by_scaffold_in_known_solvents(monkeypatch: pytest.MonkeyPatch) -> None:
    by_first_letters = SimpleNamespace(MurckoScaffoldSmiles=lambda smiles: smiles[:6])  # in the place of RDKit, which is no part of Athanor
    monkeypatch.setattr("benchmarks.twin_data.dyes._chemistry", lambda: (None, by_first_letters))
    monkeypatch.setattr("benchmarks.twin_data.dyes._described", lambda smiles: {"size": float(len(smiles))})
    made = dyes(data_dir(), count=60, seed=5000, least=4)
    assert set(made.classes) <= {one[0] for one in SOLVENTS.values()}
    assert made.batches == made.groups


def test_without_rdkit_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(BadInput, match="scaffolds need RDKit, which is not installed: pip install rdkit"):
        dyes(data_dir(), count=60, seed=5000, least=4)
