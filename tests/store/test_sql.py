import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typing_extensions import override

from orchestrator.ports import Store
from orchestrator.store.sql import SqlStore
from tests.store.cases import begin, tell_experiment
from tests.store.conformance import Ledgers, StoreConformance
from tests.store.review_conformance import ReviewConformance


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


class TestSqlStoreReviews(ReviewConformance):
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> Ledgers:
        return SqlLedgers(tmp_path / "ledger.sqlite")


def test_the_same_raw_bytes_are_one_row(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    store = SqlStore.open(path, create=True)
    begin(store)
    told = [tell_experiment(store, number) for number in (1, 2)]
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        kept = {row[0] for row in connection.execute("select content from raw_bytes")}
        count = connection.execute("select count(*) from raw_bytes").fetchone()[0]
    assert kept == {reading.raw for one in told for reading in one.readings}
    assert count == len(kept) == 3
