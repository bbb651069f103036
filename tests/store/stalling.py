"""Begins to write, and never comes to an end: `python -m tests.store.stalling LEDGER` prints a line and sleeps in mid-transaction."""

import sys
import time

from orchestrator.store.sql import SqlStore
from tests.store.cases import CAMPAIGN
from tests.store.places import read_place

if __name__ == "__main__":
    with SqlStore.open(read_place(sys.argv[1])) as store, store.writing() as ledger:
        print(ledger.fence(CAMPAIGN), flush=True)
        time.sleep(600)
