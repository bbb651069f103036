"""A twin's table: predictions in the campaign's units, how constants move them, and that it is computed once."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import STEP, twin_table
from tests.twins.test_bench import BY_T, FILM, bound, film

ROWS = [{"T": 50.0, "speed": 1800.0}, {"T": 88.0, "speed": 1800.0}, {"T": 63.0, "speed": 1000.0}]
CALLS = """from pathlib import Path


def predicted(asked):
    with Path(__file__).with_name("calls").open("a") as file:
        file.write(".")"""
COUNTING = FILM.replace("def predicted(asked):", CALLS).replace("> 85.0", '> asked.constants["best"] + 22.0')
"""Boils 22 degC above the constant, and knows how often it was asked."""


def film_twin(folder: Path, code: str = FILM, more: str = "") -> BoundTwin:
    return bound(film(folder, "[twin]\n" + BY_T + more, code))


def calls(folder: Path) -> int:
    """Count what the twin beside a bench file was asked."""
    return len((folder / "calls").read_text())


def test_predictions_and_sensitivities_are_those_of_the_formula_in_the_campaigns_unit(tmp_path: Path) -> None:
    table = twin_table(film_twin(tmp_path), ROWS)
    assert (table.measured, table.units, table.constants) == (("conductivity",), ("S/cm",), ("best",))
    assert table.prior_sds.tolist() == [2.0]
    order = [math.exp(-(((row["T"] - 63.0) / 18.0) ** 2)) for row in ROWS]
    slope = [480.0 * value * 2.0 * (row["T"] - 63.0) / 18.0**2 for row, value in zip(ROWS, order, strict=True)]
    assert table.mean[[0, 2], 0] == pytest.approx([480.0 * order[0], 480.0 * order[2]])
    assert table.sensitivities[[0, 2], 0, 0] == pytest.approx([slope[0], slope[2]], rel=0.01, abs=1e-9)
    assert table.sensitivities.shape == (3, 1, 1)


def test_a_row_that_gives_nothing_keeps_its_reason(tmp_path: Path) -> None:
    table = twin_table(film_twin(tmp_path), ROWS)
    assert table.reasons == ("", "boiled", "")
    assert table.feasible.tolist() == [True, False, True]
    assert np.isnan(table.mean[1, 0])
    assert np.isnan(table.sensitivities[1, 0, 0])


def test_where_one_side_gives_nothing_the_other_one_counts(tmp_path: Path) -> None:
    edge = twin_table(film_twin(tmp_path, COUNTING), [{"T": 84.5, "speed": 1000.0}])
    order = {best: math.exp(-(((84.5 - best) / 18.0) ** 2)) for best in (63.0, 63.0 + 2.0 * STEP)}
    assert edge.reasons == ("",)
    expected = 480.0 * (order[63.0 + 2.0 * STEP] - order[63.0]) / (2.0 * STEP)
    assert edge.sensitivities[0, 0, 0] == pytest.approx(expected)


def test_a_bound_is_not_crossed(tmp_path: Path) -> None:
    table = twin_table(film_twin(tmp_path, more="constants.best = { max = 63 }\n"), ROWS[:1])
    order = {best: math.exp(-(((50.0 - best) / 18.0) ** 2)) for best in (63.0, 63.0 - 2.0 * STEP)}
    assert table.sensitivities[0, 0, 0] == pytest.approx(480.0 * (order[63.0] - order[63.0 - 2.0 * STEP]) / (2.0 * STEP))


def test_surroundings_that_were_recorded_count(tmp_path: Path) -> None:
    twin = film_twin(tmp_path)
    wide = BoundTwin(
        twin.found, twin.twin, twin.inputs, {"thickness": "thickness"}, {"thickness": "nm"}, twin.surroundings, twin.bench, twin.space
    )
    table = twin_table(wide, ROWS[:2], [{"humidity": 50.0}, {}])
    assert table.mean[0, 0] == pytest.approx(5000.0)
    assert twin_table(wide, ROWS[:1]).sha256 != twin_table(wide, ROWS[:1], [{"humidity": 50.0}]).sha256


def test_a_table_is_computed_once_and_again_for_any_other_twin_or_rows(tmp_path: Path) -> None:
    kept, twin = tmp_path / "kept", film_twin(tmp_path / "a", COUNTING)
    first = twin_table(twin, ROWS, folder=kept)
    count = calls(tmp_path / "a")
    assert count == 3 * len(ROWS), "at the centre and to either side of the one constant"
    again = twin_table(twin, ROWS, folder=kept)
    assert calls(tmp_path / "a") == count
    assert again.sha256 == first.sha256
    assert again.reasons == first.reasons
    assert np.array_equal(again.mean, first.mean, equal_nan=True)
    assert np.array_equal(again.sensitivities, first.sensitivities, equal_nan=True)
    others = [
        twin_table(twin, ROWS[:2], folder=kept),
        twin_table(film_twin(tmp_path / "b", COUNTING, "constants.best = { value = 64 }\n"), ROWS, folder=kept),
        twin_table(film_twin(tmp_path / "c", COUNTING.replace("18.0", "19.0")), ROWS, folder=kept),
    ]
    assert len({first.sha256, *(one.sha256 for one in others)}) == 4
    assert sorted(path.name for path in kept.iterdir()) == sorted(f"{sha}.npz" for sha in {first.sha256, *(one.sha256 for one in others)})


def test_a_damaged_table_is_computed_again_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept, twin = tmp_path / "kept", film_twin(tmp_path / "a")
    first = twin_table(twin, ROWS, folder=kept)
    path = kept / f"{first.sha256}.npz"
    path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        again = twin_table(twin, ROWS, folder=kept)
    assert "is computed again" in caplog.text
    assert np.array_equal(again.mean, first.mean, equal_nan=True)


def test_no_rows_are_a_table_too(tmp_path: Path) -> None:
    table = twin_table(film_twin(tmp_path), [])
    assert table.mean.shape == (0, 1)
    assert table.sensitivities.shape == (0, 1, 1)
