"""What is saved: the very same suggestions in another process, and a refusal of whatever is not such a file."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import athanor
from orchestrator.domain.values import digest
from tests.door.campaigns import amended
from tests.door.test_ask_and_tell import BOTH, HERE, ONE, QUICK, SPACE, drawing, level

ELSEWHERE = """
import json, sys, athanor
optimizer = athanor.Optimizer.load(sys.argv[1])
print(json.dumps([one.configuration for one in optimizer.ask(2)]))
"""


def in_another_process(path: Path) -> list[dict[str, float | str]]:
    words: list[str | Path] = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, path]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240)
    found: list[dict[str, float | str]] = json.loads(answer.stdout)
    return found


@pytest.mark.slow
@pytest.mark.long
def test_a_loaded_optimizer_suggests_the_very_same_in_another_process(lab_file: Path, tmp_path: Path) -> None:
    built = athanor.Optimizer(SPACE, ONE, seed=11, settings={"initial": 3, **QUICK})
    read = athanor.Optimizer.from_file(amended(lab_file, "saved.toml", general="budget = 4\nseed = 5"))
    for name, optimizer, turns in (("built", built, 4), ("read", read, 1)):
        for _ in range(turns):
            (suggestion,) = optimizer.ask()
            optimizer.tell(suggestion, {optimizer.objective.names[0]: level({"solvent": "", **suggestion.configuration}) / 3})
        optimizer.ask()
        optimizer.save(tmp_path / name)
        assert in_another_process(tmp_path / name) == [one.configuration for one in optimizer.ask(2)], name


def test_a_file_holds_texts_and_says_which_prior(lab_file: Path, tmp_path: Path) -> None:
    athanor.Optimizer.from_file(lab_file).save(tmp_path / "o.json")
    basis = json.loads((tmp_path / "o.json").read_text())["optimizer"]["basis"]
    assert basis["files"]["campaign"] == lab_file.read_text()
    assert basis["files"]["bench"] == (lab_file.parent / "bench.toml").read_text()
    assert basis["prior"]["path"] == str(lab_file.parent / "priors" / "cdse.pt")


def test_an_optimizer_that_was_saved_before_goes_on_searching_as_it_did(tmp_path: Path) -> None:
    athanor.Optimizer(SPACE, ONE, seed=3, settings={"initial": 0, **QUICK}).save(path := tmp_path / "o.json")
    document = json.loads(path.read_text())
    assert document["optimizer"]["basis"]["policy"]["settings"].pop("search") == "together"
    written(path, document, digest(document["optimizer"]))
    optimizer = athanor.Optimizer.load(path)
    optimizer.tell(HERE, {"level": level(HERE)})
    assert optimizer.ask()[0].policy == "bayesian/1"


def test_another_prior_is_refused_and_the_same_one_elsewhere_is_not(lab_file: Path, tmp_path: Path) -> None:
    athanor.Optimizer.from_file(lab_file).save(path := tmp_path / "o.json")
    moved = tmp_path / "moved.pt"
    moved.write_bytes((lab_file.parent / "priors" / "cdse.pt").read_bytes())
    assert athanor.Optimizer.load(path, prior=moved).pending == []
    document = json.loads(path.read_text())
    document["optimizer"]["basis"]["prior"]["sha256"] = "0" * 64
    written(path, document, digest(document["optimizer"]))
    refused(path, f"expected {'0' * 64}")
    document["optimizer"]["basis"]["prior"]["path"] = str(tmp_path / "gone.pt")
    written(path, document, digest(document["optimizer"]))
    refused(path, "there is no prior")
    drawing().save(tmp_path / "plain.json")
    with pytest.raises(athanor.BadInput, match="adapts no prior; leave prior out"):
        athanor.Optimizer.load(tmp_path / "plain.json", prior=moved)


def test_a_prior_that_does_not_fit_is_refused_as_a_campaign_refuses_it(lab_file: Path) -> None:
    prior = athanor.load_prior(lab_file.parent / "priors" / "cdse.pt")
    file = amended(lab_file, "other.toml", general="budget = 4")
    file.write_text(file.read_text().replace("quantum_yield", "brightness"))
    with pytest.raises(athanor.BadInput) as from_file:
        athanor.Optimizer.from_file(file)
    with pytest.raises(athanor.BadInput) as in_code:
        athanor.Optimizer(prior.space, athanor.Objective(targets=(athanor.Target(name="brightness", goal="maximise"),)), prior=prior)
    assert str(in_code.value) == "prior cdse knows no target 'brightness'; it knows quantum_yield"
    assert str(from_file.value) == f"{file}: {in_code.value}"
    with pytest.raises(athanor.BadInput, match="a prior belongs to policy 'bayesian'; policy 'random' asks no model"):
        athanor.Optimizer(prior.space, ONE, prior=prior, policy="random")


# ---------------------------------------------------------------------- damage


def written(path: Path, document: Any, sha256: str | None = None) -> None:
    path.write_text(json.dumps(document if sha256 is None else {**document, "sha256": sha256}))


def refused(path: Path, expected: str) -> None:
    with pytest.raises(athanor.BadInput) as caught:
        athanor.Optimizer.load(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


Change = Callable[[dict[str, Any]], object]
DAMAGED: dict[str, tuple[Change, str]] = {
    "newer": (
        lambda d: d.update(format="athanor-optimizer/2"),
        "has format 'athanor-optimizer/2'; this Athanor reads 'athanor-optimizer/1'",
    ),
    "foreign": (lambda d: d.update(format="ax"), "is no optimizer: its format is 'ax'"),
    "nothing": (lambda d: d.clear(), "is no optimizer: its format is None"),
    "more": (lambda d: d.update(code="import os"), "has keys code, format, optimizer, sha256; expected format, optimizer, sha256"),
    "a value": (lambda d: d["optimizer"]["events"][1]["values"].update(level=0.7), "was altered since it was saved"),
    "a seed": (lambda d: d["optimizer"]["basis"]["general"].update(seed=8), "was altered since it was saved"),
    "an event": (lambda d: d["optimizer"]["events"].pop(), "was altered since it was saved"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_foreign_or_newer_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    optimizer = drawing()
    optimizer.ask()
    optimizer.tell(HERE, BOTH)
    optimizer.save(path := tmp_path / "o.json")
    document = json.loads(path.read_text())
    change, expected = DAMAGED[case]
    change(document)
    written(path, document)
    refused(path, expected)


@pytest.mark.parametrize("cut", [0, 1, 200, -1])
def test_half_a_file_is_refused_in_one_line(cut: int, tmp_path: Path) -> None:
    drawing().save(path := tmp_path / "o.json")
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, "is no optimizer: it is no JSON, or damaged")


SENSELESS: dict[str, tuple[Change, str]] = {
    "an unknown event": (lambda d: d["events"][0].update(kind="guessed"), "events.0"),
    "of nothing": (lambda d: d["events"].pop(0), "o.json: it tells of experiment 1, which was not asked for before"),
    "no space": (lambda d: d["basis"].pop("space"), "basis.space is missing"),
    "no range": (lambda d: d["basis"]["space"]["parameters"][0].update(min=300), "min 300 must be below max 280 degC"),
    "no unit": (lambda d: d["basis"]["space"]["parameters"][0].update(unit="blorp"), "unknown unit 'blorp'"),
}


@pytest.mark.parametrize("case", SENSELESS)
def test_what_is_whole_but_makes_no_sense_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    optimizer = drawing()
    (suggestion,) = optimizer.ask()
    optimizer.tell(suggestion, BOTH)
    optimizer.save(path := tmp_path / "o.json")
    document = json.loads(path.read_text())
    change, expected = SENSELESS[case]
    change(document["optimizer"])
    written(path, document, digest(document["optimizer"]))
    refused(path, expected)


def test_a_path_that_cannot_be_read_or_written_is_said_in_one_line(tmp_path: Path) -> None:
    refused(tmp_path / "none.json", "cannot be read: No such file or directory")
    with pytest.raises(athanor.BadInput, match="cannot be written: No such file or directory"):
        drawing().save(tmp_path / "no" / "folder.json")
    for nameless in (".", "/", "a\0b"):
        with pytest.raises(athanor.BadInput, match="cannot be written: it is no file's name"):
            drawing().save(nameless)
