import pytest
from typing_extensions import override

from orchestrator.ports import Store
from tests.store.conformance import Ledgers, StoreConformance
from tests.store.memory import MemoryLedger, MemoryStore
from tests.store.review_conformance import ReviewConformance


class MemoryLedgers(Ledgers):
    def __init__(self) -> None:
        self._ledger = MemoryLedger()

    @override
    def open(self) -> Store:
        return MemoryStore(self._ledger)


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def ledgers(self) -> Ledgers:
        return MemoryLedgers()


class TestMemoryStoreReviews(ReviewConformance):
    @pytest.fixture
    def ledgers(self) -> Ledgers:
        return MemoryLedgers()
