"""What a campaign is after is said before it begins: the kind of its objective, and when it stops."""

import json
from pathlib import Path

import pytest

from flows.cli.check import check_file
from tests.recorded.tables import data_dir

FILE = """
[campaign]
name = "wanted"
budget = 8

[recorded]
table = "crossed-barrel"

[[parameters]]
name = "n"
kind = "discrete"
values = [6, 8, 10, 12]

[[parameters]]
name = "theta"
kind = "discrete"
unit = "degree"
values = [0, 25, 50, 75, 100, 125, 150, 175, 200]

[[parameters]]
name = "r"
kind = "discrete"
unit = "mm"
values = [1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5]

[[parameters]]
name = "t"
kind = "discrete"
unit = "mm"
values = [0.7, 1.05, 1.4]

[[targets]]
name = "toughness"
unit = "J"
goal = "maximise"
"""


def checked(folder: Path, more: str, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    file = folder / "campaign.toml"
    file.write_text(FILE + more)
    check_file(file, connect=False, lab=None, data=data_dir(), as_json=as_json)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ('[objective]\nkind = "explore"\n', "objective: know toughness everywhere"),
        ('[objective]\nkind = "level"\nreference = { toughness = "20 J" }\n', "objective: border at toughness 20 J"),
    ],
)
def test_check_says_what_is_wanted_where_nothing_is_best(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, line: str) -> None:
    said = checked(tmp_path, more, capsys)
    assert line in said
    assert "maximise" not in said, "the goal of the target does not count"
    assert json.loads(checked(tmp_path, more, capsys, as_json=True))["objective"] == more.split('"')[1]


def test_check_says_when_a_campaign_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = '[stop]\nimprovement = 0.5\naction = "finish"\n'
    assert "stop: finish once an improvement by more than 0.5 has a chance below 5 %" in checked(tmp_path, more, capsys)
    found = json.loads(checked(tmp_path, more, capsys, as_json=True))
    assert found["stop"] == {"improvement": 0.5, "probability": 0.05, "action": "finish"}
    assert "objective" not in found
