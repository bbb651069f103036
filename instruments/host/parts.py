"""What the bench host is made of: built once in its `main`, handed to the executor and to the request handler."""

from dataclasses import dataclass

from instruments.bench.file import BenchFile
from instruments.bench.wires import Wires
from instruments.host.heartbeats import Heartbeats, LastLifeTime
from instruments.host.idle_state import IdleState
from instruments.host.journal import Journal
from instruments.host.latch import Latch
from orchestrator.clock import Clock


@dataclass(frozen=True, slots=True)
class HostParts:
    """The parts that one life of a host shares between its threads."""

    bench: BenchFile
    """What may be executed here."""
    journal: Journal
    """The memory."""
    wires: Wires
    """All links."""
    clock: Clock
    heartbeats: Heartbeats
    latch: Latch
    """Whether the bench is stopped."""
    last_life: LastLifeTime
    idle_state: IdleState
    """Whether the bench is parked or safe."""
