"""A relay passes everything on but what it was told to spoil: on a socket and on a serial line, before a peer that counts."""

import os
import select
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.instrument.peer import peer_on
from tests.relays.relay import PtyRelay, TcpRelay, opcua_messages
from tests.relays.tampering import Tampering, Trouble

QUESTIONS = (b"A?\r", b"B?\r", b"C?\r")
ANSWERS = {b"A?\r": b"a=12.34\r", b"B?\r": b"b=56.78\r", b"C?\r": b"c=90.12\r"}
SPOILT = [
    (Tampering(Trouble.LOSE_REPLY, b"B"), [b"a=12.34\r", b"", b"c=90.12\r"]),
    (Tampering(Trouble.LOSE_REQUEST, b"B"), [b"a=12.34\r", b"", b"c=90.12\r"]),
    (Tampering(Trouble.REFUSE, b"B", data=b"no\r"), [b"a=12.34\r", b"no\r", b"c=90.12\r"]),
    (Tampering(Trouble.DROP_MIDDLE, b"B"), [b"a=12.34\r", b"b=5678\r", b"c=90.12\r"]),
    (Tampering(Trouble.HALF, b"B"), [b"a=12.34\r", b"b=56", b"c=90.12\r"]),
    (Tampering(Trouble.DUPLICATE, b"B"), [b"a=12.34\r", b"b=56.78\rb=56.78\r", b"c=90.12\r"]),
    (Tampering(Trouble.GLUE, b"B"), [b"a=12.34\r", b"a=12.34\rb=56.78\r", b"c=90.12\r"]),
    (Tampering(Trouble.REORDER, b"B"), [b"a=12.34\r", b"", b"c=90.12\rb=56.78\r"]),
    (Tampering(Trouble.FLIP, b"B"), [b"a=12.34\r", b"b=56/78\r", b"c=90.12\r"]),
    (Tampering(Trouble.CHECKSUM, b"B", data=b"\r"), [b"a=12.34\r", b"b=56.79\r", b"c=90.12\r"]),
    (Tampering(Trouble.BEFORE, b"B", data=b"!\r"), [b"a=12.34\r", b"!\rb=56.78\r", b"c=90.12\r"]),
    (Tampering(Trouble.CHANGE, b"B", change=bytes.upper), [b"a=12.34\r", b"B=56.78\r", b"c=90.12\r"]),
    (Tampering(Trouble.GARBLE, b"[BC]", nth=2), [b"a=12.34\r", b"b=56.78\r", bytes(one ^ 0x55 for one in b"c=90.12\r")]),
]
WAIT = 0.25
"""s without a byte after which nothing more is expected."""


def heard(number: int, first: float = 5.0) -> bytes:
    """Read until the line is quiet, waiting a while for the first byte."""
    data = b""
    while select.select([number], [], [], WAIT if data else first)[0] and (chunk := os.read(number, 4096)):
        data += chunk
    return data


def ask(number: int, expected: list[bytes]) -> list[bytes]:
    answers = []
    for question, answer in zip(QUESTIONS, expected, strict=True):
        os.write(number, question)
        answers.append(heard(number, 5.0 if answer else WAIT))
    return answers


@contextmanager
def on_a_line(folder: Path) -> Iterator[tuple[PtyRelay, int]]:
    with peer_on(folder / "device", lambda request: [(0.0, ANSWERS[request])]), PtyRelay(str(folder / "device"), folder / "wire") as relay:
        number = os.open(folder / "wire", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(number)
        yield relay, number
        os.close(number)


@pytest.mark.parametrize(("tampering", "expected"), SPOILT, ids=[one.trouble for one, _ in SPOILT])
def test_one_exchange_is_spoilt_and_the_others_are_not(tmp_path: Path, tampering: Tampering, expected: list[bytes]) -> None:
    with on_a_line(tmp_path) as (relay, number):
        relay.arm(tampering)
        assert ask(number, expected) == expected
        assert tampering.struck == 1


def test_an_answer_comes_late_and_all_of_it(tmp_path: Path) -> None:
    with on_a_line(tmp_path) as (relay, number):
        relay.arm(Tampering(Trouble.DELAY, b"A", seconds=0.5))
        os.write(number, b"A?\r")
        assert heard(number, WAIT) == b""
        assert heard(number) == b"a=12.34\r"


def test_a_line_that_is_cut_is_another_one_afterwards(tmp_path: Path) -> None:
    with on_a_line(tmp_path) as (relay, number):
        relay.cut()
        with pytest.raises(OSError, match="Input/output error"):
            os.write(number, b"A?\r")
        until = time.monotonic() + 5.0
        while not relay.link.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        again = os.open(relay.link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(again)
        assert ask(again, list(ANSWERS.values())) == list(ANSWERS.values())
        os.close(again)


def test_a_connection_is_cut_and_can_be_had_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        echo = threading.Thread(target=echoing, args=(server, 2))
        echo.start()
        with TcpRelay("127.0.0.1", int(server.getsockname()[1])) as relay:
            armed = relay.arm(Tampering(Trouble.CUT, b"B"))
            for question, answer in ((b"A?\r", b"A?\r"), (b"B?\r", b"")):
                with socket.create_connection(("127.0.0.1", relay.port), timeout=5.0) as one:
                    one.sendall(question)
                    assert one.recv(100) == answer
            assert armed.struck == 1
        echo.join()


def echoing(server: socket.socket, times: int) -> None:
    for _ in range(times):
        one, _ = server.accept()
        with one, suppress(ConnectionResetError):
            while data := one.recv(100):
                one.sendall(data)


def test_messages_of_opcua_are_cut_by_their_size() -> None:
    first, second = b"MSGF\x0c\x00\x00\x00abcd", b"MSGF\x0a\x00\x00\x00xy"
    assert opcua_messages(first + second[:9]) == ([first], second[:9])
    assert opcua_messages(first + second) == ([first, second], b"")
