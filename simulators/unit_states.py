"""States of LADS functional units and functions, and why a device refuses."""

from enum import StrEnum


class State(StrEnum):
    """States of the FunctionalStateMachineType, LADS names."""

    STOPPED = "Stopped"
    RUNNING = "Running"
    ABORTED = "Aborted"
    STOPPING = "Stopping"
    ABORTING = "Aborting"
    CLEARING = "Clearing"


PASSED = {
    (State.RUNNING, State.STOPPED): State.STOPPING,
    (State.RUNNING, State.ABORTED): State.ABORTING,
    (State.ABORTED, State.STOPPED): State.CLEARING,
}
"""States that lie between two others; this device is through them at once."""


class Refusal(StrEnum):
    """Why a call is refused; the values are OPC-UA status names."""

    EXISTS = "BadEntryExists"
    STATE = "BadInvalidState"
    ARGUMENT = "BadInvalidArgument"
