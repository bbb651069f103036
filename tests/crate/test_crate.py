"""An exported RO-Crate, and the description of the CSV files, are what others say they must be."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from flows.report.export import crate_runs
from flows.report.export.campaign import ExportOptions
from flows.report.export.crate_check import CACHE, VALIDATOR, judge_crate
from orchestrator.errors import BadInput, Fault
from tests.golden.frozen import LABS, thaw, typed

HERE = Path(__file__).parents[2] / ".venv-crate"
"""Made by `make crate`."""


@pytest.fixture(scope="module")
def judges() -> Path:
    """The folder of commands of those who judge."""
    if not (HERE / ".installed").exists():
        assert not os.environ.get("CI"), "make crate has not been run"
        pytest.skip("`make crate` installs what judges a crate")
    return HERE / "bin"


@pytest.fixture
def asked(judges: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the validator and its cache are."""
    monkeypatch.setenv(VALIDATOR, str(judges / "rocrate-validator"))
    monkeypatch.setenv(CACHE, str(HERE / "http_cache"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A campaign with reviewers, one with spectra, and one that people carried out, exported with all that there is."""
    folder, found = tmp_path_factory.mktemp("crates"), {}
    for name, campaign in (("desk", "asked"), ("wired", "cdse-600"), ("by_hand", "alum")):
        lab = thaw(next(one for one in LABS if one.name == name), folder / name)
        found[campaign] = folder / f"{name}-out"
        options = ["--crate", "--spectra", "--raw", "--parquet", "--licence", "https://creativecommons.org/licenses/by/4.0/"]
        typed("export", campaign, "--lab", str(lab), "--out", str(found[campaign]), *options)
    found["dry"] = folder / "dry-out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(crate_runs, "STAND_IN", "A")  # Ada is none
        typed("export", "alum", "--lab", str(lab), "--out", str(found["dry"]), *options)
    return found


def entities(folder: Path) -> dict[str, dict[str, object]]:
    document = json.loads((folder / "ro-crate-metadata.json").read_text())
    return {one["@id"]: one for one in document["@graph"]}


def test_a_crate_is_version_1_1_and_names_people_instruments_software_and_licence(exported: dict[str, Path]) -> None:
    found = entities(exported["asked"])
    assert found["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert found["./"]["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    assert found["#person-Ada"] == {"@id": "#person-Ada", "@type": ["Person", "prov:Person"], "name": "Ada"}
    assert found["#instrument-oven"]["model"] == "3216"
    assert "softwareVersion" in found["#athanor"]
    assert {"files/campaign.toml", "files/bench.toml", "report.html", "experiments.csv", "ledger.json"} <= set(found)


def test_each_run_is_an_action_with_its_plan_its_times_and_its_results(exported: dict[str, Path]) -> None:
    found = entities(exported["cdse-600"])
    actions = [one for one in found.values() if "CreateAction" in one["@type"]]  # type: ignore[operator] # JSON
    assert len(actions) == 5
    for action in actions:
        assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
        assert str(action["startTime"]) < str(action["endTime"])
        results = [found[one["@id"]] for one in action["result"]]  # type: ignore[attr-defined] # JSON
        assert {"wavelength", "fwhm", "quantum_yield"} <= {one["name"] for one in results}
        assert all(one["prov:wasGeneratedBy"] == {"@id": action["@id"]} for one in results if "value" in one)


def test_a_crate_says_who_answered_what_when_and_from_which_file_a_value_was_taken(exported: dict[str, Path]) -> None:
    found = entities(exported["alum"])
    answers = [one for name, one in found.items() if name.startswith("#answer-")]
    assert [one["author"] for one in answers] == [{"@id": "#person-Ada"}] * 3, "what was refused counts for nothing"
    assert {"crystals = 12.5 g, note = needles", "the beaker broke"} <= {one["text"] for one in answers}
    assert all(one["dateCreated"] for one in answers)
    told = [one for name, one in found.items() if name.startswith("#value-") and "prov:wasAttributedTo" in one]
    files = {json.dumps(one.get("prov:wasDerivedFrom")): one["name"] for one in told}
    sources = {name: one["name"] for name, one in found.items() if name.startswith("#source-")}
    assert [*sources.values()] == ["elsewhere.csv"], "of the value that was corrected since, the file counts no more"
    assert {json.dumps({"@id": name}) for name in sources} | {"null"} == set(files)
    assert "#person-Ada" in found


def test_a_dry_runs_stand_in_is_software_and_no_person(exported: dict[str, Path]) -> None:
    found = entities(exported["dry"])
    assert found["#stand-in-da"]["@type"] == found["#athanor"]["@type"]
    assert not any(name.startswith("#person-A") for name in found)
    answers = [one for name, one in found.items() if name.startswith("#answer-")]
    assert [(one.get("author"), one["prov:wasAttributedTo"]) for one in answers] == [(None, {"@id": "#stand-in-da"})] * 3
    assert "#stand-in-da" in json.dumps([one["prov:wasAssociatedWith"] for one in found.values() if "prov:wasAssociatedWith" in one])
    assert "#stand-in-da" not in json.dumps([one["agent"] for one in found.values() if "agent" in one])


@pytest.mark.slow
@pytest.mark.parametrize("campaign", ["asked", "cdse-600", "alum", "dry"])
@pytest.mark.usefixtures("asked")
def test_roc_validator_finds_a_crate_valid(exported: dict[str, Path], campaign: str) -> None:
    assert judge_crate(exported[campaign]).endswith("valid by rocrate-validator, profile process-run-crate-0.5")


@pytest.mark.slow
@pytest.mark.usefixtures("asked")
def test_a_crate_with_a_fault_is_named_invalid(exported: dict[str, Path], tmp_path: Path) -> None:
    document = json.loads((exported["asked"] / "ro-crate-metadata.json").read_text())
    root = next(one for one in document["@graph"] if one["@id"] == "./")
    del root["license"]
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(document))
    with pytest.raises(Fault, match="is not valid"):
        judge_crate(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("asked")
def test_without_its_context_a_crate_is_said_to_be_unvalidated(
    exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "empty"))
    assert "not validated: the validator has no copy of the context" in judge_crate(exported["asked"])


def test_without_a_validator_a_crate_is_said_to_be_unvalidated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VALIDATOR, str(tmp_path / "none"))
    assert "not validated: there is no rocrate-validator" in judge_crate(tmp_path)


@pytest.mark.slow
def test_csvw_reads_every_table_as_it_is_described(exported: dict[str, Path], judges: Path) -> None:
    for folder in exported.values():
        done = subprocess.run([judges / "csvwvalidate", str(folder / "csv-metadata.json")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_licence_without_a_crate_is_refused() -> None:
    with pytest.raises(BadInput, match="--licence needs --crate"):
        ExportOptions(licence="CC0")
