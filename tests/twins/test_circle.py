"""A campaign whose twin lacks a term: compared, explained, taught and judged by fresh experiments, as a person types it."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from flows.plans.lab import Lab, find_lab
from flows.studies.twins.drifting import drift
from flows.studies.twins.operations import compare, explain, history_of, recalibrate, verify
from flows.studies.twins.sentences import sentences
from orchestrator.errors import BadInput

EXAMPLE = Path(__file__).parents[2] / "examples" / "twins" / "mos2"
PAUSES_AFTER = 30

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry out a campaign of MoS2 until it waits for a person."""
    place = tmp_path_factory.mktemp("lab") / "mos2"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns("truth.jsonl", ".*", "__pycache__"))
    file = place / "campaign.toml"
    file.write_text(file.read_text().replace("budget = 60", f"budget = {PAUSES_AFTER}"))
    typed(place, "run", "campaign.toml", "--no-view")
    return place


def typed(folder: Path, *words: str, code: int = 0) -> str:
    """Return what a command says."""
    command = [sys.executable, "-m", "flows.cli.main", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def lab(folder: Path) -> Lab:
    return find_lab(folder / ".athanor", here=folder)


def document(folder: Path, *words: str) -> Any:
    return json.loads(typed(folder, *words, "--json"))


def test_runs_are_compared_in_the_surroundings_that_they_had(lab: Lab) -> None:
    found = compare(lab, None)
    real = [json.loads(line) for line in (lab.path.parent / "truth.jsonl").read_text().splitlines()]
    by_number = {row.number: row.environment["humidity"] for row in found.rows}
    assert by_number == {number: pytest.approx(real[number - 1]["humidity"]) for number in by_number}
    assert found.rows[0].environment["elapsed"] == 0.0
    assert [one.name for one in found.channels] == ["humidity", "elapsed"]
    gone = sum(one["reason"] != "completed" for one in real)
    assert len(found.rows) == len(real) - gone


def test_the_humidity_is_named_and_a_term_of_it_is_missing(lab: Lab) -> None:
    _, (grain,) = explain(lab, None, ["grain"])
    assert [one.factor for one in grain.named] == ["humidity"]
    assert grain.named[0].direction == "falls"
    assert grain.taken_up[0].startswith("grain-")
    assert grain.taken_up[0].endswith("-humidity")


def test_what_a_twin_does_not_predict_is_refused(folder: Path) -> None:
    assert "predicts no 'colour' of this campaign; it predicts coverage, quality, grain" in typed(
        folder, "twin", "explain", "--of", "colour", code=1
    )


def test_a_revision_is_written_and_never_over_another_one(folder: Path, lab: Lab) -> None:
    first = recalibrate(lab, None, by="Ada", reason="humid days")
    before = first.file.read_bytes()
    assert all(first.made.after[name] < first.made.before[name] for name in first.made.before)
    second = recalibrate(lab, None, by="Ada", reason="")
    assert (first.name, second.name) == ("./twins/mos2-r1.toml", "./twins/mos2-r2.toml")
    assert first.file.read_bytes() == before
    current, revisions = history_of(lab, None)
    assert current == "mos2/1"
    assert [one.name for one in revisions] == [first.name, second.name]
    assert [one.content.twin.base for one in revisions] == ["mos2/1", "mos2/1"]
    again = document(folder, "twin", "compare", "--twin", first.name)
    errors = {one["measured"]: one["error"] for one in again["quantities"]}
    assert errors == pytest.approx(first.made.after, rel=1e-6)


def test_a_shift_of_what_is_measured_raises_an_alarm_and_no_shift_none(lab: Lab) -> None:
    found = compare(lab, None)
    before, last = 16, len(found.rows) - 6
    assert drift(found, "grain", learn=before, every=500.0).alarms == ()
    rows = [
        replace(row, values={**row.values, "grain": tuple(0.4 * one for one in row.values["grain"])}) if place >= last else row
        for place, row in enumerate(found.rows)
    ]
    shifted = drift(replace(found, rows=tuple(rows)), "grain", learn=before, every=500.0)
    assert shifted.alarms
    assert all(at >= found.rows[last].number for at, _ in shifted.alarms)
    with pytest.raises(BadInput, match="to learn from; expected some more to watch"):
        drift(found, "grain", learn=99, every=500.0)


def test_the_page_has_a_picture_for_each_sentence_and_needs_nothing_else(folder: Path, lab: Lab) -> None:
    text = Path(typed(folder, "twin", "report").strip()).read_text()
    assert {"parity", "waterfall-1", "against-3", "time-3"} <= set(re.findall(r'draw\("plot-([a-z0-9-]+)"', text))
    for quantity in ("coverage", "quality", "grain"):
        assert f"<h2>{quantity}</h2>" in text
    _, (grain,) = explain(lab, None, ["grain"])
    assert all(escape(line) in text for line in sentences(grain))
    assert "./twins/mos2-r1.toml" in text
    assert re.search(r"<(script|link|img)[^>]+(src|href)=\"?https?:", text) is None


def test_the_page_outlives_a_revision_whose_base_is_gone(folder: Path) -> None:
    broken = folder / "twins" / "mos2-r9.toml"
    broken.write_text('[twin]\nrevision = 9\nbase = "./twins/gone.toml"\n')
    try:
        text = Path(typed(folder, "twin", "report").strip()).read_text()
    finally:
        broken.unlink()
    assert "./twins/mos2-r9.toml" in text
    assert "cannot be judged" in text
    assert "./twins/mos2-r2.toml" in text


def test_a_campaign_that_has_ended_takes_no_experiments_that_verify(lab: Lab) -> None:
    with pytest.raises(BadInput, match="nobody is named who suggests"):
        verify(lab, None, count=2)
    with pytest.raises(BadInput, match="has ended"):
        verify(lab, None, count=2, by="Ada")
    assert verify(lab, None).found.verdict == "not enough evidence"


def test_a_bench_without_a_twin_says_so(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(EXAMPLE, bare, ignore=shutil.ignore_patterns("truth.jsonl", ".*", "__pycache__"))
    bench = bare / "bench.toml"
    bench.write_text(bench.read_text().partition("[twin]")[0])
    file = bare / "campaign.toml"
    file.write_text(file.read_text().replace("budget = 60", "budget = 1"))
    typed(bare, "run", "campaign.toml", "--no-view")
    assert "has no twin; its bench file names one with [twin] chemistry" in typed(bare, "twin", "compare", code=1)


def test_a_twin_that_has_learned_from_a_campaign_is_not_taught_by_the_same_runs_again(folder: Path, tmp_path: Path) -> None:
    taught = tmp_path / "taught"
    shutil.copytree(folder, taught, ignore=shutil.ignore_patterns("truth.jsonl", ".athanor", "__pycache__"))
    bench, file = taught / "bench.toml", taught / "campaign.toml"
    bench.write_text(bench.read_text().replace('"mos2/1"', '"./twins/mos2-r1.toml"'))
    file.write_text(file.read_text().replace(f"budget = {PAUSES_AFTER}", "budget = 12"))
    typed(taught, "run", "campaign.toml", "--no-view")
    found = recalibrate(find_lab(taught / ".athanor", here=taught), None, by="Ada", reason="")
    assert 'base = "mos2/1"' in found.file.read_text()
