"""Tampering with the file itself: the check names each event and row."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.domain.events import EventKind
from orchestrator.store.sql import SqlStore
from tests.store.cases import BY, at, begin, campaign, tell_experiment


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    store = SqlStore.open(path, create=True)
    begin(store)
    tell_experiment(store, 1)
    tell_experiment(store, 2)
    assert store.verify() == ()
    store.close()
    return path


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
        connection.commit()


def faults(path: Path) -> list[str]:
    store = SqlStore.open(path, read_only=True)
    lines = store.verify()
    store.close()
    return list(lines)


def only(path: Path, *expected: str) -> None:
    found = faults(path)
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start), found


def test_an_untouched_ledger_is_sound(ledger: Path) -> None:
    assert faults(ledger) == []


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'x'",
        "version = 1",
        "campaign = 'x'",
        "subject = 'x'",
        "wall = 'x'",
        "lab = 5.5",
        "lab = 'x'",
        "lab = x'00'",
        "by = 'x'",
        "digest = 'x'",
        "payload = payload || ' '",
    ],
)
def test_an_altered_event_is_named(ledger: Path, change: str) -> None:
    tamper(ledger, f"update events set {change} where seq = 6")
    assert faults(ledger)[0] == "event 6: altered (its content does not have its digest)"


@pytest.mark.parametrize("payload", ["nonsense", "[]", "{}", '{"documents": {"x": [{}]}}', '{"documents": {"runs": [{}]}}'])
def test_an_event_with_an_unreadable_payload_is_named(ledger: Path, payload: str) -> None:
    tamper(ledger, f"update events set payload = '{payload}' where seq = 6")
    assert faults(ledger)[:2] == ["event 6: altered (its content does not have its digest)", "event 6: unreadable payload"]


def test_an_altered_document_in_an_event_disagrees_with_its_row_too(ledger: Path) -> None:
    tamper(ledger, "update events set payload = replace(payload, '512.5', '612.5') where seq = 8")
    only(ledger, "event 8: altered", "measurements dots-p1-r1-a1/wavelength/1/1: altered; it disagrees with event 8")


def test_a_removed_event_is_named(ledger: Path) -> None:
    tamper(ledger, "delete from events where seq = 6")
    only(ledger, "event 6: missing", "event 7: does not follow event 5")


def test_a_removed_event_whose_place_was_closed_is_named(ledger: Path) -> None:
    later = [f"update events set seq = {seq - 1} where seq = {seq}" for seq in range(7, 15)]
    tamper(ledger, "delete from events where seq = 6", *later)
    assert faults(ledger)[0].startswith("event 6: altered")


def test_an_inserted_event_is_named(ledger: Path) -> None:
    columns = "kind, version, campaign, subject, payload, wall, lab, by, previous, digest"
    tamper(ledger, f"insert into events (seq, {columns}) select 15, {columns} from events where seq = 7")
    assert faults(ledger)[0].startswith("event 15: altered")


def test_an_event_put_before_the_first_is_named(ledger: Path) -> None:
    store = SqlStore.open(ledger)
    head = store.head()
    store.update_campaign(store.campaigns()[0], kind=EventKind.ADAPTED, by=BY, now=at(9))
    store.close()
    tamper(ledger, f"update events set seq = -1 where seq = {head[0] + 1}")
    assert faults(ledger)[0].startswith("event -1: altered")


def test_events_that_changed_places_are_named(ledger: Path) -> None:
    swap = ("update events set seq = 99 where seq = 6", "update events set seq = 6 where seq = 7")
    tamper(ledger, *swap, "update events set seq = 7 where seq = 99")
    assert [line[:16] for line in faults(ledger)[:2]] == ["event 6: altered", "event 7: altered"]


def test_a_forged_chain_from_an_event_on_shows_in_the_rows(ledger: Path, tmp_path: Path) -> None:
    other = SqlStore.open(tmp_path / "forged.sqlite", create=True)
    begin(other)
    tell_experiment(other, 1)
    tell_experiment(other, 3)
    other.close()
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(f"attach '{tmp_path / 'forged.sqlite'}' as forged")
        connection.execute("delete from events")
        connection.execute("insert into events select * from forged.events")
        connection.commit()
    found = faults(ledger)
    assert "runs dots-p2-r1-a1: extra; no event recorded it" in found
    assert "runs dots-p3-r1-a1: missing; event 14 recorded it" in found


@pytest.mark.parametrize(
    ("table", "key", "change"),
    [
        ("campaigns", "dots", "status = 'finished'"),
        ("campaigns", "dots", "fence = 0 + 7"),
        ("campaigns", "dots", "document = replace(document, 'budget = 3', 'budget = 9')"),
        ("proposals", "dots-p1/1", "status = 'rejected'"),
        ("proposals", "dots-p1/1", "document = replace(document, '240.5', '340.5')"),
        ("runs", "dots-p1-r1-a1", "ingested = 0"),
        ("runs", "dots-p1-r1-a1", "document = document || ' '"),
        ("runs", "dots-p1-r1-a1", "document = 'x'"),
        ("runs", "dots-p1-r1-a1", "document = '{}'"),
        ("runs", "dots-p1-r1-a1", "event_seq = 7"),
        ("runs", "dots-p1-r1-a1", "event_seq = 99"),
        ("measurements", "dots-p1-r1-a1/wavelength/1/1", "value = 513.0"),
        ("measurements", "dots-p1-r1-a1/wavelength/1/1", "status = 'retracted'"),
    ],
)
def test_an_altered_row_is_named(ledger: Path, table: str, key: str, change: str) -> None:
    where = {"campaigns": "name", "proposals": "proposal_id"}.get(table, "run_key")
    target = " and target = 'wavelength'" if table == "measurements" else ""
    tamper(ledger, f"update {table} set {change} where {where} = '{key.split('/')[0]}'{target}")
    only(ledger, f"{table} {key}: altered; it ")


def test_a_row_with_another_key_is_one_extra_and_one_missing(ledger: Path) -> None:
    tamper(ledger, "update runs set run_key = 'x' where run_key = 'dots-p1-r1-a1'")
    only(ledger, "runs x: extra", "runs dots-p1-r1-a1: missing; event 8")


@pytest.mark.parametrize("table", ["campaigns", "proposals", "runs", "measurements"])
def test_removed_rows_are_named(ledger: Path, table: str) -> None:
    tamper(ledger, f"delete from {table}")
    assert all(line.startswith(f"{table} ") and ": missing; event" in line for line in faults(ledger))
    assert faults(ledger)


def test_an_added_row_is_named(ledger: Path) -> None:
    rest = "revision, campaign, number, status, event_seq, document"
    row = f"select 'new', {rest} from proposals limit 1"
    tamper(ledger, f"insert into proposals (proposal_id, {rest}) {row}")
    only(ledger, "proposals new/1: extra; no event recorded it")


@pytest.mark.parametrize(
    "change",
    ["document = replace(document, '23.4', '23.5')", "sha256 = null", "seq = 7", "run_key = 'x'", "event_seq = 7"],
)
def test_an_altered_reading_is_named(ledger: Path, change: str) -> None:
    tamper(ledger, f"update raw_readings set {change} where run_key = 'dots-p1-r1-a1' and seq = 0")
    found = faults(ledger)
    assert found
    assert all(line.startswith("raw_readings ") for line in found)


def test_removed_and_added_readings_are_named(ledger: Path) -> None:
    tamper(
        ledger,
        "insert into raw_readings select 'dots-p1-r1-a1', 2, sha256, event_seq, document from raw_readings limit 1",
        "delete from raw_readings where run_key = 'dots-p2-r1-a1' and seq = 0",
    )
    only(
        ledger,
        "raw_readings dots-p1-r1-a1/2: extra; event 8 did not record it",
        "raw_readings dots-p2-r1-a1/0: missing; event 14 recorded it",
    )
    tamper(ledger, "delete from raw_readings")
    assert "raw_readings: all that event 8 recorded are missing" in faults(ledger)


def test_altered_removed_and_added_raw_bytes_are_named(ledger: Path) -> None:
    tamper(
        ledger,
        "update raw_bytes set content = x'00' where content = cast('spectrum 1' as blob)",
        "delete from raw_bytes where content = cast('spectrum 2' as blob)",
        "insert into raw_bytes values ('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', x'')",
    )
    only(
        ledger,
        f"raw_bytes {sha256(b'spectrum 1').hexdigest()}: altered",
        f"raw_bytes {sha256(b'spectrum 2').hexdigest()}: missing; reading dots-p2-r1-a1/1 has it",
        "raw_bytes e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855: extra",
    )


@pytest.fixture
def shorter(tmp_path: Path) -> Path:
    path = tmp_path / "shorter.sqlite"
    store = SqlStore.open(path, create=True)
    store.create_campaign(campaign(), by=BY, now=at(0))
    store.create_campaign(campaign("wires"), by=BY, now=at(1))
    store.close()
    return path


def test_a_cut_off_tail_shows_only_in_the_head(shorter: Path) -> None:
    store = SqlStore.open(shorter, read_only=True)
    printed = store.head()
    store.close()
    tamper(shorter, "delete from events where seq = 2", "delete from campaigns where name = 'wires'")
    assert faults(shorter) == []
    store = SqlStore.open(shorter, read_only=True)
    assert store.head() != printed
    store.close()
