"""What a bench file declares of the functions of a device, so that their units and ranges are known before any wire is opened."""

from dataclasses import dataclass
from enum import StrEnum


class FunctionKind(StrEnum):
    """What a function is: the function types of LADS (OPC 30500-1), without `Function`, `Discrete` and `Type` in their names."""

    ANALOG_CONTROL = "analog-control"
    """A quantity that is controlled: `unit`, `min`, `max`."""
    TOTALIZING_CONTROL = "analog-control-with-totalizer"
    """The same, and its sum over time in `total_unit`, which can be set to zero."""
    MULTI_MODE_CONTROL = "multi-mode-analog-control"
    """A quantity that is controlled in one of several modes: one declaration a mode, `function = "Pump/Flow"` the mode Flow of Pump;
    `unit`, `min`, `max` of that mode."""
    TIMER_CONTROL = "timer-control"
    """A time that runs, in ms as the standard has it: `min`, `max`."""
    TWO_STATE_CONTROL = "two-state-control"
    """Something that is on or off."""
    MULTI_STATE_CONTROL = "multi-state-control"
    """Something in one of several `states`."""
    COVER = "cover"
    """A lid or a door."""
    ANALOG_SCALAR_SENSOR = "analog-scalar-sensor"
    """A measured quantity: `unit`."""
    ANALOG_ARRAY_SENSOR = "analog-array-sensor"
    """Many values of a measured quantity at once, such as a spectrum: `unit`."""
    TWO_STATE_SENSOR = "two-state-sensor"
    """Whether something is so: 1 or 0."""
    MULTI_STATE_SENSOR = "multi-state-sensor"
    """Which of several `states` something is in."""


@dataclass(frozen=True, slots=True)
class Function:
    """One declared function."""

    path: tuple[str, ...]
    """BrowseNames below the unit's functions; more than one where functions are nested."""
    kind: FunctionKind
    unit: str = ""
    """Of its values; empty for a pure number or a state."""
    total_unit: str = ""
    """Of its sum over time."""
    span: tuple[float, float] | None = None
    """Least and greatest value that is ever set, in `unit`."""
    states: tuple[str, ...] = ()
    """Our names of its states, in the order of the device's numbers from 0: the device's own may be translated."""
    implied: bool = False
    """Whether the bench file is of a time when functions were not declared: then the device is not compared with it."""
