"""The example that the tutorial writes is short, and is the one in the repository."""

from pathlib import Path

import pytest

from tests.documents.reading import Block, read_page
from tests.plugins.writing import EXAMPLE

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "attach-your-own-device.md"


def test_driver_and_body_are_shorter_than_80_lines() -> None:
    assert len((EXAMPLE / "burette.py").read_text().splitlines()) < 80


@pytest.mark.parametrize("name", ["burette.py", "bench.toml", "plant.toml", "campaign.toml"])
def test_the_tutorial_writes_the_files_of_the_example(name: str) -> None:
    (block,) = [one for one in read_page(PAGE) if isinstance(one, Block) and one.file == f"lab/{name}"]
    assert block.text == (EXAMPLE / name).read_text()
