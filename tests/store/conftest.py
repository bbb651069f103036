"""A new ledger on each kind of database."""

from pathlib import Path

import pytest

from orchestrator.store.place import LedgerPlace
from tests.postgresql import Server


@pytest.fixture(params=["file", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerPlace:
    """Where a ledger is to be made."""
    if request.param == "file":
        return tmp_path / "ledger.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.ledger()
