"""A ledger that may only be read is read, whole, and nothing is written beside it."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.sql import SqlStore
from tests.store.cases import BY, at, begin, campaign, tell_experiment
from tests.store.readonly import READ_ONLY

OLD = Path(__file__).parent / "ledger-0003.sql"
ReadOnly = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def closed(path: Path) -> int:
    with closing(SqlStore.open(path)) as store:
        begin(store)
        tell_experiment(store)
        return store.head()[0]


def left_by_a_kill(path: Path) -> int:
    """Leave a ledger whose last commits stand in the log alone, as an archive of a killed campaign has it."""
    with tempfile.TemporaryDirectory() as name, closing(SqlStore.open(Path(name) / "ledger.db")) as store:
        begin(store)
        tell_experiment(store)
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{name}/ledger.db{suffix}", f"{path}{suffix}")
        assert path.with_name("ledger.db-wal").stat().st_size > 0
        return store.head()[0]


def with_its_index(path: Path) -> int:
    seq = closed(path)
    with closing(SqlStore.open(path, read_only=True)) as store:
        store.head()  # a reader leaves an empty log and its index behind
        for suffix in ("-wal", "-shm"):
            shutil.copyfile(f"{path}{suffix}", f"{path}{suffix}.kept")
    for suffix in ("-wal", "-shm"):
        path.with_name(f"ledger.db{suffix}.kept").rename(f"{path}{suffix}")
    return seq


def of_before(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return 29


def everything(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("protect", READ_ONLY)
@pytest.mark.parametrize("make", [closed, left_by_a_kill, with_its_index, of_before])
def test_a_ledger_that_may_only_be_read_is_read_whole(folder: Path, make: Callable[[Path], int], protect: ReadOnly) -> None:
    path = folder / "ledger.db"
    expected = make(path)
    before, temporary = everything(folder), set(Path(tempfile.gettempdir()).glob("athanor-ledger-*"))
    with closing(SqlStore.open(path, read_only=True)) as store:  # what is imported on the way may not be readable for nobody
        assert store.head()[0] == expected
    for name in set(everything(folder)) - set(before):
        (folder / name).unlink()
    with protect(folder), closing(SqlStore.open(path, read_only=True)) as store:
        assert store.verify() == ()
        assert store.head()[0] == expected
        assert len(store.changes("dots").measurements) > 0
        with pytest.raises(StoreError, match="it may not be written to, nothing was written"):
            store.create_campaign(campaign("wires"), by=BY, now=at(9))
    assert everything(folder) == before
    assert set(Path(tempfile.gettempdir()).glob("athanor-ledger-*")) <= temporary, "copies are gone"


@pytest.mark.parametrize("protect", READ_ONLY)
def test_to_write_into_it_is_refused_in_one_line(folder: Path, protect: ReadOnly) -> None:
    path = folder / "ledger.db"
    closed(path)
    before = everything(folder)
    with protect(folder), pytest.raises(StoreError, match=r"check that the folder exists and may be written to|it may not be written to"):
        SqlStore.open(path).create_campaign(campaign("wires"), by=BY, now=at(9))
    assert everything(folder) == before


def test_a_ledger_of_before_is_read_where_it_lies_without_being_changed(folder: Path) -> None:
    path = folder / "ledger.db"
    of_before(path)
    before = path.read_bytes()
    with closing(SqlStore.open(path, read_only=True)) as store:
        assert store.verify() == ()
    assert path.read_bytes() == before
