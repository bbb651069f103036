from pathlib import Path

import pytest
from typing_extensions import override

from orchestrator.ports import Store
from orchestrator.store.sql import SqlStore
from tests.store.conformance import Ledgers, StoreConformance


class SqlLedgers(Ledgers):
    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def open(self) -> Store:
        return SqlStore.open(self._path, create=True)


class TestSqlStore(StoreConformance):
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> Ledgers:
        folder = tmp_path / "a lab #1?" / "100%20"
        folder.mkdir(parents=True)
        return SqlLedgers(folder / "ledger.sqlite")
