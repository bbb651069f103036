"""What the author of a simulated device needs, so that a bench with it can be tried without it.

A simulated device is a subclass of `Body` in a file beside the plant file (`model = "./pump.py:PumpBody"`) or in a package
that offers it under a name in the entry-point group `athanor.devices`.
"""

from simulators.body import Body, Surroundings
from simulators.flow_tube import Feed
from simulators.history import Trace
from simulators.synthesis_platform import Nameplate, Order, Template
from simulators.truth import TruthValue

__all__ = ["Body", "Feed", "Nameplate", "Order", "Surroundings", "Template", "Trace", "TruthValue"]
