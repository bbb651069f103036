"""The benchmark of failures plants what it says, and counts what was named."""

import json
from pathlib import Path

import pytest

from benchmarks.twin_failures import LAWS, LOT_RUNS, SPELLS, STEPS, THRESHOLD, made, main, right, row, table
from benchmarks.twin_plants import RUNS


def test_runs_fail_by_the_law_of_their_case() -> None:
    failed, factors = made("all above fail", 3)
    assert failed == [float(one) > THRESHOLD for one in factors["acting"]]
    failed, factors = made("65 % above fail", 3)
    acting = [float(one) for one in factors["acting"]]
    assert not any(bad and one <= THRESHOLD for bad, one in zip(failed, acting, strict=True))
    failed, factors = made("70 % of one lot", 3)
    assert {lot for bad, lot in zip(failed, factors["lot"], strict=True) if bad} == {"L2"}
    assert sum(failed) <= LOT_RUNS


def test_bad_spells_follow_no_channel_and_each_case_has_draws_of_its_own() -> None:
    failed, factors = made(SPELLS, 3)
    assert 0 < sum(failed) < RUNS
    assert factors["acting"] != made("all above fail", 3)[1]["acting"]


@pytest.mark.parametrize(
    ("named", "is_right"), [([["acting"]], True), ([["nuisance", "acting"]], True), ([["nuisance"]], False), ([["acting", "T"]], False)]
)
def test_a_factor_is_right_alone_or_with_its_own_nuisance(named: list[list[str]], is_right: bool) -> None:
    assert right({"named": named}, "acting") is is_right


def test_the_table_counts_seeds() -> None:
    one = {"case": STEPS[0], "seed": 0, "failed": 9, "tried": True}
    rows = [
        {**one, "named": [["acting"]], "holds": True},
        {**one, "named": [["acting", "nuisance"], ["light"]], "holds": False},
        {**one, "named": [["lot", "elapsed"]], "holds": None},
        {**one, "tried": False, "named": []},
    ]
    assert table(rows).splitlines()[2] == f"| {STEPS[0]} | 3 of 4 | 2 | 1 | 2, 1 of them time or lot alone | 1 of 2 |"


def test_a_case_runs_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert main(["--seeds", "1", "--first", "5000", "--only", STEPS[0], "--json", str(file)]) == 0
    (found,) = json.loads(file.read_text())
    assert found == json.loads(json.dumps(row(STEPS[0], 5000)))
    assert STEPS[0] in capsys.readouterr().out
    assert set(STEPS) < set(LAWS)
