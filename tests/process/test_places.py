"""Where a lab keeps its ledger, and Prefect its database: settled when the lab is made, and never with a password."""

import json
from pathlib import Path

import pytest

from flows.plans.lab import make_lab, open_lab
from flows.prefect_server.server import database_of
from orchestrator.errors import BadInput
from orchestrator.store.place import ServerLedger

URL = "postgresql://ada@db.example/laboratory"
PREFECT = "postgresql+asyncpg://ada@db.example/prefect"


def test_a_lab_goes_by_what_stood_in_the_environment_when_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_lab(tmp_path / "before", beside=tmp_path / "campaign.toml", kind="live")
    monkeypatch.setenv("ATHANOR_LEDGER", URL)
    monkeypatch.setenv("ATHANOR_PREFECT_DATABASE", PREFECT)
    made = make_lab(tmp_path / "made", beside=tmp_path / "campaign.toml", kind="live")
    monkeypatch.delenv("ATHANOR_LEDGER")
    noted = json.loads((made.path / "lab.json").read_text())
    place = open_lab(made.path).ledger
    assert isinstance(place, ServerLedger)
    assert (place.address, place.lab, place.kind) == (URL, noted["id"], "live")
    assert place.schema == f"athanor_{noted['id'][-12:]}"
    assert noted["ledger"] == str(place), "with its schema: a copied lab must not begin another ledger"
    assert database_of(made.prefect_home) == PREFECT
    assert open_lab(before.path).ledger == before.path / "ledger.db"
    assert database_of(before.prefect_home) == f"sqlite+aiosqlite:///{before.prefect_home / 'prefect.db'}"


def test_a_folder_that_has_a_ledger_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "ledger.db").touch()
    monkeypatch.setenv("ATHANOR_LEDGER", URL)
    assert make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live").ledger == tmp_path / "lab" / "ledger.db"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("ATHANOR_LEDGER", "postgresql://ada:s3cret@db/lab", "ATHANOR_LEDGER: there is a password in the URL"),
        ("ATHANOR_LEDGER", "mysql://db/lab", "ATHANOR_LEDGER begins with 'mysql://'; expected postgresql://USER@HOST:PORT/DATABASE"),
        ("ATHANOR_PREFECT_DATABASE", "postgresql+asyncpg://ada:s3cret@db/lab", "ATHANOR_PREFECT_DATABASE: there is a password in the URL"),
        ("ATHANOR_PREFECT_DATABASE", "host=db password=s3cret", "ATHANOR_PREFECT_DATABASE is no URL; expected"),
        ("ATHANOR_PREFECT_DATABASE", URL, r"ATHANOR_PREFECT_DATABASE begins with 'postgresql://'; expected postgresql\+asyncpg://"),
    ],
)
def test_what_is_no_place_or_holds_a_password_makes_no_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadInput, match=said) as refusal:
        make_lab(tmp_path / "lab", beside=tmp_path / "campaign.toml", kind="live")
    assert "s3cret" not in str(refusal.value)
    assert not (tmp_path / "lab" / "lab.json").exists()
