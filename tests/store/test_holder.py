"""Two machines at one ledger: the second is told who carries the campaign on, and only a silent holder is displaced."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orchestrator.errors import LockHeld
from orchestrator.store.place import ServerLedger
from orchestrator.store.postgresql_holder import holding
from tests.postgresql import Server
from tests.store.cases import CAMPAIGN

pytestmark = pytest.mark.slow
SILENT = 4.0
"""More than the seconds between two signs, on a busy machine."""


@contextmanager
def holder(place: ServerLedger) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-m", "tests.store.holding", str(place)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_newcomer_is_told_who_holds_the_campaign_until_that_one_is_gone(postgres: Server) -> None:
    place = postgres.ledger()
    with holder(place) as process:
        for take_over in (False, True):  # one that gives signs of life is never displaced
            with pytest.raises(LockHeld) as refusal, holding(place, CAMPAIGN, take_over=take_over):
                pass
            told = f"athanor, pid {process.pid} on {socket.gethostname()}"
            assert str(refusal.value).startswith(f"campaign {CAMPAIGN} of ledger {place} is carried on by {told}")
            assert "(from 127.0.0.1, since 20" in str(refusal.value)
        with holding(place, "wires", take_over=False):
            pass
        process.kill()
        process.wait()
        hold_soon(place)


def hold_soon(place: ServerLedger) -> None:
    """The server notices a death by itself, a moment later."""
    for _ in range(50):
        try:
            with holding(place, CAMPAIGN, take_over=False):
                return
        except LockHeld:
            time.sleep(0.1)
    raise AssertionError("the dead still hold it")


def test_a_silent_holder_is_displaced_where_that_is_said(postgres: Server) -> None:
    place = postgres.ledger()
    with holder(place) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(SILENT)
        with pytest.raises(LockHeld), holding(place, CAMPAIGN, take_over=False, silent_after=SILENT / 2):
            pass
        with holding(place, CAMPAIGN, take_over=True, silent_after=SILENT / 2) as displaced:
            assert displaced is not None
            assert displaced.startswith(f"athanor, pid {process.pid} on")
            assert displaced.endswith("gave no sign of life and was displaced")
