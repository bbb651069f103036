"""A lab whose ledger is moved keeps it whole, or is left alone."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.plans.lab import make_lab, open_lab
from flows.running.ledger_operations import export_ledger, import_ledger
from flows.running.operations import verify
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore
from tests.postgresql import Server
from tests.store.cases import BY, CAMPAIGN, at, begin, tell_experiment

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    made = make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="dry")
    with closing(SqlStore.open(made.ledger)) as store:
        begin(store)
        tell_experiment(store)
    return made.path


def go_on(lab: Path) -> None:
    with closing(SqlStore.open(open_lab(lab).ledger)) as store:
        store.take_up(CAMPAIGN, by=BY, now=at(9))


def test_a_ledger_moves_to_a_server_and_back_under_the_same_lab(lab: Path, tmp_path: Path, postgres: Server) -> None:
    first = verify(open_lab(lab))
    export_ledger(open_lab(lab), tmp_path / "there.db")
    moved = import_ledger(tmp_path / "there.db", lab, postgres.address)
    assert moved.place == open_lab(lab).ledger
    assert moved.head == (first.events, first.head)
    go_on(lab)
    there = verify(open_lab(lab))
    export_ledger(open_lab(lab), tmp_path / "back.db")
    with pytest.raises(BadInput, match=r"ledger\.db holds 8 events; a ledger is imported into an empty one only"):
        import_ledger(tmp_path / "back.db", lab, "file")
    (lab / "ledger.db").unlink()
    assert import_ledger(tmp_path / "back.db", lab, "file").head == (there.events, there.head)
    assert open_lab(lab).ledger == lab / "ledger.db"
    assert verify(open_lab(lab)).complaints == ()


def test_a_lab_that_went_on_since_its_ledger_was_exported_is_left_alone(lab: Path, tmp_path: Path, postgres: Server) -> None:
    export_ledger(open_lab(lab), tmp_path / "there.db")
    go_on(lab)
    with pytest.raises(BadInput, match="went on since this one was exported"):
        import_ledger(tmp_path / "there.db", lab, postgres.address)
    assert open_lab(lab).ledger == lab / "ledger.db"


def test_a_lab_of_the_other_kind_a_plain_ledger_and_a_file_that_is_there_are_refused(lab: Path, tmp_path: Path) -> None:
    export_ledger(open_lab(lab), tmp_path / "there.db")
    live = make_lab(tmp_path / "live", beside=tmp_path / "campaign.toml", kind="live")
    with pytest.raises(BadInput, match="is live, the ledger is that of a dry lab"):
        import_ledger(tmp_path / "there.db", live.path)
    with pytest.raises(BadInput, match="does not say which lab's it is; expected one that `athanor export --ledger` wrote"):
        import_ledger(lab / "ledger.db", tmp_path / "new")
    shutil.copyfile(tmp_path / "there.db", tmp_path / "nobodys.db")
    with closing(sqlite3.connect(tmp_path / "nobodys.db")) as file, file:
        file.execute("DELETE FROM lab")
    with pytest.raises(BadInput, match="does not say which lab's it is"):
        import_ledger(tmp_path / "nobodys.db", tmp_path / "new")
    with pytest.raises(BadInput, match="is there already; name a new file"):
        export_ledger(open_lab(lab), tmp_path / "there.db")
