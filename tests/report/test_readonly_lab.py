"""A lab that may only be read, such as an archive of before, can be looked at."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flows.cli.reading_commands import export, report, verify
from flows.cli.status import status
from orchestrator.errors import BadInput
from tests.store.readonly import mounted
from tests.store.test_readonly import OLD


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "lab.json").write_text(json.dumps({"kind": "live"}))
    with closing(sqlite3.connect(lab / "ledger.db")) as connection:
        connection.executescript(OLD.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    with mounted(lab):
        yield lab


def test_an_archive_is_looked_at_verified_exported_and_reported(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status(None, lab=archive, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["values"] == {"accepted": 1, "quarantined": 5, "retracted": 1}
    status(None, lab=archive, as_json=False)
    assert "5 of 7 values were quarantined: 1 x Reference without a value" in capsys.readouterr().out
    verify(lab=archive, as_json=False)
    assert "is sound: 29 events" in capsys.readouterr().out
    export(tmp_path / "out", lab=archive)
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        assert [row["value"] for row in csv.DictReader(file)].count("") == 3
    with pytest.raises(BadInput, match=r"report .*dots.html cannot be written: Read-only file system; another place: --out FILE"):
        report(None, lab=archive)
    report(None, lab=archive, out=tmp_path / "report.html")
    report(None, lab=archive, out=tmp_path / "out")
    text = (tmp_path / "report.html").read_text()
    assert "experiment 2, quantum_yield without a value" in text
    assert (tmp_path / "out" / "dots.html").stat().st_size > 0
    assert sorted(file.name for file in archive.iterdir()) == ["lab.json", "ledger.db"]
