"""One of several writers of one ledger: `python -m tests.store.competing LEDGER NAME COUNT`."""

import sys

from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore
from tests.store.cases import BY, at, begin, tell_experiment
from tests.store.places import read_place


def main(place: LedgerPlace, name: str, count: int) -> None:
    """Make the ledger when it is not there, and tell a campaign of one's own."""
    store = SqlStore.open(place, create=True)
    begin(store, name)
    store.take_up(name, by=BY, now=at(0))
    for number in range(1, count + 1):
        tell_experiment(store, number, name=name)
    store.close()


if __name__ == "__main__":
    main(read_place(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
