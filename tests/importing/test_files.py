"""Each file that people could have is read right, or refused with file, line and column; none is guessed at silently."""

import contextlib
from pathlib import Path

import pytest

from orchestrator.domain.campaign import CampaignFile, parse_campaign
from orchestrator.domain.entered import Entered, Entry
from orchestrator.errors import BadInput
from orchestrator.importing.preview import Preview, preview
from tests.importing.read_right import READ
from tests.importing.refused import REFUSED
from tests.importing.table import CAMPAIGN, File, Row
from tests.importing.workbooks import EXCEL

FILES = [*READ, *REFUSED, *EXCEL]


@pytest.fixture(scope="module")
def campaign() -> CampaignFile:
    return parse_campaign(CAMPAIGN, Path("campaign.toml"), free=True)


def seen(file: File, campaign: CampaignFile, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Preview:
    monkeypatch.chdir(folder)
    Path(file.path).write_bytes(file.content)
    Path("m.toml").write_text(file.mapping, encoding="utf-8")
    return preview(Path(file.path), campaign, Path("m.toml"))


def end(entry: Entry) -> Row:
    values = {name: plain(one) for name, one in entry.values.items()}
    if entry.configuration is None:
        return Row(values=values, at=entry.measured_at, run=entry.run)
    configuration = {name: one if isinstance(one, str) else pytest.approx(one, rel=1e-12) for name, one in entry.configuration.items()}
    return Row(**configuration, values=values, at=entry.measured_at, run=entry.run)  # type: ignore[arg-type]  # approximate numbers


def plain(one: Entered) -> object:
    if one.value is None:
        return one.reason
    value = pytest.approx(one.value, rel=1e-12)
    return value if one.uncertainty is None else (value, pytest.approx(one.uncertainty, rel=1e-12))


def test_there_are_files_enough() -> None:
    assert len(FILES) >= 40
    assert len({file.name for file in FILES}) == len(FILES)


@pytest.mark.parametrize("file", [file for file in FILES if not file.said], ids=lambda file: file.name)
def test_a_file_is_read_right(file: File, campaign: CampaignFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(file, campaign, tmp_path, monkeypatch)
    assert found.problems == ()
    assert tuple(map(end, found.entries)) == file.entries
    assert found.may_be_brought
    assert set(file.notes) <= set(found.notes)


@pytest.mark.parametrize("file", [file for file in FILES if file.said], ids=lambda file: file.name)
def test_a_file_is_refused_with_its_place(file: File, campaign: CampaignFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        found = seen(file, campaign, tmp_path, monkeypatch)
    except BadInput as error:
        said = str(error)
    else:
        assert not found.may_be_brought
        said = found.problems[0]
    assert file.said in said
    assert "\n" not in said


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_without_a_mapping_nothing_may_be_brought(file: File, campaign: CampaignFile, tmp_path: Path) -> None:
    (tmp_path / file.path).write_bytes(file.content)
    with contextlib.suppress(BadInput):
        assert not preview(tmp_path / file.path, campaign).may_be_brought
