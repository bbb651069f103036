"""Instruments of PyMeasure and machines of PyLabRobot, each in an interpreter where its package is installed."""

from typing import ClassVar, Final

from instruments.drivers.calls.objects import ObjectDevice

_KEYS: Final = frozenset({"function", "method", "readback", "repeatable", "safe", "set", "time_limit", "value", "within"})


class PyMeasureInstrument(ObjectDevice):
    """An instrument class of PyMeasure, in an interpreter where PyMeasure is installed.

    `object.make` names the class, `object.with` what it is made with: `adapter` is the VISA resource. Each call sets a property
    (`set`), calls a method (`method`), or a function of yours that is given the instrument first (`function`); `channels` says
    which properties are read, with the units that PyMeasure has in its documentation alone. What PyMeasure logs as an error
    fails the step. It is made when the bench is armed, and its adapter closed at the end.
    """

    WHAT: ClassVar[str] = "a PyMeasure instrument"
    PACKAGE: ClassVar[str] = "pymeasure"
    LET_GO: ClassVar[str] = "adapter.close"
    CHECK_ERRORS: ClassVar[str | None] = "check_set_errors"
    CALL_KEYS: ClassVar[frozenset[str]] = _KEYS


class PyLabRobotMachine(ObjectDevice):
    """A machine of PyLabRobot, in an interpreter where PyLabRobot is installed.

    `object.make` names a function of yours that returns the machine with its backend and deck, or the machine's class, whose
    `object.with` may make the backend. Each call is a method of the machine (`method`), or a function of yours that is given the
    machine first (`function`); both may be asynchronous. `setup()` writes and homes: it is called when the bench is armed, and
    `stop()` at the end.
    """

    WHAT: ClassVar[str] = "a PyLabRobot machine"
    PACKAGE: ClassVar[str] = "pylabrobot"
    SET_UP: ClassVar[str | None] = "setup"
    LET_GO: ClassVar[str] = "stop"
    CALL_KEYS: ClassVar[frozenset[str]] = _KEYS
