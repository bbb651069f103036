"""What people read first, and what pages say of the code: links lead somewhere, and named files are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_README = 150
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PACKAGES = "athanor|orchestrator|instruments|policies|models|flows|simulators|benchmarks|examples|tests|docs"
NAMED = re.compile(rf"`((?:{PACKAGES})/[a-z0-9_./-]+)`")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_relative_links_lead_to_files(name: str) -> None:
    assert [link for link in LINK.findall((ROOT / name).read_text()) if not (ROOT / link).exists()] == []


def test_files_that_pages_name_are_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {(page.name, path) for page in pages for path in NAMED.findall(page.read_text())}
    assert len(named) > 100
    assert sorted(f"{page}: {path}" for page, path in named if not (ROOT / path).exists()) == []


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
