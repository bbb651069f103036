"""Each branch of the tree says what to do next."""

import inspect

import pytest

from orchestrator import errors
from orchestrator.errors import (
    AthanorError,
    BadInput,
    DeviceError,
    Fault,
    HostError,
    InstrumentError,
    InterlockError,
    LimitError,
    LinkError,
    NeedsPerson,
    OutcomeUnknown,
    ProtocolError,
    Sent,
    StoreError,
)

ALL = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, AthanorError)]


@pytest.mark.parametrize(
    ("error", "code"), [(BadInput, 1), (NeedsPerson, 3), (Fault, 4), (StoreError, 4), (HostError, 4), (InstrumentError, 4)]
)
def test_exit_codes_tell_a_typing_error_from_a_fault(error: type[AthanorError], code: int) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize("error", [LimitError, InterlockError])
def test_what_is_refused_before_the_wire_was_never_sent(error: type[LimitError | InterlockError]) -> None:
    assert error("flow 12 mL/min; allowed 0 to 10").sent is Sent.NO


@pytest.mark.parametrize("error", [LinkError, ProtocolError, DeviceError, OutcomeUnknown])
@pytest.mark.parametrize("sent", list(Sent))
def test_every_other_instrument_error_says_whether_it_was_sent(error: type[InstrumentError], sent: Sent) -> None:
    caught = error("pump P1 answered 'E02'", sent=sent)
    assert (caught.sent, str(caught)) == (sent, "pump P1 answered 'E02'")


@pytest.mark.parametrize("error", ALL)
def test_every_error_stands_in_the_drawing_at_the_top(error: type[AthanorError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
