"""Whole campaigns lose their processes at random moments; the same command goes on, and notes of who did the work are the judge."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.beds import CALLED, CHEMIST, GROUPS, WIRED, Bed
from tests.crash.kills import Sitting, sit, sit_in_turn

KILLS = {"wired": 300, "unwired": 50}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.long
@pytest.mark.parametrize(("bed", "kills"), [(WIRED[-1], 10), (CALLED, 6), (CHEMIST, 4)], ids=lambda one: getattr(one, "name", None))
def test_killing_the_processes_of_a_campaign_repeats_and_loses_nothing(
    bed: Bed, kills: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with closing(bed.make(tmp_path / "lab", kills + 2)) as laboratory:
        found = sit(bed, laboratory, kills=kills, seed=43)
    record_property("figure", said([found]))
    assert found.complaints == ()
    assert found.faults == []


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(("beds", "kills"), KILLS.items())
def test_many_random_deaths_repeat_and_lose_nothing(
    tmp_path: Path, beds: str, kills: int, record_property: Callable[[str, object], None]
) -> None:
    sittings = sit_in_turn(GROUPS[beds], kills=kills, seed=22, folder=tmp_path)
    record_property("figure", said(sittings))
    assert [one.complaints for one in sittings if one.complaints] == []
    assert sum(one.struck for one in sittings) == kills


def said(sittings: list[Sitting]) -> str:
    """Say what happened."""
    lines = [
        f"{one.bed}, seed {one.seed}: {one.kills} killed, runs {one.runs}, a person typed {one.asked or 'nothing'}" for one in sittings
    ]
    return f"{sum(one.struck for one in sittings)} kills\n" + "\n".join(lines)
