from pathlib import Path

import pytest
from typing_extensions import override

from orchestrator.ports import Store
from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore
from tests.store.cases import begin, tell_experiment
from tests.store.conformance import Ledgers, StoreConformance
from tests.store.review_conformance import ReviewConformance


class SqlLedgers(Ledgers):
    def __init__(self, place: LedgerPlace) -> None:
        self._place = place

    @override
    def open(self) -> Store:
        return SqlStore.open(self._place, create=True)


class TestSqlStore(StoreConformance):
    @pytest.fixture
    def ledgers(self, place: LedgerPlace) -> Ledgers:
        return SqlLedgers(place)


class TestSqlStoreReviews(ReviewConformance):
    @pytest.fixture
    def ledgers(self, place: LedgerPlace) -> Ledgers:
        return SqlLedgers(place)


def test_a_file_is_found_whatever_its_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a lab #1?" / "100%20"
    folder.mkdir(parents=True)
    store = SqlStore.open(folder / "ledger.sqlite")
    begin(store)
    store.close()
    assert [one.name for one in folder.iterdir()] == ["ledger.sqlite"]


def test_the_same_raw_bytes_are_one_row(place: LedgerPlace) -> None:
    store = SqlStore.open(place, create=True)
    begin(store)
    told = [tell_experiment(store, number) for number in (1, 2)]
    with store.reading() as ledger:
        kept = [content for _, content in ledger.scan_raw()]
    store.close()
    assert set(kept) == {reading.raw for one in told for reading in one.readings}
    assert len(kept) == 3
