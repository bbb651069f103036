"""The empty template: legal, told what it lacks in a line each, and with every section in it as an example that holds."""

import re
from collections import Counter
from pathlib import Path

import pytest

from flows.cli.check import check_file
from flows.cli.init import SCAFFOLDS, Template, scaffold
from flows.plans.description import described
from flows.plans.plan import load_plan
from flows.plans.unfilled import unfilled
from instruments.bench.delivery import delivered
from instruments.bench.spec import BenchSpec
from orchestrator.domain.campaign import CampaignSpec
from orchestrator.errors import BadInput
from orchestrator.textfile import parse_toml

INSTEAD = {"candidates", "recorded"}
"""Sections that take the place of others: named in a line, without an example."""


def blank(folder: Path, *, shown: bool = False) -> Path:
    """Make the template; with its examples taken out of their comments where they are to be `shown`."""
    scaffold(folder, Template.BLANK)
    if shown:
        for path in folder.glob("*.toml"):
            path.write_text(re.sub(r"^#(?! )", "", path.read_text(), flags=re.MULTILINE))
        (folder / "plant.toml").touch()
    return folder / "campaign.toml"


def test_check_says_in_a_line_each_what_an_empty_campaign_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = blank(tmp_path)
    found = unfilled(file)
    assert [re.sub(r".*to be filled in: |, .*", "", one) for one in found] == [
        "[[parameters]]",
        "[[targets]]",
        "[instruments.NAME]",
        "[[procedure.steps]]",
    ]
    with pytest.raises(BadInput, match="4 sections are to be filled in"):
        check_file(file, connect=False, lab=None, data=None, as_json=False)
    said = capsys.readouterr().out.replace("\n", "")
    assert said.count("to be filled in") == len(found)
    with pytest.raises(BadInput, match=r"to be filled in: \[\[parameters\]\].*to be filled in: \[\[procedure.steps\]\]"):
        check_file(file, connect=False, lab=None, data=None, as_json=True)


def test_its_examples_taken_together_are_a_campaign_that_holds_and_that_a_dry_run_would_answer(tmp_path: Path) -> None:
    file = blank(tmp_path, shown=True)
    assert unfilled(file) == ()
    plan = load_plan(file)
    assert plan.bench is not None
    takes = Counter(one.instrument for one in plan.recipe.expand(plan.sample[0]) if delivered(one) > 0)
    assert all(takes[stock.delivered_by] <= 1 for stock in plan.bench.spec.stocks.values()), "no volume is counted twice"
    told = described(plan)
    assert told["no_dry_run"] is None
    assert told["stand_ins"].keys() == {"bath", "pump", "chemist"}


def test_a_plant_file_that_is_wrong_leaves_no_dry_run_and_check_says_why(tmp_path: Path) -> None:
    plan = load_plan(blank(tmp_path, shown=True))
    (tmp_path / "plant.toml").write_text('[tube]\nvolume = "none"\n')
    assert described(plan)["no_dry_run"].startswith(f"plant file {tmp_path / 'plant.toml'}: tube.")


@pytest.mark.parametrize(("name", "spec"), [("campaign.toml", CampaignSpec), ("bench.toml", BenchSpec)])
def test_every_section_of_a_file_is_in_it_with_a_line_that_says_what_it_is_for(
    name: str, spec: type[CampaignSpec | BenchSpec], tmp_path: Path
) -> None:
    before = blank(tmp_path / "a").with_name(name).read_text()
    blank(tmp_path / "b", shown=True)
    text = (tmp_path / "b" / name).read_text()
    document = parse_toml(text, what=name)
    assert document.keys() | INSTEAD >= spec.model_fields.keys()
    for one in INSTEAD & spec.model_fields.keys():
        assert f"[{one}]" in before
    lines = text.splitlines()
    for key in document:
        first = next(number for number, line in enumerate(lines) if re.match(rf"\[+{key}\b", line))
        assert "#" in lines[first] or lines[first - 1].startswith("# "), key


def test_each_template_can_be_made_and_names_its_own_files(tmp_path: Path) -> None:
    for template in Template:
        made = scaffold(tmp_path / template, template)
        assert made is SCAFFOLDS[template]
        assert {one.name for one in (tmp_path / template).iterdir()} == set(made.files)
        assert {file for _, file in made.then} <= set(made.files)
