"""Holds a campaign until it is killed: `python -m tests.store.holding LEDGER` prints a line once it does."""

import sys
import time

from orchestrator.store.sql import database_of
from tests.store.cases import CAMPAIGN
from tests.store.places import read_place

if __name__ == "__main__":
    with database_of(read_place(sys.argv[1])).holding(CAMPAIGN, take_over=False):
        print("held", flush=True)
        time.sleep(600)
