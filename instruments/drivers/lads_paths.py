"""Where the things of a LADS device stand (OPC 30500-1): BrowseNames by namespace URI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from instruments.transport.base import BASE, Name, NodePath

DI: Final = "http://opcfoundation.org/UA/DI/"
LADS: Final = "http://opcfoundation.org/UA/LADS/"
STARTED: Final = (Name("Server", BASE), Name("ServerStatus", BASE), Name("StartTime", BASE))
"""When the server was started: the standard's evidence of a power-up."""


def di(name: str) -> Name:
    """Name a node of the DI namespace."""
    return Name(name, DI)


def lads(name: str) -> Name:
    """Name a node of the LADS namespace."""
    return Name(name, LADS)


@dataclass(frozen=True, slots=True)
class UnitPaths:
    """Paths of one device and one of its functional units."""

    device: NodePath
    unit: NodePath

    @classmethod
    def of(cls, device: str, unit: str) -> "UnitPaths":
        """Build the paths from two instance names, whose namespace is the vendor's own."""
        top = (di("DeviceSet"), Name(device))
        return cls(top, (*top, lads("FunctionalUnitSet"), Name(unit)))

    @property
    def state(self) -> NodePath:
        """The unit's state machine, which has the methods."""
        return (*self.unit, lads("FunctionalUnitState"))

    @property
    def current_state(self) -> NodePath:
        """Its state."""
        return (*self.state, Name("CurrentState", BASE))

    @property
    def templates(self) -> NodePath:
        """The programs that it can run."""
        return (*self.unit, lads("ProgramManager"), lads("ProgramTemplateSet"))

    @property
    def active(self) -> NodePath:
        """The program that it runs, or ran last."""
        return (*self.unit, lads("ProgramManager"), lads("ActiveProgram"))

    @property
    def results(self) -> NodePath:
        """One object per program run."""
        return (*self.unit, lads("ProgramManager"), lads("ResultSet"))

    def function(self, names: Sequence[str]) -> NodePath:
        """A function of the unit, or one that is nested in another."""
        return (*self.unit, *(step for name in names for step in (lads("FunctionSet"), Name(name))))
