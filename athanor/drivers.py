"""What the author of a driver needs; nothing here loads a model, a ledger or Prefect.

A driver is a subclass of `Driver` in a file beside the bench file (`driver = "./pump.py:Pump"`) or in a package that
offers it under a name in the entry-point group `athanor.drivers`.
"""

from instruments.drivers.counted import Counted
from instruments.drivers.device import Device as Driver
from instruments.drivers.lines import LineDriver
from instruments.drivers.marks import Argument, channel, command, safe
from instruments.drivers.protocol import Call, Finding, Identity, Limit, Outcome, Progress, Settings, StepVerdict
from orchestrator.errors import BadInput, DeviceError, LinkError, ProtocolError, Sent

__all__ = [
    "Argument",
    "BadInput",
    "Call",
    "Counted",
    "DeviceError",
    "Driver",
    "Finding",
    "Identity",
    "Limit",
    "LineDriver",
    "LinkError",
    "Outcome",
    "Progress",
    "ProtocolError",
    "Sent",
    "Settings",
    "StepVerdict",
    "channel",
    "command",
    "safe",
]
