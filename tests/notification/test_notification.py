"""Each event reaches each address once; a dead address costs the caller nothing and says so in one line without secrets."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.notification import QUEUE_LENGTH, Event, Notifier
from tests.notification.sink import Sink, sink

HUSH = "hush-hush"


@pytest.fixture
def live() -> Iterator[Sink]:
    with sink() as serving:
        yield serving


def dead_address() -> str:
    """Return an address whose port is closed."""
    with sink() as gone:
        return gone.address


def tell_all(notifier: Notifier) -> None:
    for event in Event:
        notifier.notify(event, "cdse-600", f"body of {event.name}", key=f"{event.name} 1")


def of_notification(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "instruments.notification"]


def test_each_event_arrives_once_however_often_it_is_told(live: Sink, tmp_path: Path) -> None:
    notifier = Notifier([live.address], tmp_path)
    tell_all(notifier)
    tell_all(notifier)
    notifier.close(60.0)
    assert live.titles == [f"Athanor ({event}): cdse-600" for event in Event]
    assert live.messages[0]["message"] == "body of WAITING"


def test_another_process_of_the_lab_tells_only_what_is_new(live: Sink, tmp_path: Path) -> None:
    first = Notifier([live.address], tmp_path)
    tell_all(first)
    first.close(60.0)
    second = Notifier([live.address], tmp_path)
    tell_all(second)
    second.notify(Event.WAITING, "cdse-600", "another", key="WAITING 2")
    second.close(60.0)
    assert len(live.messages) == len(Event) + 1
    assert live.messages[-1]["message"] == "another"


def test_what_is_remembered_in_the_lab_holds_no_address(live: Sink, tmp_path: Path) -> None:
    notifier = Notifier([live.address], tmp_path)
    tell_all(notifier)
    notifier.close(60.0)
    kept = list(tmp_path.rglob("*"))
    assert len(kept) == len(Event)
    assert all(path.read_bytes() == b"" and HUSH not in path.name for path in kept)


def test_the_caller_goes_on_while_a_sink_holds_its_request(live: Sink, tmp_path: Path) -> None:
    with sink() as holding:
        holding.free.clear()
        notifier = Notifier([holding.address, live.address], tmp_path)
        notifier.notify(Event.WAITING, "c", "first", key="1")
        holding.await_messages(1)
        tell_all(notifier)  # returns, though the first request has no answer yet
        assert not holding.free.is_set()
        assert len(holding.messages) == 1
        live.await_messages(1 + len(Event))  # the other address does not wait either
        assert not holding.free.is_set()
        notifier.close(0.0)


def test_a_sink_that_never_answers_fills_its_queue_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with sink() as holding, caplog.at_level(logging.DEBUG):
        holding.free.clear()
        notifier = Notifier([holding.address])
        for number in range(3 * QUEUE_LENGTH):
            notifier.notify(Event.PAUSED, "c", "x", key=str(number))
        assert of_notification(caplog) == [
            f"message to json://***: {QUEUE_LENGTH} messages wait already; told again only after one has arrived"
        ]
        assert not holding.free.is_set()
        notifier.close(0.0)


def test_a_dead_sink_gives_one_line_without_secrets_and_keeps_nothing_from_a_live_one(
    live: Sink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        notifier = Notifier([dead_address(), live.address], tmp_path)
        tell_all(notifier)
        live.await_messages(len(Event))
        notifier.close(60.0)
    assert of_notification(caplog) == ["message to json://***: not delivered; told again only after one has arrived"]
    assert not [record for record in caplog.records if HUSH in record.getMessage()]


def test_what_did_not_arrive_is_told_by_the_next_process(tmp_path: Path) -> None:
    with sink(status=500) as refusing:
        first = Notifier([refusing.address], tmp_path)
        first.notify(Event.UNKNOWN, "c", "settle it", key="run 1")
        first.close(60.0)
        refusing.status = 200
        second = Notifier([refusing.address], tmp_path)
        second.notify(Event.UNKNOWN, "c", "settle it", key="run 1")
        second.close(60.0)
        assert len(refusing.messages) == 2
        third = Notifier([refusing.address], tmp_path)
        third.notify(Event.UNKNOWN, "c", "settle it", key="run 1")
        third.close(60.0)
        assert len(refusing.messages) == 2


def test_whatever_the_carrier_raises_stays_in_the_background(caplog: pytest.LogCaptureFixture) -> None:
    def carrier(address: str, title: str, body: str) -> bool:
        raise ValueError(f"cannot send to {address}")

    notifier = Notifier([f"json://{HUSH}@nowhere"], send=carrier)
    notifier.notify(Event.FINISHED, "c", "x", key="1")
    notifier.close(60.0)
    assert of_notification(caplog) == ["message to json://***: ValueError; told again only after one has arrived"]


def test_the_addresses_come_from_the_environment_and_may_hold_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []

    def carrier(address: str, title: str, body: str) -> bool:
        told.append((address, body))
        return True

    monkeypatch.setenv("ATHANOR_NOTIFY", " mailto://a:b@c.org?to=x@c.org,y@c.org, json://h:1\ttgram://t/1 ,")
    wanted = ["mailto://a:b@c.org?to=x@c.org,y@c.org", "json://h:1", "tgram://t/1"]
    notifier = Notifier.from_environment(send=carrier)
    notifier.notify(Event.FINISHED, "c", "done", key="1")
    notifier.close(60.0)
    assert sorted(told) == sorted((address, "done") for address in wanted)


def test_what_is_no_address_is_named_by_its_place_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ATHANOR_NOTIFY", HUSH)
    Notifier.from_environment().notify(Event.FINISHED, "c", "x", key="1")
    assert of_notification(caplog) == ["ATHANOR_NOTIFY: what stands first is no address; expected one like 'json://host:port'"]


@pytest.mark.parametrize("addresses", ["", "json://127.0.0.1:9"])
def test_apprise_is_not_loaded_before_there_is_something_to_send(addresses: str) -> None:
    script = "import sys; from instruments.notification import Notifier; Notifier.from_environment(); print('apprise' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "ATHANOR_NOTIFY": addresses},
    )
    assert done.stdout.strip() == "False"
