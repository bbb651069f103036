"""The unit's lock (DI, LockingServices) and the lamp's function, without a wire."""

import pytest

from simulators.lads_lock import ALREADY_LOCKED, DONE, NOT_LOCKED, UnitLock
from simulators.lamp import Lamp
from simulators.opcua_sessions import Caller
from simulators.unit_states import Refusal, State

ONE, AGAIN, TWO = Caller("urn:one", "ann", "s1"), Caller("urn:one", "ann", "s2"), Caller("urn:two", "", "s3")


@pytest.fixture
def lock() -> UnitLock:
    return UnitLock(10.0)


def test_a_lock_is_taken_once_and_refuses_other_applications_only(lock: UnitLock) -> None:
    assert lock.take(ONE, "", 0.0) == DONE
    assert lock.take(ONE, "", 1.0) == lock.take(TWO, "", 1.0) == ALREADY_LOCKED
    assert (lock.refuses(TWO, 1.0), lock.refuses(AGAIN, 1.0)) == (True, False)


def test_a_silent_holder_loses_the_lock_and_one_that_renews_keeps_it(lock: UnitLock) -> None:
    lock.take(ONE, "", 0.0)
    assert lock.renew(9.0) == DONE
    assert lock.remaining(12.0) == 7.0
    assert lock.is_held(18.9)
    assert not lock.is_held(19.0)
    assert (lock.renew(19.0), lock.give_back(19.0), lock.remaining(19.0)) == (NOT_LOCKED, NOT_LOCKED, 0.0)
    assert lock.take(TWO, "", 19.0) == DONE


def test_a_lock_ends_with_its_session_and_with_no_other(lock: UnitLock) -> None:
    assert not lock.session_ended("")
    lock.take(ONE, "", 0.0)
    assert not lock.session_ended(AGAIN.session)
    assert lock.session_ended(ONE.session)
    assert not lock.is_held(0.0)


def test_clients_without_a_name_lock_as_one(lock: UnitLock) -> None:
    lock.take(Caller("", "", "s1"), "", 0.0)
    assert lock.is_held(1.0)
    assert lock.refuses(ONE, 1.0)


def test_a_lamp_burns_only_while_its_function_runs() -> None:
    lamp = Lamp()
    lamp.target = True
    assert not lamp.is_on
    assert lamp.start() is None
    assert lamp.is_on
    lamp.target = False
    assert (lamp.is_on, lamp.state) == (False, State.RUNNING)
    lamp.start(target=True)
    lamp.stop()
    assert (lamp.is_on, lamp.target) == (False, True)


def test_an_aborted_lamp_is_cleared_before_it_starts_again() -> None:
    lamp = Lamp()
    lamp.start(target=True)
    assert lamp.clear() is Refusal.STATE
    lamp.abort()
    assert (lamp.is_on, lamp.start(target=True)) == (False, Refusal.STATE)
    assert lamp.clear() is None
    assert lamp.start(target=True) is None


def test_a_lamp_comes_back_dark_after_a_power_cut() -> None:
    lamp = Lamp()
    lamp.start(target=True)
    lamp.cut()
    assert (lamp.state, lamp.target, lamp.is_on) == (State.STOPPED, False, False)
