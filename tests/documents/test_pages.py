"""Each page of tutorials and how-to guides is carried out as a reader would: every command, every file, every block of Python."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.documents.carrying_out import Reader, has_something_to_do
from tests.documents.terminal import Terminal
from tests.faults.laboratory import Laboratory
from tests.postgresql import Server

DOCUMENTS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page for folder in ("tutorials", "how-to") for page in (DOCUMENTS / folder).glob("*.md") if page.stem != "index")


def _case(page: Path) -> ParameterSet:
    return pytest.param(page, id=f"{page.parent.name}/{page.stem}", marks=[pytest.mark.slow, pytest.mark.page])


@pytest.fixture
def _server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page about PostgreSQL finds at `localhost`."""
    if "postgresql" in request.node.name:
        server: Server = request.getfixturevalue("postgres")
        monkeypatch.setenv("PGPORT", str(server.port))


@pytest.fixture
def reader_of(_server: None, tmp_path: Path) -> Iterator[Callable[[Path], Reader]]:
    """Make readers; whatever they leave running ends with the test."""
    folder = tmp_path / "ada"
    folder.mkdir()
    terminal = Terminal(folder, tmp_path / "terminal")
    yield lambda page: Reader(page, folder, terminal)
    terminal.close()
    for note in folder.rglob("lab.json"):
        Laboratory(note.parent.parent / "campaign.toml", note.parent, 1.0).close()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [_case(page) for page in PAGES])
def test_what_a_page_says_can_be_done_and_shows_what_it_says(
    page: Path, reader_of: Callable[[Path], Reader], record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    reader = reader_of(page)
    reader.read()
    record_property("figure", f"{page.parent.name}/{page.name}: carried out in {time.monotonic() - began:.0f} s")
    for one in reader.skipped:
        record_property("figure", one)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_a_page_has_something_to_do(page: Path) -> None:
    assert has_something_to_do(page)
